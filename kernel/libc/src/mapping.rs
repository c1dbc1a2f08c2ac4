//! Memory: `mmap` and its family over the kernel's regions.
//!
//! Anonymous memory can be mapped, and privately what `memfd_create` made; there are no other files below this line. Lengths are rounded up
//! to pages as POSIX asks. Every page is demand-paged unless `MAP_POPULATE` says otherwise, so a
//! mapping without access (`PROT_NONE`) is a reservation that costs no frames. Executable memory is
//! refused with `EACCES`: compiled code is published by the engine's own way.

use core::ffi::{c_int, c_void};

use kernel_core::memory::images::ImageId;
use kernel_core::memory::{self, MapRequest, MemoryError, Protection};

use crate::error::{fail, set_errno};
use crate::files::open_image;

/// The size of a page, the unit of every length and address here.
pub(crate) const PAGE_LEN_BYTES: usize = 4096;

/// What `mmap` answers when it fails.
fn map_failed(error: c_int) -> *mut c_void {
    set_errno(error);
    libc::MAP_FAILED
}

/// Rounds a length up to whole pages; `None` for nothing and for more than the address space.
fn whole_pages(len_bytes: usize) -> Option<usize> {
    len_bytes
        .checked_next_multiple_of(PAGE_LEN_BYTES)
        .filter(|&rounded| rounded != 0)
}

/// The page-aligned start and the whole pages of a range that a caller names, or `EINVAL`.
fn page_range(start: *mut c_void, len_bytes: usize) -> Result<(usize, usize), c_int> {
    let start = start.addr();
    let len_bytes = whole_pages(len_bytes).ok_or(libc::EINVAL)?;
    if start.is_multiple_of(PAGE_LEN_BYTES) && start.checked_add(len_bytes).is_some() {
        Ok((start, len_bytes))
    } else {
        Err(libc::EINVAL)
    }
}

fn protection(bits: c_int) -> Protection {
    Protection {
        read: bits & libc::PROT_READ != 0,
        write: bits & libc::PROT_WRITE != 0,
        execute: bits & libc::PROT_EXEC != 0,
    }
}

/// The error number of a refusal. A range that is not mapped is `ENOMEM`, as on Linux.
fn error_number(error: MemoryError) -> c_int {
    match error {
        MemoryError::BadRange => libc::EINVAL,
        MemoryError::Denied => libc::EACCES,
        MemoryError::NoRegion | MemoryError::NoSpace | MemoryError::NoFrames => libc::ENOMEM,
    }
}

fn finish(outcome: Result<(), MemoryError>) -> c_int {
    outcome.map_or_else(|error| fail(error_number(error)), |()| 0)
}

fn map_request(
    start: *mut c_void,
    len_bytes: usize,
    protection_bits: c_int,
    flags: c_int,
) -> Result<MapRequest, c_int> {
    if flags & libc::MAP_FIXED_NOREPLACE == libc::MAP_FIXED_NOREPLACE {
        return Err(libc::EOPNOTSUPP);
    }
    let at = if flags & libc::MAP_FIXED != 0 {
        Some(page_range(start, len_bytes)?.0)
    } else {
        None
    };
    Ok(MapRequest {
        len_bytes: whole_pages(len_bytes).ok_or(libc::EINVAL)?,
        protection: protection(protection_bits),
        at,
        populate: flags & libc::MAP_POPULATE != 0,
        // A pool may lie here, of which each part has an owner of its own.
        fault_around: false,
    })
}

/// What stands behind a mapping's pages.
enum Backing {
    Zeroes,
    /// A file in memory, from this byte on.
    Image(ImageId, u64),
}

fn backing(flags: c_int, file: c_int, offset: i64) -> Result<Backing, c_int> {
    if flags & libc::MAP_ANONYMOUS != 0 {
        return if file == -1 {
            Ok(Backing::Zeroes)
        } else {
            Err(libc::ENODEV)
        };
    }
    let image = open_image(file)?;
    // What one sees of another's writes is not to be had here.
    if flags & libc::MAP_TYPE != libc::MAP_PRIVATE {
        return Err(libc::ENODEV);
    }
    let offset = u64::try_from(offset).map_err(|_| libc::EINVAL)?;
    Ok(Backing::Image(image, offset))
}

/// # Safety
/// With `MAP_FIXED`, nothing may still use what lies in the range.
#[unsafe(no_mangle)]
unsafe extern "C" fn mmap64(
    start: *mut c_void,
    len_bytes: usize,
    protection_bits: c_int,
    flags: c_int,
    file: c_int,
    offset: i64,
) -> *mut c_void {
    let mapped = backing(flags, file, offset).and_then(|backing| {
        let request = map_request(start, len_bytes, protection_bits, flags)?;
        let mapped = match backing {
            Backing::Zeroes => memory::map(request),
            Backing::Image(image, offset) => memory::map_image(request, image, offset),
        };
        mapped.map_err(error_number)
    });
    match mapped {
        Ok(address) => core::ptr::with_exposed_provenance_mut(address),
        Err(error) => map_failed(error),
    }
}

/// # Safety
/// As [`mmap64`].
#[unsafe(no_mangle)]
unsafe extern "C" fn mmap(
    start: *mut c_void,
    len_bytes: usize,
    protection_bits: c_int,
    flags: c_int,
    file: c_int,
    offset: i64,
) -> *mut c_void {
    // SAFETY: the contract is the same.
    unsafe { mmap64(start, len_bytes, protection_bits, flags, file, offset) }
}

/// # Safety
/// Nothing may still use the range.
#[unsafe(no_mangle)]
unsafe extern "C" fn munmap(start: *mut c_void, len_bytes: usize) -> c_int {
    match page_range(start, len_bytes) {
        Ok((start, len_bytes)) => finish(memory::unmap(start, len_bytes)),
        Err(error) => fail(error),
    }
}

/// # Safety
/// Nothing may still use the range in a way that the new protection forbids.
#[unsafe(no_mangle)]
unsafe extern "C" fn mprotect(
    start: *mut c_void,
    len_bytes: usize,
    protection_bits: c_int,
) -> c_int {
    match page_range(start, len_bytes) {
        Ok((start, len_bytes)) => finish(memory::protect(
            start,
            len_bytes,
            protection(protection_bits),
        )),
        Err(error) => fail(error),
    }
}

/// `MADV_DONTNEED` gives the frames back, so that the pages read as zero, or as their file has them; other advice that only
/// concerns speed is accepted and not followed.
///
/// # Safety
/// With `MADV_DONTNEED`, nothing may still use the contents of the range.
#[unsafe(no_mangle)]
unsafe extern "C" fn madvise(start: *mut c_void, len_bytes: usize, advice: c_int) -> c_int {
    let (start, len_bytes) = match page_range(start, len_bytes) {
        Ok(range) => range,
        Err(error) => return fail(error),
    };
    match advice {
        libc::MADV_DONTNEED => finish(memory::discard(start, len_bytes)),
        libc::MADV_NORMAL
        | libc::MADV_RANDOM
        | libc::MADV_SEQUENTIAL
        | libc::MADV_WILLNEED
        | libc::MADV_HUGEPAGE
        | libc::MADV_NOHUGEPAGE => 0,
        _ => fail(libc::EINVAL),
    }
}

/// All of POSIX's advice is about speed, `POSIX_MADV_DONTNEED` too: accepted and not followed. The answer is
/// the error number itself.
#[unsafe(no_mangle)]
extern "C" fn posix_madvise(start: *mut c_void, len_bytes: usize, advice: c_int) -> c_int {
    match advice {
        libc::POSIX_MADV_NORMAL
        | libc::POSIX_MADV_RANDOM
        | libc::POSIX_MADV_SEQUENTIAL
        | libc::POSIX_MADV_WILLNEED
        | libc::POSIX_MADV_DONTNEED => page_range(start, len_bytes).err().unwrap_or(0),
        _ => libc::EINVAL,
    }
}

#[unsafe(no_mangle)]
extern "C" fn mremap(
    _start: *mut c_void,
    _old_len_bytes: usize,
    _new_len_bytes: usize,
    _flags: c_int,
) -> *mut c_void {
    map_failed(libc::ENOSYS)
}
