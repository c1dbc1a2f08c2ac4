//! Memory: frames, the kernel's heap, and regions of the kernel's address space.
//!
//! Law: [`frames`] owns physical memory, [`regions`] the dynamic part of the one address space, [`code`]
//! the pages that may execute. Lock order, outermost first: heap → frames; regions → frames. The
//! regions' lock is never held while a shoot-down is awaited, frames are freed only after it. Nothing in here
//! allocates from the heap under a lock.

pub mod audit;
pub mod code;
mod faults;
pub mod frames;
pub mod held;
pub mod images;
pub mod leaks;
pub mod reclaim;
pub mod regions;

use contract_boot::{BootInfo, MemoryRange};
use kernel_machine::cpu::mailbox;
use kernel_machine::memory::frame::FrameOwner;
use kernel_machine::memory::page_table::{self, Rights};
use kernel_machine::memory::{PAGE_BYTES, direct_map};
use kernel_machine::{heap, kernel_image};

pub use faults::{FaultOutcome, populate, resolve_fault, resolve_kernel_fault};
pub use regions::{
    Access, FaultAccess, MapRequest, MemoryError, Protection, discard, map, map_boot_module,
    map_image, protect, unmap,
};

/// The part of the dynamic window in which regions are mapped.
pub const REGION_WINDOW: core::ops::Range<u64> = 0xffff_c000_0000_0000..0xffff_d800_0000_0000;
/// The part in which the heap grows; its page tables are changed under the heap's lock.
const HEAP_WINDOW: core::ops::Range<u64> = 0xffff_d800_0000_0000..0xffff_e000_0000_0000;
/// The heap grows by at least this many bytes at a time.
const HEAP_STEP_BYTES: u64 = 256 * 1024;

static HEAP_END: core::sync::atomic::AtomicU64 =
    core::sync::atomic::AtomicU64::new(HEAP_WINDOW.start);

/// Takes physical memory over from the loader: from here on there is a heap and there are regions.
///
/// # Errors
/// A sentence that says which of the loader's claims cannot be.
pub fn init(info: &BootInfo) -> Result<(), BootMemoryError> {
    crate::boot::check(info)?;
    direct_map::init(info.direct_map_len_bytes);
    let map = MapReader(info);
    let mut ranges = [EMPTY_RANGE; contract_boot::MEMORY_RANGES_MAX];
    let ranges = map.read(&mut ranges);
    crate::boot::check_memory_map(ranges, info.direct_map_len_bytes)?;
    crate::boot::check_placement(info, ranges)?;
    frames::init(ranges).map_err(BootMemoryError::Frames)?;
    page_table::init(info.page_table_root, || {
        frames::allocate(FrameOwner::PageTables)
    });
    page_table::drop_lower_half();
    heap::init(grow_heap, answer_heap_shortage);
    let frame_count = frames::statistics().total;
    regions::init(frame_count);
    write_protect_kernel_aliases(info);
    let registered = reclaim::register(reclaim::Stage::Spare, shrink_heap);
    debug_assert!(registered, "the heap is the first to register");
    Ok(())
}

const EMPTY_RANGE: MemoryRange = MemoryRange {
    start: 0,
    len_bytes: 0,
    kind: 0,
    reserved: 0,
};

/// Why memory could not be taken over.
#[derive(Clone, Copy, Debug)]
pub enum BootMemoryError {
    /// The loader's information is wrong.
    Boot(crate::boot::BootError),
    /// The frame allocator could not start.
    Frames(&'static str),
}

impl From<crate::boot::BootError> for BootMemoryError {
    fn from(error: crate::boot::BootError) -> Self {
        Self::Boot(error)
    }
}

impl core::fmt::Display for BootMemoryError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Boot(error) => error.fmt(out),
            Self::Frames(sentence) => out.write_str(sentence),
        }
    }
}

struct MapReader<'a>(&'a BootInfo);

impl MapReader<'_> {
    fn read<'r>(
        &self,
        ranges: &'r mut [MemoryRange; contract_boot::MEMORY_RANGES_MAX],
    ) -> &'r [MemoryRange] {
        let entry_bytes = size_of::<MemoryRange>() as u64;
        let map = self.0.memory_map;
        let count = (map.len_bytes / entry_bytes) as usize;
        for (index, range) in ranges.iter_mut().enumerate().take(count) {
            let at = map.start + index as u64 * entry_bytes;
            *range = direct_map::read(at).unwrap_or(EMPTY_RANGE);
        }
        &ranges[..count]
    }
}

/// The direct map would let a stray write reach the kernel's code: take that right away.
fn write_protect_kernel_aliases(info: &BootInfo) {
    let protected = kernel_image::read_only();
    let first = info.kernel.start / PAGE_BYTES;
    let count = (protected.len() as u64).min(info.kernel.len_bytes) / PAGE_BYTES;
    for frame_number in first..first + count {
        if page_table::set_alias_writable(frame_number, false).is_err() {
            log::warn!("no memory to write-protect the direct map's view of the kernel");
            return;
        }
    }
    kernel_machine::cpu::flush_translations();
}

/// Lets large blocks of the heap be regions: called when nothing more is allocated that code with
/// interrupts off touches.
pub(crate) fn serve_large_blocks() {
    let map_large = |len_bytes| {
        let request = MapRequest {
            len_bytes,
            protection: Protection::READ_WRITE,
            at: None,
            populate: false,
            fault_around: true,
        };
        map(request).ok()
    };
    heap::serve_large_blocks(map_large, |start, len_bytes| {
        let unmapped = unmap(start, len_bytes);
        assert!(
            unmapped.is_ok(),
            "a large block of the heap cannot be unmapped"
        );
    });
}

/// The heap's source of pages; runs under the heap's lock.
fn grow_heap(min_len_bytes: usize) -> Option<core::ops::Range<usize>> {
    use core::sync::atomic::Ordering;
    let start = HEAP_END.load(Ordering::Relaxed);
    let wanted = (min_len_bytes as u64)
        .next_multiple_of(PAGE_BYTES)
        .max(HEAP_STEP_BYTES);
    if wanted / PAGE_BYTES > frames::statistics().free {
        return None;
    }
    let mut end = start;
    while end < start + wanted && end < HEAP_WINDOW.end {
        let Some(frame) = frames::allocate(FrameOwner::Heap) else {
            break;
        };
        let rights = Rights {
            write: true,
            execute: false,
        };
        if let Err(frame) = page_table::map(end, frame, Some(rights)) {
            frames::free(frame);
            break;
        }
        end += PAGE_BYTES;
    }
    // What was backed stays, even where it was not enough: the next growth goes on from there.
    HEAP_END.store(end, Ordering::Relaxed);
    (end > start).then_some(start as usize..end as usize)
}

/// The heap has no page left: asks for frames back. True if it is worth trying again.
fn answer_heap_shortage(len_bytes: usize) -> bool {
    reclaim::run((len_bytes as u64).max(HEAP_STEP_BYTES) / PAGE_BYTES)
}

/// Pages that leave the heap in one go: bounds the room on a landing pad.
const SHRINK_PAGES: usize = 64;

/// Gives back what is free at the heap's end. Returns how many frames that was.
///
/// The tables of the heap's window stay: one frame for each 2 MiB that the heap ever had.
fn shrink_heap(_wanted_frames: u64) -> u64 {
    use core::sync::atomic::Ordering;
    let Some(cut) = heap::begin_cut(HEAP_STEP_BYTES as usize) else {
        return 0;
    };
    let mut freed = 0;
    for start in cut.clone().step_by(SHRINK_PAGES * PAGE_BYTES as usize) {
        let end = cut.end.min(start + SHRINK_PAGES * PAGE_BYTES as usize);
        freed += unback_heap(start as u64..end as u64);
    }
    heap::end_cut(cut, |end| HEAP_END.store(end as u64, Ordering::Relaxed));
    freed
}

/// Unmaps up to [`SHRINK_PAGES`] that were cut off: nobody refers to them, and nobody else changes their leaves.
fn unback_heap(range: core::ops::Range<u64>) -> u64 {
    let mut stale = [const { None }; SHRINK_PAGES];
    for (slot, virt) in stale.iter_mut().zip(range.step_by(PAGE_BYTES as usize)) {
        *slot = page_table::unmap(virt);
    }
    let flushed = mailbox::flush_everywhere(None);
    let stale = stale.iter_mut().filter_map(Option::take);
    stale
        .map(|frame| frames::free(frame.reclaim(&flushed)))
        .count() as u64
}
