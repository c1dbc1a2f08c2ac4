//! Files, as far as they exist below the runtime: standard output and error go to the kernel's
//! log, files in memory are the kernel's images, and everything else answers with the error that POSIX has for it.
//!
//! Programs never reach these functions: their files are served by the WASI host. What calls them
//! is `std` itself (panic messages, `/proc` probes), library code that tries a file and then
//! does without, and Wasmtime, which makes the images of linear memories with `memfd_create`. A descriptor of such a
//! file is the image's number behind those of the standard streams.

use core::ffi::{c_char, c_int, c_uint, c_ulong, c_void};

use kernel_core::log;
use kernel_core::memory::images::{self, ImageError, ImageId, Seals};
use libc::iovec;

use crate::error::{fail, fail_long, fail_null};

/// The most buffers that one `writev` takes (`IOV_MAX`).
pub(crate) const BUFFERS_MAX: c_int = 1024;

fn is_output(file: c_int) -> bool {
    matches!(file, libc::STDOUT_FILENO | libc::STDERR_FILENO)
}

/// Descriptors below this one are the standard streams.
const FIRST_IMAGE: c_int = 3;

fn image(file: c_int) -> Result<ImageId, c_int> {
    let index = file.checked_sub(FIRST_IMAGE);
    let index = index.and_then(|index| usize::try_from(index).ok());
    index.and_then(ImageId::from_index).ok_or(libc::EBADF)
}

fn descriptor(image: ImageId) -> c_int {
    FIRST_IMAGE + image.index() as c_int
}

/// The image behind `file` if it is open, or `EBADF`: for `mmap`.
pub(crate) fn open_image(file: c_int) -> Result<ImageId, c_int> {
    let image = image(file)?;
    images::len_bytes(image).map_err(image_error)?;
    Ok(image)
}

fn image_error(error: ImageError) -> c_int {
    match error {
        ImageError::NoSlot => libc::ENFILE,
        ImageError::NotOpen => libc::EBADF,
        ImageError::Sealed => libc::EPERM,
        ImageError::Busy => libc::EBUSY,
        ImageError::TooLong => libc::EFBIG,
        ImageError::NoFrames => libc::ENOSPC,
    }
}

fn finish(outcome: Result<(), ImageError>) -> c_int {
    outcome.map_or_else(|error| fail(image_error(error)), |()| 0)
}

fn finish_len(outcome: Result<usize, c_int>) -> isize {
    outcome.map_or_else(fail_long, usize::cast_signed)
}

/// # Safety
/// `bytes` must be readable for `len_bytes` bytes, and nobody writes them meanwhile.
unsafe fn slice<'a>(bytes: *const c_void, len_bytes: usize) -> Result<&'a [u8], c_int> {
    if len_bytes == 0 {
        return Ok(&[]);
    }
    if bytes.is_null() || len_bytes > isize::MAX as usize {
        return Err(libc::EFAULT);
    }
    // SAFETY: by contract.
    Ok(unsafe { core::slice::from_raw_parts(bytes.cast::<u8>(), len_bytes) })
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
    if is_output(file) {
        // SAFETY: by contract.
        unsafe { write_to_log(bytes, len_bytes) };
        return len_bytes.cast_signed();
    }
    // SAFETY: by contract.
    let bytes = unsafe { slice(bytes, len_bytes) };
    finish_len(image(file).and_then(|image| images::append(image, bytes?).map_err(image_error)))
}

/// # Safety
/// `bytes` must be readable for `len_bytes` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite64(
    file: c_int,
    bytes: *const c_void,
    len_bytes: usize,
    at: i64,
) -> isize {
    if is_output(file) {
        return fail_long(libc::ESPIPE);
    }
    let Ok(at) = u64::try_from(at) else {
        return fail_long(libc::EINVAL);
    };
    // SAFETY: by contract.
    let bytes = unsafe { slice(bytes, len_bytes) };
    finish_len(
        image(file).and_then(|image| images::write_at(image, at, bytes?).map_err(image_error)),
    )
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

// Nothing is read through descriptors: `EBADF`.

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

/// Seals of files in memory; their flags, which are fixed.
#[unsafe(no_mangle)]
extern "C" fn fcntl(file: c_int, command: c_int, argument: c_ulong) -> c_int {
    let image = match open_image(file) {
        Ok(image) => image,
        Err(error) => return fail(error),
    };
    match command {
        libc::F_ADD_SEALS => match seals(argument) {
            Some(seals) => finish(images::add_seals(image, seals)),
            None => fail(libc::EINVAL),
        },
        libc::F_GET_SEALS => match images::seals(image) {
            Ok(seals) => seal_bits(seals),
            Err(error) => fail(image_error(error)),
        },
        libc::F_GETFD => libc::FD_CLOEXEC,
        libc::F_GETFL => libc::O_RDWR,
        _ => fail(libc::EINVAL),
    }
}

#[unsafe(no_mangle)]
extern "C" fn fcntl64(file: c_int, command: c_int, argument: c_ulong) -> c_int {
    fcntl(file, command, argument)
}

/// The seals that a set of bits names; none if it names others too.
fn seals(bits: c_ulong) -> Option<Seals> {
    let bits = c_int::try_from(bits).ok()?;
    let known = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    let has = |bit| bits & bit != 0;
    (bits & !known == 0).then(|| Seals {
        seal: has(libc::F_SEAL_SEAL),
        shrink: has(libc::F_SEAL_SHRINK),
        grow: has(libc::F_SEAL_GROW),
        write: has(libc::F_SEAL_WRITE),
    })
}

fn seal_bits(seals: Seals) -> c_int {
    let bits = [
        (seals.seal, libc::F_SEAL_SEAL),
        (seals.shrink, libc::F_SEAL_SHRINK),
        (seals.grow, libc::F_SEAL_GROW),
        (seals.write, libc::F_SEAL_WRITE),
    ];
    let set = bits.iter().filter(|(is_set, _)| *is_set);
    set.fold(0, |all, (_, bit)| all | bit)
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
extern "C" fn close(file: c_int) -> c_int {
    match image(file) {
        Ok(image) => finish(images::close(image)),
        Err(error) => fail(error),
    }
}

/// The name is for people who look at a list of files, and there is no such list.
#[unsafe(no_mangle)]
extern "C" fn memfd_create(_name: *const c_char, flags: c_uint) -> c_int {
    if flags & !(libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) != 0 {
        return fail(libc::EINVAL);
    }
    let created = images::create().and_then(|image| {
        if flags & libc::MFD_ALLOW_SEALING == 0 {
            let closed_for_seals = Seals {
                seal: true,
                ..Seals::default()
            };
            images::add_seals(image, closed_for_seals)?;
        }
        Ok(image)
    });
    match created {
        Ok(image) => descriptor(image),
        Err(error) => fail(image_error(error)),
    }
}

#[unsafe(no_mangle)]
extern "C" fn ftruncate64(file: c_int, len_bytes: i64) -> c_int {
    let Ok(len_bytes) = u64::try_from(len_bytes) else {
        return fail(libc::EINVAL);
    };
    match image(file) {
        Ok(image) => finish(images::set_len(image, len_bytes)),
        Err(error) => fail(error),
    }
}

#[unsafe(no_mangle)]
extern "C" fn poll(_files: *mut c_void, _count: c_ulong, _timeout_ms: c_int) -> c_int {
    fail(libc::ENOSYS)
}
