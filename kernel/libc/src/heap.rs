//! The `malloc` family over the kernel's heap.
//!
//! `std`'s allocator calls `malloc` for alignments up to 16 and `posix_memalign` above. A failed
//! allocation answers null with `ENOMEM`; stable `std` then aborts, which is why work is admitted
//! before it allocates.

use core::ffi::{c_int, c_void};
use core::ptr::NonNull;

use kernel_core::heap;

use crate::error::fail_null;

/// The alignment that `malloc` promises on this ABI (System V psABI x86-64, 3.1.2).
const MALLOC_ALIGN: usize = 16;

/// A block of at least one byte, so that every pointer is distinct and can be released.
fn allocate(len_bytes: usize, align: usize) -> *mut c_void {
    match heap::allocate(len_bytes.max(1), align.max(MALLOC_ALIGN)) {
        Some(block) => block.as_ptr().cast(),
        None => fail_null(libc::ENOMEM),
    }
}

#[unsafe(no_mangle)]
extern "C" fn malloc(len_bytes: usize) -> *mut c_void {
    allocate(len_bytes, MALLOC_ALIGN)
}

#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, item_len_bytes: usize) -> *mut c_void {
    let Some(len_bytes) = count.checked_mul(item_len_bytes) else {
        return fail_null(libc::ENOMEM);
    };
    let block = allocate(len_bytes, MALLOC_ALIGN);
    if !block.is_null() {
        // SAFETY: the block was just allocated with at least `len_bytes` bytes.
        unsafe { block.write_bytes(0, len_bytes) };
    }
    block
}

/// # Safety
/// `block` must be null or come from this family, not released yet.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(block: *mut c_void, len_bytes: usize) -> *mut c_void {
    let Some(old) = NonNull::new(block.cast::<u8>()) else {
        return malloc(len_bytes);
    };
    // SAFETY: the caller owns `old`, which came from the kernel's heap.
    let usable_bytes = unsafe { heap::usable_len_bytes(old) };
    if fits_without_waste(len_bytes, usable_bytes) {
        return block;
    }
    let new = malloc(len_bytes);
    if !new.is_null() {
        // SAFETY: both blocks are live, distinct, and at least this long; `old` is the caller's
        // to release.
        unsafe {
            new.copy_from_nonoverlapping(block, len_bytes.min(usable_bytes));
            heap::release(old);
        }
    }
    new
}

/// Whether a block of `usable_bytes` may stay where it is: large enough, and not so large that a
/// shrunk vector would keep more than three quarters of it idle.
fn fits_without_waste(len_bytes: usize, usable_bytes: usize) -> bool {
    len_bytes <= usable_bytes && usable_bytes / 4 <= len_bytes
}

/// # Safety
/// As [`realloc`].
#[unsafe(no_mangle)]
unsafe extern "C" fn free(block: *mut c_void) {
    if let Some(block) = NonNull::new(block.cast::<u8>()) {
        // SAFETY: the caller owns the block, which came from the kernel's heap.
        unsafe { heap::release(block) };
    }
}

/// # Safety
/// `block` must be valid for the write of one pointer.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(
    block: *mut *mut c_void,
    align: usize,
    len_bytes: usize,
) -> c_int {
    if !align.is_power_of_two() || align < size_of::<usize>() {
        return libc::EINVAL;
    }
    let Some(allocated) = heap::allocate(len_bytes.max(1), align.max(MALLOC_ALIGN)) else {
        return libc::ENOMEM;
    };
    // SAFETY: the caller passes a place for the answer.
    unsafe { block.write(allocated.as_ptr().cast()) };
    0
}

#[unsafe(no_mangle)]
extern "C" fn aligned_alloc(align: usize, len_bytes: usize) -> *mut c_void {
    if !align.is_power_of_two() {
        return fail_null(libc::EINVAL);
    }
    allocate(len_bytes, align)
}

#[unsafe(no_mangle)]
extern "C" fn memalign(align: usize, len_bytes: usize) -> *mut c_void {
    aligned_alloc(align, len_bytes)
}

/// # Safety
/// As [`realloc`].
#[unsafe(no_mangle)]
unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    NonNull::new(block.cast::<u8>()).map_or(0, |block| {
        // SAFETY: the caller owns the block, which came from the kernel's heap.
        unsafe { heap::usable_len_bytes(block) }
    })
}
