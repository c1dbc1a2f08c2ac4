//! Pipes between two threads, as two processes have them between each other.
//!
//! The peer's figures are of two processes; a process is a thread here, and its pipe is this one.

use std::thread;

use bench_sampling::{Clock, Elapsed, Meter};
use runtime_host::{
    Budget, Cancellation, PIPE_DEFAULT_BYTES, PipeReader, PipeWriter, pipe, read_blocking,
    write_all_blocking,
};

use crate::placement::Placement;

/// Length of a message in bytes, and messages of one sample of throughput.
const SIZES: [(usize, u64); 3] = [(64, 40_000), (4096, 8_000), (65_536, 1_000)];

/// Takes the figures.
pub fn run(meter: &mut Meter<'_>) {
    let clock = meter.clock();
    for (len_bytes, count) in SIZES {
        for (suffix, placement) in [
            ("same_cpu", Placement::SameCpu),
            ("cross_cpu", Placement::CrossCpu),
        ] {
            let name = format!("ipc.pipe_rtt_{len_bytes}_{suffix}");
            meter.per_operation(&name, |count| {
                placement.hold(|| round_trips(clock, count, len_bytes, placement))
            });
        }
        let name = format!("ipc.pipe_bw_{len_bytes}");
        meter.throughput(&name, count, len_bytes as u64, |count| {
            one_way(clock, count, len_bytes)
        });
    }
}

fn new_pipe() -> Result<(PipeReader, PipeWriter), String> {
    let budget = Budget::new(u64::MAX);
    pipe(PIPE_DEFAULT_BYTES, &budget).map_err(|error| error.to_string())
}

/// Writes one message.
fn send(writer: &PipeWriter, message: &[u8]) -> Result<(), String> {
    let sent = write_all_blocking(writer, message, &Cancellation::new());
    let sent = sent.map_err(|_| "it was cancelled")?;
    sent.map_err(|failure| failure.to_string())
}

/// Reads one message, in as many parts as it comes.
fn receive(reader: &PipeReader, message: &mut [u8]) -> Result<(), String> {
    let never = Cancellation::new();
    let mut filled = 0;
    while filled < message.len() {
        let count = read_blocking(reader, &mut message[filled..], &never);
        let count = count.map_err(|_| "it was cancelled")?;
        match count.map_err(|failure| failure.to_string())? {
            0 => return Err("the pipe has ended".to_owned()),
            count => filled += count,
        }
    }
    Ok(())
}

/// One operation is a message there and one back.
fn round_trips(clock: Clock, count: u64, len_bytes: usize, placement: Placement) -> Elapsed {
    let (there_reader, there) = new_pipe()?;
    let (back_reader, back) = new_pipe()?;
    thread::scope(|scope| {
        scope.spawn(move || {
            placement.bind_other();
            let mut message = vec![0; len_bytes];
            // An error here is seen by the other side as the pipe's end.
            while receive(&there_reader, &mut message).is_ok() && send(&back, &message).is_ok() {}
        });
        let mut message = vec![0; len_bytes];
        let mut round = || {
            send(&there, &message)?;
            receive(&back_reader, &mut message)
        };
        // Not measured: the other side has begun when it has answered once.
        let result = round().and_then(|()| {
            let start = clock();
            for _ in 0..count {
                round()?;
            }
            Ok(clock() - start)
        });
        drop(there);
        result
    })
}

/// One operation is one message from a thread that does nothing but write.
fn one_way(clock: Clock, count: u64, len_bytes: usize) -> Elapsed {
    let (reader, writer) = new_pipe()?;
    thread::scope(|scope| {
        scope.spawn(move || {
            let message = vec![0; len_bytes];
            for _ in 0..=count {
                if send(&writer, &message).is_err() {
                    return;
                }
            }
        });
        let mut message = vec![0; len_bytes];
        receive(&reader, &mut message)?;
        let start = clock();
        for _ in 0..count {
            receive(&reader, &mut message)?;
        }
        Ok(clock() - start)
    })
}
