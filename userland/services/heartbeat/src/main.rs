//! A service that says now and then that it is there, until it is asked to end: `heartbeat EVERY_MS [deaf]`.
//!
//! It sleeps until its next line is due or its standard input is at its end, which is how a service is asked to end. With
//! `deaf` it does not look at its input, and has to be killed. With each line it shows the system that it still goes around.
#![expect(missing_docs, reason = "what is generated is documented in the WIT")]

use std::process::ExitCode;

use wasip2::cli::stdin::get_stdin;
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::poll;
use wasip2::io::streams::{InputStream, StreamError};

include!(concat!(env!("OUT_DIR"), "/wit.rs"));

generate! { world: "kpio:service/watched", generate_all }

use kpio::service::watchdog;

const NS_PER_MS: u64 = 1_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (every_ms, is_deaf) = match words.as_slice() {
        [every_ms] => (every_ms.parse(), false),
        [every_ms, "deaf"] => (every_ms.parse(), true),
        _ => return usage(),
    };
    match every_ms {
        Ok(every_ms) => beat(every_ms, is_deaf),
        Err(_) => return usage(),
    }
    println!("ends, as it was asked to");
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: heartbeat EVERY_MS [deaf]");
    ExitCode::from(2)
}

/// Beats until it is asked to end.
fn beat(every_ms: u64, is_deaf: bool) {
    let stdin = get_stdin();
    for number in 1_u64.. {
        println!("beat {number}");
        watchdog::alive();
        let next = subscribe_duration(every_ms.saturating_mul(NS_PER_MS));
        let input = stdin.subscribe();
        if is_deaf {
            next.block();
            continue;
        }
        while !next.ready() {
            poll(&[&next, &input]);
            if is_at_end(&stdin) {
                return;
            }
        }
    }
}

/// Whether nothing more will come; what comes is of no interest.
fn is_at_end(stdin: &InputStream) -> bool {
    matches!(stdin.read(64), Err(StreamError::Closed))
}
