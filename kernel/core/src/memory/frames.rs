//! Physical memory: `lib-buddy` over all usable RAM, with a cache of free frames for each CPU.
//!
//! Law: metadata stands outside the frames and RAM is not touched before it is used. A frame that leaves
//! here is zeroed, by idle CPUs ahead of need where they had the time. Taking and freeing one frame takes the lock of
//! this CPU's own cache; the store's lock, which all share, once for many frames. The invariants of caches,
//! pool and reserve are those of `lib-frame-cache`; what stands in them is free and counted as such.
//!
//! Reserve: the last frames go only to those who must not fail while work that was admitted is finished, or
//! ended: see [`floor`]. Before anybody who holds no lock is refused, [`reclaim`] asks for frames back.
//!
//! Lock order: one CPU's cache, then the store; both are taken last, nothing of anybody else is taken
//! under them.

use core::sync::atomic::{AtomicU64, Ordering};

use contract_boot::{MemoryRange, memory_kind};
use kernel_machine::cpu::{self, CPUS_MAX};
use kernel_machine::memory::frame::{self, FrameOwner, NewTable};
use kernel_machine::memory::{Frame, FrameBlock, PAGE_BYTES};
use kernel_machine::sync::IrqLock;
use lib_buddy::Buddy;
use lib_frame_cache::{CpuCache, Exclusive, FrameCaches, Store};

use super::{held, reclaim};

/// Frames that only the kernel's own needs may take: 4 MiB.
pub const RESERVE_FRAMES: u64 = 1024;
/// Of these, what threads' stacks, and other pages that the kernel's own code meets, leave to heap and page
/// tables, so that code which runs can run to its end.
const KERNEL_FLOOR: u64 = 512;
/// Of these, what the heap leaves to page tables: without tables nothing can be mapped or ended.
const HEAP_FLOOR: u64 = 256;
/// Caches and pool are filled only while this many frames are left: the reserve, and some frames for requests that
/// come while caches are being emptied.
const LOW_FRAMES: u64 = RESERVE_FRAMES + 64;
/// Free frames that a CPU keeps of each kind, zeroed and not.
const CACHE_FRAMES: usize = 32;
/// Frames that idle CPUs zero ahead of need: 1 MiB.
const POOL_FRAMES: usize = 256;

/// One CPU's cache, in cache lines of its own.
#[repr(align(128))]
struct Cache(IrqLock<CpuCache<CACHE_FRAMES>>);

struct Shared(IrqLock<Store<'static, POOL_FRAMES>>);

impl Exclusive<CpuCache<CACHE_FRAMES>> for Cache {
    fn with<R>(&self, body: impl FnOnce(&mut CpuCache<CACHE_FRAMES>) -> R) -> R {
        body(&mut self.0.lock())
    }
}

impl Exclusive<Store<'static, POOL_FRAMES>> for Shared {
    fn with<R>(&self, body: impl FnOnce(&mut Store<'static, POOL_FRAMES>) -> R) -> R {
        body(&mut self.0.lock())
    }
}

static CACHES: [Cache; CPUS_MAX] =
    [const { Cache(IrqLock::named("frame cache", CpuCache::EMPTY)) }; CPUS_MAX];
static STORE: Shared = Shared(IrqLock::named("frames", Store::EMPTY));

/// See [`plenty`].
static PLENTY_FRAMES: AtomicU64 = AtomicU64::new(u64::MAX / 2);

fn caches() -> FrameCaches<'static, Cache, Shared> {
    FrameCaches {
        caches: &CACHES,
        store: &STORE,
    }
}

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
    let usable_bytes: u64 = usable().map(|range| range.len_bytes).sum();
    PLENTY_FRAMES.store(usable_bytes / PAGE_BYTES / 8, Ordering::Relaxed);
    STORE.with(|store| store.start(buddy, LOW_FRAMES));
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

/// How many frames a request leaves to others.
pub(super) fn floor(owner: FrameOwner) -> u64 {
    match owner {
        FrameOwner::PageTables => 0,
        FrameOwner::Heap => HEAP_FLOOR,
        FrameOwner::Stacks => KERNEL_FLOOR,
        _ => RESERVE_FRAMES,
    }
}

/// How many frames a request leaves that code of the kernel makes which can be neither ended nor refused.
pub(super) fn kernel_floor(owner: FrameOwner) -> u64 {
    floor(owner).min(KERNEL_FLOOR)
}

/// Whether requests for `owner` come from inside the heap's or the regions' lock, where nobody can be asked.
fn is_under_a_lock(owner: FrameOwner) -> bool {
    matches!(owner, FrameOwner::PageTables | FrameOwner::Heap)
}

/// Serves a request, and serves it again when memory came back.
fn take<T>(owner: FrameOwner, frame_count: u64, request: impl Fn() -> Option<T>) -> Option<T> {
    request().or_else(|| {
        let again = !is_under_a_lock(owner) && reclaim::run(frame_count);
        again.then(request).flatten()
    })
}

/// A zeroed frame for `owner`. `None` when memory is out (for `owner`).
pub fn allocate(owner: FrameOwner) -> Option<Frame> {
    allocate_above(floor(owner), owner)
}

/// As [`allocate`], leaving `floor` frames to others.
pub(super) fn allocate_above(floor: u64, owner: FrameOwner) -> Option<Frame> {
    let number = take_number(floor, owner)?;
    Some(claimed(number, owner, Frame::claim_zeroed(number, owner)))
}

/// As [`allocate_above`], with whatever bytes the frame has: the caller fills all of them.
pub(super) fn allocate_dirty_above(floor: u64, owner: FrameOwner) -> Option<Frame> {
    let number = take_number(floor, owner)?;
    Some(claimed(number, owner, Frame::claim(number, owner)))
}

fn take_number(floor: u64, owner: FrameOwner) -> Option<u64> {
    take(owner, 1, || {
        // Another CPU's cache serves as well, should the thread be moved right here.
        caches().take(cpu::index() as usize, floor)
    })
}

fn claimed(number: u64, owner: FrameOwner, frame: Option<Frame>) -> Frame {
    held::take(owner, 1);
    frame.unwrap_or_else(|| panic!("the frame allocator hands out frame {number:#x} twice"))
}

/// Takes a frame back.
pub fn free(frame: Frame) {
    held::give(frame::owner(frame.number()), 1);
    let number = frame.release();
    let freed = caches().give(cpu::index() as usize, number);
    assert!(freed.is_ok(), "frame {number:#x} is freed twice");
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
    let first = take(owner, frame_count, || {
        caches().take_block(order, reach.end_frame(), floor(owner))
    })?;
    Some(claimed_block(first, order, owner))
}

fn claimed_block(first: u64, order: u8, owner: FrameOwner) -> FrameBlock {
    let Some(mut block) = FrameBlock::claim(first, order, owner) else {
        panic!("the frame allocator hands out the block at frame {first:#x} twice");
    };
    held::take(owner, block.frame_count());
    block.zero();
    block
}

/// A zeroed frame beyond what somebody needs: only while memory is plenty, and nobody is asked to give any back.
pub(super) fn spare(owner: FrameOwner) -> Option<Frame> {
    let number = caches().take_at_hand(cpu::index() as usize, plenty())?;
    Some(claimed(number, owner, Frame::claim_zeroed(number, owner)))
}

/// As [`spare`], 2^`order` zeroed frames as one block.
pub(super) fn spare_block(order: u8, owner: FrameOwner) -> Option<FrameBlock> {
    let first = caches().take_block_at_hand(order, Reach::Anywhere.end_frame(), plenty())?;
    Some(claimed_block(first, order, owner))
}

/// Free frames from which on there is memory for more than what is needed: an eighth of the machine.
fn plenty() -> u64 {
    PLENTY_FRAMES.load(Ordering::Relaxed)
}

/// Takes a block back.
pub fn free_block(block: FrameBlock) {
    held::give(frame::owner(block.first_number()), block.frame_count());
    let (first, order) = block.release();
    let freed = caches().give_block(first, order);
    assert!(
        freed.is_ok(),
        "the block at frame {first:#x} is freed twice"
    );
}

/// Zeroes one frame ahead of need, for idle CPUs. False when enough are zeroed, or memory is short: then there is
/// nothing to do until frames were taken again.
pub fn zero_ahead() -> bool {
    let Some(number) = caches().take_for_pool() else {
        return false;
    };
    // The frame is in nobody's count while it is zeroed: an interrupt may come, the thread stays on its way.
    let zeroed = frame::zero_free(number) && caches().give_to_pool(number).is_ok();
    assert!(
        zeroed,
        "the frame allocator hands out frame {number:#x} twice"
    );
    true
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
