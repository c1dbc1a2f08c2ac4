//! Many threads at a time, again and again.

use std::sync::{Arc, Barrier};
use std::thread;

use crate::Storm;

/// At a time, on a machine of 96 MiB.
const THREADS: usize = 200;
const STACK_BYTES: usize = 128 << 10;
/// Of which so much is touched.
const TOUCHED_BYTES: usize = 24 << 10;

/// More than all storms have at a time, with those that the reaper has not cleaned up.
const SLOTS: usize = 600;

/// Has the kernel make the blocks of so many threads as will ever exist at a time: they stay for ever.
pub fn warm() -> Result<(), String> {
    let together = Arc::new(Barrier::new(SLOTS));
    let mut threads = Vec::new();
    for number in 0..SLOTS {
        let together = Arc::clone(&together);
        let started = thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(move || together.wait());
        threads.push(started.map_err(|error| format!("thread {number}: {error}"))?);
    }
    threads.into_iter().try_for_each(|thread| {
        let ended = thread.join().map_err(|_| "a panic".to_owned());
        ended.map(|_| ())
    })
}

/// All exist together; half are joined, half are left to the kernel's reaper.
pub fn storm(storm: &Storm) -> Result<(), String> {
    let together = Arc::new(Barrier::new(THREADS + 1));
    let mut threads = Vec::new();
    for number in 0..THREADS {
        let together = Arc::clone(&together);
        let started = thread::Builder::new()
            .name(format!("storm {number}"))
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let touched = std::hint::black_box([number as u8; TOUCHED_BYTES]);
                together.wait();
                touched.iter().map(|byte| u64::from(*byte)).sum::<u64>()
            });
        threads.push(started.map_err(|error| format!("thread {number}: {error}"))?);
    }
    together.wait();
    for (number, thread) in threads.into_iter().enumerate() {
        if number % 2 == 1 {
            continue;
        }
        let sum = thread.join().map_err(|_| "a panic".to_owned())?;
        let wanted = number as u64 % 256 * TOUCHED_BYTES as u64;
        if sum != wanted {
            return Err(format!(
                "thread {number} has {sum} on its stack instead of {wanted}"
            ));
        }
    }
    if storm.has_defect("leak-thread") {
        thread::Builder::new()
            .name("leaked".to_owned())
            .spawn(|| {
                loop {
                    thread::park()
                }
            })
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}
