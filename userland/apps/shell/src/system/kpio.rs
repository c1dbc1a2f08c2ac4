//! KPIO: streams and files of WASI, processes and terminal of `kpio:process`.

use std::rc::Rc;
use std::time::Duration;

use sdk::foreground::{self, JoinError};
use sdk::pipes;
use sdk::processes::{self, Launch as Spawn, Limits, ProcessError};
use sdk::terminal;
use sdk::wasip2::cli;
use sdk::wasip2::clocks::monotonic_clock::subscribe_duration;
use sdk::wasip2::filesystem::preopens;
use sdk::wasip2::filesystem::types::{
    Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags,
};
use sdk::wasip2::io::poll::{self, Pollable};
use sdk::wasip2::io::streams::{InputStream, OutputStream, StreamError};

use super::{Drained, Exit, Launch, Opening, SpawnError, StandardOutput, below};

/// How much one call reads or writes at most.
const CHUNK_LEN_BYTES: usize = 4096;

thread_local! {
    static STDIN: InputStream = cli::stdin::get_stdin();
    static STDOUT: OutputStream = cli::stdout::get_stdout();
    static STDERR: OutputStream = cli::stderr::get_stderr();
    static FOLDERS: Vec<(Descriptor, String)> = preopens::get_directories();
}

/// Something to read from.
#[derive(Clone, Debug)]
pub enum Input {
    /// The shell's own standard input.
    Standard,
    /// Nothing.
    Empty,
    /// A file or a pipe.
    Stream(Rc<InputStream>),
}

impl Input {
    /// Waits for bytes and takes at most so many; none at the end.
    pub fn read(&self, len_bytes_max: usize) -> Result<Vec<u8>, String> {
        let read = |stream: &InputStream| match stream.blocking_read(len_bytes_max as u64) {
            Ok(bytes) => Ok(bytes),
            Err(StreamError::Closed) => Ok(Vec::new()),
            Err(StreamError::LastOperationFailed(error)) => Err(error.to_debug_string()),
        };
        match self {
            Self::Standard => STDIN.with(read),
            Self::Empty => Ok(Vec::new()),
            Self::Stream(stream) => read(stream),
        }
    }

    /// Waits for so long at most until reading does not wait: for bytes or the end. Whether it came to that.
    pub fn wait(&self, time: Duration) -> Result<bool, String> {
        let time_ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let is_ready = |stream: &InputStream| {
            let (bytes, end) = (stream.subscribe(), subscribe_duration(time_ns));
            poll::poll(&[&bytes, &end]).contains(&0)
        };
        Ok(match self {
            Self::Standard => STDIN.with(is_ready),
            Self::Empty => true,
            Self::Stream(stream) => is_ready(stream),
        })
    }

    /// Whether a person types it.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Standard) && cli::terminal_stdin::get_terminal_stdin().is_some()
    }

    fn for_child(&self) -> Result<processes::Input, SpawnError> {
        Ok(match self {
            Self::Standard => processes::Input::Inherit,
            Self::Empty => processes::Input::Empty,
            Self::Stream(stream) => {
                processes::Input::Stream(pipes::duplicate_input(stream).map_err(used_up)?)
            }
        })
    }
}

/// Something to write to.
#[derive(Clone, Debug)]
pub enum Output {
    /// The shell's own.
    Standard(StandardOutput),
    /// Nowhere.
    Discard,
    /// A file or a pipe.
    Stream(Rc<OutputStream>),
}

impl Output {
    /// Writes all of it; `Err(None)` where nobody reads it any more.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Option<String>> {
        match self {
            Self::Standard(StandardOutput::Stdout) => STDOUT.with(|stream| write(stream, bytes)),
            Self::Standard(StandardOutput::Stderr) => STDERR.with(|stream| write(stream, bytes)),
            Self::Discard => Ok(()),
            Self::Stream(stream) => write(stream, bytes),
        }
    }

    /// Whether a person sees it.
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Standard(StandardOutput::Stdout) => {
                cli::terminal_stdout::get_terminal_stdout().is_some()
            }
            Self::Standard(StandardOutput::Stderr) => {
                cli::terminal_stderr::get_terminal_stderr().is_some()
            }
            Self::Discard | Self::Stream(_) => false,
        }
    }

    /// The terminal is the terminal, whichever of its streams it is: so `2>&1` leaves it one.
    fn for_child(&self, place: StandardOutput) -> Result<processes::Output, SpawnError> {
        let is_inherited = |own: StandardOutput| {
            own == place || (self.is_terminal() && Self::Standard(place).is_terminal())
        };
        let duplicate = |stream: &OutputStream| pipes::duplicate_output(stream).map_err(used_up);
        Ok(match self {
            Self::Discard => processes::Output::Discard,
            Self::Standard(own) if is_inherited(*own) => processes::Output::Inherit,
            Self::Standard(StandardOutput::Stdout) => {
                processes::Output::Stream(STDOUT.with(duplicate)?)
            }
            Self::Standard(StandardOutput::Stderr) => {
                processes::Output::Stream(STDERR.with(duplicate)?)
            }
            Self::Stream(stream) => processes::Output::Stream(duplicate(stream)?),
        })
    }
}

fn write(stream: &OutputStream, bytes: &[u8]) -> Result<(), Option<String>> {
    bytes.chunks(CHUNK_LEN_BYTES).try_for_each(|chunk| {
        stream
            .blocking_write_and_flush(chunk)
            .map_err(|error| match error {
                StreamError::Closed => None,
                StreamError::LastOperationFailed(error) => Some(error.to_debug_string()),
            })
    })
}

fn used_up(_: pipes::PipeError) -> SpawnError {
    SpawnError::Refused("the shell's memory or handles are used up".into())
}

/// A pipe: what is written to the second is read from the first.
pub fn pipe() -> Result<(Input, Output), String> {
    let (read, write) = pipes::pipe().map_err(|_| "the shell's memory or handles are used up")?;
    Ok((Input::Stream(Rc::new(read)), Output::Stream(Rc::new(write))))
}

/// Opens a file for reading.
pub fn open_input(path: &str) -> Result<Input, String> {
    match path {
        "/dev/null" => return Ok(Input::Empty),
        "/dev/stdin" => return Ok(Input::Standard),
        _ => (),
    }
    let file = open(path, OpenFlags::empty(), DescriptorFlags::READ)?;
    let stream = file.read_via_stream(0).map_err(reason)?;
    Ok(Input::Stream(Rc::new(stream)))
}

/// Opens a file for writing.
pub fn open_output(path: &str, opening: Opening) -> Result<Output, String> {
    match path {
        "/dev/null" => return Ok(Output::Discard),
        "/dev/stdout" => return Ok(Output::Standard(StandardOutput::Stdout)),
        "/dev/stderr" => return Ok(Output::Standard(StandardOutput::Stderr)),
        _ => (),
    }
    let flags = match opening {
        Opening::Truncate => OpenFlags::CREATE | OpenFlags::TRUNCATE,
        Opening::Append | Opening::Keep => OpenFlags::CREATE,
        Opening::New => OpenFlags::CREATE | OpenFlags::EXCLUSIVE,
    };
    let file = open(path, flags, DescriptorFlags::WRITE)?;
    let stream = match opening {
        Opening::Append => file.append_via_stream(),
        _ => file.write_via_stream(0),
    };
    Ok(Output::Stream(Rc::new(stream.map_err(reason)?)))
}

/// Opens below the folder of the longest name that leads there.
fn open(path: &str, how: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor, String> {
    FOLDERS.with(|folders| {
        let leads_there = folders
            .iter()
            .filter_map(|(folder, name)| Some((folder, name.len(), below(path, name)?)));
        let Some((folder, _, rest)) = leads_there.max_by_key(|(_, len, _)| *len) else {
            return Err(reason(ErrorCode::NoEntry));
        };
        folder
            .open_at(PathFlags::SYMLINK_FOLLOW, rest, how, flags)
            .map_err(reason)
    })
}

/// As every Unix says it.
fn reason(code: ErrorCode) -> String {
    match code {
        ErrorCode::Access | ErrorCode::NotPermitted => "Permission denied".into(),
        ErrorCode::Exist => "File exists".into(),
        ErrorCode::InsufficientSpace | ErrorCode::Quota => "No space left on device".into(),
        ErrorCode::IsDirectory => "Is a directory".into(),
        ErrorCode::Loop => "Too many levels of symbolic links".into(),
        ErrorCode::NameTooLong => "File name too long".into(),
        ErrorCode::NoEntry => "No such file or directory".into(),
        ErrorCode::NotDirectory => "Not a directory".into(),
        ErrorCode::ReadOnly => "Read-only file system".into(),
        other => other.message().to_owned(),
    }
}

/// A process that the shell has started.
#[derive(Clone, Debug)]
pub struct Child(Rc<processes::Process>);

impl Child {
    /// Its number.
    pub fn id(&self) -> u64 {
        self.0.id()
    }

    /// How it ended; nothing while it runs.
    pub fn try_wait(&self) -> Option<Exit> {
        let exit = self.0.try_wait()?;
        Some(Exit {
            code: exit.code,
            message: exit.message,
        })
    }

    /// Ends it.
    pub fn kill(&self) {
        self.0.kill();
    }

    /// Lets it stand still, or go on.
    pub fn suspend(&self, is_suspended: bool) {
        self.0.suspend(is_suspended);
    }

    /// Lets it outlive the shell.
    pub fn disown(&self) {
        self.0.disown();
    }
}

/// Starts a process.
pub fn spawn(launch: &Launch<'_>) -> Result<Child, SpawnError> {
    let spawned = processes::spawn(Spawn {
        program: launch.program.to_owned(),
        arguments: launch.arguments.to_vec(),
        environment: launch.environment.clone(),
        stdin: launch.stdin.for_child()?,
        stdout: launch.stdout.for_child(StandardOutput::Stdout)?,
        stderr: launch.stderr.for_child(StandardOutput::Stderr)?,
        files: processes::Files::Inherit(launch.folder.to_owned()),
        limits: UNLIMITED,
        may_spawn: true,
    });
    spawned
        .map(|process| Child(Rc::new(process)))
        .map_err(|error| match error {
            ProcessError::NotFound(_) => SpawnError::NotFound,
            ProcessError::Unusable(reason)
            | ProcessError::Denied(reason)
            | ProcessError::Quota(reason) => SpawnError::Refused(reason),
        })
}

/// A child has what the shell has.
const UNLIMITED: Limits = Limits {
    memory_bytes: None,
    cpu_percent: None,
    cpu_time_ns: None,
    handles: None,
    output_bytes: None,
    processes: None,
};

/// Ends the shell. WASI's older way out knows success and failure only.
pub fn exit(status: u8) {
    cli::exit::exit_with_code(status);
}

/// Under which name a further shell is started.
pub fn own_program() -> String {
    "sh".into()
}

/// The shell's own number.
pub fn id() -> u64 {
    processes::descendants()
        .iter()
        .map(|status| status.id)
        .min()
        .unwrap_or_default()
}

/// The names that `spawn` looks up.
pub fn programs() -> Vec<String> {
    processes::programs()
}

/// Waits until one of them has ended, or, for the foreground, Ctrl-Z has suspended them.
pub fn wait_for_any(children: &[&Child], is_foreground: bool) {
    let mut pollables: Vec<Pollable> = children.iter().map(|child| child.0.subscribe()).collect();
    pollables.extend(suspension(is_foreground));
    wait(&pollables);
}

/// Reads what children write until all of them are done with it.
pub fn drain(from: &Input, into: &mut Vec<u8>, is_foreground: bool) -> Drained {
    let Input::Stream(stream) = from else {
        return Drained::End;
    };
    let mut pollables = vec![stream.subscribe()];
    pollables.extend(suspension(is_foreground));
    loop {
        match stream.read(CHUNK_LEN_BYTES as u64) {
            Ok(bytes) if bytes.is_empty() => wait(&pollables),
            Ok(bytes) => into.extend(bytes),
            Err(_) => return Drained::End,
        }
        if is_foreground && was_suspended() {
            return Drained::Suspended;
        }
    }
}

fn suspension(is_foreground: bool) -> Option<Pollable> {
    foreground::subscribe_suspended()
        .ok()
        .filter(|_| is_foreground)
}

fn wait(pollables: &[Pollable]) {
    if !pollables.is_empty() {
        poll::poll(&pollables.iter().collect::<Vec<_>>());
    }
}

/// Whether the shell talks to a person.
pub fn has_terminal() -> bool {
    Input::Standard.is_terminal() && Output::Standard(StandardOutput::Stderr).is_terminal()
}

/// Whether the terminal hands every key on as it is typed. Without a terminal there is nothing to do.
pub fn set_raw(is_raw: bool) {
    let mode = if is_raw {
        terminal::Mode::Raw
    } else {
        terminal::Mode::Cooked
    };
    let _ = terminal::set_mode(mode);
}

/// How wide the terminal is.
pub fn terminal_columns() -> Option<usize> {
    terminal::size().ok().map(|(columns, _)| columns.into())
}

/// From now on Ctrl-C and Ctrl-Z are meant for a job that is yet to be started. Without a terminal there is nothing to do.
pub fn give_terminal_to_job() {
    let _ = foreground::begin();
}

/// The child belongs to the job that has the terminal; a sentence, where the shell could not end it by Ctrl-C.
pub fn join_job(child: &Child) -> Result<(), String> {
    match foreground::join(&child.0) {
        Ok(()) | Err(JoinError::NoTerminal) => Ok(()),
        Err(JoinError::Quota) => Err("the shell's memory is used up".into()),
    }
}

/// Whether Ctrl-C has ended the job that has the terminal.
pub fn was_interrupted() -> bool {
    foreground::was_interrupted()
}

/// Ctrl-C and Ctrl-Z are the shell's again.
pub fn resume_from_terminal() {
    let _ = foreground::set_foreground(&[]);
}

/// Whether Ctrl-Z has suspended those that have the terminal.
pub fn was_suspended() -> bool {
    foreground::was_suspended()
}

/// Keys that were typed while nobody read them.
pub fn pending_keys() -> Vec<u8> {
    STDIN.with(|stdin| stdin.read(CHUNK_LEN_BYTES as u64).unwrap_or_default())
}

/// A number that nobody can foretell.
pub fn random() -> u64 {
    sdk::wasip2::random::random::get_random_u64()
}
