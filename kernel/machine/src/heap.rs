//! The kernel's heap: what `malloc` gives, over the kept allocator `talc`.
//!
//! Law: memory of the heap never faults (it is backed when it is added), because code with interrupts off
//! reads it. Every block carries a header with its length and its distance from the block's start, since
//! C's `free` names neither. Small blocks come from and go to lists that each CPU keeps ([`cpu_cache`]); one lock
//! guards what is behind them. The heap grows inside that lock by asking the hook for pages, so the hook
//! must not allocate. Before a request is refused, the lists are emptied, then the owner of memory is asked
//! ([`Shortage`]), with no lock held.
//!
//! What is freed stays with the heap until [`give_back_end`] cuts the free part off its end; what is free between live
//! blocks cannot go. [`statistics`] tells how much is in use.
//!
//! Once [`serve_large_blocks`] was called, blocks of [`LARGE_BYTES`] and more are mapped one by one and
//! unmapped when they are freed; their pages come on demand, so code with interrupts off must not touch
//! them.

mod checks;
mod cpu_cache;

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use lib_size_class::{class_of, len_bytes as class_len_bytes};
use talc::DefaultBinning;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

use spin::Once;

use crate::checks::context;
use crate::sync::{IrqLock, IrqLockGuard};

/// Alignment of every block unless more is asked for, as the System V ABI wants of `malloc`.
pub const MIN_ALIGN: usize = 16;
/// Marks a live block; a release of anything else stops the machine instead of corrupting the heap.
const LIVE: u64 = 0x4b50_494f_4c49_5645;
/// Marks a live block that has a mapping of its own.
const LIVE_LARGE: u64 = 0x4b50_494f_4c41_5247;
const HEADER_BYTES: usize = 32;
/// Of a free end, this much stays for the next requests.
const KEPT_END_BYTES: usize = 256 * 1024;
const PAGE_LEN: usize = crate::memory::PAGE_LEN;

/// Backs at least this many more bytes right after the heap's end; returns the added range.
pub type Grow = fn(min_len_bytes: usize) -> Option<core::ops::Range<usize>>;
/// Is told that a request cannot be served; true if it is worth trying again. Called without locks.
pub type Shortage = fn(len_bytes: usize) -> bool;

/// From this length on a block gets a mapping of its own.
pub const LARGE_BYTES: usize = 256 * 1024;

/// Maps a block of this length, page-aligned and zeroed on demand; returns its start.
pub type MapLarge = fn(len_bytes: usize) -> Option<usize>;
/// Unmaps a block that [`MapLarge`] made.
pub type UnmapLarge = fn(start: usize, len_bytes: usize);

static LARGE: Once<(MapLarge, UnmapLarge)> = Once::new();
static HOOKS: Once<(Grow, Shortage)> = Once::new();
static BACKED_BYTES: AtomicUsize = AtomicUsize::new(0);
static HEAP: IrqLock<Allocator> = IrqLock::named("heap", Talc::new(Pages { end: None }));

type Allocator = Talc<Pages, DefaultBinning>;

#[repr(C)]
struct Header {
    mark: u64,
    len_bytes: usize,
    block: *mut u8,
    block_len_bytes: usize,
}

/// Tells the heap where pages come from and whom to ask when there are none. Called once at boot, before the first
/// allocation.
pub fn init(grow: Grow, shortage: Shortage) {
    HOOKS.call_once(|| (grow, shortage));
}

/// From here on large blocks are mapped by `map` and unmapped by `unmap`.
pub fn serve_large_blocks(map: MapLarge, unmap: UnmapLarge) {
    LARGE.call_once(|| (map, unmap));
}

/// Bytes in live blocks, and bytes that back the heap.
pub fn statistics() -> (usize, usize) {
    let backed_bytes = BACKED_BYTES.load(Ordering::Relaxed);
    (cpu_cache::in_use_bytes(), backed_bytes)
}

/// A block of at least `len_bytes`, aligned to `align` (a power of two). `None` when memory is out.
#[cfg_attr(feature = "checks", track_caller)]
pub fn allocate(len_bytes: usize, align: usize) -> Option<NonNull<u8>> {
    context::about_to_use_heap();
    let align = align.max(MIN_ALIGN);
    let lead = HEADER_BYTES.checked_next_multiple_of(align)?;
    let whole_len_bytes = lead
        .checked_add(len_bytes)?
        .checked_add(checks::RED_ZONE_BYTES)?;
    match LARGE.get() {
        Some((map, _)) if whole_len_bytes >= LARGE_BYTES => {
            // A mapping is aligned to pages; more than that is found inside a longer one.
            let block_len_bytes = whole_len_bytes.checked_add(align)?;
            let block = map(block_len_bytes)?;
            let start = (block + HEADER_BYTES).checked_next_multiple_of(align)?;
            // SAFETY: the block is fresh and long enough for the lead, the length and the alignment.
            unsafe { place(start, block, block_len_bytes, len_bytes, LIVE_LARGE) }
        }
        _ => allocate_small(lead, whole_len_bytes, align, len_bytes),
    }
}

fn allocate_small(
    lead: usize,
    whole_len_bytes: usize,
    align: usize,
    len_bytes: usize,
) -> Option<NonNull<u8>> {
    let class = class_of(whole_len_bytes).filter(|_| align == MIN_ALIGN);
    let block_len_bytes = class.map_or(whole_len_bytes, class_len_bytes);
    let layout = Layout::from_size_align(block_len_bytes, align).ok()?;
    let request = || match class {
        Some(class) => cpu_cache::take(class, behind),
        None => behind().take(layout),
    };
    let block = persist(block_len_bytes, request)?.as_ptr() as usize;
    cpu_cache::account(block_len_bytes as i64);
    // SAFETY: `lead` bytes stand before the caller's part, at least a header's worth.
    unsafe { place(block + lead, block, block_len_bytes, len_bytes, LIVE) }
}

/// Makes a request, and makes it again when memory came back.
fn persist(len_bytes: usize, request: impl Fn() -> Option<NonNull<u8>>) -> Option<NonNull<u8>> {
    request().or_else(|| persist_in_need(len_bytes, &request))
}

#[cold]
fn persist_in_need(
    len_bytes: usize,
    request: &dyn Fn() -> Option<NonNull<u8>>,
) -> Option<NonNull<u8>> {
    cpu_cache::drain(behind);
    let again = |(_, shortage): &(Grow, Shortage)| shortage(len_bytes);
    request().or_else(|| HOOKS.get().is_some_and(again).then(request).flatten())
}

/// The allocator behind the lists, locked.
fn behind() -> Behind {
    Behind(HEAP.lock())
}

struct Behind(IrqLockGuard<'static, Allocator>);

impl Behind {
    fn take(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: no layout here has size 0: a header is part of every block.
        unsafe { self.0.allocate(layout) }
    }
}

impl cpu_cache::Backing for Behind {
    fn allocate(&mut self, len_bytes: usize) -> Option<NonNull<u8>> {
        self.take(Layout::from_size_align(len_bytes, MIN_ALIGN).ok()?)
    }

    fn release(&mut self, block: NonNull<u8>, len_bytes: usize) {
        // SAFETY: the block was allocated above with this length, is given up by a list, and talc uses the
        // layout's size only.
        unsafe {
            let layout = Layout::from_size_align_unchecked(len_bytes, MIN_ALIGN);
            self.0.deallocate(block.as_ptr(), layout);
        }
    }
}

/// Writes the header of the block that starts at `block` and whose caller's part starts at `start`.
///
/// # Safety
/// The block is owned by the caller, and at least [`HEADER_BYTES`] of it stand before `start`.
unsafe fn place(
    start: usize,
    block: usize,
    block_len_bytes: usize,
    len_bytes: usize,
    mark: u64,
) -> Option<NonNull<u8>> {
    let start = NonNull::new(start as *mut u8)?;
    let end_bytes = end_bytes(start, block, block_len_bytes);
    // With a red zone the holder gets what was asked for and no byte more.
    let usable = checks::RED_ZONE_BYTES == 0;
    let len_bytes = if usable { end_bytes } else { len_bytes };
    // SAFETY: by this function's contract; both are aligned to 16.
    unsafe {
        header(start).write(Header {
            mark,
            len_bytes,
            block: block as *mut u8,
            block_len_bytes,
        });
        checks::draw_red_zone(start, len_bytes, end_bytes);
    }
    Some(start)
}

/// Where a block ends, counted from its caller's part.
fn end_bytes(start: NonNull<u8>, block: usize, block_len_bytes: usize) -> usize {
    block + block_len_bytes - start.as_ptr() as usize
}

/// Gives a block back.
///
/// # Safety
/// `start` came from [`allocate`], was not released since, and nobody uses it any more.
pub unsafe fn release(start: NonNull<u8>) {
    context::about_to_use_heap();
    // SAFETY: by this function's contract a live header stands before `start`.
    let header = unsafe { &mut *header(start) };
    let (block, block_len_bytes) = (header.block, header.block_len_bytes);
    let mark = core::mem::replace(&mut header.mark, 0);
    assert!(
        matches!(mark, LIVE | LIVE_LARGE),
        "a block is freed that is not live"
    );
    let end_bytes = end_bytes(start, block as usize, block_len_bytes);
    // SAFETY: the mark says that the header is one, so these are the block's own bounds.
    unsafe { checks::expect_red_zone(start, header.len_bytes, end_bytes) };
    match LARGE.get() {
        Some((_, unmap)) if mark == LIVE_LARGE => unmap(block as usize, block_len_bytes),
        // SAFETY: by this function's contract and the mark.
        _ => unsafe { release_small(block, block_len_bytes) },
    }
}

/// # Safety
/// The block is live, small, of this length, and nobody uses it any more.
unsafe fn release_small(block: *mut u8, len_bytes: usize) {
    cpu_cache::account(-(len_bytes as i64));
    let Some(block) = NonNull::new(block) else {
        return;
    };
    match class_of(len_bytes).filter(|class| class_len_bytes(*class) == len_bytes) {
        // SAFETY: of the class's length, by this function's contract; all blocks come from behind.
        Some(class) => unsafe { cpu_cache::give(class, block, behind) },
        None => cpu_cache::Backing::release(&mut behind(), block, len_bytes),
    }
}

/// How many bytes the block's holder may use: at least what was asked for.
///
/// # Safety
/// `start` came from [`allocate`] and is live.
pub unsafe fn len_bytes(start: NonNull<u8>) -> usize {
    // SAFETY: by this function's contract.
    unsafe { (*header(start)).len_bytes }
}

fn header(start: NonNull<u8>) -> *mut Header {
    start.as_ptr().wrapping_sub(HEADER_BYTES).cast()
}

/// Cuts whole free pages off the heap's end, but for a reserve, and hands them out: nothing of the heap's is in
/// them, and the heap does not go on from here before [`end_cut`]. `None` if less than `min_len_bytes` would come.
pub fn begin_cut(min_len_bytes: usize) -> Option<core::ops::Range<usize>> {
    cpu_cache::drain(behind);
    let mut heap = HEAP.lock();
    let end = heap.source.end?;
    // SAFETY: `end` is the end that talc knows.
    let used_end = unsafe { heap.reserved(end) }.up_to.as_ptr() as usize;
    let (new_end, end_address) = (
        (used_end + KEPT_END_BYTES).next_multiple_of(PAGE_LEN),
        end.as_ptr() as usize,
    );
    if end_address < new_end + min_len_bytes.max(PAGE_LEN) {
        return None;
    }
    // SAFETY: as above; the lock is held.
    let cut = unsafe { heap.truncate(end, new_end as *mut u8) }?;
    heap.source.end = None;
    BACKED_BYTES.fetch_sub(end_address - new_end, Ordering::Relaxed);
    assert!(
        cut.as_ptr() as usize == new_end,
        "the heap's end is cut on a page"
    );
    Some(new_end..end_address)
}

/// The pages of a cut are unmapped. If the heap did not grow meanwhile, it goes on where it was cut, and
/// `move_end` is told so within the heap's lock.
pub fn end_cut(cut: core::ops::Range<usize>, move_end: impl FnOnce(usize)) {
    let mut heap = HEAP.lock();
    if heap.source.end.is_none() {
        heap.source.end = NonNull::new(cut.start as *mut u8);
        move_end(cut.start);
    }
}

/// Feeds talc with pages from the hook.
#[derive(Debug)]
struct Pages {
    end: Option<NonNull<u8>>,
}

// SAFETY: the pointer names heap memory, which only the holder of the heap's lock touches.
unsafe impl Send for Pages {}

// SAFETY: `acquire` only hands talc memory that the hook just backed and that nobody else has.
unsafe impl Source for Pages {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let wanted = layout.size() + layout.align() + 4096;
        let range = grow(wanted).ok_or(())?;
        BACKED_BYTES.fetch_add(range.len(), Ordering::Relaxed);
        let new_end = range.end as *mut u8;
        let extended = match talc.source.end {
            // SAFETY: `end` is the end of talc's heap, and the hook's ranges are adjacent and ours.
            Some(end) if end.as_ptr() as usize == range.start => unsafe {
                Some(talc.extend(end, new_end))
            },
            // SAFETY: the range is freshly backed memory of the heap's window.
            _ => unsafe { talc.claim(range.start as *mut u8, range.len()) },
        };
        talc.source.end = extended;
        extended.map(|_| ()).ok_or(())
    }
}

fn grow(min_len_bytes: usize) -> Option<core::ops::Range<usize>> {
    let (grow, _) = HOOKS.get()?;
    grow(min_len_bytes)
}
