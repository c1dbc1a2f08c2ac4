//! Page faults: what is brought in, and how.
//!
//! Law: runs with interrupts off. What a page needs is decided by [`Space::examine`] under the regions' lock. What
//! needs a frame is decided twice: the frame is allocated, and filled, between two holdings of the lock, and used
//! only if the second decision is the first. While a fault copies from an image it pins it, so the frame that is read
//! stays the image's.
//!
//! A write to a page that shows a frame of an image: the copy takes the shared frame's place *read-only*, all CPUs are
//! made to forget the shared frame, and only then the copy may be written. A CPU that wants to write meanwhile tries
//! again until then. So no CPU reads the old frame once another has written to the new one.
//!
//! Where memory is plenty, a fault brings in more than its page, in regions that were mapped to be written: who has just
//! filled the pages before it gets the next few with it ([`RUN_PAGES`]), and who has filled the place of a whole large page
//! gets the next one as a large page. Who touches a page here and there pays for those pages only.

use core::ops::Range;

use kernel_machine::cpu::{self, interrupts, mailbox};
use kernel_machine::memory::frame::FrameOwner;
use kernel_machine::memory::frame_block::LARGE_PAGE_ORDER;
use kernel_machine::memory::page_table::large::{self, LARGE_PAGE_BYTES};
use kernel_machine::memory::page_table::{self, Leaf, Rights};
use kernel_machine::memory::{Frame, PAGE_BYTES};
use lib_region_map::images::ImageId;
use lib_region_map::space::{Access, Content, Present, Region, Space, Step, Want};

use super::frames;
use super::regions::{MemoryError, SPACE, checked_pages, page_of, rights};

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

/// What has to be allocated and filled before the page can be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// A zeroed frame.
    Zeroed(FrameOwner),
    /// A copy of an image's frame.
    CopyOf {
        /// The image, which is pinned.
        image: ImageId,
        /// Its frame.
        frame_number: u64,
    },
}

/// Pages that a fault brings in at most, its own among them: they end on a multiple of this.
const RUN_PAGES: u64 = 8;
/// Pages in a large page.
const LARGE_PAGES: u64 = LARGE_PAGE_BYTES / PAGE_BYTES;

/// Backs every page of the range that may be accessed at all, with large pages where they fit.
///
/// # Errors
/// [`MemoryError::NoFrames`] when memory runs out part way; [`MemoryError::NoRegion`].
pub fn populate(start: usize, len_bytes: usize) -> Result<(), MemoryError> {
    let pages = checked_pages(start, len_bytes)?;
    let mut page = pages.start;
    while page < pages.end {
        if page + LARGE_PAGES <= pages.end && populate_large(page) {
            page += LARGE_PAGES;
            continue;
        }
        match resolve_fault((page * PAGE_BYTES) as usize, Want::Read) {
            FaultOutcome::Resolved => page += 1,
            FaultOutcome::NoFrames => return Err(MemoryError::NoFrames),
            FaultOutcome::NoRegion | FaultOutcome::Forbidden => return Err(MemoryError::NoRegion),
        }
    }
    Ok(())
}

/// Backs the large page that begins with `page`, if there can be one.
fn populate_large(page: u64) -> bool {
    let fits = page.is_multiple_of(LARGE_PAGES)
        && SPACE
            .lock()
            .as_ref()
            .is_some_and(|space| is_free_for_large(space, page));
    fits && back_large(page)
}

/// Brings in the page that a fault of a program at `address` needs.
pub fn resolve_fault(address: usize, want: Want) -> FaultOutcome {
    resolve(address, want, frames::floor)
}

/// As [`resolve_fault`], for the kernel's own code, which cannot be ended: frames come from the reserve where there
/// are no others.
pub fn resolve_kernel_fault(address: usize, want: Want) -> FaultOutcome {
    resolve(address, want, frames::kernel_floor)
}

fn resolve(address: usize, want: Want, floor: fn(FrameOwner) -> u64) -> FaultOutcome {
    // Whoever settles a copy must still be on the CPU that put it there.
    let _interrupts = interrupts::Disabled::enter();
    let page = page_of(address as u64);
    let (need, extent) = match first_look(page, want) {
        Ok(found) => found,
        Err(outcome) => return outcome,
    };
    if extent == Extent::Large && back_large(page / LARGE_PAGES * LARGE_PAGES) {
        return FaultOutcome::Resolved;
    }
    let Some(frame) = fill(need, floor) else {
        give_up(need);
        return FaultOutcome::NoFrames;
    };
    let outcome = back_page(page, want, need, frame);
    if let (Extent::Run { end }, FaultOutcome::Resolved) = (extent, outcome) {
        back_run(page + 1..end, want, need);
    }
    outcome
}

/// Does what can be done at once, or says what is needed, and how much with it.
fn first_look(page: u64, want: Want) -> Result<(Need, Extent), FaultOutcome> {
    let mut guard = SPACE.lock();
    let space = guard.as_mut().ok_or(FaultOutcome::NoRegion)?;
    let need = decide(space, page, want)?;
    if let Need::CopyOf { image, .. } = need {
        space.images.pin(image);
        return Ok((need, Extent::Page));
    }
    Ok((need, extent(space, page)))
}

/// How much a fault brings in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// Its page.
    Page,
    /// Its page and those behind it, up to `end`.
    Run {
        /// One past the last page.
        end: u64,
    },
    /// The large page around it.
    Large,
}

/// What it should be for a page that has nothing.
fn extent(space: &Space<'_>, page: u64) -> Extent {
    let Some(range) = faulted_around(space, page) else {
        return Extent::Page;
    };
    let place = page / LARGE_PAGES * LARGE_PAGES;
    if is_free_for_large(space, place) && large::is_full((place - 1) * PAGE_BYTES) {
        return Extent::Large;
    }
    let is_there =
        |page: u64| range.contains(&page) && page_table::lookup(page * PAGE_BYTES).is_some();
    if is_there(page - 1) && is_there(page - 2) {
        let end = (page + 1).next_multiple_of(RUN_PAGES);
        return Extent::Run {
            end: end.min(range.end),
        };
    }
    Extent::Page
}

/// The pages of the region around `page`, if it holds zeroes and may be written.
fn writable_zeroes(space: &Space<'_>, page: u64) -> Option<Range<u64>> {
    let (range, region) = space.find(page)?;
    is_writable_zeroes(region).then_some(range)
}

fn is_writable_zeroes(region: Region) -> bool {
    region.content == Content::Plain && region.allows(Want::Write)
}

/// The same, if a fault may bring in more than its page.
fn faulted_around(space: &Space<'_>, page: u64) -> Option<Range<u64>> {
    let (range, region) = space.find(page)?;
    (region.fault_around && is_writable_zeroes(region)).then_some(range)
}

/// Whether a large page may be put at `page`, the first of its place.
fn is_free_for_large(space: &Space<'_>, page: u64) -> bool {
    let range = writable_zeroes(space, page);
    range.is_some_and(|range| page + LARGE_PAGES <= range.end) && large::is_free(page * PAGE_BYTES)
}

/// Puts a large page at `page`, if memory is plenty and it may still be there.
fn back_large(page: u64) -> bool {
    let Some(block) = frames::spare_block(LARGE_PAGE_ORDER, FrameOwner::Regions) else {
        return false;
    };
    let guard = SPACE.lock();
    let is_free = guard
        .as_ref()
        .is_some_and(|space| is_free_for_large(space, page));
    let placed = if is_free {
        large::map(page * PAGE_BYTES, block, rights(Access::ReadWrite))
    } else {
        Err(block)
    };
    drop(guard);
    placed.map_err(frames::free_block).is_ok()
}

/// Puts zeroed frames at those of the pages that need one, as long as memory is plenty.
fn back_run(pages: Range<u64>, want: Want, need: Need) {
    let Need::Zeroed(owner) = need else { return };
    let mut spare = [const { None }; RUN_PAGES as usize];
    for place in spare.iter_mut().take((pages.end - pages.start) as usize) {
        *place = frames::spare(owner);
        if place.is_none() {
            break;
        }
    }
    let guard = SPACE.lock();
    if let Some(space) = guard.as_ref() {
        for (page, place) in pages.zip(&mut spare) {
            let is_needed = decide(space, page, want) == Ok(need);
            if is_needed
                && faulted_around(space, page).is_some()
                && let Some(frame) = place.take()
            {
                *place = page_table::map(page * PAGE_BYTES, frame, rights(Access::ReadWrite)).err();
            }
        }
    }
    drop(guard);
    spare.into_iter().flatten().for_each(frames::free);
}

/// What the page needs now; an outcome where it needs nothing that has to be allocated.
fn decide(space: &Space<'_>, page: u64, want: Want) -> Result<Need, FaultOutcome> {
    let virt = page * PAGE_BYTES;
    match space.examine(page, want, present(page_table::lookup(virt))) {
        Step::NoRegion => Err(FaultOutcome::NoRegion),
        Step::Forbidden => Err(FaultOutcome::Forbidden),
        Step::Await => Err(FaultOutcome::Resolved),
        Step::Grant(region) => Err(grant(virt, region.access)),
        Step::Zero(region) => Ok(Need::Zeroed(owner(region))),
        Step::Share { region, source } => match page_table::lookup(source * PAGE_BYTES) {
            Some(leaf) => Err(share(virt, leaf)),
            None => Ok(Need::Zeroed(owner(region))),
        },
        Step::Copy {
            region,
            image,
            source,
        } => Ok(match page_table::lookup(source * PAGE_BYTES) {
            Some(leaf) => Need::CopyOf {
                image,
                frame_number: leaf.frame_number,
            },
            None => Need::Zeroed(owner(region)),
        }),
    }
}

fn present(leaf: Option<Leaf>) -> Present {
    match leaf {
        None => Present::Nothing,
        Some(Leaf {
            is_shared: true, ..
        }) => Present::Shared,
        Some(Leaf {
            copied_by: Some(_), ..
        }) => Present::Fresh,
        Some(_) => Present::Private,
    }
}

/// Whose the frames of its own are.
pub(super) fn owner(region: Region) -> FrameOwner {
    match region.content {
        Content::Stack => FrameOwner::Stacks,
        Content::BootModule => FrameOwner::BootModules,
        Content::Image => FrameOwner::Images,
        Content::Plain | Content::CopyOf { .. } => FrameOwner::Regions,
    }
}

/// Another CPU was faster, or this CPU remembered an older refusal.
fn grant(virt: u64, access: Access) -> FaultOutcome {
    let granted = page_table::set_rights(virt, rights(access));
    cpu::flush_page(virt);
    match granted {
        Ok(()) => FaultOutcome::Resolved,
        Err(_) => FaultOutcome::NoFrames,
    }
}

fn share(virt: u64, source: Leaf) -> FaultOutcome {
    match page_table::share(virt, source.frame_number, rights(Access::Read)) {
        Ok(()) => FaultOutcome::Resolved,
        Err(_) => FaultOutcome::NoFrames,
    }
}

fn fill(need: Need, floor: fn(FrameOwner) -> u64) -> Option<Frame> {
    match need {
        Need::Zeroed(owner) => frames::allocate_above(floor(owner), owner),
        Need::CopyOf { frame_number, .. } => {
            let owner = FrameOwner::Regions;
            let mut frame = frames::allocate_dirty_above(floor(owner), owner)?;
            frame.copy_from(frame_number);
            Some(frame)
        }
    }
}

fn give_up(need: Need) {
    if let (Need::CopyOf { image, .. }, Some(space)) = (need, SPACE.lock().as_mut()) {
        space.images.unpin(image);
    }
}

/// Puts `frame` where it is still needed.
fn back_page(page: u64, want: Want, need: Need, frame: Frame) -> FaultOutcome {
    let virt = page * PAGE_BYTES;
    let mut guard = SPACE.lock();
    let Some(space) = guard.as_mut() else {
        return FaultOutcome::NoRegion;
    };
    let now = decide(space, page, want);
    if let Need::CopyOf { image, .. } = need {
        space.images.unpin(image);
    }
    if now != Ok(need) {
        drop(guard);
        frames::free(frame);
        // Whatever it is by now, the instruction runs again and says what it still needs.
        return now.err().unwrap_or(FaultOutcome::Resolved);
    }
    let is_shared = page_table::lookup(virt).is_some();
    let placed = if is_shared {
        page_table::replace_shared(virt, frame, cpu::index())
    } else {
        let region = space.find(page).map(|(_, region)| region);
        page_table::map(virt, frame, region.and_then(|region| rights(region.access)))
    };
    drop(guard);
    match placed {
        Ok(()) if is_shared => settle(page),
        Ok(()) => {}
        Err(frame) => {
            frames::free(frame);
            return FaultOutcome::NoFrames;
        }
    }
    FaultOutcome::Resolved
}

/// Makes all CPUs forget the frame that was shared at `page`, and lets the copy be written.
fn settle(page: u64) {
    let virt = page * PAGE_BYTES;
    let flushed = mailbox::flush_everywhere(Some(&[virt]));
    let guard = SPACE.lock();
    let region = guard.as_ref().and_then(|space| space.find(page));
    let write = region.is_some_and(|(_, region)| region.allows(Want::Write));
    let rights = Rights {
        write,
        execute: false,
    };
    page_table::settle(virt, cpu::index(), rights, &flushed);
}
