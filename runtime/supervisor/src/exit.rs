//! How a process ended, in words and as a number.

use crate::limits::Refusal;
use runtime_engine::ByteCount;
use runtime_host::{Cancelled, ProcessExit};
use std::any::Any;
use std::fmt;
use wasmtime::{Trap, WasmBacktrace};

/// Exit code of a panic of ours (`EX_SOFTWARE` of sysexits.h).
const CODE_BUG: u8 = 70;
/// Exit code of a program that could not be started, as shells have it.
const CODE_UNUSABLE: u8 = 126;
/// Exit code after Ctrl-C, as shells have it: 128 + SIGINT.
const CODE_KILLED: u8 = 130;
/// Exit code of a trap, as shells have it for an abort: 128 + SIGABRT.
const CODE_TRAP: u8 = 134;

/// How a process ended. `Display` continues a sentence that begins with the program's name, except for
/// [`Exit::Unusable`], which is a whole one: see [`Exit::message`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Of its own will.
    Code(u8),
    /// It did what it may not, or ran out of something.
    Trap {
        /// What happened, as the end of a sentence.
        message: String,
        /// The call stack at that point, innermost first: function names where the program has them.
        wasm_backtrace: Vec<String>,
    },
    /// It has used up something that it may have so much of; the text ends a sentence.
    Limit(String),
    /// It was told to end.
    Killed,
    /// It never ran; the sentence says why and begins with the program's name.
    Unusable(String),
    /// Our own code failed while serving it; this is what the panic said.
    KernelBug(String),
}

impl Exit {
    /// The code that whoever waits for the process gets.
    pub fn exit_code(&self) -> u8 {
        match self {
            Exit::Code(code) => *code,
            Exit::Trap { .. } | Exit::Limit(_) => CODE_TRAP,
            Exit::Killed => CODE_KILLED,
            Exit::Unusable(_) => CODE_UNUSABLE,
            Exit::KernelBug(_) => CODE_BUG,
        }
    }

    /// What to tell whoever started `program`; nothing when it ended of its own will.
    pub fn message(&self, program: &str) -> Option<String> {
        match self {
            Exit::Code(_) => None,
            Exit::Unusable(sentence) => Some(sentence.clone()),
            Exit::Trap { .. } | Exit::Limit(_) | Exit::Killed | Exit::KernelBug(_) => {
                Some(format!("{program} {self}"))
            }
        }
    }

    /// What an error that came out of running wasm means. `refusal` is the latest request for memory
    /// that was turned down, since programs end by a trap when they get none.
    pub(crate) fn from_error(error: &wasmtime::Error, refusal: Option<Refusal>) -> Exit {
        if let Some(ProcessExit(code)) = error.downcast_ref::<ProcessExit>() {
            return Exit::Code(low_byte(*code));
        }
        if error.is::<Cancelled>() {
            return Exit::Killed;
        }
        let message = match error.downcast_ref::<Trap>() {
            Some(trap) => trap_message(trap, refusal),
            None => error.root_cause().to_string(),
        };
        Exit::Trap {
            message,
            wasm_backtrace: backtrace_lines(error),
        }
    }

    pub(crate) fn from_panic(payload: &(dyn Any + Send)) -> Exit {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned());
        Exit::KernelBug(text.unwrap_or_else(|| "a panic without a message".to_owned()))
    }
}

/// What of an exit code reaches the one who waits: eight bits, as everywhere.
fn low_byte(code: i32) -> u8 {
    code.to_le_bytes()[0]
}

fn trap_message(trap: &Trap, refusal: Option<Refusal>) -> String {
    let text = trap.to_string();
    let text = text.strip_prefix("wasm trap: ").unwrap_or(&text);
    match (trap, refusal) {
        (Trap::UnreachableCodeReached, Some(refusal)) => {
            format!("{text}, after it asked for memory and was refused: {refusal}")
        }
        _ => text.to_owned(),
    }
}

/// The frames as Wasmtime prints them, without its heading.
fn backtrace_lines(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    let text = backtrace.to_string();
    text.lines()
        .filter(|line| is_frame(line))
        .map(|line| line.trim().to_owned())
        .collect()
}

/// Frames begin with their number and a colon.
fn is_frame(line: &str) -> bool {
    line.trim_start()
        .split_once(':')
        .is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "it wanted {} in all, and {} more were free",
            ByteCount(self.wanted_bytes),
            ByteCount(self.free_bytes)
        )
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "ended with code {code}"),
            Exit::Trap {
                message,
                wasm_backtrace,
            } => {
                write!(f, "trapped: {message}")?;
                wasm_backtrace
                    .iter()
                    .try_for_each(|frame| write!(f, "\n  {frame}"))
            }
            Exit::Limit(limit) => write!(f, "was ended: {limit}"),
            Exit::Killed => f.write_str("was told to end"),
            Exit::Unusable(sentence) => f.write_str(sentence),
            Exit::KernelBug(message) => {
                write!(
                    f,
                    "was ended by a bug of this system, please report it: {message}"
                )
            }
        }
    }
}
