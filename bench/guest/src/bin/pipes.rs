//! Two processes at the two ends of two pipes, which are their standard input and output.
//!
//! `pipes measure FILTER time|count` takes the figures, which go to standard error, `pipes calls …` those of messages that stand for calls;
//! `pipes echo` is who it talks to. The first byte of a message says how long it is, and whether it is answered.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use bench_sampling::{Meter, Plan};
use wasip2::clocks::monotonic_clock;

/// A message that is sent back.
const SHORT_BYTES: usize = 64;
/// One with nothing in it, and its answer.
const EMPTY_BYTES: usize = 1;
/// One between the two.
const MIDDLE_BYTES: usize = 4 << 10;
/// One that is part of a stream of them.
const LONG_BYTES: usize = 64 << 10;
/// Long messages of one sample: 16 MiB.
const LONG_MESSAGES: u64 = 256;
/// What the first byte of a message says: sent back, or one of [`LONG_MESSAGES`] of which the last is answered.
const SHORT: u8 = b's';
const EMPTY: u8 = b'0';
const MIDDLE: u8 = b'm';
const LONG: u8 = b'l';
const LAST: u8 = b'e';

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["measure", filter, plan] => measure(filter, plan_of(plan)),
        ["calls", filter, plan] => calls(filter, plan_of(plan)),
        ["echo"] => echo(),
        _ => Err(io::Error::other(
            "usage: pipes measure|calls FILTER time|count, or pipes echo",
        )),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pipes: {error}");
            ExitCode::FAILURE
        }
    }
}

fn plan_of(word: &str) -> Plan {
    if word == "count" {
        Plan::Count
    } else {
        Plan::Time
    }
}

fn measure(filter: &str, plan: Plan) -> io::Result<()> {
    // Not measured: the other side has begun when it has answered once.
    round_trip()?;
    let mut output = |line: &str| eprintln!("{line}");
    let mut meter = Meter::new("processes", filter, plan, monotonic_clock::now, &mut output);
    meter.try_each("pipe_rtt_64", round_trip);
    meter.throughput("pipe_bw_64k", LONG_MESSAGES, LONG_BYTES as u64, |count| {
        one_way(count).map_err(|error| error.to_string())
    });
    Ok(())
}

/// What a call is where there are pipes only: so many bytes there, and a few back.
fn calls(filter: &str, plan: Plan) -> io::Result<()> {
    round_trip()?;
    let mut output = |line: &str| eprintln!("{line}");
    let mut meter = Meter::new("channels", filter, plan, monotonic_clock::now, &mut output);
    for (name, kind, answer_bytes) in [
        ("call_0", EMPTY, EMPTY_BYTES),
        ("call_64", SHORT, SHORT_BYTES),
        ("call_4k", MIDDLE, SHORT_BYTES),
        ("call_64k", LAST, SHORT_BYTES),
        // The same again: there are no buffers here.
        ("call_4k_in_buffer", MIDDLE, SHORT_BYTES),
        ("call_64k_in_buffer", LAST, SHORT_BYTES),
    ] {
        let mut message = vec![kind; len_bytes(kind)];
        meter.try_each(name, || {
            message[0] = kind;
            send(&message)?;
            io::stdin().lock().read_exact(&mut message[..answer_bytes])
        });
    }
    Ok(())
}

fn len_bytes(kind: u8) -> usize {
    match kind {
        EMPTY => EMPTY_BYTES,
        SHORT => SHORT_BYTES,
        MIDDLE => MIDDLE_BYTES,
        _ => LONG_BYTES,
    }
}

/// A short message there and back.
fn round_trip() -> io::Result<()> {
    let mut message = [0; SHORT_BYTES];
    message[0] = SHORT;
    send(&message)?;
    io::stdin().lock().read_exact(&mut message)
}

/// Long messages there, and one short answer when the last has been read.
fn one_way(count: u64) -> io::Result<u64> {
    let mut message = vec![0; LONG_BYTES];
    let start = monotonic_clock::now();
    for number in 1..=count {
        message[0] = if number == count { LAST } else { LONG };
        send(&message)?;
    }
    io::stdin().lock().read_exact(&mut message[..SHORT_BYTES])?;
    Ok(monotonic_clock::now() - start)
}

fn send(message: &[u8]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(message)?;
    output.flush()
}

/// Answers until its input ends.
fn echo() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut message = vec![0; LONG_BYTES];
    while input.read(&mut message[..1])? == 1 {
        let len_bytes = len_bytes(message[0]);
        input.read_exact(&mut message[1..len_bytes])?;
        if message[0] != LONG {
            send(&message[..len_bytes.min(SHORT_BYTES)])?;
        }
    }
    Ok(())
}
