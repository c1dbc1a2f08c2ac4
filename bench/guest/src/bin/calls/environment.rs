//! `wasi:cli`, `wasi:clocks` and `wasi:random`.

use std::hint::black_box;

use bench_sampling::Meter;
use wasip2::cli::{environment, stdin, terminal_stdin};
use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::random::{insecure, insecure_seed, random};

/// Takes the figures.
pub fn run(meter: &mut Meter<'_>) {
    cli(meter);
    clocks(meter);
    randomness(meter);
}

fn cli(meter: &mut Meter<'_>) {
    meter.each("environment.get_arguments", || {
        black_box(environment::get_arguments());
    });
    meter.each("environment.get_environment", || {
        black_box(environment::get_environment());
    });
    meter.each("environment.initial_cwd", || {
        black_box(environment::initial_cwd());
    });
    meter.each("stdin.get_stdin_drop", || drop(stdin::get_stdin()));
    meter.each("terminal_stdin.get_terminal_stdin", || {
        drop(terminal_stdin::get_terminal_stdin());
    });
}

fn clocks(meter: &mut Meter<'_>) {
    meter.each("monotonic_clock.now", || {
        black_box(monotonic_clock::now());
    });
    meter.each("monotonic_clock.resolution", || {
        black_box(monotonic_clock::resolution());
    });
    meter.each("monotonic_clock.subscribe_drop", || {
        drop(monotonic_clock::subscribe_duration(0));
    });
    meter.each("wall_clock.now", || {
        black_box(wall_clock::now());
    });
}

fn randomness(meter: &mut Meter<'_>) {
    meter.each("random.get_random_u64", || {
        black_box(random::get_random_u64());
    });
    meter.each("random.get_random_bytes_16", || {
        black_box(random::get_random_bytes(16));
    });
    meter.each("random.get_random_bytes_4k", || {
        black_box(random::get_random_bytes(4096));
    });
    meter.each("insecure.get_insecure_random_u64", || {
        black_box(insecure::get_insecure_random_u64());
    });
    meter.each("insecure_seed.insecure_seed", || {
        black_box(insecure_seed::insecure_seed());
    });
}
