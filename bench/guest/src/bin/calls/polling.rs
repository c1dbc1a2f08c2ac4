//! `wasi:io/poll`, on what is ready.

use std::hint::black_box;

use bench_sampling::Meter;
use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::{self, Pollable};

/// Pollables of the larger poll.
const MANY: usize = 64;

/// Takes the figures.
pub fn run(meter: &mut Meter<'_>) {
    let ready: Vec<Pollable> = (0..MANY)
        .map(|_| monotonic_clock::subscribe_duration(0))
        .collect();
    let all: Vec<&Pollable> = ready.iter().collect();
    meter.each("poll.ready", || {
        black_box(all[0].ready());
    });
    meter.each("poll.block_ready", || all[0].block());
    meter.each("poll.poll_1_ready", || {
        black_box(poll::poll(&all[..1]));
    });
    meter.each("poll.poll_64_ready", || {
        black_box(poll::poll(&all));
    });
}
