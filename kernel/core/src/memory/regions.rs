//! Regions: ranges of pages with one access right, backed on demand by zeroed frames.
//!
//! Law: a page of the region window has a frame only if a region covers it. One lock guards the map of
//! regions and the window's page tables. Nothing is awaited and nothing is allocated from the heap under
//! it; frames for faults are allocated before it is taken. Taking rights away: change the tables under the
//! lock, shoot down without it, only then free frames. A range that is being unmapped stays in the
//! map as `Dying` until its frames are gone, so that nobody maps or faults into it meanwhile.
//! Units: the map counts pages, the interface bytes.

use alloc::boxed::Box;
use alloc::vec;
use core::fmt;
use core::ops::Range;

use contract_boot::{Module, PhysRange};
use kernel_machine::cpu::mailbox::{self, Flushed};
use kernel_machine::memory::frame::{FrameOwner, StaleFrame};
use kernel_machine::memory::page_table::{self, Rights};
use kernel_machine::memory::{Frame, PAGE_BYTES};
use kernel_machine::sync::IrqLock;
use lib_region_map::{RegionMap, SLOTS_PER_OPERATION, Slot};

use super::{REGION_WINDOW, frames};

/// Pages whose frames are taken out in one go: bounds the time with interrupts off.
const BATCH_PAGES: usize = 64;
/// Empty page tables are looked for in steps of this many bytes.
const TABLE_STEP_BYTES: u64 = 1 << 30;
/// At most one last-level table per 2 MiB of a step, and those above.
const TABLES_PER_STEP: usize = 512 + 2;

/// What may be done with a region's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: a guard or a reservation.
    None,
    /// Reading.
    Read,
    /// Reading and writing.
    ReadWrite,
    /// Reading and executing; only [`super::code`] grants it.
    ReadExecute,
}

/// Access as the C interface asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// Loads.
    pub read: bool,
    /// Stores.
    pub write: bool,
    /// Instruction fetches: always refused here, see [`super::code::publish`].
    pub execute: bool,
}

/// What a mapping is to be.
#[derive(Clone, Copy, Debug)]
pub struct MapRequest {
    /// Length in bytes, rounded up to pages.
    pub len_bytes: usize,
    /// What may be done with it.
    pub protection: Protection,
    /// `Some`: exactly there, replacing what is there. Page-aligned, inside the region window.
    pub at: Option<usize>,
    /// Back all pages at once.
    pub populate: bool,
}

/// Why memory could not be mapped or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryError {
    /// The caller's range is empty, unaligned, wraps, or lies outside the region window.
    BadRange,
    /// No region covers the caller's range.
    NoRegion,
    /// The caller asked for writable or executable code outside the engine's way of publishing it.
    Denied,
    /// The address space or the table of regions is used up.
    NoSpace,
    /// Physical memory is used up.
    NoFrames,
}

impl fmt::Display for MemoryError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::BadRange => "the range of memory cannot be",
            Self::NoRegion => "nothing is mapped in the range of memory",
            Self::Denied => "memory is never made executable this way",
            Self::NoSpace => "too many ranges of memory are mapped",
            Self::NoFrames => "the machine's memory is used up",
        })
    }
}

/// What a fault was about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultAccess {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
}

/// What became of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultOutcome {
    /// The page is there now: try again.
    Resolved,
    /// No region covers the address.
    NoRegion,
    /// A region covers it and forbids the access (a guard page among them).
    Forbidden,
    /// Physical memory is used up.
    NoFrames,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    access: Access,
    kind: RegionKind,
    dying: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RegionKind {
    Plain,
    Stack,
    /// Frames that the loader filled: never unmapped, never backed by others.
    BootModule,
}

impl Region {
    fn owner(self) -> FrameOwner {
        match self.kind {
            RegionKind::Stack => FrameOwner::Stacks,
            RegionKind::Plain => FrameOwner::Regions,
            RegionKind::BootModule => FrameOwner::BootModules,
        }
    }

    fn allows(self, access: FaultAccess) -> bool {
        !self.dying
            && match self.access {
                Access::None => false,
                Access::Read => access == FaultAccess::Read,
                Access::ReadWrite => access != FaultAccess::Execute,
                Access::ReadExecute => access != FaultAccess::Write,
            }
    }
}

impl Access {
    fn rights(self) -> Option<Rights> {
        (self != Self::None).then_some(Rights {
            write: self == Self::ReadWrite,
            execute: self == Self::ReadExecute,
        })
    }

    /// What the loader read is never writable.
    fn limited_to(self, kind: RegionKind) -> Self {
        match (self, kind) {
            (Self::ReadWrite, RegionKind::BootModule) => Self::Read,
            (access, _) => access,
        }
    }

    fn takes_away_from(self, before: Self) -> bool {
        self != before && !(before == Self::None || before == Self::Read && self == Self::ReadWrite)
    }
}

impl Protection {
    /// Loads and stores.
    pub const READ_WRITE: Self = Self {
        read: true,
        write: true,
        execute: false,
    };

    fn access(self) -> Result<Access, MemoryError> {
        match self {
            Self { execute: true, .. } => Err(MemoryError::Denied),
            Self { write: true, .. } => Ok(Access::ReadWrite),
            Self { read: true, .. } => Ok(Access::Read),
            _ => Ok(Access::None),
        }
    }
}

struct Space {
    map: RegionMap<'static, Region>,
    slot_count: usize,
}

impl Space {
    fn require_slots(&self) -> Result<(), MemoryError> {
        let free = self.map.slots_free_below(self.slot_count);
        // What is left over lets others be unmapped when the table is otherwise full.
        if free < 2 * SLOTS_PER_OPERATION {
            return Err(MemoryError::NoSpace);
        }
        Ok(())
    }

    /// Boot modules stay for ever, and code is withdrawn before its pages go.
    fn require_disposable(&self, pages: &Range<u64>) -> Result<(), MemoryError> {
        let mut disposable = true;
        self.map
            .for_each_in(pages.clone(), &mut |_, region: Region| {
                disposable &=
                    region.kind != RegionKind::BootModule && region.access != Access::ReadExecute;
            });
        if disposable {
            Ok(())
        } else {
            Err(MemoryError::Denied)
        }
    }

    fn is_covered(&self, pages: &Range<u64>) -> bool {
        let mut covered = 0;
        let mut alive = true;
        self.map
            .for_each_in(pages.clone(), &mut |part, region: Region| {
                covered += part.end.min(pages.end) - part.start.max(pages.start);
                alive &= !region.dying;
            });
        alive && covered == pages.end - pages.start
    }
}

static SPACE: IrqLock<Option<Space>> = IrqLock::named("regions", None);

/// Makes the empty map; its table is sized by the machine's memory.
pub(super) fn init(frame_count: u64) {
    let slot_count = (frame_count / 16).clamp(2048, 65_536) as usize;
    let slots = Box::leak(vec![Slot::EMPTY; slot_count].into_boxed_slice());
    let window = page_of(REGION_WINDOW.start)..page_of(REGION_WINDOW.end);
    *SPACE.lock() = Some(Space {
        map: RegionMap::new(slots, window),
        slot_count,
    });
}

/// Maps a region and returns its start.
///
/// # Errors
/// See [`MemoryError`]; with `populate`, nothing stays mapped when memory runs out.
pub fn map(request: MapRequest) -> Result<usize, MemoryError> {
    let access = request.protection.access()?;
    let region = Region {
        access,
        kind: RegionKind::Plain,
        dying: false,
    };
    let start = match request.at {
        Some(at) => map_fixed(at, request.len_bytes, region)?,
        None => map_anywhere(page_count(request.len_bytes)?, region)?,
    };
    if request.populate && access != Access::None {
        populate(start, request.len_bytes).inspect_err(|_| {
            let _unmapped = unmap(start, request.len_bytes);
        })?;
    }
    Ok(start)
}

/// Maps a thread's stack with a guard page below it; returns the range without the guard.
///
/// # Errors
/// See [`MemoryError`].
pub fn map_stack(len_bytes: usize) -> Result<Range<usize>, MemoryError> {
    let pages = page_count(len_bytes)?;
    let guard = Region {
        access: Access::None,
        kind: RegionKind::Stack,
        dying: false,
    };
    let bottom = map_anywhere(pages + 1, guard)?;
    let start = bottom + PAGE_BYTES as usize;
    let end = start + (pages * PAGE_BYTES) as usize;
    set_access(start, end - start, Access::ReadWrite).inspect_err(|_| {
        let _unmapped = unmap(bottom, end - bottom);
    })?;
    Ok(start..end)
}

/// Takes away a stack that [`map_stack`] made, and its guard.
pub fn unmap_stack(stack: Range<usize>) {
    let guard = PAGE_BYTES as usize;
    let _unmapped = unmap(stack.start - guard, stack.len() + guard);
}

fn map_anywhere(pages: u64, region: Region) -> Result<usize, MemoryError> {
    let mut guard = SPACE.lock();
    let space = guard.as_mut().ok_or(MemoryError::NoSpace)?;
    space.require_slots()?;
    // One page more keeps a hole behind every region, so that overruns fault.
    let start = space
        .map
        .find_gap(pages + 1, 1)
        .ok_or(MemoryError::NoSpace)?;
    let inserted = space.map.insert(start..start + pages, region);
    inserted.map_err(|_| MemoryError::NoSpace)?;
    Ok((start * PAGE_BYTES) as usize)
}

fn map_fixed(at: usize, len_bytes: usize, region: Region) -> Result<usize, MemoryError> {
    replace(&checked_pages(at, len_bytes)?, Some(region))?;
    Ok(at)
}

/// Removes all regions in the range and frees their frames. Parts that nothing covers are no error.
///
/// # Errors
/// [`MemoryError::BadRange`], or [`MemoryError::NoSpace`] when the table has no room to split a region.
pub fn unmap(start: usize, len_bytes: usize) -> Result<(), MemoryError> {
    replace(&checked_pages(start, len_bytes)?, None)
}

/// Empties the range and, in the same step in which its old regions go, puts `region` there: nobody else
/// can be given the place in between.
fn replace(pages: &Range<u64>, region: Option<Region>) -> Result<(), MemoryError> {
    mark_dying(pages)?;
    drop_frames(pages);
    drop_empty_tables(pages);
    let mut guard = SPACE.lock();
    let space = guard.as_mut().ok_or(MemoryError::NoSpace)?;
    let removed = space.map.remove(pages.clone(), &mut |_, _| {});
    removed.map_err(|_| MemoryError::NoSpace)?;
    match region {
        Some(region) => space
            .map
            .insert(pages.clone(), region)
            .map_err(|_| MemoryError::NoSpace),
        None => Ok(()),
    }
}

fn mark_dying(pages: &Range<u64>) -> Result<(), MemoryError> {
    let mut guard = SPACE.lock();
    let space = guard.as_mut().ok_or(MemoryError::NoSpace)?;
    space.require_disposable(pages)?;
    let updated = space
        .map
        .update(pages.clone(), &mut |_, region| region.dying = true);
    updated.map_err(|_| MemoryError::NoSpace)
}

/// Frees the frames of the range but keeps its regions: pages read as zero afterwards.
///
/// # Errors
/// [`MemoryError::BadRange`], or [`MemoryError::NoRegion`] where parts are not mapped.
pub fn discard(start: usize, len_bytes: usize) -> Result<(), MemoryError> {
    let pages = checked_pages(start, len_bytes)?;
    require_covered(&pages)?;
    drop_frames(&pages);
    Ok(())
}

/// Maps a file that the loader read, its pieces one behind the other, page-aligned, read-only and for ever,
/// and returns its bytes. From here on its code can be published. Called once for each file.
///
/// # Errors
/// [`MemoryError::BadRange`] if the frames are not the loader's or not as many as the file has; see
/// [`MemoryError`].
pub fn map_boot_module(module: &Module) -> Result<&'static [u8], MemoryError> {
    let len_bytes = usize::try_from(module.len_bytes).map_err(|_| MemoryError::BadRange)?;
    let pages = page_count(len_bytes)?;
    let region = Region {
        access: Access::Read,
        kind: RegionKind::BootModule,
        dying: false,
    };
    let start = map_anywhere(pages, region)? as u64;
    let places = (start..start + pages * PAGE_BYTES).step_by(PAGE_BYTES as usize);
    for (virt, frame_number) in places.zip(module.pieces.iter().flat_map(piece_frames)) {
        map_module_frame(virt, frame_number)?;
    }
    let _flushed = mailbox::flush_everywhere(None);
    page_table::boot_module_bytes(start, len_bytes).ok_or(MemoryError::BadRange)
}

/// The numbers of a piece's frames; `boot` has checked that it lies in memory and starts on a page.
fn piece_frames(piece: &PhysRange) -> Range<u64> {
    let first = piece.start / PAGE_BYTES;
    first..first + piece.len_bytes.div_ceil(PAGE_BYTES)
}

fn map_module_frame(virt: u64, number: u64) -> Result<(), MemoryError> {
    let frame = Frame::claim_boot_module(number).ok_or(MemoryError::BadRange)?;
    let rights = Rights {
        write: false,
        execute: false,
    };
    let _guard = SPACE.lock();
    page_table::set_alias_writable(number, false).map_err(|_| MemoryError::NoFrames)?;
    page_table::map(virt, frame, rights).map_err(|_| MemoryError::NoFrames)
}

fn require_covered(pages: &Range<u64>) -> Result<(), MemoryError> {
    let guard = SPACE.lock();
    let space = guard.as_ref().ok_or(MemoryError::NoSpace)?;
    if !space.is_covered(pages) {
        return Err(MemoryError::NoRegion);
    }
    space.require_disposable(pages)
}

/// Frees all frames of the range with one shoot-down: first every page becomes inaccessible, then, when no
/// CPU can reach them any more, the frames are taken.
fn drop_frames(pages: &Range<u64>) {
    let range = pages.start * PAGE_BYTES..pages.end * PAGE_BYTES;
    let mut changed = ChangedPages::default();
    for_each_mapped(&range, &mut |virt| {
        // Taking all rights away needs no table.
        let _cannot_fail = page_table::set_rights(virt, None);
        changed.add(virt);
    });
    if changed.count == 0 {
        return;
    }
    let flushed = changed.flush();
    loop {
        let mut stale = [const { None }; BATCH_PAGES];
        let count = take_batch(&range, &mut stale);
        for frame in stale.iter_mut().filter_map(Option::take) {
            frames::free(frame.reclaim(&flushed));
        }
        if count < BATCH_PAGES {
            return;
        }
    }
}

fn take_batch(range: &Range<u64>, stale: &mut [Option<StaleFrame>; BATCH_PAGES]) -> usize {
    let _guard = SPACE.lock();
    let mut next = range.start;
    let mut count = 0;
    while count < BATCH_PAGES
        && let Some(virt) = page_table::next_mapped(next, range.end)
    {
        // A page that is accessible came after the flush, by a fault in a region that stays.
        if page_table::lookup(virt).is_some_and(|leaf| leaf.rights.is_none()) {
            stale[count] = page_table::unmap(virt);
            count += 1;
        }
        next = virt + PAGE_BYTES;
    }
    count
}

/// Visits the mapped pages of the range, in steps, so that interrupts are not off for long.
fn for_each_mapped(range: &Range<u64>, visit: &mut dyn FnMut(u64)) {
    let mut next = range.start;
    loop {
        let _guard = SPACE.lock();
        for _ in 0..BATCH_PAGES {
            let Some(virt) = page_table::next_mapped(next, range.end) else {
                return;
            };
            visit(virt);
            next = virt + PAGE_BYTES;
        }
    }
}

/// Pages from which rights were taken, and which every CPU must forget.
#[derive(Default)]
struct ChangedPages {
    first: [u64; mailbox::FLUSH_PAGES_MAX],
    count: usize,
}

impl ChangedPages {
    fn add(&mut self, virt: u64) {
        if let Some(slot) = self.first.get_mut(self.count) {
            *slot = virt;
        }
        self.count += 1;
    }

    fn flush(&self) -> Flushed {
        mailbox::flush_everywhere(self.first.get(..self.count))
    }
}

fn free_stale(stale: &mut [Option<StaleFrame>]) {
    if stale.is_empty() {
        return;
    }
    let flushed = mailbox::flush_everywhere(None);
    for frame in stale.iter_mut().filter_map(Option::take) {
        frames::free(frame.reclaim(&flushed));
    }
}

fn drop_empty_tables(pages: &Range<u64>) {
    let end = pages.end * PAGE_BYTES;
    let mut at = pages.start * PAGE_BYTES;
    while at < end {
        let step_end = end.min((at | (TABLE_STEP_BYTES - 1)) + 1);
        let mut stale = [const { None }; TABLES_PER_STEP];
        let mut count = 0;
        {
            let _guard = SPACE.lock();
            page_table::take_empty_tables(at, step_end, &mut |table| {
                stale[count] = Some(table);
                count += 1;
            });
        }
        free_stale(&mut stale[..count]);
        at = step_end;
    }
}

/// Changes what may be done with the range.
///
/// # Errors
/// See [`MemoryError`]; asking for executable memory is always denied here.
pub fn protect(start: usize, len_bytes: usize, protection: Protection) -> Result<(), MemoryError> {
    let access = protection.access()?;
    require_covered(&checked_pages(start, len_bytes)?)?;
    set_access(start, len_bytes, access)
}

/// As [`protect`], with the rights that only the kernel's own modules may give.
///
/// # Errors
/// See [`MemoryError`].
pub(super) fn set_access(
    start: usize,
    len_bytes: usize,
    access: Access,
) -> Result<(), MemoryError> {
    let pages = checked_pages(start, len_bytes)?;
    let takes_away = update_regions(&pages, access)? || access == Access::ReadExecute;
    let changed = update_pages(&pages)?;
    if takes_away && changed.count > 0 {
        let _flushed = changed.flush();
    }
    Ok(())
}

fn update_regions(pages: &Range<u64>, access: Access) -> Result<bool, MemoryError> {
    let mut guard = SPACE.lock();
    let space = guard.as_mut().ok_or(MemoryError::NoSpace)?;
    space.require_slots()?;
    if !space.is_covered(pages) {
        return Err(MemoryError::NoRegion);
    }
    let mut takes_away = false;
    let updated = space.map.update(pages.clone(), &mut |_, region| {
        let access = access.limited_to(region.kind);
        takes_away |= access.takes_away_from(region.access);
        region.access = access;
    });
    updated.map_err(|_| MemoryError::NoSpace)?;
    Ok(takes_away)
}

/// Brings the pages of the range to what their regions say now.
fn update_pages(pages: &Range<u64>) -> Result<ChangedPages, MemoryError> {
    let mut changed = ChangedPages::default();
    let mut next = pages.start * PAGE_BYTES;
    let end = pages.end * PAGE_BYTES;
    loop {
        let guard = SPACE.lock();
        let space = guard.as_ref().ok_or(MemoryError::NoSpace)?;
        for _ in 0..BATCH_PAGES {
            let Some(virt) = page_table::next_mapped(next, end) else {
                return Ok(changed);
            };
            let region = space.map.find(page_of(virt)).map(|(_, region)| region);
            let rights = region.and_then(|region| region.access.rights());
            page_table::set_rights(virt, rights).map_err(|_| MemoryError::NoFrames)?;
            changed.add(virt);
            next = virt + PAGE_BYTES;
        }
    }
}

/// Backs every page of the range that may be accessed at all.
///
/// # Errors
/// [`MemoryError::NoFrames`] when memory runs out part way; [`MemoryError::NoRegion`].
pub fn populate(start: usize, len_bytes: usize) -> Result<(), MemoryError> {
    let pages = checked_pages(start, len_bytes)?;
    for page in pages {
        match resolve_fault((page * PAGE_BYTES) as usize, FaultAccess::Read) {
            FaultOutcome::Resolved => {}
            FaultOutcome::NoFrames => return Err(MemoryError::NoFrames),
            FaultOutcome::NoRegion | FaultOutcome::Forbidden => return Err(MemoryError::NoRegion),
        }
    }
    Ok(())
}

/// Brings in the page that a fault at `address` needs. Runs with interrupts off in fault handlers.
pub fn resolve_fault(address: usize, access: FaultAccess) -> FaultOutcome {
    let page = page_of(address as u64);
    let owner = match examine(page, access) {
        Examined::Missing(owner) => owner,
        Examined::Done(outcome) => return outcome,
    };
    let Some(frame) = frames::allocate(owner) else {
        return FaultOutcome::NoFrames;
    };
    back_page(page, access, frame)
}

enum Examined {
    Missing(FrameOwner),
    Done(FaultOutcome),
}

fn examine(page: u64, access: FaultAccess) -> Examined {
    let guard = SPACE.lock();
    guard
        .as_ref()
        .map_or(Examined::Done(FaultOutcome::NoRegion), |space| {
            examine_in(space, page, access)
        })
}

fn examine_in(space: &Space, page: u64, access: FaultAccess) -> Examined {
    let Some((_, region)) = space.map.find(page) else {
        return Examined::Done(FaultOutcome::NoRegion);
    };
    if !region.allows(access) {
        return Examined::Done(FaultOutcome::Forbidden);
    }
    let virt = page * PAGE_BYTES;
    match page_table::lookup(virt) {
        None if region.kind == RegionKind::BootModule => Examined::Done(FaultOutcome::NoRegion),
        None => Examined::Missing(region.owner()),
        Some(_) => {
            // Another CPU was faster, or this CPU remembered an older refusal.
            kernel_machine::cpu::flush_page(virt);
            match page_table::set_rights(virt, region.access.rights()) {
                Ok(()) => Examined::Done(FaultOutcome::Resolved),
                Err(_) => Examined::Done(FaultOutcome::NoFrames),
            }
        }
    }
}

fn back_page(page: u64, access: FaultAccess, frame: Frame) -> FaultOutcome {
    let guard = SPACE.lock();
    let examined = guard.as_ref().map(|space| {
        let region = space.map.find(page).map(|(_, region)| region);
        (examine_in(space, page, access), region)
    });
    let Some((Examined::Missing(_), Some(region))) = examined else {
        drop(guard);
        frames::free(frame);
        return match examined {
            Some((Examined::Done(outcome), _)) => outcome,
            _ => FaultOutcome::NoRegion,
        };
    };
    let rights = region.access.rights().unwrap_or(Rights {
        write: false,
        execute: false,
    });
    let mapped = page_table::map(page * PAGE_BYTES, frame, rights);
    drop(guard);
    match mapped {
        Ok(()) => FaultOutcome::Resolved,
        Err(frame) => {
            frames::free(frame);
            FaultOutcome::NoFrames
        }
    }
}

fn page_of(address: u64) -> u64 {
    address / PAGE_BYTES
}

fn page_count(len_bytes: usize) -> Result<u64, MemoryError> {
    let limit = REGION_WINDOW.end - REGION_WINDOW.start;
    if len_bytes == 0 || len_bytes as u64 > limit {
        return Err(MemoryError::BadRange);
    }
    Ok((len_bytes as u64).div_ceil(PAGE_BYTES))
}

fn checked_pages(start: usize, len_bytes: usize) -> Result<Range<u64>, MemoryError> {
    let pages = page_count(len_bytes)?;
    let start = start as u64;
    let fits = REGION_WINDOW.contains(&start) && start + pages * PAGE_BYTES <= REGION_WINDOW.end;
    if !start.is_multiple_of(PAGE_BYTES) || !fits {
        return Err(MemoryError::BadRange);
    }
    Ok(page_of(start)..page_of(start) + pages)
}
