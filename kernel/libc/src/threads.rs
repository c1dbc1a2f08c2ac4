//! Threads: `pthread_*` and the scheduler's small change.
//!
//! A `pthread_t` is the kernel's thread id. A new thread starts in [`start_thread`], which takes
//! over the heap block that carries the caller's function and argument.
//!
//! What `std` never asks for is left out and says so: a joined thread's result is always null, a
//! thread can name only itself and learn only its own attributes.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::NonNull;

use kernel_core::heap;
use kernel_core::thread::{self, JoinError, SpawnRequest, ThreadId};
use libc::{pthread_attr_t, pthread_t};

use crate::mapping::PAGE_LEN_BYTES;
use crate::thread_exit::run_exit_functions;
use crate::thread_keys::run_key_destructors;

/// The stack of a thread whose creator states none, as `std` itself chooses.
const DEFAULT_STACK_LEN_BYTES: usize = 2 << 20;

/// The smallest stack that `pthread_attr_setstacksize` accepts (`PTHREAD_STACK_MIN`).
pub(crate) const STACK_LEN_BYTES_MIN: usize = 16 << 10;

/// What a `pthread_attr_t` holds here; C only knows its size.
#[repr(C)]
struct Attributes {
    /// The lowest address of the stack; zero where the kernel is to choose.
    stack_start: usize,
    /// The length of the stack, without its guard page.
    stack_len_bytes: usize,
    /// Kept to be read back: the kernel's guard is always one page.
    guard_len_bytes: usize,
}

const _: () = assert!(
    size_of::<Attributes>() <= size_of::<pthread_attr_t>()
        && align_of::<Attributes>() <= align_of::<pthread_attr_t>()
);

impl Attributes {
    const DEFAULT: Self = Self {
        stack_start: 0,
        stack_len_bytes: DEFAULT_STACK_LEN_BYTES,
        guard_len_bytes: PAGE_LEN_BYTES,
    };
}

/// What a new thread runs; lives on the heap until the thread takes it.
struct Start {
    function: extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *mut c_void,
}

fn handle(thread: ThreadId) -> pthread_t {
    pthread_t::from(thread.as_u32())
}

/// The thread behind a handle; `ESRCH` for a value that no handle ever had.
fn thread_of(handle: pthread_t) -> Result<ThreadId, c_int> {
    u32::try_from(handle)
        .map(ThreadId::from_u32)
        .map_err(|_| libc::ESRCH)
}

/// The error number for a thread that cannot be joined or detached.
fn join_error(error: JoinError) -> c_int {
    match error {
        JoinError::NoThread => libc::ESRCH,
        JoinError::Detached => libc::EINVAL,
    }
}

fn is_self(handle_of_thread: pthread_t) -> bool {
    handle_of_thread == handle(thread::current())
}

/// The first code of every thread that C creates.
///
/// Destructors run here and not in the kernel: those of `thread_local!` first, in reverse order
/// of registration, then those of keys, which may belong to runtimes that the former still use.
extern "C" fn start_thread(start: usize) {
    let start = core::ptr::with_exposed_provenance_mut::<Start>(start);
    // SAFETY: `pthread_create` wrote this block and handed it over to this thread alone.
    let Start { function, argument } = unsafe { start.read() };
    release_start(start);
    function(argument);
    run_exit_functions();
    run_key_destructors();
    thread::exit()
}

fn release_start(start: *mut Start) {
    if let Some(block) = NonNull::new(start.cast::<u8>()) {
        // SAFETY: allocated by `pthread_create`, and its contents have been taken or given up.
        unsafe { heap::release(block) };
    }
}

fn spawn(start: *mut Start, stack_len_bytes: usize) -> Result<ThreadId, c_int> {
    let request = SpawnRequest {
        entry: start_thread,
        argument: start.expose_provenance(),
        stack_len_bytes,
        name: "",
    };
    thread::spawn(request).map_err(|_| {
        release_start(start);
        libc::EAGAIN
    })
}

/// # Safety
/// `created` must be valid for a write, `attributes` null or initialised, and `function` safe to
/// call with `argument` on another thread.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    created: *mut pthread_t,
    attributes: *const pthread_attr_t,
    function: extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: attributes that are there were initialised by `pthread_attr_init`.
    let stack_len_bytes = unsafe { attributes.cast::<Attributes>().as_ref() }
        .map_or(DEFAULT_STACK_LEN_BYTES, |attributes| {
            attributes.stack_len_bytes
        });
    let Some(block) = heap::allocate(size_of::<Start>(), align_of::<Start>()) else {
        return libc::EAGAIN;
    };
    let start = block.as_ptr().cast::<Start>();
    // SAFETY: the block was allocated for exactly this value.
    unsafe { start.write(Start { function, argument }) };
    match spawn(start, stack_len_bytes) {
        Ok(thread) => {
            // SAFETY: the caller passes a place for the handle.
            unsafe { created.write(handle(thread)) };
            0
        }
        Err(error) => error,
    }
}

/// # Safety
/// `result` must be null or valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_join(thread: pthread_t, result: *mut *mut c_void) -> c_int {
    if is_self(thread) {
        return libc::EDEADLK;
    }
    let joined = thread_of(thread).and_then(|id| thread::join(id).map_err(join_error));
    if let Err(error) = joined {
        return error;
    }
    if !result.is_null() {
        // SAFETY: the caller passes a place for the result.
        unsafe { result.write(core::ptr::null_mut()) };
    }
    0
}

/// There is no fork, so handlers for it are never due.
#[unsafe(no_mangle)]
extern "C" fn pthread_atfork(
    _before: Option<extern "C" fn()>,
    _in_parent: Option<extern "C" fn()>,
    _in_child: Option<extern "C" fn()>,
) -> c_int {
    0
}

#[unsafe(no_mangle)]
extern "C" fn pthread_detach(thread: pthread_t) -> c_int {
    match thread_of(thread).and_then(|id| thread::detach(id).map_err(join_error)) {
        Ok(()) => 0,
        Err(error) => error,
    }
}

#[unsafe(no_mangle)]
extern "C" fn pthread_self() -> pthread_t {
    handle(thread::current())
}

/// # Safety
/// `name` must be a string that ends in a zero byte.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_setname_np(thread: pthread_t, name: *const c_char) -> c_int {
    if !is_self(thread) {
        return libc::ESRCH;
    }
    // SAFETY: the caller passes a C string.
    match unsafe { CStr::from_ptr(name) }.to_str() {
        Ok(name) => {
            thread::set_name(name);
            0
        }
        Err(_) => libc::EINVAL,
    }
}

/// # Safety
/// `attributes` must be valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_attr_init(attributes: *mut pthread_attr_t) -> c_int {
    // SAFETY: the caller passes room for a `pthread_attr_t`, in which `Attributes` fits.
    unsafe { attributes.cast::<Attributes>().write(Attributes::DEFAULT) };
    0
}

#[unsafe(no_mangle)]
extern "C" fn pthread_attr_destroy(_attributes: *mut pthread_attr_t) -> c_int {
    0
}

/// # Safety
/// `attributes` must be initialised.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_attr_setstacksize(
    attributes: *mut pthread_attr_t,
    len_bytes: usize,
) -> c_int {
    if len_bytes < STACK_LEN_BYTES_MIN {
        return libc::EINVAL;
    }
    // SAFETY: initialised by `pthread_attr_init`.
    unsafe { (*attributes.cast::<Attributes>()).stack_len_bytes = len_bytes };
    0
}

/// # Safety
/// `attributes` must be initialised and `len_bytes` valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_attr_getguardsize(
    attributes: *const pthread_attr_t,
    len_bytes: *mut usize,
) -> c_int {
    // SAFETY: initialised by `pthread_attr_init`; the caller passes a place for the answer.
    unsafe { len_bytes.write((*attributes.cast::<Attributes>()).guard_len_bytes) };
    0
}

/// # Safety
/// `attributes` must be initialised.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_attr_setguardsize(
    attributes: *mut pthread_attr_t,
    len_bytes: usize,
) -> c_int {
    // SAFETY: initialised by `pthread_attr_init`.
    unsafe { (*attributes.cast::<Attributes>()).guard_len_bytes = len_bytes };
    0
}

/// # Safety
/// `attributes` must be initialised, the others valid for writes.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_attr_getstack(
    attributes: *const pthread_attr_t,
    start: *mut *mut c_void,
    len_bytes: *mut usize,
) -> c_int {
    // SAFETY: initialised by `pthread_attr_init`; the caller passes places for the answers.
    unsafe {
        let attributes = &*attributes.cast::<Attributes>();
        start.write(core::ptr::with_exposed_provenance_mut(
            attributes.stack_start,
        ));
        len_bytes.write(attributes.stack_len_bytes);
    }
    0
}

/// The attributes of the calling thread, with the stack that it runs on.
///
/// # Safety
/// `attributes` must be valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_getattr_np(
    thread: pthread_t,
    attributes: *mut pthread_attr_t,
) -> c_int {
    if !is_self(thread) {
        return libc::ESRCH;
    }
    let stack = thread::stack_bounds();
    let own = Attributes {
        stack_start: stack.start,
        stack_len_bytes: stack.end - stack.start,
        guard_len_bytes: PAGE_LEN_BYTES,
    };
    // SAFETY: the caller passes room for a `pthread_attr_t`, in which `Attributes` fits.
    unsafe { attributes.cast::<Attributes>().write(own) };
    0
}

#[unsafe(no_mangle)]
extern "C" fn sched_yield() -> c_int {
    thread::yield_now();
    0
}

#[unsafe(no_mangle)]
extern "C" fn gettid() -> c_int {
    thread::current().as_u32().cast_signed()
}
