//! Calls `work` as it is told by lines of its input, one answer a line. Its argument is its number as a client.

include!(concat!(env!("OUT_DIR"), "/wit.rs"));

generate! {
    world: "kpio:fault-probe/caller",
    generate_all,
    with: {
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
    },
}

use kpio::fault_probe::work::{self, Session};
use kpio::link::failure::LinkFailure;
use wasip2::cli::stdin::get_stdin;
use wasip2::io::streams::StreamError;

fn main() {
    let client = std::env::args().nth(1).map_or(0, |word| number(&word)) as u32;
    let mut sessions = Vec::new();
    while let Some(line) = next_line() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["enter", call] => say(work::enter(client, number(call), &[])),
            ["pad", len, call] => {
                let padding = vec![7; number(len) as usize];
                say(work::enter(client, number(call), &padding));
            }
            ["hold", count] => {
                sessions.extend((0..number(count)).map(|_| Session::new(client)));
                println!("ok {}", sessions.len());
            }
            ["note", call] => match sessions.last() {
                Some(session) => say(session.note(number(call))),
                None => println!("nothing is held"),
            },
            ["let-go"] => {
                sessions.clear();
                println!("ok 0");
            }
            ["give-input"] => say(work::read(get_stdin())),
            ["listen"] => listen(),
            ["trap"] => say(work::trap()),
            ["leave"] => {
                std::mem::forget(sessions);
                std::process::exit(0);
            }
            _ => println!("there is no command {line:?}"),
        }
    }
}

/// Reads a stream that it got until that fails.
fn listen() {
    let stream = match work::pass_back(get_stdin()) {
        Ok(stream) => stream,
        Err(failure) => return say(Err(failure)),
    };
    println!("ok 0");
    loop {
        match stream.blocking_read(1) {
            Ok(_) => {}
            Err(StreamError::Closed) => return println!("failed closed"),
            Err(StreamError::LastOperationFailed(_)) => return println!("failed cut-off"),
        }
    }
}

fn say(answer: Result<u64, LinkFailure>) {
    match answer {
        Ok(value) => println!("ok {value}"),
        Err(failure) => println!("failed {}", failure.name()),
    }
}

/// The next line of the input, no byte more: what follows may be given away.
fn next_line() -> Option<String> {
    let input = get_stdin();
    let mut line = Vec::new();
    loop {
        let read = input.blocking_read(1).ok()?;
        match read.first() {
            Some(b'\n') => return String::from_utf8(line).ok(),
            Some(byte) => line.push(*byte),
            None => {}
        }
    }
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_default()
}
