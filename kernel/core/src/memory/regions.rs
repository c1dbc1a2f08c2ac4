//! Regions: ranges of pages with one access right, backed on demand by zeroed frames or by copies of an image.
//!
//! Law: a page of the region window has a frame only if a region covers it. One lock, [`SPACE`], guards the map of
//! regions, the images and the window's page tables. Nothing is awaited and nothing is allocated from the heap
//! under it; frames for faults are allocated before it is taken. Taking rights away: change the tables under
//! the lock, shoot down without it, only then free frames. A range that is being unmapped stays in the
//! map as dying until its frames are gone, so that nobody maps or faults into it meanwhile; where nothing was
//! mapped, it goes at once. A large page lies in one region: whoever changes regions splits those at the edges of his range
//! first, and code has none. Which page needs what is decided in `lib/region-map`, [`lib_region_map::space`]; what a fault
//! does about it is in [`super::faults`], and the images' side in [`super::images`].
//! Units: the map counts pages, the interface bytes.

use alloc::boxed::Box;
use alloc::vec;
use core::fmt;
use core::ops::Range;

use contract_boot::{Module, PhysRange};
use kernel_machine::cpu::mailbox::{self, Flushed};
use kernel_machine::memory::page_table::large::{self, LARGE_PAGE_BYTES, Reclaimed, Stale};
use kernel_machine::memory::page_table::{self, NoTableFrame, Rights};
use kernel_machine::memory::{Frame, PAGE_BYTES};
use kernel_machine::sync::IrqLock;
use lib_region_map::Slot;
use lib_region_map::images::{ImageId, ImageSlot};
use lib_region_map::space::{Content, Region, Space, SpaceError};

pub use super::faults::populate;
pub use lib_region_map::space::{Access, Want as FaultAccess};

use super::{REGION_WINDOW, faults, frames, images};

/// Pages at the beginning of a discarded range that keep their page tables: 8 MiB, which few programs touch.
const DISCARD_KEEPS_TABLES_PAGES: u64 = 2048;
/// Pages whose frames are taken out in one go: bounds the time with interrupts off.
const BATCH_PAGES: usize = 64;
/// Empty page tables are looked for in steps of this many bytes.
const TABLE_STEP_BYTES: u64 = 1 << 30;
/// At most one last-level table per 2 MiB of a step, and those above.
const TABLES_PER_STEP: usize = 512 + 2;
/// Ranges up to this length lose their frames and their tables in one go: they have few tables.
const SMALL_RANGE_PAGES: u64 = 8 * 512;
/// At most so many tables lie below such a range.
const SMALL_RANGE_TABLES: usize = 8 + 1 + 2;
/// Pages that an image may have: 1 GiB. It is address space only.
const IMAGE_SPAN_PAGES: u64 = 1 << 18;
/// Slots for regions per slot for an image.
const REGIONS_PER_IMAGE: usize = 8;

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
    /// A fault may bring in more than its page. For memory that is one owner's, who gives all of it back.
    pub fault_around: bool,
}

/// Why memory could not be mapped or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryError {
    /// The caller's range is empty, unaligned, wraps, or lies outside the region window.
    BadRange,
    /// No region covers the caller's range.
    NoRegion,
    /// The caller asked for writable or executable code outside the engine's way of publishing it, or names what
    /// must stay as it is.
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

impl From<SpaceError> for MemoryError {
    fn from(error: SpaceError) -> Self {
        match error {
            SpaceError::NoSpace => Self::NoSpace,
            SpaceError::NotCovered => Self::NoRegion,
            SpaceError::Denied => Self::Denied,
        }
    }
}

/// What the page tables say for a region's right.
pub(super) fn rights(access: Access) -> Option<Rights> {
    (access != Access::None).then_some(Rights {
        write: access == Access::ReadWrite,
        execute: access == Access::ReadExecute,
    })
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

/// The regions of the one address space, and its images.
pub(super) static SPACE: IrqLock<Option<Space<'static>>> = IrqLock::named("regions", None);

/// Makes the empty map; its tables are sized by the machine's memory.
pub(super) fn init(frame_count: u64) {
    let slot_count = (frame_count / 16).clamp(2048, 65_536) as usize;
    let slots = Box::leak(vec![Slot::EMPTY; slot_count].into_boxed_slice());
    let image_count = slot_count / REGIONS_PER_IMAGE;
    let images = Box::leak(vec![ImageSlot::EMPTY; image_count].into_boxed_slice());
    let window = page_of(REGION_WINDOW.start)..page_of(REGION_WINDOW.end);
    *SPACE.lock() = Some(Space::new(slots, images, IMAGE_SPAN_PAGES, window));
}

/// Runs `work` on the regions, under their lock.
fn with_space<T, E: Into<MemoryError>>(
    work: impl FnOnce(&mut Space<'static>) -> Result<T, E>,
) -> Result<T, MemoryError> {
    let mut guard = SPACE.lock();
    let space = guard.as_mut().ok_or(MemoryError::NoSpace)?;
    work(space).map_err(E::into)
}

/// Maps a region and returns its start.
///
/// # Errors
/// See [`MemoryError`]; with `populate`, nothing stays mapped when memory runs out.
pub fn map(request: MapRequest) -> Result<usize, MemoryError> {
    map_content(request, Content::Plain)
}

/// Maps a region that shows `image` from `offset_bytes` on, and zeroes behind its end. What is written to the region
/// stays there: the image never changes. The region keeps the image, open or closed.
///
/// # Errors
/// See [`MemoryError`]; [`MemoryError::Denied`] where no such image is open, or it is being written.
pub fn map_image(
    request: MapRequest,
    image: ImageId,
    offset_bytes: u64,
) -> Result<usize, MemoryError> {
    if !offset_bytes.is_multiple_of(PAGE_BYTES) {
        return Err(MemoryError::BadRange);
    }
    let offset_pages = offset_bytes / PAGE_BYTES;
    let content = |start: u64| Content::CopyOf {
        image,
        origin: start.wrapping_sub(offset_pages),
    };
    let place = match request.at {
        Some(at) => at,
        // A place of its own, of which the image then takes possession.
        None => map_anywhere(
            page_count(request.len_bytes)?,
            Region::new(Access::None, Content::Plain),
        )?,
    };
    let at = Some(place);
    let mapped = map_content(MapRequest { at, ..request }, content(page_of(place as u64)));
    mapped.inspect_err(|_| {
        if request.at.is_none() {
            let _unmapped = unmap(place, request.len_bytes);
        }
    })
}

fn map_content(request: MapRequest, content: Content) -> Result<usize, MemoryError> {
    let access = request.protection.access()?;
    let region = Region {
        fault_around: request.fault_around,
        ..Region::new(access, content)
    };
    let start = match request.at {
        Some(at) => map_fixed(at, request.len_bytes, region)?,
        None => map_anywhere(page_count(request.len_bytes)?, region)?,
    };
    if request.populate && access != Access::None {
        faults::populate(start, request.len_bytes).inspect_err(|_| {
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
    let guard = Region::new(Access::None, Content::Stack);
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
    let start = with_space(|space| space.map_anywhere(pages, region))?;
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
    let mut harvest = Harvest::default();
    let is_replaced = {
        let mut guard = SPACE.lock();
        let space = guard.as_mut().ok_or(MemoryError::NoSpace)?;
        begin_replacing(space, pages, region, &mut harvest)?
    };
    let is_empty = harvest.is_whole;
    harvest.free();
    if !is_replaced {
        if !is_empty {
            drop_frames(pages, Fate::Unmap);
            drop_empty_tables(pages);
        }
        with_space(|space| finish_replacing(space, pages, region))?;
    }
    let has_dead_images = with_space(|space| Ok::<_, SpaceError>(space.images.has_dead()))?;
    if has_dead_images {
        images::reap();
    }
    Ok(())
}

/// The last step of [`replace`], under the lock, when the range has no frames. The place is somebody else's afterwards, so it
/// is taken once.
fn finish_replacing(
    space: &mut Space<'static>,
    pages: &Range<u64>,
    region: Option<Region>,
) -> Result<(), SpaceError> {
    space.remove(pages)?;
    match region {
        Some(region) => space.insert(pages.clone(), region),
        None => Ok(()),
    }
}

/// The first step of [`replace`], under the lock: takes the frames of a small range out at once. True if the range had
/// none: then the last step is done as well.
fn begin_replacing(
    space: &mut Space<'static>,
    pages: &Range<u64>,
    region: Option<Region>,
    harvest: &mut Harvest,
) -> Result<bool, MemoryError> {
    space.require_disposable(pages)?;
    if let Some(Region {
        content: Content::CopyOf { image, .. },
        ..
    }) = region
    {
        // It would be too late to find out once the old regions are gone.
        let is_open = space.images.len_bytes(image).is_ok();
        if !is_open {
            return Err(MemoryError::Denied);
        }
    }
    split_edges(pages)?;
    space.mark_dying(pages)?;
    harvest.take(pages);
    if harvest.changed.count > 0 || !harvest.is_whole {
        return Ok(false);
    }
    finish_replacing(space, pages, region)?;
    Ok(true)
}

/// Frames and tables that were taken out of the page tables and wait for the shoot-down.
struct Harvest {
    stale: [Option<Stale>; BATCH_PAGES + SMALL_RANGE_TABLES],
    count: usize,
    changed: ChangedPages,
    has_tables: bool,
    /// Nothing is left in the range.
    is_whole: bool,
}

impl Default for Harvest {
    fn default() -> Self {
        Self {
            stale: [const { None }; BATCH_PAGES + SMALL_RANGE_TABLES],
            count: 0,
            changed: ChangedPages::default(),
            has_tables: false,
            is_whole: false,
        }
    }
}

impl Harvest {
    /// Takes the pages of a small range, as many as there is room for, and then its empty tables. Under the lock.
    fn take(&mut self, pages: &Range<u64>) {
        if pages.end - pages.start > SMALL_RANGE_PAGES {
            return;
        }
        let (start, end) = (pages.start * PAGE_BYTES, pages.end * PAGE_BYTES);
        let next = page_table::visit_mapped(start, end, BATCH_PAGES, &mut |virt| {
            self.add(large::unmap(virt));
            self.changed.add(virt);
        });
        self.is_whole = next.is_none();
        if self.is_whole {
            page_table::take_empty_tables(start, end, &mut |table| {
                self.add(Some(Stale::Frame(table)));
                self.has_tables = true;
            });
        }
    }

    fn add(&mut self, stale: Option<Stale>) {
        if stale.is_some() {
            self.stale[self.count] = stale;
            self.count += 1;
        }
    }

    /// Makes every CPU forget what was taken, and frees it.
    fn free(mut self) {
        if self.changed.count == 0 && !self.has_tables {
            return;
        }
        let flushed = if self.has_tables {
            mailbox::flush_everywhere(None)
        } else {
            self.changed.flush()
        };
        free_all(&mut self.stale[..self.count], &flushed);
    }
}

fn free_all(stale: &mut [Option<Stale>], flushed: &Flushed) {
    for stale in stale.iter_mut().filter_map(Option::take) {
        match stale.reclaim(flushed) {
            Reclaimed::Frame(frame) => frames::free(frame),
            Reclaimed::Block(block) => frames::free_block(block),
        }
    }
}

/// Splits the large pages across which the range begins and ends. Under the lock.
fn split_edges(pages: &Range<u64>) -> Result<(), MemoryError> {
    let edges = [pages.start * PAGE_BYTES, pages.end * PAGE_BYTES];
    edges
        .into_iter()
        .filter(|edge| !edge.is_multiple_of(LARGE_PAGE_BYTES))
        .try_for_each(large::split)
        .map_err(|NoTableFrame| MemoryError::NoFrames)
}

/// Splits all large pages of the range, in steps.
fn split_all(pages: &Range<u64>) -> Result<(), MemoryError> {
    let mut outcome = Ok(());
    for_each_mapped(
        &(pages.start * PAGE_BYTES..pages.end * PAGE_BYTES),
        &mut |virt| {
            outcome = outcome.and(large::split(virt));
        },
    );
    outcome.map_err(|NoTableFrame| MemoryError::NoFrames)
}

/// Frees the frames of the range but keeps its regions: pages read as zero afterwards, or as their image has them. The page
/// tables of its beginning stay as well, for whoever uses it next; those behind, which a large program made, go.
///
/// # Errors
/// [`MemoryError::BadRange`], or [`MemoryError::NoRegion`] where parts are not mapped.
pub fn discard(start: usize, len_bytes: usize) -> Result<(), MemoryError> {
    let pages = checked_pages(start, len_bytes)?;
    with_space(|space| {
        if !space.is_covered(&pages) {
            return Err(SpaceError::NotCovered.into());
        }
        space.require_disposable(&pages)?;
        split_edges(&pages)
    })?;
    drop_frames(&pages, Fate::Discard);
    let kept_end = pages.end.min(pages.start + DISCARD_KEEPS_TABLES_PAGES);
    drop_empty_tables(&(kept_end..pages.end));
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
    let start = map_anywhere(pages, Region::new(Access::Read, Content::BootModule))? as u64;
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
    let _guard = SPACE.lock();
    page_table::set_alias_writable(number, false).map_err(|_| MemoryError::NoFrames)?;
    page_table::map(virt, frame, rights(Access::Read)).map_err(|_| MemoryError::NoFrames)
}

/// Why frames are dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The regions go as well.
    Unmap,
    /// The regions stay, and what they show of an image is as it should be.
    Discard,
}

impl Fate {
    /// Whether the page at `virt`, in a range that meets this fate, loses its frame. A large page across the end of a range
    /// that is discarded came when there was nothing in its place any more: what it holds is newer than the discarding.
    fn concerns(self, virt: u64, range: &Range<u64>) -> bool {
        let Some(leaf) = page_table::lookup(virt) else {
            return false;
        };
        let place = virt / LARGE_PAGE_BYTES * LARGE_PAGE_BYTES;
        let is_inside = range.start <= place && place + LARGE_PAGE_BYTES <= range.end;
        self == Self::Unmap || !leaf.is_shared && (!leaf.is_large || is_inside)
    }
}

/// Frees all frames of the range. Few go in one step; of many, every page first becomes inaccessible, and when no CPU can
/// reach them any more, the frames are taken: one shoot-down in either case.
pub(super) fn drop_frames(pages: &Range<u64>, fate: Fate) {
    let range = pages.start * PAGE_BYTES..pages.end * PAGE_BYTES;
    let mut first = Harvest::default();
    let next = {
        let _guard = SPACE.lock();
        page_table::visit_mapped(range.start, range.end, BATCH_PAGES, &mut |virt| {
            if fate.concerns(virt, &range) {
                first.add(large::unmap(virt));
                first.changed.add(virt);
            }
        })
    };
    let rest = next.unwrap_or(range.end)..range.end;
    if !rest.is_empty() {
        for_each_mapped(&rest, &mut |virt| {
            if fate.concerns(virt, &range) {
                page_table::hold_for_discard(virt);
                first.changed.add(virt);
            }
        });
    }
    if first.changed.count == 0 {
        return;
    }
    let flushed = first.changed.flush();
    free_all(&mut first.stale[..first.count], &flushed);
    free_held(&rest, flushed);
}

/// Frees the frames of pages that were held before `flushed` came about.
fn free_held(range: &Range<u64>, flushed: Flushed) {
    let mut next = range.start;
    while next < range.end {
        let mut stale = [const { None }; BATCH_PAGES];
        let mut count = 0;
        let guard = SPACE.lock();
        let went_on = page_table::visit_mapped(next, range.end, BATCH_PAGES, &mut |virt| {
            // One that is not held any more was given rights since, by a fault in a region that stays.
            if page_table::lookup(virt).is_some_and(|leaf| leaf.is_held_for_discard) {
                stale[count] = large::unmap(virt);
                count += 1;
            }
        });
        drop(guard);
        free_all(&mut stale, &flushed);
        next = went_on.unwrap_or(range.end);
    }
}

/// Visits the mapped pages of the range, in steps, so that interrupts are not off for long.
fn for_each_mapped(range: &Range<u64>, visit: &mut dyn FnMut(u64)) {
    let mut next = Some(range.start);
    while let Some(from) = next {
        let _guard = SPACE.lock();
        next = page_table::visit_mapped(from, range.end, BATCH_PAGES, visit);
    }
}

/// Pages from which rights were taken, and which every CPU must forget.
#[derive(Default)]
struct ChangedPages {
    first: [u64; mailbox::FLUSH_PAGES_MAX],
    count: usize,
    /// Whether one of them was or became code.
    has_code: bool,
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

pub(super) fn drop_empty_tables(pages: &Range<u64>) {
    let end = pages.end * PAGE_BYTES;
    let mut at = pages.start * PAGE_BYTES;
    while at < end {
        let step_end = end.min((at | (TABLE_STEP_BYTES - 1)) + 1);
        let mut stale = [const { None }; TABLES_PER_STEP];
        let mut count = 0;
        {
            let _guard = SPACE.lock();
            page_table::take_empty_tables(at, step_end, &mut |table| {
                stale[count] = Some(Stale::Frame(table));
                count += 1;
            });
        }
        if count > 0 {
            free_all(&mut stale[..count], &mailbox::flush_everywhere(None));
        }
        at = step_end;
    }
}

/// Changes what may be done with the range.
///
/// # Errors
/// See [`MemoryError`]; asking for executable memory is always denied here.
pub fn protect(start: usize, len_bytes: usize, protection: Protection) -> Result<(), MemoryError> {
    let access = protection.access()?;
    let pages = checked_pages(start, len_bytes)?;
    with_space(|space| space.require_disposable(&pages))?;
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
    let takes_away = with_space(|space| {
        split_edges(&pages)?;
        space.set_access(&pages, access).map_err(MemoryError::from)
    })?;
    if access == Access::ReadExecute {
        split_all(&pages)?;
    }
    let changed = update_pages(&pages)?;
    if changed.has_code {
        // The rights of the direct map's aliases changed as well.
        let _flushed = mailbox::flush_everywhere(None);
    } else if takes_away && changed.count > 0 {
        let _flushed = changed.flush();
    }
    Ok(())
}

/// Brings the pages of the range to what their regions say now.
fn update_pages(pages: &Range<u64>) -> Result<ChangedPages, MemoryError> {
    let mut changed = ChangedPages::default();
    let mut outcome = Ok(());
    let end = pages.end * PAGE_BYTES;
    let mut next = Some(pages.start * PAGE_BYTES);
    while let Some(from) = next {
        let guard = SPACE.lock();
        let space = guard.as_ref().ok_or(MemoryError::NoSpace)?;
        next = page_table::visit_mapped(from, end, BATCH_PAGES, &mut |virt| {
            let region = space.find(page_of(virt)).map(|(_, region)| region);
            let rights = region.and_then(|region| rights(region.access));
            let before = page_table::lookup(virt).and_then(|leaf| leaf.rights);
            let executes = |rights: Option<Rights>| rights.is_some_and(|rights| rights.execute);
            changed.has_code |= executes(before) || executes(rights);
            if page_table::set_rights(virt, rights).is_err() {
                outcome = Err(MemoryError::NoFrames);
            }
            changed.add(virt);
        });
        outcome?;
    }
    Ok(changed)
}

pub(super) fn page_of(address: u64) -> u64 {
    address / PAGE_BYTES
}

fn page_count(len_bytes: usize) -> Result<u64, MemoryError> {
    let limit = REGION_WINDOW.end - REGION_WINDOW.start;
    if len_bytes == 0 || len_bytes as u64 > limit {
        return Err(MemoryError::BadRange);
    }
    Ok((len_bytes as u64).div_ceil(PAGE_BYTES))
}

pub(super) fn checked_pages(start: usize, len_bytes: usize) -> Result<Range<u64>, MemoryError> {
    let pages = page_count(len_bytes)?;
    let start = start as u64;
    let fits = REGION_WINDOW.contains(&start) && start + pages * PAGE_BYTES <= REGION_WINDOW.end;
    if !start.is_multiple_of(PAGE_BYTES) || !fits {
        return Err(MemoryError::BadRange);
    }
    Ok(page_of(start)..page_of(start) + pages)
}
