//! The order to a process to end: once given, no wait of that process blocks.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Notifier, Subscribers};

/// A flag that is raised once, and wakes those who wait. Cloning shares it.
#[derive(Clone, Default)]
pub struct Cancellation(Arc<State>);

#[derive(Default)]
struct State {
    raised: AtomicBool,
    subscribers: Subscribers,
}

/// The process was told to end while it was in, or entered, a host call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the process was told to end")
    }
}

impl std::error::Error for Cancelled {}

impl Cancellation {
    /// A flag that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag and wakes all who wait with it.
    pub fn cancel(&self) {
        self.0.raised.store(true, Ordering::Release);
        self.0.subscribers.notify_all();
    }

    /// Whether the flag is raised.
    pub fn is_cancelled(&self) -> bool {
        self.0.raised.load(Ordering::Acquire)
    }

    /// An error if the flag is raised.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() {
            return Err(Cancelled);
        }
        Ok(())
    }

    /// Has `notifier` notified when the flag is raised.
    pub fn subscribe(&self, notifier: &Notifier) {
        self.0.subscribers.add(notifier);
    }
}
