//! Ending wasm that does not stop by itself.
//!
//! Compiled code asks nobody whether it may go on: such a question at every loop took a tenth of the time of what
//! only computes, and more under emulation. Instead the process's thread is interrupted and *diverted* ([`Interrupter`]):
//! wherever it is in one of its program's functions, or when it next returns into one, it goes on at the landing ([`Landing`]),
//! a trapping instruction that Wasmtime knows. From there on everything is as with any other trap: Wasmtime's handler unwinds to
//! where wasm was entered, and the call answers an error.
//!
//! Why a function of wasm may be left between any two instructions: Wasmtime's handler needs no more of the interrupted code than
//! its frame pointer, which at every instruction is that of the function or, in its prologue and epilogue, of its
//! caller; and what entering wasm saved in the store, which is done before the first function of wasm runs
//! and undone by the host. Wasmtime's own trampolines, where neither is so, are not among the functions. What wasm left half done is
//! in its store, which goes.
//!
//! A request may find the thread where it cannot be diverted: in a trampoline, in the host before it has entered wasm, not running at
//! all. Therefore the request is repeated until the process is gone, first in short and then in growing pauses; one
//! thread does that and sleeps without a timeout while nobody is being ended.

use crate::Program;
use crate::landing::Landing;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// Pause before a request is repeated for the first time. After [`SHORT_PAUSES`] of them it doubles up to
/// [`REPEAT_PAUSE_MAX`]. Wasm that throws and catches without end is hardly ever in its functions, and is not
/// found while it is not: so there must be hundreds of attempts within a second.
const REPEAT_PAUSE_MIN: Duration = Duration::from_micros(500);
const REPEAT_PAUSE_MAX: Duration = Duration::from_millis(5);
const SHORT_PAUSES: u32 = 1000;

/// Stack of the repeating thread in bytes.
const STACK_BYTES: usize = 64 << 10;

/// Code that may be left at any instruction: ranges of addresses, disjoint and in ascending order.
pub type Bodies = Arc<[Range<usize>]>;

/// How threads are interrupted: given by the system below.
#[derive(Clone, Copy)]
pub struct Interrupter {
    /// Names the calling thread to `divert`.
    pub current_thread: fn() -> u32,
    /// Interrupts the thread and makes it go on at the address, now or when it returns there, if it is in one of the bodies or in
    /// something that they have called. The thread does not end during the call.
    pub divert: fn(thread: u32, bodies: &Bodies, landing: usize),
    /// The calling thread is not to be diverted any more.
    pub stay: fn(),
}

/// Held by the thread of a process for as long as its wasm may run.
pub struct Running(Arc<Place>);

/// Which code runs where. Locked while a request is made, so that neither goes meanwhile.
#[derive(Default)]
struct Place(Mutex<Option<Entered>>);

struct Entered {
    thread: u32,
    program: Program,
    interrupter: Interrupter,
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, Option<Entered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn divert(&self, landing: &Landing) {
        if let Some(entered) = &*self.lock() {
            let bodies = entered.program.bodies();
            (entered.interrupter.divert)(entered.thread, bodies, landing.address());
        }
    }
}

impl Running {
    /// A new process.
    #[expect(
        clippy::new_without_default,
        reason = "a default process would say nothing"
    )]
    pub fn new() -> Running {
        Running(Arc::default())
    }

    /// A name for this process that does not keep it alive.
    pub fn target(&self) -> Target {
        Target(Arc::downgrade(&self.0))
    }

    /// From here on the calling thread is in `program`, and is diverted on request. A request that came before finds it when it is
    /// repeated. On a system that gave the engine no [`Interrupter`] wasm runs until it stops by itself.
    pub fn enter(&self, killer: &Killer, program: &Program) {
        if let Some(interrupter) = killer.interrupter {
            *self.0.lock() = Some(Entered {
                thread: (interrupter.current_thread)(),
                program: program.clone(),
                interrupter,
            });
        }
    }
}

/// On the thread that entered: nothing of it is diverted any more.
impl Drop for Running {
    fn drop(&mut self) {
        let entered = self.0.lock().take();
        if let Some(entered) = entered {
            (entered.interrupter.stay)();
        }
    }
}

/// Names a [`Running`] process to [`Killer::interrupt`].
#[derive(Clone)]
pub struct Target(Weak<Place>);

impl Target {
    /// False when the process is gone.
    fn divert(&self, landing: &Landing) -> bool {
        let place = self.0.upgrade();
        if let Some(place) = &place {
            place.divert(landing);
        }
        place.is_some()
    }
}

/// Ends wasm on request. Dropping it stops its thread.
pub struct Killer {
    shared: Arc<Shared>,
    interrupter: Option<Interrupter>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    landing: Landing,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    pending: Vec<Target>,
    /// Repetitions since the latest request.
    repeated: u32,
    /// The next pause.
    pause: Duration,
    stopping: bool,
}

impl Killer {
    pub(crate) fn start(
        landing: Landing,
        interrupter: Option<Interrupter>,
    ) -> std::io::Result<Killer> {
        let shared = Arc::new(Shared {
            landing,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("killer".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || for_thread.repeat_requests())?;
        Ok(Killer {
            shared,
            interrupter,
            thread: Some(thread),
        })
    }

    /// Makes the process's wasm end with a trap; the caller knows that it was not the wasm's own. Returns at once.
    pub fn interrupt(&self, target: Target) {
        target.divert(&self.shared.landing);
        self.shared.lock().add(target);
        self.shared.changed.notify_all();
    }
}

impl State {
    fn add(&mut self, target: Target) {
        self.pending.push(target);
        self.repeated = 0;
        self.pause = REPEAT_PAUSE_MIN;
    }

    /// The pause that is due, and what is pending then.
    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.repeated += 1;
        if self.repeated >= SHORT_PAUSES {
            self.pause = (pause * 2).min(REPEAT_PAUSE_MAX);
        }
        pause
    }
}

impl Drop for Killer {
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
            let pause = state.next_pause();
            state = self.pause(state, pause);
            let pending = state.pending.clone();
            drop(state);
            for target in pending {
                target.divert(&self.landing);
            }
            state = self.lock();
        }
    }

    fn pause<'a>(&'a self, state: MutexGuard<'a, State>, pause: Duration) -> MutexGuard<'a, State> {
        self.changed
            .wait_timeout(state, pause)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}
