//! The one way to wait, with a deadline or without.

use std::time::Duration;

use crate::{Cancellation, Cancelled, Clock, Notifier, SystemClock};

/// Tries until `attempt` gives an answer, sleeping in between until something that `subscribe` named
/// happens. Ends with `Ok(None)` at `deadline_ns` of `clock`, and with an error as soon as the process is
/// cancelled. A process that is to stand still tries nothing until it may go on. The first attempt comes before any subscription, so what is ready costs no lock of others.
pub fn wait_until<R>(
    cancellation: &Cancellation,
    clock: &dyn Clock,
    deadline_ns: Option<u64>,
    subscribe: impl FnOnce(&Notifier),
    mut attempt: impl FnMut() -> Option<R>,
) -> Result<Option<R>, Cancelled> {
    cancellation.obey()?;
    if let Some(answer) = attempt() {
        return Ok(Some(answer));
    }
    let notifier = Notifier::new();
    cancellation.subscribe(&notifier);
    subscribe(&notifier);
    loop {
        cancellation.obey()?;
        if let Some(answer) = attempt() {
            return Ok(Some(answer));
        }
        let timeout = match deadline_ns {
            None => None,
            Some(deadline_ns) => match deadline_ns.saturating_sub(clock.monotonic_ns()) {
                0 => return Ok(None),
                left_ns => Some(Duration::from_nanos(left_ns)),
            },
        };
        notifier.wait(timeout);
    }
}

/// [`wait_until`] there is an answer, however long that takes.
pub fn wait_for<R>(
    cancellation: &Cancellation,
    subscribe: impl FnOnce(&Notifier),
    attempt: impl FnMut() -> Option<R>,
) -> Result<R, Cancelled> {
    // Without a deadline, a wait ends with an answer or with cancellation.
    let clock = SystemClock::new();
    wait_until(cancellation, &clock, None, subscribe, attempt)?.ok_or(Cancelled)
}
