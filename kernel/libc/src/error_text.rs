//! The sentences that stand for error numbers.
//!
//! Only the numbers that this crate itself can report have a text of their own; `std` prints the
//! number beside it.

use core::ffi::c_int;

/// What `error` means, as a short clause in lower case.
pub(crate) fn error_text(error: c_int) -> &'static str {
    match error {
        0 => "no error",
        libc::EPERM => "operation not permitted",
        libc::ENOENT => "no such file or directory",
        libc::ESRCH => "no such thread",
        libc::EINTR => "interrupted",
        libc::EIO => "input/output error",
        libc::EBADF => "bad file descriptor",
        libc::EAGAIN => "resource temporarily unavailable",
        libc::ENOMEM => "out of memory",
        libc::EACCES => "permission denied",
        libc::EFAULT => "bad address",
        libc::EBUSY => "resource busy",
        libc::ENODEV => "no such device",
        libc::ENFILE => "too many files in memory",
        libc::EFBIG => "file too large",
        libc::ENOSPC => "no memory left for the file",
        libc::ESPIPE => "no positions in a stream",
        libc::EINVAL => "invalid argument",
        libc::ENOTTY => "not a terminal",
        libc::ERANGE => "result too large",
        libc::EDEADLK => "deadlock avoided",
        libc::ENOSYS => "not provided by the kernel's C library",
        libc::EOPNOTSUPP => "operation not supported",
        libc::ETIMEDOUT => "timed out",
        _ => "unknown error",
    }
}

#[cfg(test)]
mod tests {
    use super::error_text;

    #[test]
    fn known_and_unknown_numbers_have_a_text() {
        assert_eq!(error_text(libc::ENOMEM), "out of memory");
        assert_eq!(error_text(-7), "unknown error");
        assert_eq!(error_text(i32::MAX), "unknown error");
    }
}
