//! Destructors of `thread_local!` values (`__cxa_thread_atexit_impl`, Itanium C++ ABI 3.3.6.3).
//!
//! Each thread keeps a list in one word of its local state, newest first. Only the thread itself
//! touches its list, so plain loads and stores do; the atomics are the word's type, not a need.

use core::ffi::{c_int, c_void};
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use kernel_core::{fault, heap, thread};

/// One registered destructor, on the heap.
struct ExitFunction {
    function: unsafe extern "C" fn(*mut c_void),
    argument: *mut c_void,
    /// The one registered before, or null.
    next: *mut ExitFunction,
}

/// Takes the newest entry off the calling thread's list.
fn pop() -> Option<ExitFunction> {
    let head = &thread::local().exit_functions;
    let block = NonNull::new(core::ptr::with_exposed_provenance_mut::<ExitFunction>(
        head.load(Ordering::Relaxed),
    ))?;
    // SAFETY: the list holds only blocks that `push` wrote, each once, and this thread alone
    // walks it; after the head has moved on, the block is this function's to release.
    unsafe {
        let entry = block.read();
        head.store(entry.next.expose_provenance(), Ordering::Relaxed);
        heap::release(block.cast());
        Some(entry)
    }
}

/// Puts an entry on the calling thread's list; `None` when the heap is exhausted.
fn push(function: unsafe extern "C" fn(*mut c_void), argument: *mut c_void) -> Option<()> {
    let block = heap::allocate(size_of::<ExitFunction>(), align_of::<ExitFunction>())?;
    let entry = block.as_ptr().cast::<ExitFunction>();
    let head = &thread::local().exit_functions;
    let next = core::ptr::with_exposed_provenance_mut(head.load(Ordering::Relaxed));
    // SAFETY: the block was allocated for exactly this value.
    unsafe {
        entry.write(ExitFunction {
            function,
            argument,
            next,
        });
    }
    head.store(entry.expose_provenance(), Ordering::Relaxed);
    Some(())
}

/// Runs the calling thread's destructors, newest first, and those that they register.
pub(crate) fn run_exit_functions() {
    while let Some(entry) = pop() {
        // SAFETY: whoever registered the pair promised that it may be called at thread exit.
        unsafe { (entry.function)(entry.argument) };
    }
}

/// `std` ignores the answer, so a registration that fails would leak in silence what another
/// thread may wait for; it stops the machine instead, as a failed allocation in `std` would.
///
/// # Safety
/// `function` must be safe to call with `argument` when the calling thread exits.
#[unsafe(no_mangle)]
unsafe extern "C" fn __cxa_thread_atexit_impl(
    function: unsafe extern "C" fn(*mut c_void),
    argument: *mut c_void,
    _object: *mut c_void,
) -> c_int {
    match push(function, argument) {
        Some(()) => 0,
        None => {
            fault::stop("out of memory: a thread-local value could not register its destructor")
        }
    }
}
