//! What the shell asks of the system: streams, files, processes, the terminal.
//!
//! Law: nothing else in this crate knows on what it runs. There are two systems with the same names: KPIO, where the
//! shell is a component on `kpio:process`, and the development machine, where its tests run. Paths are absolute: neither
//! has a current folder that the shell could change. A stream is shared by its clones, position and all; reading
//! takes no more bytes than were asked for, since the rest may be another process's. Reasons are what a person
//! reads behind the name of what was refused.

#[cfg(not(target_os = "wasi"))]
mod host;
#[cfg(target_os = "wasi")]
mod kpio;

#[cfg(not(target_os = "wasi"))]
use host as backend;
#[cfg(target_os = "wasi")]
use kpio as backend;

pub use backend::{
    Child, Input, Output, drain, exit, give_terminal_to_job, has_terminal, id, join_job,
    open_input, open_output, own_program, pending_keys, pipe, programs, random,
    resume_from_terminal, set_raw, spawn, terminal_columns, wait_for_any, was_interrupted,
    was_suspended,
};

/// How a file is opened for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// `>`: made where it is missing, emptied where it is there.
    Truncate,
    /// `>>`: made where it is missing, written at its end.
    Append,
    /// `<>`: made where it is missing, written from its start.
    Keep,
    /// `>` while `noclobber` is set: made; it must be missing.
    New,
}

/// Which of the two standard output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardOutput {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// All that a child is started with.
pub struct Launch<'a> {
    /// A name to be looked up, or an absolute path.
    pub program: &'a str,
    /// Its arguments, its own name first.
    pub arguments: &'a [String],
    /// Its whole environment.
    pub environment: Vec<(String, String)>,
    /// Where its relative paths begin.
    pub folder: &'a str,
    /// Its standard input.
    pub stdin: &'a Input,
    /// Its standard output.
    pub stdout: &'a Output,
    /// Its standard error.
    pub stderr: &'a Output,
}

/// Why a child was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// There is no such program.
    NotFound,
    /// There is one, and it does not start: the reason.
    Refused(String),
}

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The status that `$?` shows.
    pub code: u8,
    /// A sentence, where it did not end of its own will.
    pub message: Option<String>,
}

/// What became of reading a child's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// All of it was read.
    End,
    /// Ctrl-Z has suspended the child before that.
    Suspended,
}

/// Whether `child` is the same as `path` or lies below it, and the rest of it.
#[cfg(target_os = "wasi")]
fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(folder.trim_end_matches('/'))?;
    match rest.strip_prefix('/') {
        Some(rest) => Some(rest),
        None if rest.is_empty() => Some("."),
        None => None,
    }
}
