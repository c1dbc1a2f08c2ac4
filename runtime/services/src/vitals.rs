//! How a run shows that it is well, to the thread that decides.
//!
//! Law: an answer to a question wakes that thread; a sign of life that a program gives by itself does not, however often it
//! comes. When one is due, the time of the newest is looked at.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use runtime_host::Notifier;
use runtime_link::Probe;

/// What a run has shown. Clones are the same.
#[derive(Clone)]
pub(crate) struct Vitals(Arc<Shown>);

struct Shown {
    /// When it last said by itself that it is well; zero if it has not.
    alive_ns: AtomicU64,
    answer: Mutex<Option<Result<(), String>>>,
    driver: Notifier,
    now_ns: fn() -> u64,
}

impl Vitals {
    pub fn new(driver: Notifier, now_ns: fn() -> u64) -> Self {
        Self(Arc::new(Shown {
            alive_ns: AtomicU64::new(0),
            answer: Mutex::new(None),
            driver,
            now_ns,
        }))
    }

    /// The run says by itself that it is well.
    pub fn alive(&self) {
        let now_ns = (self.0.now_ns)();
        self.0.alive_ns.store(now_ns, Ordering::Relaxed);
    }

    /// A way to ask the run.
    pub fn probe(&self) -> Probe {
        let vitals = self.clone();
        Probe::new(move |health| vitals.answer(health))
    }

    fn answer(&self, health: Result<(), String>) {
        let mut answer = self.0.answer.lock().unwrap_or_else(PoisonError::into_inner);
        *answer = Some(health);
        drop(answer);
        self.0.driver.notify();
    }

    /// When it last said by itself that it is well, if it has since this was last asked.
    pub fn take_alive_ns(&self) -> Option<u64> {
        let alive_ns = self.0.alive_ns.swap(0, Ordering::Relaxed);
        (alive_ns > 0).then_some(alive_ns)
    }

    /// What it has answered since this was last asked.
    pub fn take_answer(&self) -> Option<Result<(), String>> {
        let mut answer = self.0.answer.lock().unwrap_or_else(PoisonError::into_inner);
        answer.take()
    }
}
