//! Interrupting threads on a development machine, by a signal: for tests of what runs in the kernel otherwise.
//!
//! Law: the handler looks at atomics only, and changes nothing but the instruction pointer, or calls what visits a thread, and
//! that only where a request for its own thread covers the interrupted instruction: then that holds no lock. Unlike the kernel it does not walk the stack: a thread that is in something that wasm has called goes
//! on, and is found in wasm by a later request. Requests are few and small, and their memory is never given back.

use crate::interrupt::{Bodies, Handler, Interrupter};
use libc::{c_int, c_void};
use std::ops::Range;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

const SIGNAL: c_int = libc::SIGUSR2;

/// Threads with a request at a time; one more is not heard until another has gone.
const PLACES: usize = 256;

struct Request {
    /// Whose it is. The place where it lies may be another thread's by the time that it is put there.
    thread: usize,
    bodies: Vec<Range<usize>>,
    goal: Goal,
}

/// What a thread in the bodies does.
#[derive(Clone, Copy)]
enum Goal {
    /// It goes on there.
    Landing(usize),
    /// It calls this, in the signal's handler.
    Handler(Handler),
}

/// A thread's request; free where the thread is 0.
struct Place {
    thread: AtomicUsize,
    request: AtomicPtr<Request>,
}

static TABLE: [Place; PLACES] = [const {
    Place {
        thread: AtomicUsize::new(0),
        request: AtomicPtr::new(ptr::null_mut()),
    }
}; PLACES];

/// The interrupter of this machine.
pub fn interrupter() -> Interrupter {
    Interrupter {
        current_thread,
        divert,
        visit,
        stay,
    }
}

fn current_thread() -> u32 {
    // SAFETY: it has no preconditions.
    unsafe { libc::gettid() }.cast_unsigned()
}

fn divert(thread: u32, bodies: &Bodies, landing: usize) {
    ask(thread, bodies, Goal::Landing(landing));
}

fn visit(thread: u32, bodies: &Bodies, handler: Handler) {
    ask(thread, bodies, Goal::Handler(handler));
}

fn ask(thread: u32, bodies: &Bodies, goal: Goal) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(install);
    let Some(place) = place_of(thread as usize) else {
        return;
    };
    let request = Request {
        thread: thread as usize,
        bodies: bodies.to_vec(),
        goal,
    };
    let request = ptr::from_mut(Box::leak(Box::new(request)));
    place.request.store(request, Ordering::Release);
    // SAFETY: the thread exists, as the caller promises; a signal for one that is gone would be an error.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL) };
}

fn stay() {
    let me = current_thread() as usize;
    let mine = TABLE
        .iter()
        .find(|place| place.thread.load(Ordering::Acquire) == me);
    if let Some(place) = mine {
        place.request.store(ptr::null_mut(), Ordering::Release);
        place.thread.store(0, Ordering::Release);
    }
}

/// The thread's place, or one that is its own from now on.
fn place_of(thread: usize) -> Option<&'static Place> {
    let is_its_own = |place: &&Place| place.thread.load(Ordering::Acquire) == thread;
    let claim = |place: &&Place| {
        let claimed = place
            .thread
            .compare_exchange(0, thread, Ordering::AcqRel, Ordering::Relaxed);
        claimed.is_ok()
    };
    TABLE
        .iter()
        .find(is_its_own)
        .or_else(|| TABLE.iter().find(claim))
}

fn install() {
    // SAFETY: zero is a valid action; the handler has the signature that SA_SIGINFO asks for, and does nothing that a handler
    // may not.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
        libc::sigaction(SIGNAL, &raw const action, ptr::null_mut());
    }
}

extern "C" fn on_signal(_signal: c_int, _info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system passes the interrupted context, which is this handler's to change.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let rip = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
    let me = current_thread() as usize;
    let mine = TABLE
        .iter()
        .filter(|place| place.thread.load(Ordering::Acquire) == me);
    for place in mine {
        let request = place.request.load(Ordering::Acquire);
        // SAFETY: null, or a request that was leaked.
        if let Some(request) = unsafe { request.as_ref() }
            && request.thread == me
            && request
                .bodies
                .iter()
                .any(|body| body.contains(&(*rip as usize)))
        {
            match request.goal {
                Goal::Landing(landing) => *rip = landing as i64,
                Goal::Handler(handler) => handler(SIGNAL, 0, 0),
            }
        }
    }
}
