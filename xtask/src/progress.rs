//! What this tool says while it works.
//!
//! Law: everything goes to stderr. A person who waits sees which long step runs; a command that stands
//! in for a guest program (`run -- PROGRAM`) leaves nothing behind on stderr, so there the line is
//! shown only on a terminal and wiped when the step ends.

use std::io::{IsTerminal, Write, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

static TRANSIENT: AtomicBool = AtomicBool::new(false);

/// From now on, leave no line behind.
pub fn make_transient() {
    TRANSIENT.store(true, Ordering::Relaxed);
}

/// Whether child programs must not print either.
pub fn is_transient() -> bool {
    TRANSIENT.load(Ordering::Relaxed)
}

/// Runs one long step and says so.
pub fn step<T>(what: &str, work: impl FnOnce() -> T) -> T {
    if is_transient() {
        transient_step(what, work)
    } else {
        lasting_step(what, work)
    }
}

/// Says something that is worth knowing but not a step.
pub fn note(sentence: &str) {
    if !is_transient() {
        eprintln!("    {sentence}");
    }
}

fn lasting_step<T>(what: &str, work: impl FnOnce() -> T) -> T {
    eprintln!("==> {what}");
    let started = Instant::now();
    let result = work();
    let seconds = started.elapsed().as_secs_f32();
    if seconds >= 1.0 {
        eprintln!("    {seconds:.0} s");
    }
    result
}

fn transient_step<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let terminal = stderr().is_terminal();
    if terminal {
        eprint!("\r\x1b[K{what} …");
        flush();
    }
    let result = work();
    if terminal {
        eprint!("\r\x1b[K");
        flush();
    }
    result
}

fn flush() {
    // A terminal that went away is noticed by whoever writes something that matters.
    let _ = stderr().flush();
}
