//! What the programs of an image may do and use, whoever starts them: the file [`GRANTS_PATH`] of the system's bundle.
//!
//! Law: text, one line per program, each ended by a line feed: `NAME WORD…`, separated by single spaces. NAME is that by which
//! the program is found. A word is `may-spawn`, `may-control`, `may-call=INTERFACE,INTERFACE…` in their order, or `KEY=NUMBER` with the keys
//! of [`Grants`] and a decimal number without sign or leading zeros; no word comes twice, no program comes twice, and every line has a word. Nothing else: no comments, no empty lines.
//!
//! A program that is not listed may start no others, control no services, call no others, and use what whoever starts it may use. A bundle without the file
//! lists none. The file is verified like every other of the bundle, by whoever reads it; what it says is read as
//! hostile bytes nevertheless.
//!
//! The alternative that lost is a flag in the index's records: it has room for one bit and not for numbers.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// Where the file lies in a bundle.
pub const GRANTS_PATH: &str = "/etc/grants";
/// Longest file, in bytes.
pub const GRANTS_LEN_MAX_BYTES: usize = 1 << 20;
/// Longest name of a program, in bytes.
pub const PROGRAM_NAME_LEN_MAX_BYTES: usize = 255;
/// Longest name of an interface, in bytes.
pub const INTERFACE_LEN_MAX_BYTES: usize = 255;

const MAY_SPAWN: &str = "may-spawn";
const MAY_CONTROL: &str = "may-control";
const MAY_CALL: &str = "may-call";
/// Between two interfaces.
const SEPARATOR: char = ',';

/// What one program may do and use at most, with all that it starts; none means what whoever starts it may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Whether it may start programs.
    pub may_spawn: bool,
    /// Whether it may control the system's services, where whoever starts it may.
    pub may_control: bool,
    /// Interfaces of services that it may call, without versions and in their order, where whoever starts it may.
    pub may_call: Vec<String>,
    /// `memory`: memory, in bytes.
    pub memory_bytes: Option<u64>,
    /// `cpu-percent`: CPU time in any second, in hundredths of one CPU.
    pub cpu_percent: Option<u64>,
    /// `cpu-time-s`: CPU time in all, in seconds.
    pub cpu_time_s: Option<u64>,
    /// `handles`: handles at a time.
    pub handles: Option<u64>,
    /// `output`: bytes of output and messages together.
    pub output_bytes: Option<u64>,
    /// `processes`: processes at a time, itself included.
    pub processes: Option<u64>,
}

/// Every number of [`Grants`]: its key, its field, and the least and the most that it can be.
const NUMBERS: [Number; 6] = [
    Number {
        key: "memory",
        field: |grants| &mut grants.memory_bytes,
        range: (1, u64::MAX),
    },
    Number {
        key: "cpu-percent",
        field: |grants| &mut grants.cpu_percent,
        range: (1, u32::MAX as u64),
    },
    Number {
        key: "cpu-time-s",
        field: |grants| &mut grants.cpu_time_s,
        range: (1, u32::MAX as u64),
    },
    Number {
        key: "handles",
        field: |grants| &mut grants.handles,
        range: (0, u32::MAX as u64),
    },
    Number {
        key: "output",
        field: |grants| &mut grants.output_bytes,
        range: (0, u64::MAX),
    },
    Number {
        key: "processes",
        field: |grants| &mut grants.processes,
        range: (1, u32::MAX as u64),
    },
];

struct Number {
    key: &'static str,
    field: fn(&mut Grants) -> &mut Option<u64>,
    range: (u64, u64),
}

impl Number {
    fn of(key: &str) -> Option<&'static Number> {
        NUMBERS.iter().find(|number| number.key == key)
    }

    fn allows(&self, value: u64) -> bool {
        (self.range.0..=self.range.1).contains(&value)
    }
}

/// What is wrong with the grants of one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramError {
    /// The name is empty, too long, or has blanks or control characters.
    WrongName,
    /// The program comes a second time.
    Duplicate,
    /// Nothing is granted, and nothing limited.
    Nothing,
    /// A word is none of those above, or comes a second time.
    WrongWord,
    /// What it may call is no list of interfaces, or not in their order.
    WrongInterface,
    /// A number is smaller or larger than it can be.
    OutOfRange {
        /// Its key.
        key: &'static str,
        /// The least that it can be.
        min: u64,
        /// The most that it can be.
        max: u64,
    },
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongName => f.write_str("its name is empty, too long, or has blanks in it"),
            Self::Duplicate => f.write_str("it is listed a second time"),
            Self::Nothing => f.write_str("nothing is said about it"),
            Self::WrongWord => {
                f.write_str("a word is no grant, no limit with a number, or comes a second time")
            }
            Self::WrongInterface => f.write_str(
                "what it may call is no list of interfaces like `package:name/interface`, each once and in their order",
            ),
            Self::OutOfRange { key, min, max } => {
                write!(f, "`{key}` must be a number from {min} to {max}")
            }
        }
    }
}

impl core::error::Error for ProgramError {}

/// What is wrong with a file of grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantsError {
    /// Longer than [`GRANTS_LEN_MAX_BYTES`].
    TooLong,
    /// It is not UTF-8.
    NotUtf8,
    /// The last line is not ended: the file was cut off.
    NotEnded,
    /// A line is wrong.
    Line {
        /// The guilty one, from 1.
        line: usize,
        /// What is wrong with it.
        problem: ProgramError,
    },
}

impl fmt::Display for GrantsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(
                f,
                "the list of grants is longer than {GRANTS_LEN_MAX_BYTES} bytes"
            ),
            Self::NotUtf8 => f.write_str("the list of grants is not text"),
            Self::NotEnded => {
                f.write_str("the list of grants is cut off: its last line is not ended")
            }
            Self::Line { line, problem } => {
                write!(
                    f,
                    "the program in line {line} of the list of grants: {problem}"
                )
            }
        }
    }
}

impl core::error::Error for GrantsError {}

/// The programs of a bundle that are granted or denied anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantTable {
    programs: BTreeMap<String, Grants>,
}

impl GrantTable {
    /// Reads the file.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, GrantsError> {
        if bytes.len() > GRANTS_LEN_MAX_BYTES {
            return Err(GrantsError::TooLong);
        }
        let text = core::str::from_utf8(bytes).map_err(|_| GrantsError::NotUtf8)?;
        let mut table = Self::default();
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let line = line.strip_suffix('\n').ok_or(GrantsError::NotEnded)?;
            let pushed = parse_line(line).and_then(|(name, grants)| table.push(name, grants));
            pushed.map_err(|problem| GrantsError::Line {
                line: index + 1,
                problem,
            })?;
        }
        Ok(table)
    }

    /// Lists a program.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn push(&mut self, name: &str, mut grants: Grants) -> Result<(), ProgramError> {
        if !is_name(name) {
            return Err(ProgramError::WrongName);
        }
        if grants == Grants::default() {
            return Err(ProgramError::Nothing);
        }
        check_ranges(&mut grants)?;
        if !are_interfaces(&grants.may_call) {
            return Err(ProgramError::WrongInterface);
        }
        match self.programs.insert(name.to_string(), grants) {
            None => Ok(()),
            Some(_) => Err(ProgramError::Duplicate),
        }
    }

    /// What the program of this name may do and use; nothing of its own where it is not listed.
    pub fn of(&self, name: &str) -> Grants {
        self.programs.get(name).cloned().unwrap_or_default()
    }

    /// Whether no program is listed.
    pub fn is_empty(&self) -> bool {
        self.programs.is_empty()
    }
}

/// The file's text.
impl fmt::Display for GrantTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, grants) in &self.programs {
            writeln!(f, "{name}{}", Words(grants))?;
        }
        Ok(())
    }
}

/// The words of one line, each with a space before it.
struct Words<'a>(&'a Grants);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut grants = self.0.clone();
        if grants.may_spawn {
            write!(f, " {MAY_SPAWN}")?;
        }
        if grants.may_control {
            write!(f, " {MAY_CONTROL}")?;
        }
        for (index, interface) in grants.may_call.iter().enumerate() {
            match index {
                0 => write!(f, " {MAY_CALL}={interface}")?,
                _ => write!(f, "{SEPARATOR}{interface}")?,
            }
        }
        NUMBERS
            .iter()
            .filter_map(|number| (number.field)(&mut grants).map(|value| (number.key, value)))
            .try_for_each(|(key, value)| write!(f, " {key}={value}"))
    }
}

fn parse_line(line: &str) -> Result<(&str, Grants), ProgramError> {
    let mut words = line.split(' ');
    let name = words.next().unwrap_or_default();
    let mut grants = Grants::default();
    words.try_for_each(|word| set(&mut grants, word))?;
    Ok((name, grants))
}

fn set(grants: &mut Grants, word: &str) -> Result<(), ProgramError> {
    let flag = match word {
        MAY_SPAWN => Some(&mut grants.may_spawn),
        MAY_CONTROL => Some(&mut grants.may_control),
        _ => None,
    };
    if let Some(flag) = flag {
        return match core::mem::replace(flag, true) {
            false => Ok(()),
            true => Err(ProgramError::WrongWord),
        };
    }
    let (key, value) = word.split_once('=').ok_or(ProgramError::WrongWord)?;
    if key == MAY_CALL && grants.may_call.is_empty() {
        grants.may_call = value.split(SEPARATOR).map(str::to_string).collect();
        return Ok(());
    }
    let number = Number::of(key).ok_or(ProgramError::WrongWord)?;
    let value = parse_number(value).ok_or(ProgramError::WrongWord)?;
    match (number.field)(grants).replace(value) {
        None => Ok(()),
        Some(_) => Err(ProgramError::WrongWord),
    }
}

/// Whether they are names of interfaces, `package:name/interface`, in their order.
fn are_interfaces(names: &[String]) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let is_word = |word: &str| !word.is_empty() && word.chars().all(is_plain);
    let is_interface = |name: &String| {
        let parts = name.split_once(':');
        let parts = parts.and_then(|(of, rest)| Some((of, rest.split_once('/')?)));
        let is_one = |(of, (package, interface))| [of, package, interface].into_iter().all(is_word);
        parts.is_some_and(is_one) && name.len() <= INTERFACE_LEN_MAX_BYTES
    };
    names.iter().all(is_interface) && names.is_sorted_by(|one, next| one < next)
}

fn check_ranges(grants: &mut Grants) -> Result<(), ProgramError> {
    NUMBERS.iter().try_for_each(|number| {
        match (number.field)(grants).is_none_or(|value| number.allows(value)) {
            true => Ok(()),
            false => Err(ProgramError::OutOfRange {
                key: number.key,
                min: number.range.0,
                max: number.range.1,
            }),
        }
    })
}

/// A decimal number without sign and without leading zeros, so that it has one spelling.
fn parse_number(text: &str) -> Option<u64> {
    let canonical = text == "0" || text.starts_with(|c: char| ('1'..='9').contains(&c));
    text.parse().ok().filter(|_| canonical)
}

fn is_name(name: &str) -> bool {
    let is_wrong = |c: char| c.is_whitespace() || c.is_control() || c == '/';
    (1..=PROGRAM_NAME_LEN_MAX_BYTES).contains(&name.len()) && !name.contains(is_wrong)
}
