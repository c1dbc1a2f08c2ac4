//! Frames: owned physical pages.
//!
//! Law: one byte per frame says who owns it; the byte changes only by the compare-and-swap of
//! [`Frame::claim`] and by [`Frame::release`] and [`Frame::change_owner`]. So a frame cannot be owned
//! twice whatever the allocator above does. Each CPU counts what it hands out and takes back in a row of its own,
//! so that claiming touches no line that other CPUs write; what no owner has is free, so the
//! counts add up to the machine's frames at every moment.
//!
//! A free frame may be known to be zeroed; it is free all the same. With the feature `checks` every other
//! frame that was ever owned is filled with poison while it is free, and whoever claims it stops the machine
//! if a byte has changed; see [`super::frame_checks`].

use core::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};

use spin::Once;

use super::{PAGE_BYTES, PAGE_LEN, direct_map, frame_checks};
use crate::checks::translations;
use crate::cpu::mailbox::{self, Flushed};
use crate::cpu::{self, CPUS_MAX};

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
    /// Images that regions show until they write to them.
    Images = 9,
}

/// How many owners there are.
pub const OWNER_COUNT: usize = 10;
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
    (FrameOwner::Images, "memory images"),
];

/// The state of a frame that is free and known to be zeroed: it is counted as free.
const ZEROED: u8 = OWNER_COUNT as u8;
/// The state of a free frame whose bytes are being brought from one content to another.
const BUSY: u8 = ZEROED + 1;
/// The low half of a state byte says who has the frame, the high half who had it last.
const STATE_MASK: u8 = 0x0f;
const LAST_OWNER_SHIFT: u32 = 4;

/// What one CPU has handed out less what it has taken back, by owner. A frame that is taken here and given
/// back there leaves one row above and one below zero; only the sum over all rows means anything.
#[repr(align(128))]
struct Row([AtomicI64; OWNER_COUNT]);

static STATES: Once<&'static [AtomicU8]> = Once::new();
static ROWS: [Row; CPUS_MAX] =
    [const { Row([const { AtomicI64::new(0) }; OWNER_COUNT]) }; CPUS_MAX];
/// Frames that are not reserved. Changes at boot only, and when a boot module is claimed.
static TOTAL: AtomicU64 = AtomicU64::new(0);

/// Bytes of metadata for `frame_count` frames.
pub fn table_len_bytes(frame_count: u64) -> u64 {
    frame_count
}

/// The table of states while it is made, at boot, before anybody else reads it: ranges are written as a whole,
/// so that a large machine costs a fill and not a step per frame.
#[derive(Debug)]
pub struct NewTable(&'static mut [u8]);

impl NewTable {
    /// Makes the table in physical memory that nothing else uses; all frames are `Reserved`.
    ///
    /// The caller gives a usable, page-aligned range of at least [`table_len_bytes`] that it never uses again.
    /// `None` if it is not in the direct map.
    pub fn new(frame_count: u64, table_physical_start: u64) -> Option<Self> {
        claim_metadata(table_physical_start, table_len_bytes(frame_count))?;
        let start = direct_map::pointer(table_physical_start);
        // SAFETY: `claim_metadata` zeroed the range; it is mapped and by this function's contract ours.
        Some(Self(unsafe {
            core::slice::from_raw_parts_mut(start, frame_count as usize)
        }))
    }

    /// Charges reserved frames to whoever has them: the allocator (`Free`) or somebody whom they serve for ever.
    /// False, and nothing changes, if any of them is charged already or lies beyond the table.
    pub fn charge(&mut self, frames: core::ops::Range<u64>, owner: FrameOwner) -> bool {
        let count = frames.end.saturating_sub(frames.start);
        let states = self.0.get_mut(frames.start as usize..frames.end as usize);
        // The frame allocator finds overlaps of free ranges by itself, and those are the long ones.
        let fresh = |states: &[u8]| owner == FrameOwner::Free || states.iter().all(|was| *was == 0);
        let Some(states) = states.filter(|states| fresh(states)) else {
            return false;
        };
        states.fill(owner as u8);
        TOTAL.fetch_add(count, Ordering::Relaxed);
        account(owner, count as i64);
        true
    }

    /// From here on frames can be claimed.
    pub fn publish(self) {
        let (start, len) = (self.0.as_mut_ptr().cast::<AtomicU8>(), self.0.len());
        // SAFETY: the exclusive borrow ends here for ever, and an atomic byte has a byte's layout.
        STATES.call_once(|| unsafe { core::slice::from_raw_parts(start, len) });
    }
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

/// Frames in each owner's hands, in the order of [`OWNERS`]. What is in nobody's hands is free: however many
/// frames change hands meanwhile, the numbers add up to the frames that there are.
pub fn counts() -> [u64; OWNER_COUNT] {
    let mut counts = [0; OWNER_COUNT];
    for (owner, _) in OWNERS {
        counts[owner as usize] = owned_by(owner);
    }
    let total = TOTAL.load(Ordering::Relaxed);
    let frame_count = STATES.get().map_or(0, |states| states.len() as u64);
    counts[FrameOwner::Reserved as usize] = frame_count.saturating_sub(total);
    let owned = counts[FrameOwner::Memory as usize..].iter().sum::<u64>();
    counts[FrameOwner::Free as usize] = total.saturating_sub(owned);
    counts
}

/// Frames in the hands of one owner; 0 for `Reserved` and `Free`, which nobody counts.
pub fn owned_by(owner: FrameOwner) -> u64 {
    let cpus = mailbox::bits(mailbox::online_mask());
    let sum: i64 = cpus
        .map(|cpu| ROWS[cpu as usize].0[owner as usize].load(Ordering::Relaxed))
        .sum();
    // A frame that changes hands while the rows are read may be seen to leave before it came.
    sum.max(0) as u64
}

fn account(owner: FrameOwner, frames: i64) {
    if !matches!(owner, FrameOwner::Reserved | FrameOwner::Free) {
        ROWS[cpu::index() as usize].0[owner as usize].fetch_add(frames, Ordering::Relaxed);
    }
}

/// Moves a frame from one state to another. False if it is not in the state `from`.
fn transition(number: u64, from: u8, to: u8) -> bool {
    let Some(state) = STATES.get().and_then(|states| states.get(number as usize)) else {
        return false;
    };
    let was = state.load(Ordering::Relaxed);
    let is_given_up = to == FrameOwner::Free as u8 && from < ZEROED;
    let last = if is_given_up {
        from
    } else {
        was >> LAST_OWNER_SHIFT
    };
    was & STATE_MASK == from
        && state
            .compare_exchange(
                was,
                to | last << LAST_OWNER_SHIFT,
                Ordering::AcqRel,
                Ordering::Relaxed,
            )
            .is_ok()
}

fn state(number: u64) -> u8 {
    let state = STATES.get().and_then(|states| states.get(number as usize));
    state.map_or(0, |state| state.load(Ordering::Acquire))
}

/// Who has the frame.
pub fn owner(number: u64) -> FrameOwner {
    owner_of_state(state(number) & STATE_MASK)
}

/// Who had a free frame before it became free; `Reserved` if nobody ever had it.
pub(super) fn last_owner(number: u64) -> FrameOwner {
    owner_of_state(state(number) >> LAST_OWNER_SHIFT)
}

fn owner_of_state(state: u8) -> FrameOwner {
    OWNERS
        .get(usize::from(state))
        .map_or(FrameOwner::Free, |(owner, _)| *owner)
}

/// Zeroes a free frame ahead of need; it stays free. False if it was not free: the caller does not have it.
pub fn zero_free(number: u64) -> bool {
    if !transition(number, FrameOwner::Free as u8, BUSY) {
        // It may have been zeroed before, and come back to the allocator when memory was short.
        return state(number) & STATE_MASK == ZEROED;
    }
    let mut frame = Frame(number);
    frame_checks::expect_poison(&mut frame);
    frame.zero();
    transition(number, BUSY, ZEROED)
}

/// Whether the frame's bytes stay as they are for as long as it has this owner: it may be shown in several places.
pub(super) fn is_read_only(number: u64) -> bool {
    matches!(owner(number), FrameOwner::Images | FrameOwner::BootModules)
}

/// One physical page that its holder alone may use.
#[derive(Debug)]
#[must_use = "a dropped frame is lost: release it"]
pub struct Frame(u64);

impl Frame {
    /// Takes a frame that the allocator had as free, with whatever it holds. `None` if it was not free: the
    /// allocator is wrong.
    pub fn claim(number: u64, owner: FrameOwner) -> Option<Self> {
        Self::claim_noting_content(number, owner).map(|(frame, _is_zeroed)| frame)
    }

    /// As [`Frame::claim`], and the frame is all zeroes.
    pub fn claim_zeroed(number: u64, owner: FrameOwner) -> Option<Self> {
        let (mut frame, is_zeroed) = Self::claim_noting_content(number, owner)?;
        if !is_zeroed {
            frame.zero();
        }
        Some(frame)
    }

    fn claim_noting_content(number: u64, owner: FrameOwner) -> Option<(Self, bool)> {
        if let Some(mut frame) = Self::take(number, FrameOwner::Free as u8, owner) {
            frame_checks::expect_poison(&mut frame);
            return Some((frame, false));
        }
        let mut frame = Self::take(number, ZEROED, owner)?;
        frame_checks::expect_zeroes(&mut frame);
        Some((frame, true))
    }

    /// Takes a frame that the loader filled and that no allocator ever had. `None` if it is not such a one.
    pub fn claim_boot_module(number: u64) -> Option<Self> {
        let frame = Self::take(number, FrameOwner::Reserved as u8, FrameOwner::BootModules)?;
        TOTAL.fetch_add(1, Ordering::Relaxed);
        Some(frame)
    }

    fn take(number: u64, from: u8, owner: FrameOwner) -> Option<Self> {
        let taken = transition(number, from, owner as u8);
        taken.then(|| {
            account(owner, 1);
            Self(number)
        })
    }

    /// Gives the frame up and returns its number for the allocator.
    ///
    /// # Panics
    /// When the frame is free already: somebody has a second [`Frame`] of this number.
    pub fn release(mut self) -> u64 {
        let (number, was) = (self.0, owner(self.0));
        let is_owned = !matches!(was, FrameOwner::Free | FrameOwner::Reserved);
        assert!(is_owned, "frame {number} is freed twice");
        frame_checks::poison(&mut self);
        let released = transition(number, was as u8, FrameOwner::Free as u8);
        assert!(released, "a frame changed its owner while it was held");
        account(was, -1);
        number
    }

    /// Charges the frame to another owner.
    pub fn change_owner(&mut self, to: FrameOwner) {
        let was = owner(self.0);
        if transition(self.0, was as u8, to as u8) {
            account(was, -1);
            account(to, 1);
        }
    }

    /// The frame's number.
    pub fn number(&self) -> u64 {
        self.0
    }

    /// Fills the frame with zeroes.
    pub fn zero(&mut self) {
        // SAFETY: the frame is ours alone, and the direct map covers all frames writably.
        unsafe { zero_pages(self.pointer(), 1) }
    }

    /// Fills the frame with what the frame `source` holds, which must be an image's or a boot module's.
    pub fn copy_from(&mut self, source: u64) {
        assert!(
            is_read_only(source),
            "a frame is copied that somebody may write"
        );
        // SAFETY: the frame is ours alone and so not the source; the direct map covers both, and nobody writes a frame of
        // these owners.
        unsafe {
            self.pointer()
                .copy_from_nonoverlapping(direct_map::pointer(source * PAGE_BYTES), PAGE_LEN);
        }
    }

    /// The frame's bytes.
    pub fn bytes_mut(&mut self) -> &mut [u8; PAGE_LEN] {
        // SAFETY: as in `zero`; any bytes are valid.
        unsafe { &mut *self.pointer().cast() }
    }

    /// Takes over a frame that belongs to a block which is being taken apart.
    pub(super) fn of_block(number: u64) -> Self {
        Self(number)
    }

    pub(super) fn into_number(self) -> u64 {
        self.0
    }

    fn pointer(&self) -> *mut u8 {
        direct_map::pointer(self.0 * PAGE_BYTES)
    }
}

/// Zeroes pages by the string instruction, which processors do by whole cache lines.
///
/// # Safety
/// `count` pages from `start` on are writable and the caller's alone.
pub(super) unsafe fn zero_pages(start: *mut u8, count: usize) {
    // SAFETY: by this function's contract; the direction flag is clear, as the ABI has it.
    unsafe {
        core::arch::asm!(
            "rep stosq",
            inout("rdi") start => _,
            inout("rcx") count * (PAGE_LEN / 8) => _,
            in("rax") 0,
            options(nostack, preserves_flags)
        );
    }
}

/// A frame that was unmapped but may still stand in some CPU's translation buffer.
#[derive(Debug)]
#[must_use = "reclaim it against a flush"]
pub struct StaleFrame(pub(super) u64);

impl StaleFrame {
    /// Becomes usable again: `flushed` proves that the old translation is gone everywhere.
    pub fn reclaim(self, flushed: &Flushed) -> Frame {
        translations::check_reclaim(self.0, flushed.generation());
        Frame(self.0)
    }
}
