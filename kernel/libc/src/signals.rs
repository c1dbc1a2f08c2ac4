//! Signal actions and alternate stacks: what Wasmtime needs to catch its traps.
//!
//! Nothing is delivered from here. `sigaction` keeps the action, so that it can be read back, and
//! tells the kernel the handler's address for the three signals that stand for a trap in compiled
//! code; the kernel delivers those on the thread's alternate stack. No other signal is ever
//! raised, so their actions and all signal masks have no effect.

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use kernel_core::thread;
use kernel_core::trap_delivery::{self, TrapSignal};
use libc::{sighandler_t, sigset_t, stack_t};

use crate::error::fail;

/// Signal numbers are `1..SIGNALS_END`, as on Linux.
const SIGNALS_END: usize = 65;

/// What `sigaction` was told. Two threads that set the same signal at the same moment could leave
/// one's handler with the other's flags; only the engine's one-time start sets any.
struct Action {
    handler: AtomicUsize,
    flags: AtomicI32,
}

static ACTIONS: [Action; SIGNALS_END] = [const {
    Action {
        handler: AtomicUsize::new(libc::SIG_DFL),
        flags: AtomicI32::new(0),
    }
}; SIGNALS_END];

/// The action of a signal that can have one; `SIGKILL` and `SIGSTOP` cannot.
fn action_of(signal: c_int) -> Option<&'static Action> {
    if matches!(signal, 0 | libc::SIGKILL | libc::SIGSTOP) {
        return None;
    }
    ACTIONS.get(usize::try_from(signal).ok()?)
}

/// Tells the kernel where a trap that `signal` stands for is to be delivered.
fn register_with_kernel(signal: c_int, handler: usize) {
    let trap = match signal {
        libc::SIGSEGV => TrapSignal::Segv,
        libc::SIGILL => TrapSignal::Ill,
        libc::SIGFPE => TrapSignal::Fpe,
        _ => return,
    };
    let catches = !matches!(handler, libc::SIG_DFL | libc::SIG_IGN);
    trap_delivery::set_handler(trap, catches.then_some(handler));
}

/// # Safety
/// `mask` must be valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigemptyset(mask: *mut sigset_t) -> c_int {
    // SAFETY: the caller passes room for a set, for which zero is the empty one.
    unsafe { mask.write_bytes(0, 1) };
    0
}

/// # Safety
/// `new` must be null or an action whose handler may be called as its flags say, `old` null or
/// valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigaction(
    signal: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> c_int {
    let Some(action) = action_of(signal) else {
        return fail(libc::EINVAL);
    };
    if !old.is_null() {
        // SAFETY: the caller passes room for an action; zero is valid for the parts not named.
        unsafe {
            old.write_bytes(0, 1);
            (*old).sa_sigaction = action.handler.load(Ordering::Relaxed);
            (*old).sa_flags = action.flags.load(Ordering::Relaxed);
        }
    }
    // SAFETY: by contract.
    if let Some(new) = unsafe { new.as_ref() } {
        action.handler.store(new.sa_sigaction, Ordering::Relaxed);
        action.flags.store(new.sa_flags, Ordering::Relaxed);
        register_with_kernel(signal, new.sa_sigaction);
    }
    0
}

#[unsafe(no_mangle)]
extern "C" fn signal(signal: c_int, handler: sighandler_t) -> sighandler_t {
    let Some(action) = action_of(signal) else {
        fail(libc::EINVAL);
        return libc::SIG_ERR;
    };
    register_with_kernel(signal, handler);
    action.handler.swap(handler, Ordering::Relaxed)
}

/// No signal is ever pending or blocked, so the old mask is empty and the new one is dropped.
///
/// # Safety
/// `old` must be null or valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_sigmask(
    _how: c_int,
    _new: *const sigset_t,
    old: *mut sigset_t,
) -> c_int {
    if !old.is_null() {
        // SAFETY: the caller passes room for a set.
        unsafe { sigemptyset(old) };
    }
    0
}

/// The calling thread's alternate stack as C sees it.
fn alternate_stack() -> stack_t {
    let local = thread::local();
    let len_bytes = local.alternate_stack_len_bytes.load(Ordering::Relaxed);
    let start = local.alternate_stack_start.load(Ordering::Relaxed);
    stack_t {
        ss_sp: core::ptr::with_exposed_provenance_mut::<c_void>(start),
        ss_flags: if len_bytes == 0 { libc::SS_DISABLE } else { 0 },
        ss_size: len_bytes,
    }
}

/// Whether a description means "no alternate stack".
fn is_disabled(stack: &stack_t) -> bool {
    stack.ss_flags & libc::SS_DISABLE != 0
}

/// Publishes a new alternate stack. The length goes to zero in between: a trap of this thread
/// would otherwise find the new address with the old length.
fn set_alternate_stack(stack: &stack_t) {
    let local = thread::local();
    let (start, len_bytes) = if is_disabled(stack) {
        (0, 0)
    } else {
        (stack.ss_sp.expose_provenance(), stack.ss_size)
    };
    local.alternate_stack_len_bytes.store(0, Ordering::Release);
    local.alternate_stack_start.store(start, Ordering::Release);
    local
        .alternate_stack_len_bytes
        .store(len_bytes, Ordering::Release);
}

/// # Safety
/// `new` must be null or describe memory that stays this thread's until replaced, `old` null or
/// valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigaltstack(new: *const stack_t, old: *mut stack_t) -> c_int {
    if !old.is_null() {
        // SAFETY: the caller passes a place for the answer.
        unsafe { old.write(alternate_stack()) };
    }
    // SAFETY: by contract.
    let Some(new) = (unsafe { new.as_ref() }) else {
        return 0;
    };
    if !is_disabled(new) && new.ss_size < libc::MINSIGSTKSZ {
        return fail(libc::ENOMEM);
    }
    set_alternate_stack(new);
    0
}
