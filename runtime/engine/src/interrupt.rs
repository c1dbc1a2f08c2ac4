//! Ending wasm that does not stop by itself.
//!
//! Compiled code asks nobody whether it may go on: such a question at every loop took a tenth of the time of what
//! only computes, and more under emulation. Instead the process's thread is interrupted and *diverted* ([`Interrupter`]):
//! wherever it is in one of its program's functions, or when it next returns into one, it goes on at the landing ([`Landing`]),
//! a trapping instruction that Wasmtime knows. From there on everything is as with any other trap: Wasmtime's handler unwinds to
//! where wasm was entered, and the call answers an error.
//!
//! Why a function of wasm may be left between any two instructions: Wasmtime's handler needs no more of the interrupted code than
//! its frame pointer, which is that of the function or, in its prologue and epilogue, of its caller, but for some
//! instructions that are therefore left out ([`prologue`](crate::prologue)); and what entering wasm saved in the store, which is done before the first function of wasm runs
//! and undone by the host. Wasmtime's own trampolines, where neither is so, are not among the functions. What wasm left half done is
//! in its store, which goes.
//!
//! In the same way a thread is *visited*: in one of its program's functions it calls what it said when it entered, on its
//! alternate stack, and then goes on where it was. There it may wait, since a function of wasm holds nothing that others wait for.
//!
//! A request may find the thread where it cannot be diverted: in a trampoline, in the host before it has entered wasm, not running at
//! all. Therefore the request is repeated until the process is gone, or the visit is over, first in short and then in growing
//! pauses; one thread does that and sleeps without a timeout while nobody is being ended.

use crate::Program;
use crate::landing::Landing;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// Pause before a request is repeated for the first time. After [`SHORT_PAUSES`] of them it doubles up to
/// [`REPEAT_PAUSE_MAX`]. Wasm that throws and catches without end is hardly ever in its functions, and is not
/// found while it is not: so there must be hundreds of attempts within a second.
const REPEAT_PAUSE_MIN: Duration = Duration::from_micros(500);
const REPEAT_PAUSE_MAX: Duration = Duration::from_millis(5);
const SHORT_PAUSES: u32 = 1000;
/// While there are only visits: who waits in the host is visited in vain, for as long as it stands still.
const VISIT_PAUSE_MAX: Duration = Duration::from_secs(1);

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
    /// Interrupts the thread and makes it call the handler on its alternate stack, once and soon, if it is in one of the bodies; it
    /// goes on where it was when that returns. The thread does not end during the call.
    pub visit: fn(thread: u32, bodies: &Bodies, handler: Handler),
    /// The calling thread is not to be diverted or visited any more, until the next request.
    pub stay: fn(),
}

/// What a visited thread calls; the arguments are those of a signal's handler, and mean nothing.
pub type Handler = extern "C" fn(i32, usize, usize);

thread_local! {
    /// What the thread does when it is visited.
    static ON_VISIT: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
}

/// The [`Handler`] of all threads: each knows itself what to do.
extern "C" fn visited(_signal: i32, _info: usize, _context: usize) {
    let on_visit = ON_VISIT.with_borrow(Option::clone);
    if let Some(on_visit) = on_visit {
        on_visit();
    }
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

    fn visit(&self) {
        if let Some(entered) = &*self.lock() {
            let bodies = entered.program.bodies();
            (entered.interrupter.visit)(entered.thread, bodies, visited);
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

    /// From here on the calling thread is in `program`, is diverted on request, and does `on_visit` when it is visited; that must
    /// not panic. A request that came before finds it when it is repeated. On a system that gave the engine no [`Interrupter`]
    /// wasm runs until it stops by itself.
    pub fn enter(&self, killer: &Killer, program: &Program, on_visit: impl Fn() + 'static) {
        if let Some(interrupter) = killer.interrupter {
            let once = move || {
                (interrupter.stay)();
                on_visit();
            };
            ON_VISIT.set(Some(Rc::new(once)));
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
            ON_VISIT.set(None);
        }
    }
}

/// Names a [`Running`] process to [`Killer::interrupt`].
#[derive(Clone)]
pub struct Target(Weak<Place>);

/// What is asked of a process, again and again.
#[derive(Clone)]
struct Request {
    target: Target,
    /// A visit, as long as this lives; otherwise the end.
    visit: Option<Weak<()>>,
}

impl Request {
    fn is_over(&self) -> bool {
        let visit = self.visit.as_ref();
        self.target.0.strong_count() == 0 || visit.is_some_and(|visit| visit.strong_count() == 0)
    }

    fn make(&self, landing: &Landing) {
        if let Some(place) = self.target.0.upgrade() {
            match self.visit {
                Some(_) => place.visit(),
                None => place.divert(landing),
            }
        }
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
    /// Visits come first: of two requests to one thread the later one counts.
    pending: Vec<Request>,
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
        self.ask(Request {
            target,
            visit: None,
        });
    }

    /// Makes the process's thread do what it said when it entered its program, at least once while `wanted` lives. Returns at once.
    pub fn visit(&self, target: Target, wanted: &Arc<()>) {
        let visit = Some(Arc::downgrade(wanted));
        self.ask(Request { target, visit });
    }

    fn ask(&self, request: Request) {
        request.make(&self.shared.landing);
        self.shared.lock().add(request);
        self.shared.changed.notify_all();
    }
}

impl State {
    fn add(&mut self, request: Request) {
        match request.visit {
            Some(_) => self.pending.insert(0, request),
            None => self.pending.push(request),
        }
        self.repeated = 0;
        self.pause = REPEAT_PAUSE_MIN;
    }

    /// The pause that is due, and what is pending then.
    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.repeated += 1;
        let only_visits = self.pending.iter().all(|request| request.visit.is_some());
        if only_visits {
            self.pause = (pause * 2).min(VISIT_PAUSE_MAX);
        } else if self.repeated >= SHORT_PAUSES {
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
            state.pending.retain(|request| !request.is_over());
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
            for request in pending.iter().filter(|request| !request.is_over()) {
                request.make(&self.landing);
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
