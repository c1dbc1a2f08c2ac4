//! `read` and `mapfile`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{failed, number};
use crate::expand::split_line;
use crate::pattern::Marked;
use crate::shell::{FAILURE, Outcome, SUCCESS, Shell, Status, TIMED_OUT, Unwind};
use crate::system::{self, Input};
use crate::variables::Value;

/// The longest line that is read.
const LINE_LEN_BYTES_MAX: usize = 1 << 20;

/// How `read` was called.
struct Request {
    is_raw: bool,
    prompt: String,
    delimiter: u8,
    count: Option<usize>,
    array: Option<String>,
    number: i32,
    time: Option<Duration>,
    names: Vec<String>,
}

/// What has ended a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    /// Its delimiter, or as many characters as were asked for.
    Met,
    /// The input's end.
    Input,
    /// The time was over.
    Time,
}

impl LineEnd {
    fn status(self) -> Status {
        match self {
            Self::Met => SUCCESS,
            Self::Input => FAILURE,
            Self::Time => TIMED_OUT,
        }
    }
}

impl Request {
    fn new(arguments: &[String]) -> Result<Self, Unwind> {
        let mut request = Self {
            is_raw: false,
            prompt: String::new(),
            delimiter: b'\n',
            count: None,
            array: None,
            number: 0,
            time: None,
            names: Vec::new(),
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument
                .strip_prefix('-')
                .filter(|letters| !letters.is_empty())
            {
                Some(letters) => request.options(letters, &mut rest)?,
                None => {
                    request.names = std::iter::once(argument).chain(rest).cloned().collect();
                    break;
                }
            }
        }
        Ok(request)
    }

    fn options<'a>(
        &mut self,
        letters: &'a str,
        rest: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), Unwind> {
        for (at, letter) in letters.char_indices() {
            match letter {
                'r' => self.is_raw = true,
                's' | 'e' => (),
                'p' | 'd' | 'n' | 'N' | 'a' | 'u' | 't' => {
                    let behind = &letters[at + 1..];
                    let value = if behind.is_empty() {
                        rest.next().map(String::as_str)
                    } else {
                        Some(behind)
                    };
                    let missing = || failed(format!("-{letter}: option requires an argument"));
                    return self.option_with(letter, value.ok_or_else(missing)?);
                }
                other => return Err(failed(format!("-{other}: invalid option"))),
            }
        }
        Ok(())
    }

    fn option_with(&mut self, letter: char, value: &str) -> Result<(), Unwind> {
        match letter {
            'p' => self.prompt = value.into(),
            'd' => self.delimiter = value.bytes().next().unwrap_or(0),
            'n' | 'N' => self.count = Some(number(value)?),
            'a' => self.array = Some(value.into()),
            'u' => self.number = number(value)?,
            _ => self.time = Some(seconds(value)?),
        }
        Ok(())
    }
}

/// A time as an argument.
fn seconds(text: &str) -> Result<Duration, Unwind> {
    let time = text.parse().ok();
    time.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| failed(format!("{text}: invalid timeout specification")))
}

pub(super) fn read(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let request = Request::new(arguments)?;
    if shell.files.is_terminal(request.number) {
        shell.files.error(&request.prompt);
    }
    if request.time == Some(Duration::ZERO) {
        let is_ready = shell.files.input(request.number).wait(Duration::ZERO);
        return Ok(Status::from(!is_ready.map_err(Unwind::Failed)?));
    }
    let (line, end) = read_line(shell, &request)?;
    let separators = shell
        .state
        .variables
        .text("IFS")
        .unwrap_or(" \t\n")
        .to_owned();
    match &request.array {
        Some(name) => {
            let fields = split_line(&line, &separators, usize::MAX);
            shell.state.variables.entry(name).value =
                Some(Value::List((0..).zip(fields).collect()));
        }
        None if request.names.is_empty() => {
            shell.assign("REPLY", line.iter().map(|(c, _)| c).collect())?
        }
        None => {
            let mut fields = split_line(&line, &separators, request.names.len()).into_iter();
            for name in &request.names {
                shell.assign(name, fields.next().unwrap_or_default())?;
            }
        }
    }
    Ok(end.status())
}

/// A line, and what has ended it. A backslash quotes a character and joins lines unless it is raw.
fn read_line(shell: &mut Shell, request: &Request) -> Result<(Vec<Marked>, LineEnd), Unwind> {
    let input = shell.files.input(request.number);
    let is_typed = shell.is_interactive && input.is_terminal();
    if is_typed {
        system::set_raw(false);
    }
    let bytes = read_bytes(shell, &input, request);
    if is_typed {
        system::set_raw(true);
    }
    let (bytes, end) = bytes?;
    Ok((
        marked(&String::from_utf8_lossy(&bytes), request.is_raw),
        end,
    ))
}

/// One byte at a time: what is behind the line is for whoever reads next.
fn read_bytes(
    shell: &mut Shell,
    input: &Input,
    request: &Request,
) -> Result<(Vec<u8>, LineEnd), Unwind> {
    let mut bytes = Vec::new();
    let began = Instant::now();
    while bytes.len() < LINE_LEN_BYTES_MAX {
        let time_left = request
            .time
            .map(|time| time.saturating_sub(began.elapsed()));
        let is_ready = time_left.is_none_or(|time| input.wait(time).unwrap_or(true));
        if !is_ready {
            return Ok((bytes, LineEnd::Time));
        }
        let byte = input.read(1).map_err(Unwind::Failed)?.first().copied();
        match byte {
            None => return Ok((bytes, LineEnd::Input)),
            Some(3) if shell.is_interactive && input.is_terminal() => {
                return Err(Unwind::Interrupted);
            }
            Some(byte) if byte == request.delimiter => {
                if request.is_raw || !ends_in_backslash(&bytes) {
                    return Ok((bytes, LineEnd::Met));
                }
                bytes.pop();
            }
            Some(byte) => bytes.push(byte),
        }
        let is_full = |count| {
            String::from_utf8_lossy(&bytes).chars().count() >= count
                && str::from_utf8(&bytes).is_ok()
        };
        if request.count.is_some_and(is_full) {
            return Ok((bytes, LineEnd::Met));
        }
    }
    Err(failed(format!(
        "a line of more than {LINE_LEN_BYTES_MAX} bytes is not read"
    )))
}

fn ends_in_backslash(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .rev()
        .take_while(|byte| **byte == b'\\')
        .count()
        % 2
        == 1
}

fn marked(text: &str, is_raw: bool) -> Vec<Marked> {
    let mut marked = Vec::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c == '\\' && !is_raw {
            marked.extend(characters.next().map(|c| (c, true)));
        } else if c != '\0' {
            marked.push((c, false));
        }
    }
    marked
}

pub(super) fn mapfile(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let (letters, names) = super::options(arguments, "t")?;
    let input = shell.files.input(0);
    let mut bytes = Vec::new();
    loop {
        let more = input.read(4096).map_err(Unwind::Failed)?;
        if more.is_empty() {
            break;
        }
        bytes.extend(more);
        if bytes.len() > LINE_LEN_BYTES_MAX {
            return Err(failed(format!(
                "more than {LINE_LEN_BYTES_MAX} bytes are not read"
            )));
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.split_inclusive('\n');
    let lines = lines.map(|line| {
        if letters.contains('t') {
            line.trim_end_matches('\n')
        } else {
            line
        }
    });
    let list: BTreeMap<i64, String> = (0..).zip(lines.map(str::to_owned)).collect();
    let name = names.first().map_or("MAPFILE", String::as_str);
    shell.state.variables.entry(name).value = Some(Value::List(list));
    Ok(SUCCESS)
}
