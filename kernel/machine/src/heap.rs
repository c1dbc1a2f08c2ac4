//! The kernel's heap: what `malloc` gives, over the kept allocator `talc`.
//!
//! Law: memory of the heap never faults (it is backed when it is added), because code with interrupts off
//! reads it. One lock guards it; the heap grows inside that lock by asking the hook for pages, so the hook
//! must not allocate. Every block carries a header with its length and its distance from the block's
//! start, since C's `free` names neither. Freed memory stays with the heap; [`statistics`] tells
//! how much of it is in use. Large blocks belong in regions: that is the caller's choice.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;
use talc::DefaultBinning;

use crate::sync::IrqLock;

/// Alignment of every block unless more is asked for, as the System V ABI wants of `malloc`.
pub const MIN_ALIGN: usize = 16;
/// Marks a live block; a release of anything else stops the machine instead of corrupting the heap.
const LIVE: u64 = 0x4b50_494f_4c49_5645;
const HEADER_BYTES: usize = 32;

/// Backs at least this many more bytes right after the heap's end; returns the added range.
pub type Grow = fn(min_len_bytes: usize) -> Option<core::ops::Range<usize>>;

static GROW: AtomicUsize = AtomicUsize::new(0);
static IN_USE_BYTES: AtomicUsize = AtomicUsize::new(0);
static BACKED_BYTES: AtomicUsize = AtomicUsize::new(0);
static HEAP: IrqLock<Talc<Pages, DefaultBinning>> = IrqLock::new(Talc::new(Pages { end: None }));

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

/// Bytes in live blocks, and bytes that back the heap.
pub fn statistics() -> (usize, usize) {
    (
        IN_USE_BYTES.load(Ordering::Relaxed),
        BACKED_BYTES.load(Ordering::Relaxed),
    )
}

/// A block of at least `len_bytes`, aligned to `align` (a power of two). `None` when memory is out.
pub fn allocate(len_bytes: usize, align: usize) -> Option<NonNull<u8>> {
    let align = align.max(MIN_ALIGN);
    let lead = HEADER_BYTES.next_multiple_of(align);
    let layout = Layout::from_size_align(lead.checked_add(len_bytes)?, align).ok()?;
    // SAFETY: the layout's size is not zero, since the header is part of it.
    let block = unsafe { HEAP.lock().allocate(layout) }?;
    IN_USE_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
    // SAFETY: `lead` bytes stand before the caller's part, at least a header's worth, aligned to 16.
    unsafe {
        let start = block.as_ptr().add(lead);
        start.sub(HEADER_BYTES).cast::<Header>().write(Header {
            mark: LIVE,
            len_bytes,
            block: block.as_ptr(),
            block_len_bytes: layout.size(),
        });
        NonNull::new(start)
    }
}

/// Gives a block back.
///
/// # Safety
/// `start` came from [`allocate`], was not released since, and nobody uses it any more.
pub unsafe fn release(start: NonNull<u8>) {
    // SAFETY: by this function's contract a live header stands before `start`.
    let header = unsafe { &mut *header(start) };
    assert!(header.mark == LIVE, "a block is freed that is not live");
    header.mark = 0;
    let (block, len_bytes) = (header.block, header.block_len_bytes);
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
