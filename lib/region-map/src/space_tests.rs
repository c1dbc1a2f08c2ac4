//! The address space, driven as the kernel drives it, against a model that holds one value per page.

extern crate std;

use super::images::{ImageError, ImageId, ImageSlot, Seals};
use super::space::{Access, Content, PAGE_BYTES, Present, Region, Space, Step, Want};
use super::{Slot, tests::seeded};
use core::ops::Range;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

/// Pages that the test maps things in. Behind them stands a guard, and behind that the images, which are too long for
/// any gap before it.
const PAGES: u64 = 64;
const SPAN: u64 = PAGES + 1;
const IMAGES: usize = 6;
const WINDOW: Range<u64> = 0x1000..0x1000 + PAGES + 2 + IMAGES as u64 * (SPAN + 1);
/// Pages of an image that the test writes.
const USED: u64 = 8;

/// What the page tables hold for a page.
#[derive(Clone, Copy)]
struct Leaf {
    frame: usize,
    is_shared: bool,
}

/// What a kernel could do wrong; the test has to find each.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Planted {
    /// A write to a page that shows an image goes to the image's frame.
    WriteWithoutCopy,
    /// A range loses its copies where it should show the image again, save the first.
    DiscardForgetsAPage,
    /// Images whose last user has gone stay.
    NeverReaped,
    /// Unmapping frees frames that are the image's.
    FreesShared,
}

/// Address space, page tables and frames, with the steps that the kernel takes.
struct Machine<'s> {
    planted: Option<Planted>,
    space: Space<'s>,
    leaves: BTreeMap<u64, Leaf>,
    /// What each frame holds; `None`: it is free.
    frames: Vec<Option<u64>>,
}

impl Machine<'_> {
    fn allocate(&mut self, value: u64) -> usize {
        let free = self.frames.iter().position(Option::is_none);
        let frame = free.unwrap_or_else(|| {
            self.frames.push(None);
            self.frames.len() - 1
        });
        self.frames[frame] = Some(value);
        frame
    }

    fn drop_frames(&mut self, pages: Range<u64>, also_shared: bool) {
        let gone: Vec<u64> = self.leaves.range(pages).map(|(page, _)| *page).collect();
        for page in gone {
            let leaf = self.leaves[&page];
            if leaf.is_shared && !also_shared {
                continue;
            }
            self.leaves.remove(&page);
            if !leaf.is_shared || self.planted == Some(Planted::FreesShared) {
                assert!(self.frames[leaf.frame].take().is_some(), "freed twice");
            }
        }
    }

    fn replace(&mut self, pages: Range<u64>, region: Option<Region>) -> bool {
        if self.space.mark_dying(&pages).is_err() {
            return false;
        }
        self.drop_frames(pages.clone(), true);
        self.space.remove(&pages).unwrap();
        let inserted = region.is_none_or(|region| self.space.insert(pages, region).is_ok());
        self.reap();
        inserted
    }

    fn reap(&mut self) {
        if self.planted == Some(Planted::NeverReaped) {
            return;
        }
        while let Some((image, pages)) = self.space.images.take_dead() {
            self.drop_frames(pages.clone(), true);
            self.space.forget_image(image, &pages).unwrap();
        }
    }

    /// Does an access as the processor and the fault handler do it; `None` where it traps.
    fn access(&mut self, page: u64, want: Want) -> Option<usize> {
        for _ in 0..3 {
            let present = match self.leaves.get(&page) {
                None => Present::Nothing,
                Some(leaf) if leaf.is_shared => Present::Shared,
                Some(_) => Present::Private,
            };
            let (frame, is_shared) = match self.space.examine(page, want, present) {
                Step::NoRegion | Step::Forbidden => return None,
                Step::Await => panic!("nobody is copying"),
                Step::Grant(_) => return Some(self.leaves[&page].frame),
                Step::Zero(_) => (self.allocate(0), false),
                Step::Share { source, .. } => match self.leaves.get(&source) {
                    Some(leaf) => (leaf.frame, true),
                    None => (self.allocate(0), false),
                },
                Step::Copy { source, .. }
                    if self.planted == Some(Planted::WriteWithoutCopy)
                        && self.leaves.contains_key(&source) =>
                {
                    return Some(self.leaves[&source].frame);
                }
                Step::Copy { source, .. } => {
                    let source = self.leaves.get(&source).map(|leaf| leaf.frame);
                    let value = source.map_or(0, |frame| self.frames[frame].unwrap());
                    (self.allocate(value), false)
                }
            };
            self.leaves.insert(page, Leaf { frame, is_shared });
        }
        panic!("the same fault again and again");
    }

    fn write_image(&mut self, image: ImageId, page: u64, value: u64) -> Result<(), ImageError> {
        let offset = page * PAGE_BYTES;
        let first = self
            .space
            .images
            .begin_write(image, offset, PAGE_BYTES, PAGE_BYTES)?;
        self.drop_frames(first + page..first + page + 1, true);
        let frame = self.allocate(value);
        self.leaves.insert(
            first + page,
            Leaf {
                frame,
                is_shared: false,
            },
        );
        let was = self.space.images.len_bytes_while_writing(image);
        let len_bytes = was.max(offset + PAGE_BYTES);
        self.space.images.end_write(image, len_bytes);
        self.reap();
        Ok(())
    }

    fn resize_image(&mut self, image: ImageId, pages: u64) -> Result<(), ImageError> {
        let len_bytes = pages * PAGE_BYTES;
        let (first, was) = self
            .space
            .images
            .begin_resize(image, len_bytes, PAGE_BYTES)?;
        if len_bytes < was {
            self.drop_frames(first + pages..first + SPAN, true);
        }
        self.space.images.end_write(image, len_bytes);
        self.reap();
        Ok(())
    }

    /// No frame without a region, no page of a gone image, no frame lost.
    fn check(&self) {
        let mut owned = 0;
        for (page, leaf) in &self.leaves {
            let (_, region) = self.space.find(*page).expect("a frame without a region");
            assert!(self.frames[leaf.frame].is_some(), "a page of a free frame");
            assert!(
                !leaf.is_shared || matches!(region.content, Content::CopyOf { .. }),
                "only copies share"
            );
            owned += usize::from(!leaf.is_shared);
        }
        let taken = self.frames.iter().filter(|frame| frame.is_some()).count();
        assert_eq!(taken, owned, "frames are lost");
    }
}

#[derive(Clone)]
struct ModelImage {
    values: Vec<u64>,
    is_open: bool,
    seals: Seals,
}

/// One entry per page.
#[derive(Clone)]
struct ModelPage {
    access: Access,
    /// The image and its page that it shows.
    shows: Option<(usize, u64)>,
    written: Option<u64>,
}

struct Model {
    pages: Vec<Option<ModelPage>>,
    images: Vec<Option<ModelImage>>,
}

impl Model {
    fn is_shown(&self, image: usize) -> bool {
        let mut pages = self.pages.iter().flatten();
        pages.any(|page| page.shows.is_some_and(|(shown, _)| shown == image))
    }

    fn value(&self, page: &ModelPage) -> u64 {
        let shown = page.shows.and_then(|(image, at)| {
            let image = self.images[image].as_ref().expect("it is shown");
            image.values.get(at as usize).copied()
        });
        page.written.or(shown).unwrap_or(0)
    }

    fn collect(&mut self) {
        for image in 0..self.images.len() {
            let is_open = self.images[image].as_ref().is_some_and(|i| i.is_open);
            if !is_open && !self.is_shown(image) {
                self.images[image] = None;
            }
        }
    }
}

struct Run<'s> {
    machine: Machine<'s>,
    model: Model,
    rng: fastrand::Rng,
}

impl Run<'_> {
    fn range(&mut self) -> Range<u64> {
        let start = self.rng.u64(0..PAGES);
        let end = self.rng.u64(start + 1..=PAGES.min(start + 12));
        start..end
    }

    fn access(&mut self) -> Access {
        self.rng
            .choice([
                Access::None,
                Access::Read,
                Access::ReadWrite,
                Access::ReadWrite,
            ])
            .unwrap()
    }

    fn image(&mut self) -> usize {
        self.rng.usize(0..IMAGES)
    }

    fn step(&mut self) {
        match self.rng.u32(0..40) {
            0 => self.map(),
            1 | 2 => self.map_copy(),
            3 => self.unmap(),
            4 => self.protect(),
            5 => self.discard(),
            6 => self.create_image(),
            7 => self.close_image(),
            8 => self.seal_image(),
            9..=14 => self.change_image(),
            _ => self.touch(),
        }
        self.machine.check();
        let alive = self.model.images.iter().flatten().count();
        assert_eq!(self.machine.space.images.count(), alive, "images");
    }

    fn at(pages: &Range<u64>) -> Range<u64> {
        WINDOW.start + pages.start..WINDOW.start + pages.end
    }

    fn put(&mut self, pages: Range<u64>, entry: impl Fn(u64) -> Option<ModelPage>) {
        for page in pages {
            self.model.pages[page as usize] = entry(page);
        }
        self.model.collect();
    }

    fn map(&mut self) {
        let (pages, access) = (self.range(), self.access());
        let region = Region::new(access, Content::Plain);
        assert!(self.machine.replace(Self::at(&pages), Some(region)));
        self.put(pages, |_| {
            Some(ModelPage {
                access,
                shows: None,
                written: None,
            })
        });
    }

    fn map_copy(&mut self) {
        let (pages, access, image) = (self.range(), self.access(), self.image());
        let offset = self.rng.u64(0..3);
        let id = ImageId::from_index(image).unwrap();
        let is_open = self.model.images[image].as_ref().is_some_and(|i| i.is_open);
        assert_eq!(self.machine.space.images.len_bytes(id).is_ok(), is_open);
        if !is_open {
            return;
        }
        let at = Self::at(&pages);
        let origin = at.start.wrapping_sub(offset);
        let region = Region::new(access, Content::CopyOf { image: id, origin });
        assert!(self.machine.replace(at, Some(region)));
        let start = pages.start;
        self.put(pages, |page| {
            Some(ModelPage {
                access,
                shows: Some((image, page - start + offset)),
                written: None,
            })
        });
    }

    fn unmap(&mut self) {
        let pages = self.range();
        assert!(self.machine.replace(Self::at(&pages), None));
        self.put(pages, |_| None);
    }

    fn protect(&mut self) {
        let (pages, access) = (self.range(), self.access());
        let here = pages.start as usize..pages.end as usize;
        let is_covered = self.model.pages[here.clone()].iter().all(Option::is_some);
        let changed = self.machine.space.set_access(&Self::at(&pages), access);
        assert_eq!(changed.is_ok(), is_covered);
        if is_covered {
            for page in self.model.pages[here].iter_mut().flatten() {
                page.access = access;
            }
        }
    }

    fn discard(&mut self) {
        let pages = self.range();
        let mut at = Self::at(&pages);
        at.start += u64::from(self.machine.planted == Some(Planted::DiscardForgetsAPage));
        self.machine.drop_frames(at, false);
        let pages = &mut self.model.pages[pages.start as usize..pages.end as usize];
        for page in pages.iter_mut().flatten() {
            page.written = None;
        }
    }

    fn create_image(&mut self) {
        let created = self.machine.space.create_image();
        let free = self.model.images.iter().position(Option::is_none);
        assert_eq!(created.ok().map(ImageId::index), free);
        if let Some(free) = free {
            self.model.images[free] = Some(ModelImage {
                values: Vec::new(),
                is_open: true,
                seals: Seals::default(),
            });
        }
    }

    fn change_image(&mut self) {
        let image = self.image();
        let id = ImageId::from_index(image).unwrap();
        let is_shown = self.model.is_shown(image);
        let (page, value) = (self.rng.u64(0..USED), self.rng.u64(1..));
        let is_resize = self.rng.u8(0..4) == 0;
        let changed = if is_resize {
            self.machine.resize_image(id, page)
        } else {
            self.machine.write_image(id, page, value)
        };
        let Some(model) = self.model.images[image].as_mut().filter(|i| i.is_open) else {
            assert_eq!(changed, Err(ImageError::NotOpen));
            return;
        };
        let (len, page) = (model.values.len(), page as usize);
        let is_sealed = if is_resize {
            page > len && model.seals.grow || page < len && model.seals.shrink
        } else {
            model.seals.write || page >= len && model.seals.grow
        };
        let expected = match (is_sealed, is_shown) {
            (true, _) => Err(ImageError::Sealed),
            (_, true) => Err(ImageError::Busy),
            _ => Ok(()),
        };
        assert_eq!(changed, expected);
        if changed.is_ok() && is_resize {
            model.values.resize(page, 0);
        } else if changed.is_ok() {
            model.values.resize(len.max(page + 1), 0);
            model.values[page] = value;
        }
    }

    fn close_image(&mut self) {
        let image = self.image();
        let closed = self
            .machine
            .space
            .images
            .close(ImageId::from_index(image).unwrap());
        self.machine.reap();
        let model = self.model.images[image].as_mut().filter(|i| i.is_open);
        assert_eq!(closed.is_ok(), model.is_some());
        if let Some(model) = model {
            model.is_open = false;
        }
        self.model.collect();
    }

    fn seal_image(&mut self) {
        let image = self.image();
        let id = ImageId::from_index(image).unwrap();
        let more = Seals {
            seal: self.rng.u8(0..8) == 0,
            shrink: self.rng.u8(0..8) == 0,
            grow: self.rng.u8(0..8) == 0,
            write: self.rng.u8(0..8) == 0,
        };
        let sealed = self.machine.space.images.add_seals(id, more);
        let Some(model) = self.model.images[image].as_mut().filter(|i| i.is_open) else {
            assert_eq!(sealed, Err(ImageError::NotOpen));
            return;
        };
        assert_eq!(sealed.is_err(), model.seals.seal);
        if sealed.is_ok() {
            model.seals = Seals {
                seal: more.seal,
                shrink: model.seals.shrink || more.shrink,
                grow: model.seals.grow || more.grow,
                write: model.seals.write || more.write,
            };
        }
        assert_eq!(self.machine.space.images.seals(id), Ok(model.seals));
    }

    fn touch(&mut self) {
        let page = self.rng.u64(0..PAGES);
        let is_write = self.rng.bool();
        let want = if is_write { Want::Write } else { Want::Read };
        let frame = self.machine.access(WINDOW.start + page, want);
        let entry = self.model.pages[page as usize].as_ref();
        let is_allowed = entry.is_some_and(|entry| match entry.access {
            Access::None | Access::ReadExecute => false,
            Access::Read => !is_write,
            Access::ReadWrite => true,
        });
        assert_eq!(frame.is_some(), is_allowed, "page {page}, {want:?}");
        let Some((frame, entry)) = frame.zip(entry) else {
            return;
        };
        assert_eq!(self.machine.frames[frame], Some(self.model.value(entry)));
        if is_write {
            let value = self.rng.u64(1..);
            self.machine.frames[frame] = Some(value);
            self.model.pages[page as usize].as_mut().unwrap().written = Some(value);
        }
    }
}

fn run(rng: fastrand::Rng, steps: usize, planted: Option<Planted>) {
    let mut slots = vec![Slot::EMPTY; 256];
    let mut images = vec![ImageSlot::EMPTY; IMAGES];
    let space = Space::new(&mut slots, &mut images, SPAN, WINDOW);
    let mut run = Run {
        machine: Machine {
            planted,
            space,
            leaves: BTreeMap::new(),
            frames: Vec::new(),
        },
        model: Model {
            pages: vec![None; PAGES as usize],
            images: vec![None; IMAGES],
        },
        rng,
    };
    let guard = Region::new(Access::None, Content::Stack);
    let behind = WINDOW.start + PAGES;
    run.machine.space.insert(behind..behind + 1, guard).unwrap();
    for _ in 0..steps {
        run.step();
    }
    for image in 0..IMAGES {
        let _may_be_closed = run
            .machine
            .space
            .images
            .close(ImageId::from_index(image).unwrap());
    }
    assert!(
        run.machine
            .replace(WINDOW.start..WINDOW.start + PAGES, None)
    );
    assert_eq!(run.machine.space.images.count(), 0, "an image is lost");
    assert!(run.machine.leaves.is_empty(), "frames are lost");
    assert_eq!(run.machine.space.region_count(), 1, "only the guard");
}

#[test]
fn an_address_space_does_what_one_value_per_page_does() {
    let mut rng = seeded();
    for _ in 0..200 {
        run(rng.fork(), 400, None);
    }
}

/// Runs with a planted bug until it is found; the seeds are fixed, so it always is.
fn run_planted(planted: Planted) {
    for seed in 0..50 {
        run(fastrand::Rng::with_seed(seed), 400, Some(planted));
    }
}

#[test]
#[should_panic(expected = "assertion `left == right` failed")]
fn planted_a_write_without_a_copy() {
    run_planted(Planted::WriteWithoutCopy);
}

#[test]
#[should_panic(expected = "assertion `left == right` failed")]
fn planted_a_discard_that_forgets_a_page() {
    run_planted(Planted::DiscardForgetsAPage);
}

#[test]
#[should_panic(expected = "images")]
fn planted_images_that_stay() {
    run_planted(Planted::NeverReaped);
}

#[test]
#[should_panic(expected = "a page of a free frame")]
fn planted_shared_frames_that_are_freed() {
    run_planted(Planted::FreesShared);
}

#[test]
fn hostile_requests_about_images_are_refused() {
    let mut slots = vec![Slot::EMPTY; 64];
    let mut images = vec![ImageSlot::EMPTY; 1];
    let mut space = Space::new(&mut slots, &mut images, SPAN, WINDOW);
    let image = space.create_image().unwrap();
    assert_eq!(space.create_image(), Err(ImageError::NoSlot));
    assert_eq!(
        space.region_count(),
        1,
        "the refused one left its place behind"
    );
    let images = &mut space.images;
    let end = SPAN * PAGE_BYTES;
    for (offset, len) in [
        (u64::MAX, 1),
        (u64::MAX, u64::MAX),
        (end, 1),
        (0, end + 1),
        (1, end),
    ] {
        let refused = images.begin_write(image, offset, len, PAGE_BYTES);
        assert_eq!(refused, Err(ImageError::TooLong), "{offset:#x}+{len:#x}");
    }
    for len in [end + 1, u64::MAX] {
        let refused = images.begin_resize(image, len, PAGE_BYTES);
        assert_eq!(refused, Err(ImageError::TooLong));
    }
    let none = ImageId::from_index(1).unwrap();
    assert_eq!(images.close(none), Err(ImageError::NotOpen));
    assert_eq!(ImageId::from_index(1 << 16), None);
    images.begin_write(image, 0, 1, PAGE_BYTES).unwrap();
    let second = images.begin_write(image, 0, 1, PAGE_BYTES);
    assert_eq!(second, Err(ImageError::Busy), "two write at once");
    assert_eq!(images.show(image, 1), Err(ImageError::Busy));
    images.close(image).unwrap();
    assert_eq!(
        images.close(image),
        Err(ImageError::NotOpen),
        "closed twice"
    );
    assert_eq!(images.take_dead(), None, "it is still being written");
    images.end_write(image, 1);
    assert!(images.take_dead().is_some());
    assert_eq!(
        images.page(image, 0, PAGE_BYTES),
        None,
        "nobody shows a dead image"
    );
}

#[test]
fn frames_of_images_and_boot_modules_are_neither_unmapped_nor_made_code() {
    let mut slots = vec![Slot::EMPTY; 64];
    let mut images = vec![ImageSlot::EMPTY; 2];
    let mut space = Space::new(&mut slots, &mut images, SPAN, WINDOW);
    let image = space.create_image().unwrap();
    let image_pages = WINDOW.start + 1..WINDOW.start + 1 + SPAN;
    assert!(space.mark_dying(&image_pages).is_err());
    assert!(space.set_access(&image_pages, Access::ReadExecute).is_err());
    assert_eq!(space.set_access(&image_pages, Access::ReadWrite), Ok(false));
    let step = space.examine(image_pages.start, Want::Read, Present::Private);
    assert_eq!(
        step,
        Step::Forbidden,
        "an image is not reached by its own pages"
    );
    let origin = WINDOW.start + SPAN + 21;
    let copy = Region::new(Access::ReadWrite, Content::CopyOf { image, origin });
    space.insert(origin..origin + 4, copy).unwrap();
    let published = space.set_access(&(origin..origin + 4), Access::ReadExecute);
    assert!(published.is_err(), "what is shared becomes no code");
    let module = Region::new(Access::Read, Content::BootModule);
    space.insert(origin + 8..origin + 10, module).unwrap();
    assert!(space.mark_dying(&(origin + 8..origin + 10)).is_err());
    space
        .set_access(&(origin + 8..origin + 10), Access::ReadWrite)
        .unwrap();
    let step = space.examine(origin + 8, Want::Write, Present::Private);
    assert_eq!(step, Step::Forbidden, "a boot module is never written");
}

#[test]
fn regions_that_are_put_anywhere_do_not_touch() {
    let mut slots = vec![Slot::EMPTY; 64];
    let mut images = vec![ImageSlot::EMPTY; 2];
    let mut space = Space::new(&mut slots, &mut images, SPAN, WINDOW);
    let region = Region::new(Access::ReadWrite, Content::Plain);
    let first = space.map_anywhere(3, region).unwrap();
    let second = space.map_anywhere(3, region).unwrap();
    assert_eq!(space.region_count(), 2, "they have become one");
    for overrun in [first - 1, first + 3, second - 1, second + 3] {
        let step = space.examine(overrun, Want::Write, Present::Nothing);
        assert_eq!(step, Step::NoRegion);
    }
}

#[test]
fn a_pinned_image_outlives_its_last_region() {
    let mut slots = vec![Slot::EMPTY; 64];
    let mut images = vec![ImageSlot::EMPTY; 2];
    let mut space = Space::new(&mut slots, &mut images, SPAN, WINDOW);
    let image = space.create_image().unwrap();
    let origin = WINDOW.start + SPAN + 21;
    let copy = Region::new(Access::ReadWrite, Content::CopyOf { image, origin });
    space.insert(origin..origin + 4, copy).unwrap();
    space.images.pin(image);
    space.images.close(image).unwrap();
    space.remove(&(origin..origin + 4)).unwrap();
    assert_eq!(
        space.images.take_dead(),
        None,
        "a fault still copies from it"
    );
    space.images.unpin(image);
    assert!(space.images.take_dead().is_some());
    assert_eq!(space.images.take_dead(), None, "it is handed out once");
}

#[test]
fn nobody_writes_to_a_copy_before_all_have_forgotten_the_original() {
    let mut slots = vec![Slot::EMPTY; 64];
    let mut images = vec![ImageSlot::EMPTY; 2];
    let mut space = Space::new(&mut slots, &mut images, SPAN, WINDOW);
    let image = space.create_image().unwrap();
    let origin = WINDOW.start + SPAN + 21;
    let copy = Region::new(Access::ReadWrite, Content::CopyOf { image, origin });
    space.insert(origin..origin + 4, copy).unwrap();
    let write = space.examine(origin, Want::Write, Present::Fresh);
    assert_eq!(write, Step::Await);
    let read = space.examine(origin, Want::Read, Present::Fresh);
    assert!(matches!(read, Step::Grant(_)));
}
