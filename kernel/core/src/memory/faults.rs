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

use kernel_machine::cpu::{self, interrupts, mailbox};
use kernel_machine::memory::frame::FrameOwner;
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

/// Backs every page of the range that may be accessed at all.
///
/// # Errors
/// [`MemoryError::NoFrames`] when memory runs out part way; [`MemoryError::NoRegion`].
pub fn populate(start: usize, len_bytes: usize) -> Result<(), MemoryError> {
    let pages = checked_pages(start, len_bytes)?;
    for page in pages {
        match resolve_fault((page * PAGE_BYTES) as usize, Want::Read) {
            FaultOutcome::Resolved => {}
            FaultOutcome::NoFrames => return Err(MemoryError::NoFrames),
            FaultOutcome::NoRegion | FaultOutcome::Forbidden => return Err(MemoryError::NoRegion),
        }
    }
    Ok(())
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
    let need = match first_look(page, want) {
        Ok(need) => need,
        Err(outcome) => return outcome,
    };
    match fill(need, floor) {
        Some(frame) => back_page(page, want, need, frame),
        None => {
            give_up(need);
            FaultOutcome::NoFrames
        }
    }
}

/// Does what can be done at once, or says what is needed.
fn first_look(page: u64, want: Want) -> Result<Need, FaultOutcome> {
    let mut guard = SPACE.lock();
    let space = guard.as_mut().ok_or(FaultOutcome::NoRegion)?;
    let need = decide(space, page, want)?;
    if let Need::CopyOf { image, .. } = need {
        space.images.pin(image);
    }
    Ok(need)
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
