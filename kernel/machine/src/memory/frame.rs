//! Frames: owned physical pages.
//!
//! Law: one byte per frame says who owns it; the byte changes only by the compare-and-swap of
//! [`Frame::claim`] and by [`Frame::release`] and [`Frame::change_owner`]. So a frame cannot be owned
//! twice whatever the allocator above does, and the counters per owner add up to the frames that are
//! not free.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use spin::Once;

use super::{PAGE_BYTES, PAGE_LEN, direct_map};
use crate::cpu::mailbox::Flushed;

/// What a frame is used for.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameOwner {
    /// In no allocator: firmware, devices, holes, the kernel's segments, boot modules.
    Reserved = 0,
    /// In the frame allocator.
    Free = 1,
    /// Metadata of the memory system itself.
    Memory = 2,
    /// Page tables.
    PageTables = 3,
    /// The kernel's heap.
    Heap = 4,
    /// Stacks of kernel threads.
    Stacks = 5,
    /// Regions that the runtime mapped: linear memories, code, large allocations.
    Regions = 6,
    /// Files that the loader read: bundles.
    BootModules = 7,
    /// The kernel's segments and what the loader made for it.
    Kernel = 8,
}

/// How many owners there are.
pub const OWNER_COUNT: usize = 9;
/// Every owner with its name as people read it.
pub const OWNERS: [(FrameOwner, &str); OWNER_COUNT] = [
    (FrameOwner::Reserved, "reserved"),
    (FrameOwner::Free, "free"),
    (FrameOwner::Memory, "memory metadata"),
    (FrameOwner::PageTables, "page tables"),
    (FrameOwner::Heap, "kernel heap"),
    (FrameOwner::Stacks, "stacks"),
    (FrameOwner::Regions, "regions"),
    (FrameOwner::BootModules, "boot modules"),
    (FrameOwner::Kernel, "kernel"),
];

static STATES: Once<&'static [AtomicU8]> = Once::new();
static COUNTS: [AtomicU64; OWNER_COUNT] = [const { AtomicU64::new(0) }; OWNER_COUNT];

/// Bytes of metadata for `frame_count` frames.
pub fn table_len_bytes(frame_count: u64) -> u64 {
    frame_count
}

/// Sets up the state table in physical memory that nothing else uses; all frames become `Reserved`.
///
/// The caller gives a usable, page-aligned range of at least [`table_len_bytes`] that it never uses again.
/// `None` if it is not in the direct map.
pub fn init(frame_count: u64, table_physical_start: u64) -> Option<()> {
    let len_bytes = table_len_bytes(frame_count);
    claim_metadata(table_physical_start, len_bytes)?;
    let start = direct_map::pointer(table_physical_start).cast::<AtomicU8>();
    // SAFETY: `claim_metadata` zeroed the range; it is mapped and by this function's contract ours.
    STATES.call_once(|| unsafe { core::slice::from_raw_parts(start, frame_count as usize) });
    COUNTS[FrameOwner::Reserved as usize].store(frame_count, Ordering::Relaxed);
    Some(())
}

/// Zeroes a physical range at boot and gives it out as words for metadata, for ever.
///
/// The caller gives each usable range at most once, before frames are allocated from it.
pub fn metadata_words(physical_start: u64, word_count: usize) -> Option<&'static mut [u64]> {
    claim_metadata(physical_start, word_count as u64 * 8)?;
    // SAFETY: zeroed, mapped, aligned to a page; by the contract above nobody else has it.
    Some(unsafe {
        core::slice::from_raw_parts_mut(direct_map::pointer(physical_start).cast(), word_count)
    })
}

fn claim_metadata(physical_start: u64, len_bytes: u64) -> Option<()> {
    let end = physical_start.checked_add(len_bytes)?;
    if !physical_start.is_multiple_of(PAGE_BYTES) || end > direct_map::len_bytes() {
        return None;
    }
    // SAFETY: in the direct map; the caller says that nobody uses it.
    unsafe { direct_map::pointer(physical_start).write_bytes(0, len_bytes as usize) };
    Some(())
}

/// Frames in each owner's hands, in the order of [`OWNERS`].
pub fn counts() -> [u64; OWNER_COUNT] {
    core::array::from_fn(|owner| COUNTS[owner].load(Ordering::Relaxed))
}

/// At boot: charges a reserved frame that no allocator gets to whoever it serves. False if it was not reserved.
pub fn charge_reserved(number: u64, owner: FrameOwner) -> bool {
    transition(number, FrameOwner::Reserved, owner)
}

/// At boot: marks a reserved frame as being in the allocator. False if it was not reserved.
pub fn release_reserved(number: u64) -> bool {
    transition(number, FrameOwner::Reserved, FrameOwner::Free)
}

fn transition(number: u64, from: FrameOwner, to: FrameOwner) -> bool {
    let Some(state) = STATES.get().and_then(|states| states.get(number as usize)) else {
        return false;
    };
    let swapped = state
        .compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Relaxed)
        .is_ok();
    if swapped {
        COUNTS[from as usize].fetch_sub(1, Ordering::Relaxed);
        COUNTS[to as usize].fetch_add(1, Ordering::Relaxed);
    }
    swapped
}

pub(super) fn owner(number: u64) -> FrameOwner {
    let state = STATES.get().and_then(|states| states.get(number as usize));
    let state = state.map_or(0, |state| state.load(Ordering::Acquire));
    OWNERS[state as usize].0
}

/// One physical page that its holder alone may use.
#[derive(Debug)]
#[must_use = "a dropped frame is lost: release it"]
pub struct Frame(u64);

impl Frame {
    /// Takes a frame that the allocator had as free. `None` if it was not free: the allocator is wrong.
    pub fn claim(number: u64, owner: FrameOwner) -> Option<Self> {
        transition(number, FrameOwner::Free, owner).then_some(Self(number))
    }

    /// Takes a frame that the loader filled and that no allocator ever had. `None` if it is not such a one.
    pub fn claim_boot_module(number: u64) -> Option<Self> {
        let owner = FrameOwner::BootModules;
        transition(number, FrameOwner::Reserved, owner).then_some(Self(number))
    }

    /// Gives the frame up and returns its number for the allocator.
    pub fn release(self) -> u64 {
        let was = owner(self.0);
        assert!(
            transition(self.0, was, FrameOwner::Free),
            "a frame changed its owner while it was held"
        );
        self.0
    }

    /// Charges the frame to another owner.
    pub fn change_owner(&mut self, to: FrameOwner) {
        transition(self.0, owner(self.0), to);
    }

    /// The frame's number.
    pub fn number(&self) -> u64 {
        self.0
    }

    /// Fills the frame with zeroes.
    pub fn zero(&mut self) {
        // SAFETY: the frame is ours alone, and the direct map covers all frames writably.
        unsafe { self.pointer().write_bytes(0, PAGE_LEN) }
    }

    /// The frame's bytes.
    pub fn bytes_mut(&mut self) -> &mut [u8; PAGE_LEN] {
        // SAFETY: as in `zero`; any bytes are valid.
        unsafe { &mut *self.pointer().cast() }
    }

    pub(super) fn into_number(self) -> u64 {
        self.0
    }

    fn pointer(&self) -> *mut u8 {
        direct_map::pointer(self.0 * PAGE_BYTES)
    }
}

/// A frame that was unmapped but may still stand in some CPU's translation buffer.
#[derive(Debug)]
#[must_use = "reclaim it against a flush"]
pub struct StaleFrame(pub(super) u64);

impl StaleFrame {
    /// Becomes usable again: `flushed` proves that the old translation is gone everywhere.
    pub fn reclaim(self, _flushed: &Flushed) -> Frame {
        Frame(self.0)
    }
}
