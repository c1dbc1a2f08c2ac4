//! What surrounds and fills the heap's blocks in a kernel with checks.
//!
//! Law: behind the last byte that a block's holder asked for stand at least [`RED_ZONE_BYTES`] of a known value up to
//! the block's end; whoever gives the block back finds them unchanged. A small block that a CPU keeps is
//! filled with another value, and whoever takes it out finds that unchanged. Anything else stops the machine with
//! a sentence that names the block. Without the feature `checks` nothing here does anything.

use core::ptr::NonNull;

use crate::checks::broken;

/// Bytes that every block is longer by.
pub(super) const RED_ZONE_BYTES: usize = if cfg!(feature = "checks") { 16 } else { 0 };
const RED: u8 = 0xbd;
/// What a free block is filled with: no canonical address, and no small number.
const POISON: u8 = 0xd9;

/// Fills what is left of a block behind its holder's part.
///
/// # Safety
/// `len_bytes..end_bytes` from `start` on is memory of the block.
pub(super) unsafe fn draw_red_zone(start: NonNull<u8>, len_bytes: usize, end_bytes: usize) {
    if cfg!(feature = "checks") {
        // SAFETY: by this function's contract.
        unsafe { fill(start, len_bytes, end_bytes, RED) };
    }
}

/// Stops the machine if somebody wrote behind the holder's part.
///
/// # Safety
/// As [`draw_red_zone`].
pub(super) unsafe fn expect_red_zone(start: NonNull<u8>, len_bytes: usize, end_bytes: usize) {
    // SAFETY: by this function's contract.
    if let Some((offset, found)) = unsafe { first_unlike(start, len_bytes, end_bytes, RED) } {
        broken(format_args!(
            "the heap's block of {len_bytes} bytes at {start:p} was written past its end: byte {offset} is {found:#04x}"
        ));
    }
}

/// Fills a free block behind its head.
///
/// # Safety
/// `head_bytes..len_bytes` from `block` on is memory of the block.
pub(super) unsafe fn poison(block: NonNull<u8>, head_bytes: usize, len_bytes: usize) {
    if cfg!(feature = "checks") {
        // SAFETY: by this function's contract.
        unsafe { fill(block, head_bytes, len_bytes, POISON) };
    }
}

/// Stops the machine if a free block was written. `freed_by` is the slot of the thread that freed it.
///
/// # Safety
/// As [`poison`].
pub(super) unsafe fn expect_poison(
    block: NonNull<u8>,
    head_bytes: usize,
    len_bytes: usize,
    freed_by: usize,
) {
    // SAFETY: by this function's contract.
    if let Some((offset, found)) = unsafe { first_unlike(block, head_bytes, len_bytes, POISON) } {
        broken(format_args!(
            "the heap's block of {len_bytes} bytes at {block:p} was written after the thread in slot {freed_by} freed it: byte {offset} is {found:#04x}"
        ));
    }
}

/// # Safety
/// `from..to` from `start` on is memory of one block.
unsafe fn fill(start: NonNull<u8>, from: usize, to: usize, byte: u8) {
    // SAFETY: by this function's contract.
    unsafe { start.add(from).write_bytes(byte, to - from) };
}

/// # Safety
/// As [`fill`].
unsafe fn first_unlike(
    start: NonNull<u8>,
    from: usize,
    to: usize,
    byte: u8,
) -> Option<(usize, u8)> {
    if !cfg!(feature = "checks") {
        return None;
    }
    // SAFETY: by this function's contract; the bytes were filled, so they are initialised.
    let bytes = unsafe { core::slice::from_raw_parts(start.as_ptr().add(from), to - from) };
    let offset = bytes.iter().position(|found| *found != byte)?;
    Some((from + offset, bytes[offset]))
}
