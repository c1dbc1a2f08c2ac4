//! A program to trace and to profile: it does a little of everything, or one thing only.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("everything") => everything(),
        Some("burn") => {
            black_box(burn_cycles(black_box(1_500_000_000)));
        }
        Some("random") => random(),
        _ => panic!("say everything, burn or random"),
    }
}

/// Calls to the host, faults, sleep, and a trap at the end.
fn everything() {
    for line in 0..50 {
        println!("line {line}");
    }
    let mut memory = vec![0_u8; 4 << 20];
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    black_box(&memory);
    for _ in 0..5 {
        thread::sleep(Duration::from_millis(2));
    }
    black_box(burn_cycles(black_box(10_000_000)));
    std::process::abort();
}

/// All the time goes by here.
#[inline(never)]
pub fn burn_cycles(rounds: u64) -> u64 {
    let mut state = rounds;
    for round in 0..rounds {
        state = black_box(state.wrapping_mul(6_364_136_223_846_793_005) ^ round);
    }
    state
}

/// All the time goes by in the kernel's generator.
fn random() {
    #[cfg(target_os = "wasi")]
    for _ in 0..400 {
        black_box(wasip2::random::random::get_random_bytes(64 << 10));
    }
}
