//! Random bytes from the kernel's generator, which is seeded before the first thread runs: no call
//! blocks or fails.

use core::ffi::{c_int, c_uint, c_void};

use kernel_core::random;

use crate::error::fail;

/// The most that one `getentropy` may ask for (`GETENTROPY_MAX`).
const ENTROPY_LEN_BYTES_MAX: usize = 256;

/// # Safety
/// `buffer` must be writable for `len_bytes` bytes.
unsafe fn fill(buffer: *mut c_void, len_bytes: usize) {
    if len_bytes == 0 {
        return;
    }
    // SAFETY: by contract; the bytes are zeroed first so that the slice is initialised.
    let bytes = unsafe {
        buffer.write_bytes(0, len_bytes);
        core::slice::from_raw_parts_mut(buffer.cast::<u8>(), len_bytes)
    };
    random::fill(bytes);
}

/// # Safety
/// `buffer` must be writable for `len_bytes` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getrandom(
    buffer: *mut c_void,
    len_bytes: usize,
    _flags: c_uint,
) -> isize {
    // SAFETY: by contract.
    unsafe { fill(buffer, len_bytes) };
    len_bytes.cast_signed()
}

/// # Safety
/// `buffer` must be writable for `len_bytes` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn getentropy(buffer: *mut c_void, len_bytes: usize) -> c_int {
    if len_bytes > ENTROPY_LEN_BYTES_MAX {
        return fail(libc::EIO);
    }
    // SAFETY: by contract.
    unsafe { fill(buffer, len_bytes) };
    0
}
