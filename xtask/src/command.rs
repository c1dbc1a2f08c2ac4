//! Running other programs of the host.
//!
//! Law: a failure shows the command line as a person would type it. What a child prints is shown as it
//! comes, unless progress is transient: then it is kept and shown only on failure.

use std::process::{Command, ExitStatus, Output, Stdio};

use crate::failure::{Failure, Result};
use crate::progress;

/// Runs a command to its end; its output passes through, or is kept where progress is transient.
pub fn run(command: &mut Command) -> Result<()> {
    if progress::is_transient() {
        return capture(command).map(drop);
    }
    // Stdout is for results; whatever a build prints is talk.
    let status = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status();
    let status = status.map_err(|e| not_started(command, e))?;
    if status.success() {
        Ok(())
    } else {
        Err(failed(command, status, String::new()))
    }
}

/// Runs a command to its end and returns its stdout.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(failed(
        command,
        output.status,
        String::from_utf8_lossy(&said).into_owned(),
    ))
}

/// Runs a command to its end and returns all it said, whether it succeeded or not.
pub fn output(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| not_started(command, e))
}

/// Whether a program of that name can be started.
pub fn exists(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

/// The command line as a person would type it.
pub fn display(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn not_started(command: &Command, error: std::io::Error) -> Failure {
    Failure::Program {
        command: display(command),
        status: format!("could not be started: {error}"),
        output: String::new(),
    }
}

fn failed(command: &Command, status: ExitStatus, output: String) -> Failure {
    Failure::Program {
        command: display(command),
        status: format!("failed ({status})"),
        output,
    }
}
