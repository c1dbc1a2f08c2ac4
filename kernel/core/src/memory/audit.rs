//! The audit of the region window: pages, regions and frames tell the same story.
//!
//! Law: every page that has a frame is covered by a region, may be used as the region says and no further, and its frame
//! is in the hands of the region's owner; and all frames of stacks are behind pages of stacks. The audit looks at a
//! batch of pages under the regions' lock at a time, so that the machine goes on: what it sees may be in the middle of a
//! change, which is why only what is still wrong when it has looked again and again is a finding.

use core::fmt;

use kernel_machine::memory::frame::{self, FrameOwner};
use kernel_machine::memory::page_table::{self, Leaf, Rights};

use super::faults;
use super::regions::{self, SPACE, page_of};
use super::{REGION_WINDOW, frames};
use crate::{thread, time};

/// How often something wrong is looked at again, and how long is waited in between.
const LOOKS: u32 = 50;
const BETWEEN_LOOKS_NS: u64 = 20_000_000;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The page at this address has a frame, and no region covers it.
    Uncovered(u64),
    /// The page at this address may be used in a way that its region forbids.
    TooManyRights(u64),
    /// The frame behind the page at this address is in other hands than the region's.
    WrongOwner(u64),
    /// Frames in the hands of stacks, and pages of stacks that have one.
    StacksDoNotAddUp {
        /// As the frame table counts.
        frames: u64,
        /// As the page tables show.
        pages: u64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uncovered(page) => write!(
                out,
                "memory audit: the page at {page:#x} has a frame, but no region covers it"
            ),
            Self::TooManyRights(page) => write!(
                out,
                "memory audit: the page at {page:#x} may be used in a way that its region forbids"
            ),
            Self::WrongOwner(page) => write!(
                out,
                "memory audit: the frame behind the page at {page:#x} is not its region's owner's"
            ),
            Self::StacksDoNotAddUp { frames, pages } => write!(
                out,
                "memory audit: stacks have {frames} frames, but {pages} pages of stacks have one"
            ),
        }
    }
}

/// What is known of the region that covers a page.
#[derive(Clone, Copy)]
struct Covering {
    owner: FrameOwner,
    /// The most that its pages may do.
    rights: Option<Rights>,
}

/// Pages looked at in one go.
const BATCH_PAGES: usize = 64;

/// Visits every page of the window that has a frame, and the region that covers it.
fn for_each_leaf(visit: &mut dyn FnMut(u64, Leaf, Option<Covering>)) {
    let mut next = Some(REGION_WINDOW.start);
    while let Some(from) = next {
        let guard = SPACE.lock();
        next = page_table::visit_mapped(from, REGION_WINDOW.end, BATCH_PAGES, &mut |page| {
            let found = guard.as_ref().and_then(|space| space.find(page_of(page)));
            let covering = found.map(|(_, region)| Covering {
                owner: faults::owner(region),
                rights: regions::rights(region.access),
            });
            if let Some(leaf) = page_table::lookup(page) {
                visit(page, leaf, covering);
            }
        });
    }
}

/// Looks at every page, and counts them. May wait.
///
/// # Errors
/// The first thing that stays wrong.
pub fn audit() -> Result<u64, Finding> {
    let mut result = look();
    for _ in 0..LOOKS {
        if result.is_ok() {
            return result;
        }
        thread::sleep_until(time::monotonic_ns() + BETWEEN_LOOKS_NS);
        result = look();
    }
    result
}

fn look() -> Result<u64, Finding> {
    let mut pages = 0;
    let mut stack_pages = 0;
    let mut finding = None;
    for_each_leaf(&mut |page, leaf, covering| {
        pages += 1;
        stack_pages += u64::from(covering.is_some_and(|c| c.owner == FrameOwner::Stacks));
        finding = finding.or_else(|| complaint(page, &leaf, covering));
    });
    let frames = frames::statistics().by_owner[FrameOwner::Stacks as usize];
    match finding {
        Some(finding) => Err(finding),
        None if frames != stack_pages => Err(Finding::StacksDoNotAddUp {
            frames,
            pages: stack_pages,
        }),
        None => Ok(pages),
    }
}

fn complaint(page: u64, leaf: &Leaf, covering: Option<Covering>) -> Option<Finding> {
    let Some(covering) = covering else {
        return Some(Finding::Uncovered(page));
    };
    if !is_within(leaf.rights, covering.rights) {
        return Some(Finding::TooManyRights(page));
    }
    if leaf.is_shared {
        // The frame is an image's.
        return None;
    }
    let owner = frame::owner(leaf.frame_number);
    (owner != covering.owner).then_some(Finding::WrongOwner(page))
}

/// Whether a page with these rights can do nothing that its region forbids.
fn is_within(page: Option<Rights>, region: Option<Rights>) -> bool {
    match (page, region) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(page), Some(region)) => {
            (!page.write || region.write) && (!page.execute || region.execute)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn rights(write: bool, execute: bool) -> Option<Rights> {
        Some(Rights { write, execute })
    }

    #[test]
    fn a_page_may_do_less_than_its_region_and_never_more() {
        let all = [
            None,
            rights(false, false),
            rights(true, false),
            rights(false, true),
        ];
        for (index, page) in all.into_iter().enumerate() {
            assert!(is_within(page, page) && is_within(None, page));
            assert_eq!(is_within(page, None), index == 0);
        }
        assert!(is_within(rights(false, false), rights(true, false)));
        assert!(!is_within(rights(true, false), rights(false, false)));
        assert!(!is_within(rights(false, true), rights(true, false)));
        assert!(!is_within(rights(true, false), rights(false, true)));
    }
}
