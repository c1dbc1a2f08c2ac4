//! The direct map: all of RAM at one virtual offset, writable, never executable.
//!
//! Law: only RAM ranges of the boot contract are read through [`bytes`]; frames are reached through
//! [`super::Frame`]. Frames that hold executable code are read-only here for as long as they do (W^X
//! covers aliases).

use core::sync::atomic::{AtomicU64, Ordering};

use contract_boot::DIRECT_MAP_BASE;

static LEN_BYTES: AtomicU64 = AtomicU64::new(0);

/// Tells how much physical memory the loader mapped; called once, first of all.
pub fn init(len_bytes: u64) {
    LEN_BYTES.store(len_bytes, Ordering::Relaxed);
}

/// Bytes of physical memory that are mapped.
pub fn len_bytes() -> u64 {
    LEN_BYTES.load(Ordering::Relaxed)
}

/// The bytes of a physical range that the loader filled and nobody writes any more (boot modules, ACPI
/// tables, the boot information itself). `None` if it is not wholly in the direct map.
///
/// The caller names only such ranges: kinds `MODULE`, `LOADER`, `ACPI_TABLES` of the memory map.
#[inline]
pub fn bytes(physical_start: u64, len_bytes_wanted: usize) -> Option<&'static [u8]> {
    let end = physical_start.checked_add(len_bytes_wanted as u64)?;
    if physical_start == 0 || end > len_bytes() || len_bytes_wanted > isize::MAX as usize {
        return None;
    }
    // SAFETY: the range is mapped for ever, and ranges of those kinds never become frames, so nobody
    // writes to them.
    Some(unsafe { core::slice::from_raw_parts(pointer(physical_start), len_bytes_wanted) })
}

/// Copies the fixed-layout value `T` that the loader left at `physical_start`.
pub fn read<T: Copy>(physical_start: u64) -> Option<T> {
    let bytes = bytes(physical_start, size_of::<T>())?;
    // SAFETY: in range as `bytes` checked; `T` is a plain contract type, valid for any bit pattern
    // (its fields are integers), and the read is unaligned.
    Some(unsafe { core::ptr::read_unaligned(bytes.as_ptr().cast()) })
}

/// Where a physical address is mapped. Dereferencing it is the machine layer's privilege.
pub(crate) fn pointer(physical: u64) -> *mut u8 {
    (DIRECT_MAP_BASE + physical) as *mut u8
}
