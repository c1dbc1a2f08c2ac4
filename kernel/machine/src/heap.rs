//! The kernel's heap: what `malloc` gives, over the kept allocator `talc`.
//!
//! Law: memory of the heap never faults (it is backed when it is added), because code with interrupts off
//! reads it. One lock guards it; the heap grows inside that lock by asking the hook for pages, so the hook
//! must not allocate. Every block carries a header with its length and its distance from the block's
//! start, since C's `free` names neither. Freed memory stays with the heap; [`statistics`] tells
//! how much of it is in use. Once [`serve_large_blocks`] was called, blocks of [`LARGE_BYTES`] and more are
//! mapped one by one and unmapped when they are freed; their pages come on demand, so code with interrupts
//! off must not touch them.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use talc::DefaultBinning;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

use spin::Once;

use crate::checks::context;
use crate::sync::IrqLock;

/// Alignment of every block unless more is asked for, as the System V ABI wants of `malloc`.
pub const MIN_ALIGN: usize = 16;
/// Marks a live block; a release of anything else stops the machine instead of corrupting the heap.
const LIVE: u64 = 0x4b50_494f_4c49_5645;
/// Marks a live block that has a mapping of its own.
const LIVE_LARGE: u64 = 0x4b50_494f_4c41_5247;
const HEADER_BYTES: usize = 32;

/// Backs at least this many more bytes right after the heap's end; returns the added range.
pub type Grow = fn(min_len_bytes: usize) -> Option<core::ops::Range<usize>>;

/// From this length on a block gets a mapping of its own.
pub const LARGE_BYTES: usize = 256 * 1024;

/// Maps a block of this length, page-aligned and zeroed on demand; returns its start.
pub type MapLarge = fn(len_bytes: usize) -> Option<usize>;
/// Unmaps a block that [`MapLarge`] made.
pub type UnmapLarge = fn(start: usize, len_bytes: usize);

static LARGE: Once<(MapLarge, UnmapLarge)> = Once::new();
static GROW: AtomicUsize = AtomicUsize::new(0);
static IN_USE_BYTES: AtomicUsize = AtomicUsize::new(0);
static BACKED_BYTES: AtomicUsize = AtomicUsize::new(0);
static HEAP: IrqLock<Talc<Pages, DefaultBinning>> =
    IrqLock::named("heap", Talc::new(Pages { end: None }));

#[repr(C)]
struct Header {
    mark: u64,
    len_bytes: usize,
    block: *mut u8,
    block_len_bytes: usize,
}

/// Tells the heap where pages come from. Called once at boot, before the first allocation.
pub fn init(grow: Grow) {
    GROW.store(grow as usize, Ordering::Release);
}

/// From here on large blocks are mapped by `map` and unmapped by `unmap`.
pub fn serve_large_blocks(map: MapLarge, unmap: UnmapLarge) {
    LARGE.call_once(|| (map, unmap));
}

/// Bytes in live blocks, and bytes that back the heap.
pub fn statistics() -> (usize, usize) {
    (
        IN_USE_BYTES.load(Ordering::Relaxed),
        BACKED_BYTES.load(Ordering::Relaxed),
    )
}

/// A block of at least `len_bytes`, aligned to `align` (a power of two). `None` when memory is out.
#[cfg_attr(feature = "checks", track_caller)]
pub fn allocate(len_bytes: usize, align: usize) -> Option<NonNull<u8>> {
    context::about_to_use_heap();
    let align = align.max(MIN_ALIGN);
    let lead = HEADER_BYTES.checked_next_multiple_of(align)?;
    let whole_len_bytes = lead.checked_add(len_bytes)?;
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
    let layout = Layout::from_size_align(whole_len_bytes, align).ok()?;
    // SAFETY: the layout's size is not zero, since the header is part of it.
    let block = unsafe { HEAP.lock().allocate(layout) }?.as_ptr() as usize;
    IN_USE_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
    // SAFETY: `lead` bytes stand before the caller's part, at least a header's worth.
    unsafe { place(block + lead, block, layout.size(), len_bytes, LIVE) }
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
    // SAFETY: by this function's contract; both are aligned to 16.
    unsafe {
        header(start).write(Header {
            mark,
            len_bytes,
            block: block as *mut u8,
            block_len_bytes,
        });
    }
    Some(start)
}

/// Gives a block back.
///
/// # Safety
/// `start` came from [`allocate`], was not released since, and nobody uses it any more.
pub unsafe fn release(start: NonNull<u8>) {
    context::about_to_use_heap();
    // SAFETY: by this function's contract a live header stands before `start`.
    let header = unsafe { &mut *header(start) };
    let (block, len_bytes) = (header.block, header.block_len_bytes);
    match core::mem::replace(&mut header.mark, 0) {
        // SAFETY: by this function's contract and the mark.
        LIVE => unsafe { release_small(start, block, len_bytes) },
        LIVE_LARGE => {
            if let Some((_, unmap)) = LARGE.get() {
                unmap(block as usize, len_bytes);
            }
        }
        _ => panic!("a block is freed that is not live"),
    }
}

unsafe fn release_small(start: NonNull<u8>, block: *mut u8, len_bytes: usize) {
    let align = (start.as_ptr() as usize - block as usize).next_power_of_two();
    IN_USE_BYTES.fetch_sub(len_bytes, Ordering::Relaxed);
    let layout = Layout::from_size_align(len_bytes, align.max(MIN_ALIGN));
    // SAFETY: block and length are those of the allocation; talc uses the layout's size only.
    unsafe {
        HEAP.lock().deallocate(block, layout.unwrap_unchecked());
    }
}

/// How many bytes the block's holder asked for.
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
    let hook = GROW.load(Ordering::Acquire);
    if hook == 0 {
        return None;
    }
    // SAFETY: only `init` stores here, and it stores a `Grow`.
    let hook: Grow = unsafe { core::mem::transmute(hook) };
    hook(min_len_bytes)
}
