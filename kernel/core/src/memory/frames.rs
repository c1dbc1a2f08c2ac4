//! The frame allocator: `lib-buddy` over all usable RAM, under one lock.
//!
//! Law: metadata stands outside the frames and RAM is not touched before it is used. A frame that leaves
//! here is zeroed. The last [`RESERVE_FRAMES`] are for the kernel itself (page tables and heap), so that work
//! which was admitted can finish. Lock order: this lock is taken last; nothing is taken under it.

use contract_boot::{MemoryRange, memory_kind};
use kernel_machine::memory::frame::{self, FrameOwner, NewTable};
use kernel_machine::memory::{Frame, FrameBlock, PAGE_BYTES};
use kernel_machine::sync::IrqLock;
use lib_buddy::Buddy;

/// Frames that only page tables and the kernel's heap may take: 4 MiB.
pub const RESERVE_FRAMES: u64 = 1024;

static ALLOCATOR: IrqLock<Option<Buddy<'static>>> = IrqLock::new(None);

/// How much memory there is, in frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameStatistics {
    /// Frames of usable RAM.
    pub total: u64,
    /// Frames in nobody's hands.
    pub free: u64,
    /// Frames by owner, in the order of `OWNERS`.
    pub by_owner: [u64; frame::OWNER_COUNT],
}

/// Takes over the usable ranges of a checked memory map. The metadata is carved out of the largest.
///
/// # Errors
/// A sentence; only where no range can hold the metadata.
pub(super) fn init(ranges: &[MemoryRange]) -> Result<(), &'static str> {
    let usable = || {
        ranges
            .iter()
            .filter(|range| range.kind == memory_kind::USABLE)
    };
    let ram = ranges.iter().filter(|range| is_kernel_ram(range.kind));
    let end_frame = ram.map(range_end_frame).max().unwrap_or(0);
    let largest = usable().max_by_key(|range| range.len_bytes);
    let largest = largest.ok_or("the machine has no usable memory")?;
    let table_bytes = frame::table_len_bytes(end_frame).next_multiple_of(PAGE_BYTES);
    let word_count = lib_buddy::metadata_words(end_frame);
    let metadata_bytes = table_bytes + (word_count as u64 * 8).next_multiple_of(PAGE_BYTES);
    if metadata_bytes >= largest.len_bytes {
        return Err("no range of memory can hold the frame allocator's tables");
    }
    let metadata_start = largest.start + largest.len_bytes - metadata_bytes;
    let words = frame::metadata_words(metadata_start + table_bytes, word_count);
    let words = words.ok_or("the frame allocator's tables are not mapped")?;
    let table = frame::NewTable::new(end_frame, metadata_start);
    let mut table = table.ok_or("the frame table is not mapped")?;
    let mut buddy = Buddy::new(0, end_frame, words)
        .map_err(|_| "the frame allocator refuses the memory map")?;
    for range in usable() {
        let end = (range.start + range.len_bytes).min(if range.start == largest.start {
            metadata_start
        } else {
            u64::MAX
        });
        add_range(&mut buddy, &mut table, range.start.max(PAGE_BYTES), end);
    }
    let metadata = metadata_start / PAGE_BYTES..(metadata_start + metadata_bytes) / PAGE_BYTES;
    charge(&mut table, metadata, FrameOwner::Memory);
    for range in ranges.iter().filter(|range| is_kernels_own(range.kind)) {
        let frames = range.start / PAGE_BYTES..range_end_frame(range);
        charge(&mut table, frames, FrameOwner::Kernel);
    }
    table.publish();
    *ALLOCATOR.lock() = Some(buddy);
    Ok(())
}

/// RAM that is the kernel's to use or holds what the loader read.
fn is_kernel_ram(kind: u32) -> bool {
    use memory_kind::{KERNEL, LOADER, MODULE, USABLE};
    matches!(kind, USABLE | LOADER | KERNEL | MODULE)
}

fn is_kernels_own(kind: u32) -> bool {
    matches!(kind, memory_kind::KERNEL | memory_kind::LOADER)
}

/// Counts frames that are never handed out.
fn charge(table: &mut NewTable, frames: core::ops::Range<u64>, owner: FrameOwner) {
    let charged = table.charge(frames, owner);
    debug_assert!(charged, "the memory map is disjoint");
}

fn range_end_frame(range: &MemoryRange) -> u64 {
    (range.start + range.len_bytes) / PAGE_BYTES
}

fn add_range(buddy: &mut Buddy<'_>, table: &mut NewTable, start: u64, end: u64) {
    let (first, count) = (start / PAGE_BYTES, end.saturating_sub(start) / PAGE_BYTES);
    let fresh = buddy.release_range(first, count).is_ok();
    if !fresh || !table.charge(first..first + count, FrameOwner::Free) {
        log::warn!("memory at {start:#x} is left out: the map names it twice");
    }
}

/// A zeroed frame for `owner`. `None` when memory is out (for `owner`).
pub fn allocate(owner: FrameOwner) -> Option<Frame> {
    let mut frame = allocate_dirty(owner)?;
    frame.zero();
    Some(frame)
}

fn allocate_dirty(owner: FrameOwner) -> Option<Frame> {
    let may_use_reserve = matches!(owner, FrameOwner::PageTables | FrameOwner::Heap);
    let mut guard = ALLOCATOR.lock();
    let buddy = guard.as_mut()?;
    if !may_use_reserve && buddy.free_frames() <= RESERVE_FRAMES {
        return None;
    }
    let number = buddy.allocate(0)?;
    drop(guard);
    let frame = Frame::claim(number, owner);
    assert!(
        frame.is_some(),
        "the frame allocator hands out frame {number} twice"
    );
    frame
}

/// Takes a frame back.
pub fn free(frame: Frame) {
    let number = frame.release();
    let mut guard = ALLOCATOR.lock();
    let freed = guard.as_mut().map(|buddy| buddy.free(number, 0));
    drop(guard);
    assert!(
        matches!(freed, Some(Ok(()))),
        "frame {number} is freed twice"
    );
}

/// Which physical addresses serve a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All of RAM.
    Anywhere,
    /// What a device with 32-bit addresses reaches.
    Below4GiB,
}

impl Reach {
    /// One past the last frame.
    fn end_frame(self) -> u64 {
        match self {
            Self::Anywhere => lib_buddy::FRAME_LIMIT,
            Self::Below4GiB => (1 << 32) / PAGE_BYTES,
        }
    }
}

/// 2^`order` zeroed frames, physically contiguous and aligned to their size. `None` when there is no
/// such block (for `owner`); memory may still be had in smaller ones.
pub fn allocate_block(order: u8, reach: Reach, owner: FrameOwner) -> Option<FrameBlock> {
    let frame_count = 1u64.checked_shl(order.into())?;
    let mut guard = ALLOCATOR.lock();
    let buddy = guard.as_mut()?;
    if buddy.free_frames() < RESERVE_FRAMES.saturating_add(frame_count) {
        return None;
    }
    let first = buddy.allocate_below(order, reach.end_frame())?;
    drop(guard);
    let block = FrameBlock::claim(first, order, owner);
    assert!(
        block.is_some(),
        "the frame allocator hands out the block at frame {first} twice"
    );
    block.map(|mut block| {
        block.zero();
        block
    })
}

/// Takes a block back.
pub fn free_block(block: FrameBlock) {
    let (first, order) = block.release();
    let mut guard = ALLOCATOR.lock();
    let freed = guard.as_mut().map(|buddy| buddy.free(first, order));
    drop(guard);
    assert!(
        matches!(freed, Some(Ok(()))),
        "the block at frame {first} is freed twice"
    );
}

/// The state of memory now.
pub fn statistics() -> FrameStatistics {
    let by_owner = frame::counts();
    let reserved = by_owner[FrameOwner::Reserved as usize];
    FrameStatistics {
        total: by_owner.iter().sum::<u64>() - reserved,
        free: by_owner[FrameOwner::Free as usize],
        by_owner,
    }
}
