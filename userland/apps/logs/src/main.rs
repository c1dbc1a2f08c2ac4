//! Shows and follows the system's log, as the service behind `kpio:log/reader` keeps it.
#![expect(missing_docs, reason = "what is generated is documented in the WIT")]

mod arguments;

use std::io::{self, Write};
use std::process::ExitCode;

include!(concat!(env!("OUT_DIR"), "/wit.rs"));

generate! {
    world: "kpio:log/client",
    generate_all,
    with: {
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
        "kpio:link/failure@0.1.0": sdk::link::failure,
        "kpio:log/types@0.1.0": sdk::log::types,
    },
}

use arguments::Arguments;
use kpio::log::reader;
use sdk::link::no_answer;
use sdk::log::shown;
use sdk::log::types::{Filter, LogError};
use wasip2::io::streams::StreamError;

/// Bytes that are passed on at once.
const STEP_BYTES: u64 = 4096;

fn main() -> ExitCode {
    let arguments = match arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(sentence) => {
            eprintln!("logs: {sentence}\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    match show(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("logs: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn show(arguments: &Arguments) -> Result<(), String> {
    let filter = &arguments.filter;
    let from = match arguments.lines {
        None => 0,
        Some(lines) => reader::tail(lines, filter).map_err(sentence)?,
    };
    if arguments.is_following {
        follow(from, filter)
    } else {
        show_all(from, filter)
    }
}

/// What is there now.
fn show_all(from: u64, filter: &Filter) -> Result<(), String> {
    let mut from = from;
    loop {
        let part = reader::read(from, filter).map_err(sentence)?;
        if part.lost > 0 && from > 0 {
            print(&format!("({} lines were lost)\n", part.lost))?;
        }
        let lines = part.entries.iter().map(|entry| shown(&entry.line));
        print(&lines.collect::<String>())?;
        if !part.has_more {
            return Ok(());
        }
        from = part.next;
    }
}

/// What is there and what comes, until this program is ended or the service is.
fn follow(from: u64, filter: &Filter) -> Result<(), String> {
    let lines = reader::follow(from, filter).map_err(sentence)?;
    loop {
        match lines.blocking_read(STEP_BYTES) {
            Ok(bytes) => write(&bytes)?,
            Err(StreamError::Closed) => {
                return Err("the service that keeps the log ended".to_owned());
            }
            Err(error) => return Err(format!("the log was not read: {error}")),
        }
    }
}

fn print(text: &str) -> Result<(), String> {
    write(text.as_bytes())
}

fn write(bytes: &[u8]) -> Result<(), String> {
    let mut out = io::stdout();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    written.map_err(|error| format!("nobody takes the output: {error}"))
}

fn sentence(error: LogError) -> String {
    match error {
        LogError::Quota => "too many follow the log already".to_owned(),
        LogError::Link(failure) => {
            format!("the service that keeps the log: {}", no_answer(failure))
        }
    }
}
