//! Waiting for any of many things without asking each of them again and again.
//!
//! A waiter makes one [`Notifier`] and subscribes it wherever something may happen; whoever makes it
//! happen notifies its [`Subscribers`]. A notifier remembers one notification, so one that comes between
//! looking and sleeping is not lost. Subscriptions hold the notifier weakly: dropping it ends them, and
//! dead ones are swept when the next one comes, so a list is never longer than twice its live waiters
//! plus a constant.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A waiter that others can wake. Cloning gives another handle to the same waiter.
#[derive(Clone, Default)]
pub struct Notifier(Arc<Signal>);

#[derive(Default)]
struct Signal {
    notified: Mutex<bool>,
    woken: Condvar,
}

impl Notifier {
    /// A notifier that was not notified.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes the waiter, or keeps its next wait from sleeping.
    pub fn notify(&self) {
        self.0.notify();
    }

    /// Sleeps until notified, at most `timeout`, and forgets the notification. The answer says whether
    /// there was one.
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        let notified = self.0.lock();
        let mut notified = match timeout {
            None => self
                .0
                .woken
                .wait_while(notified, |notified| !*notified)
                .unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                self.0
                    .woken
                    .wait_timeout_while(notified, timeout, |notified| !*notified)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        std::mem::take(&mut *notified)
    }
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.notified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self) {
        *self.lock() = true;
        self.woken.notify_all();
    }
}

/// Those who want to know when something happens to one object.
#[derive(Default)]
pub struct Subscribers(Mutex<Vec<Weak<Signal>>>);

/// Lists shorter than this are not swept.
const SWEEP_MIN: usize = 8;

impl Subscribers {
    /// Nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Has `notifier` notified from now on, until it is dropped.
    pub fn add(&self, notifier: &Notifier) {
        let mut list = self.lock();
        if list.len() >= SWEEP_MIN && list.len() == list.capacity() {
            list.retain(|weak| weak.strong_count() > 0);
            let live = list.len();
            list.shrink_to(live * 2);
        }
        list.push(Arc::downgrade(&notifier.0));
    }

    /// Notifies all.
    pub fn notify_all(&self) {
        for signal in self.lock().iter().filter_map(Weak::upgrade) {
            signal.notify();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Signal>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that happens once, for those who wait for it among other things.
pub trait Awaited: Send + Sync {
    /// Whether it has happened.
    fn is_ready(&self) -> bool;
    /// Has `notifier` notified when it may have happened.
    fn subscribe(&self, notifier: &Notifier);
}
