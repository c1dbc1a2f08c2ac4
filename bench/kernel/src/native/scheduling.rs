//! Threads: handing over a CPU, waking one another, coming and going.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use bench_sampling::{Clock, Elapsed, Meter};
use kernel_core::futex;

use crate::placement::Placement;

/// How long the other thread gets to begin.
const SETTLING: Duration = Duration::from_millis(2);

/// Takes the figures.
pub fn run(meter: &mut Meter<'_>) {
    let clock = meter.clock();
    meter.each("sched.yield_alone", thread::yield_now);
    meter.per_operation("sched.yield_switch_same_cpu", |count| {
        Placement::SameCpu.hold(|| yield_to_another(clock, count))
    });
    for (name, placement) in [
        ("sched.futex_rtt_same_cpu", Placement::SameCpu),
        ("sched.futex_rtt_cross_cpu", Placement::CrossCpu),
    ] {
        meter.per_operation(name, |count| {
            placement.hold(|| pass_a_token(clock, count, placement))
        });
    }
    meter.try_each("thread.create_join", create_and_join);
}

/// The other thread does nothing but yield, too: one operation is one way there and one back.
fn yield_to_another(clock: Clock, count: u64) -> Elapsed {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            Placement::SameCpu.bind_other();
            while !done.load(Ordering::Relaxed) {
                thread::yield_now();
            }
        });
        thread::sleep(SETTLING);
        let start = clock();
        for _ in 0..count {
            thread::yield_now();
        }
        let elapsed = clock() - start;
        done.store(true, Ordering::Relaxed);
        Ok(elapsed)
    })
}

/// A word that two threads hand to each other.
struct Token(AtomicU32);

impl Token {
    fn wait_for(&self, turn: u32) {
        while self.0.load(Ordering::SeqCst) != turn {
            futex::wait(&self.0, 1 - turn, None, u32::MAX);
        }
    }

    fn give(&self, turn: u32) {
        self.0.store(turn, Ordering::SeqCst);
        futex::wake(&self.0, 1, u32::MAX);
    }
}

/// One operation is one round: the token goes to the other thread and comes back.
fn pass_a_token(clock: Clock, count: u64, placement: Placement) -> Elapsed {
    let token = Token(AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            placement.bind_other();
            for _ in 0..=count {
                token.wait_for(1);
                token.give(0);
            }
        });
        // Not measured: the other side has begun when it has answered once.
        token.give(1);
        token.wait_for(0);
        let start = clock();
        for _ in 0..count {
            token.give(1);
            token.wait_for(0);
        }
        Ok(clock() - start)
    })
}

fn create_and_join() -> Result<(), String> {
    let thread = thread::Builder::new().spawn(|| black_box(()));
    let thread = thread.map_err(|error| error.to_string())?;
    thread
        .join()
        .map_err(|_| "the thread has panicked".to_owned())
}
