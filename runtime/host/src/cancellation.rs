//! The orders that a process obeys wherever it is: to end, and to stand still until it may go on.
//!
//! Once told to end, no wait of that process blocks. Told to stand still, it does so where it holds nothing: before and
//! inside every wait, and where its WebAssembly looks ([`Cancellation::obey`]). A thread is never stopped from outside,
//! because it may hold a lock that others need.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::{Notifier, Subscribers};

/// It is to end. Never taken back.
const ENDS: u8 = 1;
/// It is to stand still.
const STANDS_STILL: u8 = 2;

/// The orders to one process, which wake those who wait. Cloning shares them.
#[derive(Clone, Default)]
pub struct Cancellation(Arc<State>);

#[derive(Default)]
struct State {
    orders: AtomicU8,
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
    /// No orders.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells the process to end and wakes all who wait.
    pub fn cancel(&self) {
        self.0.orders.fetch_or(ENDS, Ordering::Release);
        self.0.subscribers.notify_all();
    }

    /// Whether it was told to end.
    pub fn is_cancelled(&self) -> bool {
        self.has(ENDS)
    }

    /// An error if it was told to end.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() {
            return Err(Cancelled);
        }
        Ok(())
    }

    /// Tells the process to stand still, or to go on.
    pub fn set_still(&self, is_still: bool) {
        if is_still {
            self.0.orders.fetch_or(STANDS_STILL, Ordering::Release);
        } else {
            self.0.orders.fetch_and(!STANDS_STILL, Ordering::Release);
        }
        self.0.subscribers.notify_all();
    }

    /// Whether it was told to stand still.
    pub fn is_still(&self) -> bool {
        self.has(STANDS_STILL)
    }

    /// Blocks the process as long as it is to stand still, and is an error once it is to end.
    pub fn obey(&self) -> Result<(), Cancelled> {
        match self.0.orders.load(Ordering::Acquire) {
            0 => Ok(()),
            _ => self.stand_still(),
        }
    }

    /// Has `notifier` notified whenever the orders change.
    pub fn subscribe(&self, notifier: &Notifier) {
        self.0.subscribers.add(notifier);
    }

    #[cold]
    fn stand_still(&self) -> Result<(), Cancelled> {
        let notifier = Notifier::new();
        self.subscribe(&notifier);
        loop {
            self.check()?;
            if !self.is_still() {
                return Ok(());
            }
            notifier.wait(None);
        }
    }

    fn has(&self, order: u8) -> bool {
        self.0.orders.load(Ordering::Acquire) & order != 0
    }
}
