//! Ending wasm that does not stop by itself.
//!
//! Compiled code compares the engine's epoch with its store's deadline at every loop and function
//! entry. The epoch stands still on a healthy machine; a request to end one process moves it by
//! one, every store notices, and those that were not meant set their deadline one further
//! ([`arm`]). So nothing ticks.
//!
//! One request may be missed: Wasmtime sets the new deadline *after* our callback has said "go on",
//! relative to the epoch of that moment. If a process is asked to end between the two, its deadline
//! moves past the request. Therefore the request is repeated, with growing pauses, until the
//! process is gone; one thread does that and sleeps without a timeout while nobody is being ended.
//! The rejected alternative, a deadline of zero ticks while anything is pending, has the same
//! window.

use crate::engines::Engines;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use wasmtime::{Store, UpdateDeadline};

/// Pause before a request is repeated for the first time; it doubles up to [`REPEAT_PAUSE_MAX`],
/// since a process that sits in a host call does not look at the epoch at all.
const REPEAT_PAUSE_MIN: Duration = Duration::from_millis(1);
const REPEAT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Stack of the repeating thread in bytes.
const STACK_BYTES: usize = 64 << 10;

/// Makes `store` stop at the next request at which `is_cancelled` says yes, with the error that
/// `cancelled` makes; at requests meant for others it goes on. To be called before any wasm of the
/// store runs.
///
/// A request that came before this call has moved the epoch already: check the flag once more afterwards.
pub fn arm<T: 'static>(
    store: &mut Store<T>,
    is_cancelled: impl Fn() -> bool + Send + Sync + 'static,
    cancelled: impl Fn() -> wasmtime::Error + Send + Sync + 'static,
) {
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        if is_cancelled() {
            Err(cancelled())
        } else {
            Ok(UpdateDeadline::Continue(1))
        }
    });
}

/// Held by the thread of a process for as long as its wasm may run.
pub struct Running(Arc<()>);

impl Running {
    /// A new process.
    #[expect(
        clippy::new_without_default,
        reason = "a default process would say nothing"
    )]
    pub fn new() -> Running {
        Running(Arc::new(()))
    }

    /// A name for this process that does not keep it alive.
    pub fn target(&self) -> Target {
        Target(Arc::downgrade(&self.0))
    }
}

/// Names a [`Running`] process to [`EpochKiller::interrupt`].
#[derive(Clone)]
pub struct Target(Weak<()>);

/// Moves the epoch on request. Dropping it stops its thread.
pub struct EpochKiller {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    engines: Arc<Engines>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    pending: Vec<Target>,
    /// The next pause; a new request starts it anew.
    pause: Duration,
    stopping: bool,
}

impl EpochKiller {
    pub(crate) fn start(engines: Arc<Engines>) -> std::io::Result<EpochKiller> {
        let shared = Arc::new(Shared {
            engines,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("epoch".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || for_thread.repeat_requests())?;
        Ok(EpochKiller {
            shared,
            thread: Some(thread),
        })
    }

    /// Makes the process look at its cancellation flag, which the caller has set before. Returns at once.
    pub fn interrupt(&self, target: Target) {
        self.shared.lock().add(target);
        self.shared.engines.increment_epoch();
        self.shared.changed.notify_all();
    }
}

impl State {
    fn add(&mut self, target: Target) {
        self.pending.push(target);
        self.pause = REPEAT_PAUSE_MIN;
    }
}

impl Drop for EpochKiller {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It cannot panic: it owns no more than a list.
            let _ended = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn repeat_requests(&self) {
        let mut state = self.lock();
        while !state.stopping {
            state.pending.retain(|target| target.0.strong_count() > 0);
            if state.pending.is_empty() {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let pause = state.pause;
            state.pause = (pause * 2).min(REPEAT_PAUSE_MAX);
            state = self.pause(state, pause);
            self.engines.increment_epoch();
        }
    }

    fn pause<'a>(&'a self, state: MutexGuard<'a, State>, pause: Duration) -> MutexGuard<'a, State> {
        self.changed
            .wait_timeout(state, pause)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}
