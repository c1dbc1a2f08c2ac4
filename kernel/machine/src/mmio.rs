//! Device registers in memory.
//!
//! Law: an [`Mmio`] is an uncached mapping of a physical range outside RAM, made once and kept for ever
//! (device windows are few). Accesses are volatile, whole and naturally aligned; an offset outside the
//! window is a bug of the driver and panics.
//! Units: offsets in bytes from the window's start.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::memory::{PAGE_BYTES, page_table};

/// First virtual address of the window in which device mappings are made.
const WINDOW_START: u64 = 0xffff_f000_0000_0000;
const WINDOW_LEN_BYTES: u64 = 1 << 40;

/// No device has a longer window of registers or pixels; a longer one would cost page tables for nothing.
const LEN_BYTES_MAX: usize = 256 << 20;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Why a device window could not be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MmioError {
    /// The range is empty, wraps, or lies beyond what the CPU can address.
    BadRange,
    /// The window for device mappings is used up.
    NoSpace,
    /// No frame was left for page tables.
    NoFrames,
}

impl core::fmt::Display for MmioError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(match self {
            Self::BadRange => "the device names a register range that cannot exist",
            Self::NoSpace => "too many device register windows are mapped",
            Self::NoFrames => "no memory is left to map a device's registers",
        })
    }
}

/// One mapped window of device registers.
#[derive(Debug)]
pub struct Mmio {
    base: usize,
    len_bytes: usize,
}

impl Mmio {
    /// Maps `[physical_start, physical_start + len_bytes)` uncached.
    pub fn map(physical_start: u64, len_bytes: usize) -> Result<Self, MmioError> {
        let in_page = physical_start % PAGE_BYTES;
        let span = checked_span(physical_start, len_bytes, in_page)?;
        let at = NEXT
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
                Some(next + span).filter(|end| *end <= WINDOW_LEN_BYTES)
            })
            .map_err(|_| MmioError::NoSpace)?;
        let virt = WINDOW_START + at;
        page_table::map_device(virt, physical_start - in_page, span)
            .map_err(|_| MmioError::NoFrames)?;
        Ok(Self {
            base: (virt + in_page) as usize,
            len_bytes,
        })
    }

    /// Length of the window in bytes.
    pub fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    /// Reads the 32-bit register at `offset`.
    pub fn read32(&self, offset: usize) -> u32 {
        // SAFETY: `address` checked range and alignment; the window is mapped for ever.
        unsafe { core::ptr::read_volatile(self.address::<u32>(offset)) }
    }

    /// Writes the 32-bit register at `offset`.
    pub fn write32(&self, offset: usize, value: u32) {
        // SAFETY: as in `read32`; device memory has no Rust object in it.
        unsafe { core::ptr::write_volatile(self.address::<u32>(offset), value) }
    }

    /// Reads the 64-bit register at `offset`.
    pub fn read64(&self, offset: usize) -> u64 {
        // SAFETY: as in `read32`.
        unsafe { core::ptr::read_volatile(self.address::<u64>(offset)) }
    }

    /// Writes the 64-bit register at `offset`.
    pub fn write64(&self, offset: usize, value: u64) {
        // SAFETY: as in `write32`.
        unsafe { core::ptr::write_volatile(self.address::<u64>(offset), value) }
    }

    fn address<T>(&self, offset: usize) -> *mut T {
        let end = offset.checked_add(size_of::<T>());
        assert!(end.is_some_and(|end| end <= self.len_bytes));
        assert!((self.base + offset).is_multiple_of(align_of::<T>()));
        (self.base + offset) as *mut T
    }
}

fn checked_span(start: u64, len_bytes: usize, in_page: u64) -> Result<u64, MmioError> {
    let end = start
        .checked_add(len_bytes as u64)
        .filter(|end| (1..=LEN_BYTES_MAX).contains(&len_bytes) && *end <= 1 << 52)
        .ok_or(MmioError::BadRange)?;
    Ok((end - start + in_page).next_multiple_of(PAGE_BYTES))
}
