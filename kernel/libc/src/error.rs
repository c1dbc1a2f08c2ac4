//! `errno`: one word in each thread's local state.
//!
//! Functions that report through `errno` answer with one of the `fail*` values below, so that the
//! error and the return value are set in one place. The `pthread_*` family returns error numbers
//! instead and leaves `errno` alone.

use core::ffi::{c_char, c_int};
use core::sync::atomic::Ordering;

use kernel_core::thread;

use crate::error_text::error_text;

/// Stores `error` in the calling thread's `errno`.
pub(crate) fn set_errno(error: c_int) {
    thread::local().errno.store(error, Ordering::Relaxed);
}

/// Sets `errno` and answers `-1`, the failure of most functions.
pub(crate) fn fail(error: c_int) -> c_int {
    set_errno(error);
    -1
}

/// [`fail`] for functions that answer a length, a position or a `long`.
pub(crate) fn fail_long(error: c_int) -> isize {
    set_errno(error);
    -1
}

/// [`fail`] for functions that answer a pointer.
pub(crate) fn fail_null<T>(error: c_int) -> *mut T {
    set_errno(error);
    core::ptr::null_mut()
}

#[unsafe(no_mangle)]
extern "C" fn __errno_location() -> *mut c_int {
    thread::local().errno.as_ptr()
}

/// The XSI form of `strerror_r`, which is what glibc calls `__xpg_strerror_r`.
///
/// # Safety
/// `buffer` must be valid for writes of `len_bytes` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn __xpg_strerror_r(
    error: c_int,
    buffer: *mut c_char,
    len_bytes: usize,
) -> c_int {
    if buffer.is_null() || len_bytes == 0 {
        return libc::ERANGE;
    }
    let text = error_text(error);
    let copied_bytes = text.len().min(len_bytes - 1);
    // SAFETY: `copied_bytes + 1 <= len_bytes` bytes of `buffer` are writable by contract, and the
    // text is a static that no buffer can overlap.
    unsafe {
        buffer.copy_from_nonoverlapping(text.as_ptr().cast(), copied_bytes);
        buffer.add(copied_bytes).write(0);
    }
    if copied_bytes < text.len() {
        libc::ERANGE
    } else {
        0
    }
}
