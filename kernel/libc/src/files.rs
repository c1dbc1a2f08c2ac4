//! Files, as far as they exist below the runtime: standard output and error go to the kernel's
//! log, and everything else answers with the error that POSIX has for it.
//!
//! Programs never reach these functions: their files are served by the WASI host. What calls them
//! is `std` itself (panic messages, `/proc` probes) and library code that tries a file and then
//! does without.

use core::ffi::{c_char, c_int, c_uint, c_ulong, c_void};

use kernel_core::log;
use libc::iovec;

use crate::error::{fail, fail_long, fail_null};

/// The most buffers that one `writev` takes (`IOV_MAX`).
pub(crate) const BUFFERS_MAX: c_int = 1024;

fn is_output(file: c_int) -> bool {
    matches!(file, libc::STDOUT_FILENO | libc::STDERR_FILENO)
}

/// # Safety
/// `bytes` must be readable for `len_bytes` bytes.
unsafe fn write_to_log(bytes: *const c_void, len_bytes: usize) {
    if len_bytes != 0 {
        // SAFETY: by contract.
        log::write_stdio(unsafe { core::slice::from_raw_parts(bytes.cast::<u8>(), len_bytes) });
    }
}

/// # Safety
/// `bytes` must be readable for `len_bytes` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn write(file: c_int, bytes: *const c_void, len_bytes: usize) -> isize {
    if !is_output(file) {
        return fail_long(libc::EBADF);
    }
    // SAFETY: by contract.
    unsafe { write_to_log(bytes, len_bytes) };
    len_bytes.cast_signed()
}

/// # Safety
/// `buffers` must be `count` descriptions of readable memory.
#[unsafe(no_mangle)]
unsafe extern "C" fn writev(file: c_int, buffers: *const iovec, count: c_int) -> isize {
    if !is_output(file) {
        return fail_long(libc::EBADF);
    }
    if !(0..=BUFFERS_MAX).contains(&count) {
        return fail_long(libc::EINVAL);
    }
    let mut written_bytes = 0_usize;
    for index in 0..count.unsigned_abs() as usize {
        // SAFETY: by contract, there are `count` of them and each describes readable memory.
        let buffer = unsafe { &*buffers.add(index) };
        // SAFETY: as above.
        unsafe { write_to_log(buffer.iov_base, buffer.iov_len) };
        written_bytes = written_bytes.saturating_add(buffer.iov_len);
    }
    written_bytes.cast_signed()
}

#[unsafe(no_mangle)]
extern "C" fn isatty(_file: c_int) -> c_int {
    fail(libc::ENOTTY);
    0
}

// No path leads anywhere: `ENOENT`.

#[unsafe(no_mangle)]
extern "C" fn open(_path: *const c_char, _flags: c_int, _mode: c_uint) -> c_int {
    fail(libc::ENOENT)
}

#[unsafe(no_mangle)]
extern "C" fn open64(_path: *const c_char, _flags: c_int, _mode: c_uint) -> c_int {
    fail(libc::ENOENT)
}

#[unsafe(no_mangle)]
extern "C" fn openat(_at: c_int, _path: *const c_char, _flags: c_int, _mode: c_uint) -> c_int {
    fail(libc::ENOENT)
}

#[unsafe(no_mangle)]
extern "C" fn openat64(_at: c_int, _path: *const c_char, _flags: c_int, _mode: c_uint) -> c_int {
    fail(libc::ENOENT)
}

#[unsafe(no_mangle)]
extern "C" fn stat64(_path: *const c_char, _status: *mut c_void) -> c_int {
    fail(libc::ENOENT)
}

#[unsafe(no_mangle)]
extern "C" fn lstat64(_path: *const c_char, _status: *mut c_void) -> c_int {
    fail(libc::ENOENT)
}

/// `ENOSYS` makes `std` fall back to `stat64` and its family, whose errors name the reason.
#[unsafe(no_mangle)]
extern "C" fn statx(
    _at: c_int,
    _path: *const c_char,
    _flags: c_int,
    _mask: c_uint,
    _status: *mut c_void,
) -> c_int {
    fail(libc::ENOSYS)
}

#[unsafe(no_mangle)]
extern "C" fn readlink(_path: *const c_char, _target: *mut c_char, _len_bytes: usize) -> isize {
    fail_long(libc::ENOENT)
}

#[unsafe(no_mangle)]
extern "C" fn realpath(_path: *const c_char, _resolved: *mut c_char) -> *mut c_char {
    fail_null(libc::ENOENT)
}

#[unsafe(no_mangle)]
extern "C" fn getcwd(_path: *mut c_char, _len_bytes: usize) -> *mut c_char {
    fail_null(libc::ENOENT)
}

// No descriptor is open for anything but writing to 1 and 2: `EBADF`.

#[unsafe(no_mangle)]
extern "C" fn read(_file: c_int, _bytes: *mut c_void, _len_bytes: usize) -> isize {
    fail_long(libc::EBADF)
}

#[unsafe(no_mangle)]
extern "C" fn readv(_file: c_int, _buffers: *const iovec, _count: c_int) -> isize {
    fail_long(libc::EBADF)
}

#[unsafe(no_mangle)]
extern "C" fn pread64(_file: c_int, _bytes: *mut c_void, _len: usize, _at: i64) -> isize {
    fail_long(libc::EBADF)
}

#[unsafe(no_mangle)]
extern "C" fn lseek64(_file: c_int, _offset: i64, _whence: c_int) -> i64 {
    fail_long(libc::EBADF) as i64
}

#[unsafe(no_mangle)]
extern "C" fn fstat64(_file: c_int, _status: *mut c_void) -> c_int {
    fail(libc::EBADF)
}

#[unsafe(no_mangle)]
extern "C" fn fcntl(_file: c_int, _command: c_int, _argument: c_ulong) -> c_int {
    fail(libc::EBADF)
}

#[unsafe(no_mangle)]
extern "C" fn fcntl64(_file: c_int, _command: c_int, _argument: c_ulong) -> c_int {
    fail(libc::EBADF)
}

#[unsafe(no_mangle)]
extern "C" fn ioctl(_file: c_int, _request: c_ulong, _argument: c_ulong) -> c_int {
    fail(libc::EBADF)
}

#[unsafe(no_mangle)]
extern "C" fn dup(_file: c_int) -> c_int {
    fail(libc::EBADF)
}

#[unsafe(no_mangle)]
extern "C" fn dup2(_file: c_int, _wanted: c_int) -> c_int {
    fail(libc::EBADF)
}

#[unsafe(no_mangle)]
extern "C" fn close(_file: c_int) -> c_int {
    fail(libc::EBADF)
}

/// `ENOSYS` makes Wasmtime initialise memories by copying instead of mapping an image.
#[unsafe(no_mangle)]
extern "C" fn memfd_create(_name: *const c_char, _flags: c_uint) -> c_int {
    fail(libc::ENOSYS)
}

#[unsafe(no_mangle)]
extern "C" fn ftruncate64(_file: c_int, _len_bytes: i64) -> c_int {
    fail(libc::EBADF)
}

#[unsafe(no_mangle)]
extern "C" fn poll(_files: *mut c_void, _count: c_ulong, _timeout_ms: c_int) -> c_int {
    fail(libc::ENOSYS)
}
