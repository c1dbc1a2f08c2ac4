//! Waiting for what has to come. Where it does not, that is said; nothing is asserted about how long it takes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use runtime_host::Notifier;

/// Looks until it is said that something does not come, and the longest pause between two: minutes.
const LOOKS_MAX: u32 = 3_000;
const LOOKS_FEW: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);
/// The pause where nobody can be asked to wake whoever waits.
const SHORT_PAUSE: Duration = Duration::from_micros(500);
/// So many of those looks in place of one.
const SHORT_LOOKS: u32 = 100;

/// How many looks there are. Where a defect is planted that lets somebody wait in vain, they are few.
static LOOKS: AtomicU32 = AtomicU32::new(LOOKS_MAX);

/// From now on it is soon said that something does not come.
pub fn lose() {
    LOOKS.store(LOOKS_FEW, Ordering::Relaxed);
}

/// Looks until there is an answer, woken by whom `subscribe` names.
pub fn wait_for<R>(
    what: &str,
    subscribe: impl FnOnce(&Notifier),
    mut attempt: impl FnMut() -> Option<R>,
) -> Result<R, String> {
    let notifier = Notifier::new();
    subscribe(&notifier);
    for _ in 0..LOOKS.load(Ordering::Relaxed) {
        if let Some(answer) = attempt() {
            return Ok(answer);
        }
        notifier.wait(Some(PAUSE));
    }
    Err(format!("waited in vain for {what}"))
}

/// Looks until something is so.
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) -> Result<(), String> {
    for _ in 0..SHORT_LOOKS * LOOKS.load(Ordering::Relaxed) {
        if is_so() {
            return Ok(());
        }
        std::thread::sleep(SHORT_PAUSE);
    }
    Err(format!("waited in vain until {what}"))
}
