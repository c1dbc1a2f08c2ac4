//! How a broken rule stops the machine, and what the checks keep for each CPU.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Stops the machine with a sentence.
pub type Stop = fn(fmt::Arguments<'_>) -> !;

static STOP: AtomicUsize = AtomicUsize::new(0);
/// A rule was broken: from then on nothing is checked, so that the report is not disturbed.
static OVER: AtomicBool = AtomicBool::new(false);

/// Tells how the machine is stopped. Before, a broken rule is a panic.
pub fn init(stop: Stop) {
    STOP.store(stop as usize, Ordering::Release);
}

/// Whether the machine is being stopped, so that rules need no longer hold.
pub fn is_over() -> bool {
    OVER.load(Ordering::Relaxed)
}

/// Nothing is checked any more: the machine is stopping for another reason.
pub fn finish() {
    OVER.store(true, Ordering::Relaxed);
}

/// Says that a rule was broken.
#[cold]
pub(crate) fn broken(sentence: fmt::Arguments<'_>) -> ! {
    finish();
    let stop = STOP.load(Ordering::Acquire);
    assert!(stop != 0, "{sentence}");
    // SAFETY: only `init` stores here, and it stores a `Stop`.
    let stop: Stop = unsafe { core::mem::transmute(stop) };
    stop(sentence)
}
