//! An address space: regions with a right and a content each, the images that some of them show, and what a
//! fault has to do.
//!
//! Law: the pages that show an image are counted where regions come and go, nowhere else. A region that is being
//! emptied is *dying*: it forbids everything and stays in the way until it is removed. Who changes page
//! tables asks [`Space::examine`] what a page needs and does exactly that, under the same lock; when it had to
//! let the lock go, it asks again.
//!
//! Units: page numbers and counts of pages; lengths of images in bytes, `PAGE_BYTES` to a page.

use crate::images::{ImageError, ImageId, ImageSlot, Images};
use crate::{RegionMap, SLOTS_PER_OPERATION, Slot};
use core::ops::Range;

/// Bytes of a page.
pub const PAGE_BYTES: u64 = 4096;

/// What may be done with a region's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: a guard or a reservation.
    None,
    /// Reading.
    Read,
    /// Reading and writing.
    ReadWrite,
    /// Reading and executing: code that was published.
    ReadExecute,
}

impl Access {
    fn takes_away_from(self, before: Self) -> bool {
        self != before && !(before == Self::None || before == Self::Read && self == Self::ReadWrite)
    }
}

/// What an instruction was about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
}

/// What a region's pages hold before they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Zeroes.
    Plain,
    /// Zeroes, on a thread's stack.
    Stack,
    /// What the loader read: read-only for ever, never unmapped.
    BootModule,
    /// The frames of an image themselves; nobody reaches them here.
    Image,
    /// What the image holds, and zeroes behind its end. Page `origin` would show the image's first page;
    /// it may lie outside of the region.
    CopyOf {
        /// The image.
        image: ImageId,
        /// Where its page 0 would stand, modulo 2⁶⁴.
        origin: u64,
    },
}

/// A range of pages with one right and one content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// What may be done with it.
    pub access: Access,
    /// What its pages hold.
    pub content: Content,
    /// It is being emptied.
    pub is_dying: bool,
    /// A fault may bring in more than its page: what lies here is one owner's, who gives all of it back.
    pub fault_around: bool,
}

impl Region {
    /// A region that is not dying, and whose pages come one by one.
    pub fn new(access: Access, content: Content) -> Self {
        Self {
            access,
            content,
            is_dying: false,
            fault_around: false,
        }
    }

    /// Whether an instruction may do this in it.
    pub fn allows(self, want: Want) -> bool {
        !self.is_dying
            && match self.access {
                Access::None => false,
                Access::Read => want == Want::Read,
                Access::ReadWrite => want != Want::Execute,
                Access::ReadExecute => want != Want::Write,
            }
    }

    /// `access`, less what the content never permits.
    fn limit(self, access: Access) -> Access {
        match (self.content, access) {
            (Content::Image, _) => Access::None,
            (Content::BootModule, Access::ReadWrite) => Access::Read,
            _ => access,
        }
    }
}

/// What stands in the page tables for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Present {
    /// No frame.
    Nothing,
    /// A frame of its own.
    Private,
    /// A frame of its own that a CPU has just put in a shared one's place: other CPUs may still see that one.
    Fresh,
    /// A frame of an image.
    Shared,
}

/// What a fault has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// No region covers the page.
    NoRegion,
    /// A region covers it and forbids the access.
    Forbidden,
    /// The frame is right: give it the region's rights.
    Grant(Region),
    /// Another CPU is still making everybody forget the shared frame: try again.
    Await,
    /// Put a zeroed frame there.
    Zero(Region),
    /// Show the frame of the image's page `source` without the right to write; zeroes if it has none.
    Share {
        /// The region.
        region: Region,
        /// Where the image's page stands.
        source: u64,
    },
    /// Put a copy of the frame of the image's page `source` there; zeroes if it has none.
    Copy {
        /// The region.
        region: Region,
        /// The image, to be pinned while the copy is made without the lock.
        image: ImageId,
        /// Where the image's page stands.
        source: u64,
    },
}

/// Why regions could not be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpaceError {
    /// The window or the table of regions is used up.
    NoSpace,
    /// Part of the range has no region, or a dying one.
    NotCovered,
    /// What is there must stay, or must not get this right.
    Denied,
}

/// The regions and the images of one address space.
pub struct Space<'s> {
    map: RegionMap<'s, Region>,
    slot_count: usize,
    /// The images that regions show.
    pub images: Images<'s>,
}

impl<'s> Space<'s> {
    /// Nothing, in `window`.
    pub fn new(
        slots: &'s mut [Slot<Region>],
        images: &'s mut [ImageSlot],
        image_span_pages: u64,
        window: Range<u64>,
    ) -> Self {
        let slot_count = slots.len();
        Self {
            map: RegionMap::new(slots, window),
            slot_count,
            images: Images::new(images, image_span_pages),
        }
    }

    /// Regions, each as long as possible.
    pub fn region_count(&self) -> usize {
        self.map.len()
    }

    /// Maps `pages` somewhere, with a hole before and behind them, so that overruns fault.
    pub fn map_anywhere(&mut self, pages: u64, region: Region) -> Result<u64, SpaceError> {
        self.require_slots()?;
        let with_holes = pages.checked_add(2).ok_or(SpaceError::NoSpace)?;
        let gap = self.map.find_gap(with_holes, 1);
        let start = gap.ok_or(SpaceError::NoSpace)? + 1;
        self.insert(start..start + pages, region)?;
        Ok(start)
    }

    /// Puts a region where none is. A region that shows an image counts for it from here on.
    pub fn insert(&mut self, pages: Range<u64>, region: Region) -> Result<(), SpaceError> {
        if let Content::CopyOf { image, .. } = region.content {
            self.images
                .show(image, pages.end - pages.start)
                .map_err(|_| SpaceError::Denied)?;
        }
        let inserted = self.map.insert(pages.clone(), region);
        if inserted.is_err()
            && let Content::CopyOf { image, .. } = region.content
        {
            self.images.hide(image, pages.end - pages.start);
        }
        inserted.map_err(|_| SpaceError::NoSpace)
    }

    /// Makes the regions of the range forbid everything until they are removed.
    pub fn mark_dying(&mut self, pages: &Range<u64>) -> Result<(), SpaceError> {
        self.require_disposable(pages)?;
        let updated = self
            .map
            .update(pages.clone(), &mut |_, region| region.is_dying = true);
        updated.map_err(|_| SpaceError::NoSpace)
    }

    /// Removes the regions of the range, whose pages have no frames any more. Images may be dead afterwards.
    pub fn remove(&mut self, pages: &Range<u64>) -> Result<(), SpaceError> {
        let images = &mut self.images;
        let removed = self.map.remove(pages.clone(), &mut |part, region| {
            if let Content::CopyOf { image, .. } = region.content {
                images.hide(image, part.end - part.start);
            }
        });
        removed.map_err(|_| SpaceError::NoSpace)
    }

    /// Changes what may be done with the range; answers whether somebody loses a right.
    pub fn set_access(&mut self, pages: &Range<u64>, access: Access) -> Result<bool, SpaceError> {
        self.require_slots()?;
        if !self.is_covered(pages) {
            return Err(SpaceError::NotCovered);
        }
        if access == Access::ReadExecute {
            self.require_publishable(pages)?;
        }
        let mut takes_away = access == Access::ReadExecute;
        let updated = self.map.update(pages.clone(), &mut |_, region| {
            let access = region.limit(access);
            takes_away |= access.takes_away_from(region.access);
            region.access = access;
            // Who opens a reservation bit by bit opens it for one owner.
            region.fault_around = match access {
                Access::ReadWrite => true,
                Access::None => false,
                Access::Read | Access::ReadExecute => region.fault_around,
            };
        });
        updated.map_err(|_| SpaceError::NoSpace)?;
        Ok(takes_away)
    }

    /// Whether every page has a region that is not dying.
    pub fn is_covered(&self, pages: &Range<u64>) -> bool {
        let mut covered = 0;
        let mut alive = true;
        self.map
            .for_each_in(pages.clone(), &mut |part, region: Region| {
                covered += part.end - part.start;
                alive &= !region.is_dying;
            });
        alive && covered == pages.end - pages.start
    }

    /// Boot modules and images stay, and code is withdrawn before its pages go.
    pub fn require_disposable(&self, pages: &Range<u64>) -> Result<(), SpaceError> {
        self.require_all(pages, |region| {
            !matches!(region.content, Content::BootModule | Content::Image)
                && region.access != Access::ReadExecute
        })
    }

    /// Frames that several regions show never become code.
    fn require_publishable(&self, pages: &Range<u64>) -> Result<(), SpaceError> {
        self.require_all(pages, |region| {
            matches!(region.content, Content::Plain | Content::BootModule)
        })
    }

    fn require_all(
        &self,
        pages: &Range<u64>,
        holds: impl Fn(Region) -> bool,
    ) -> Result<(), SpaceError> {
        let mut all = true;
        self.map
            .for_each_in(pages.clone(), &mut |_, region| all &= holds(region));
        if all { Ok(()) } else { Err(SpaceError::Denied) }
    }

    /// The region that covers `page`, and all its pages.
    pub fn find(&self, page: u64) -> Option<(Range<u64>, Region)> {
        self.map.find(page)
    }

    /// What an access to `page` needs, given what stands there.
    pub fn examine(&self, page: u64, want: Want, present: Present) -> Step {
        let Some((_, region)) = self.map.find(page) else {
            return Step::NoRegion;
        };
        if !region.allows(want) {
            return Step::Forbidden;
        }
        let source = self.source(page, region);
        match (present, region.content, source) {
            (Present::Fresh, ..) if want == Want::Write => Step::Await,
            (Present::Shared, Content::CopyOf { image, .. }, Some(source))
                if want == Want::Write =>
            {
                Step::Copy {
                    region,
                    image,
                    source,
                }
            }
            (Present::Private | Present::Fresh | Present::Shared, ..) => Step::Grant(region),
            (Present::Nothing, Content::BootModule | Content::Image, _) => Step::NoRegion,
            (Present::Nothing, Content::CopyOf { image, .. }, Some(source)) => match want {
                Want::Write => Step::Copy {
                    region,
                    image,
                    source,
                },
                Want::Read | Want::Execute => Step::Share { region, source },
            },
            (Present::Nothing, ..) => Step::Zero(region),
        }
    }

    /// The page of an image that `page` shows.
    fn source(&self, page: u64, region: Region) -> Option<u64> {
        match region.content {
            Content::CopyOf { image, origin } => {
                self.images
                    .page(image, page.wrapping_sub(origin), PAGE_BYTES)
            }
            _ => None,
        }
    }

    /// What is left over lets others be unmapped when the table is otherwise full.
    fn require_slots(&self) -> Result<(), SpaceError> {
        if self.map.slots_free_below(self.slot_count) < 2 * SLOTS_PER_OPERATION {
            return Err(SpaceError::NoSpace);
        }
        Ok(())
    }

    /// Makes an open image in a place of its own.
    pub fn create_image(&mut self) -> Result<ImageId, ImageError> {
        let span = self.images.span_pages();
        let region = Region::new(Access::None, Content::Image);
        let first = self
            .map_anywhere(span, region)
            .map_err(|_| ImageError::NoSlot)?;
        self.images.create(first).inspect_err(|_| {
            let _removed = self.map.remove(first..first + span, &mut |_, _| {});
        })
    }

    /// Removes a dead image whose pages have no frames any more.
    pub fn forget_image(&mut self, id: ImageId, pages: &Range<u64>) -> Result<(), SpaceError> {
        self.remove(pages)?;
        self.images.forget(id);
        Ok(())
    }
}
