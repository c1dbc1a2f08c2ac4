//! Where threads run while they are measured.
//!
//! Law: threads find their CPUs by themselves, so placement is by pressure: whoever is to share a CPU with another is left
//! no other one, because each is held by a thread that never waits; whoever is to have a CPU of its own
//! finds one idle.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use kernel_core::cpu;

/// Where the two threads of a benchmark run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Both on one CPU.
    SameCpu,
    /// Each on a CPU of its own.
    CrossCpu,
}

/// How long threads get to settle before anything is measured.
const SETTLING: Duration = Duration::from_millis(2);

/// Runs `body` with that placement for the calling thread and those that it starts.
pub fn place<R>(
    placement: Placement,
    body: impl FnOnce() -> Result<R, String>,
) -> Result<R, String> {
    match placement {
        Placement::SameCpu => with_other_cpus_held(body),
        Placement::CrossCpu if cpu::online_count() < 2 => Err("there is one CPU only".to_owned()),
        Placement::CrossCpu => body(),
    }
}

fn with_other_cpus_held<R>(body: impl FnOnce() -> Result<R, String>) -> Result<R, String> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 1..cpu::online_count() {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        thread::sleep(SETTLING);
        let result = body();
        done.store(true, Ordering::Relaxed);
        result
    })
}
