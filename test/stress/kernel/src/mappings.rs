//! Regions from all CPUs at once, each thread's against a model of its own: mapped, populated, replaced, protected,
//! discarded, unmapped in part, and every word that may be read is what was stored, or zero.
//!
//! Law: what was unmapped may be anybody's in the next moment, since a region goes where the lowest gap is. So a thread
//! never again touches, replaces or unmaps a page that it has unmapped; when its window has many holes it takes another.
//! On each CPU one window has room for large pages, and where memory is plenty they have to appear.

mod neighbours;

use std::thread;

use kernel_core::crash::Licence;
use kernel_core::memory::{self, MapRequest, MemoryError, Protection, frames};
use kernel_machine::memory::page_table::large::LARGE_PAGE_BYTES;
use kernel_machine::memory::page_table::{self, Leaf};
use kernel_machine::memory::probe;
use kernel_machine::memory::{FrameOwner, PAGE_BYTES, PAGE_LEN};

use crate::Storm;
use crate::random::Random;

/// Each CPU has a thread for each of these.
const SHAPES: [Shape; 2] = [
    Shape {
        pages: 96,
        len_pages_max: 24,
        steps: 400,
    },
    Shape {
        pages: 4 * LARGE_PAGES,
        len_pages_max: 2 * LARGE_PAGES + 40,
        steps: 60,
    },
];
const LARGE_PAGES: usize = LARGE_PAGE_BYTES as usize / PAGE_LEN;

/// Each thread has one window, in which everything happens.
#[derive(Clone, Copy, Debug)]
struct Shape {
    pages: usize,
    /// What one step is about.
    len_pages_max: usize,
    steps: usize,
}

/// What the model knows of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Unmapped,
    Mapped {
        writable: bool,
        readable: bool,
        word: u64,
    },
}

impl Page {
    const FRESH: Self = Self::Mapped {
        writable: true,
        readable: true,
        word: 0,
    };
}

/// A window and its model.
struct Window {
    licence: Licence,
    shape: Shape,
    start: usize,
    pages: Vec<Page>,
    random: Random,
}

const NO_ACCESS: Protection = Protection {
    read: false,
    write: false,
    execute: false,
};
const READ: Protection = Protection {
    read: true,
    ..NO_ACCESS
};

/// One round.
pub fn storm(storm: &Storm) -> Result<(), String> {
    large_pages(storm.licence)?;
    neighbours::share_a_region(storm)?;
    neighbours::get_places_of_others(storm)?;
    neighbours::lose_a_right_while_faulting(storm)?;
    thread::scope(|scope| {
        let workers: Vec<_> = (0..storm.cpus * SHAPES.len())
            .map(|number| {
                let (random, licence) = (storm.random(1000 + number as u64), storm.licence);
                let shape = SHAPES[number % SHAPES.len()];
                scope.spawn(move || work(licence, shape, random))
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| Err("a panic".to_owned())))
    })?;
    if storm.has_defect("leak-frame") {
        let _lost = frames::allocate(FrameOwner::Regions);
    }
    Ok(())
}

/// Memory that is populated, and memory that is filled from the front, has large pages, and a large page that is protected in
/// part keeps its bytes. Nothing is asked where memory may be short.
fn large_pages(licence: Licence) -> Result<(), String> {
    let memory = frames::statistics();
    if memory.free < memory.total / 2 {
        return Ok(());
    }
    let len_bytes = 4 * LARGE_PAGES * PAGE_LEN;
    for populate in [true, false] {
        let start = map_window(len_bytes, populate).map_err(|error| error.to_string())?;
        let places = (start..start + len_bytes).step_by(PAGE_LEN);
        places.for_each(|at| probe::store(&licence, at, at as u64));
        // The last place that lies whole in the window.
        let end = (start + len_bytes) as u64;
        let last = (end / LARGE_PAGE_BYTES - 1) * LARGE_PAGE_BYTES;
        let is_large = |at: u64| page_table::lookup(at).is_some_and(|leaf: Leaf| leaf.is_large);
        if !is_large(last) || !is_large(last + LARGE_PAGE_BYTES - PAGE_BYTES) {
            return Err(format!("no large page with populate {populate}"));
        }
        let part = last as usize + 3 * PAGE_LEN;
        memory::protect(part, PAGE_LEN, READ).map_err(|error| error.to_string())?;
        let found = probe::load(&licence, part);
        if is_large(last) || found != part as u64 {
            return Err(format!("{part:#x} has {found:#x} in a large page"));
        }
        memory::unmap(start, len_bytes).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn work(licence: Licence, shape: Shape, random: Random) -> Result<(), String> {
    let mut window = Window::map(licence, shape, random).map_err(|error| error.to_string())?;
    let worked = (0..shape.steps).try_for_each(|_| window.step());
    let unmapped = window.unmap_rest();
    worked.and(unmapped.map_err(|error| error.to_string()))
}

/// Fresh pages, somewhere.
fn map_window(len_bytes: usize, populate: bool) -> Result<usize, MemoryError> {
    memory::map(MapRequest {
        len_bytes,
        protection: Protection::READ_WRITE,
        at: None,
        populate,
        fault_around: true,
    })
}

impl Window {
    fn map(licence: Licence, shape: Shape, random: Random) -> Result<Self, MemoryError> {
        Ok(Self {
            licence,
            shape,
            start: map_window(shape.pages * PAGE_LEN, false)?,
            pages: vec![Page::FRESH; shape.pages],
            random,
        })
    }

    fn step(&mut self) -> Result<(), String> {
        let Shape {
            pages,
            len_pages_max,
            ..
        } = self.shape;
        let first = self.random.below(pages);
        let count = (1 + self.random.below(len_pages_max)).min(pages - first);
        let (start, len_bytes) = (self.start + first * PAGE_LEN, count * PAGE_LEN);
        let range = first..first + count;
        let done = match self.random.below(10) {
            0 if self.is_mapped(range.clone()) => self.replace(start, len_bytes, range),
            1 if self.is_mapped(range.clone()) => self.unmap(start, len_bytes, range),
            2 if self.is_mapped(range.clone()) => self.protect(start, len_bytes, range),
            3 if self.is_mapped(range.clone()) => {
                memory::discard(start, len_bytes).map(|()| self.forget(range))
            }
            4 if self.is_mapped(range.clone()) => self.populate(start, len_bytes, range),
            5..8 => {
                self.store(range);
                Ok(())
            }
            _ => return self.check(range),
        };
        done.map_err(|error| format!("{count} pages at {first}: {error}"))
    }

    fn is_mapped(&self, range: std::ops::Range<usize>) -> bool {
        self.pages[range].iter().all(|page| *page != Page::Unmapped)
    }

    fn replace(
        &mut self,
        start: usize,
        len_bytes: usize,
        range: std::ops::Range<usize>,
    ) -> Result<(), MemoryError> {
        memory::map(MapRequest {
            len_bytes,
            protection: Protection::READ_WRITE,
            at: Some(start),
            populate: self.random.below(2) == 0,
            fault_around: self.random.below(2) == 0,
        })?;
        self.pages[range].fill(Page::FRESH);
        Ok(())
    }

    fn unmap(
        &mut self,
        start: usize,
        len_bytes: usize,
        range: std::ops::Range<usize>,
    ) -> Result<(), MemoryError> {
        memory::unmap(start, len_bytes)?;
        self.pages[range].fill(Page::Unmapped);
        let holes = self.pages.iter().filter(|page| **page == Page::Unmapped);
        // With so many, another window is better.
        if holes.count() > self.shape.pages / 3 {
            self.unmap_rest()?;
            self.start = map_window(self.shape.pages * PAGE_LEN, false)?;
            self.pages.fill(Page::FRESH);
        }
        Ok(())
    }

    /// Unmaps what is still the window's, piece by piece.
    fn unmap_rest(&mut self) -> Result<(), MemoryError> {
        let mut at = self.start;
        for piece in self
            .pages
            .chunk_by(|one, next| (*one == Page::Unmapped) == (*next == Page::Unmapped))
        {
            if piece[0] != Page::Unmapped {
                memory::unmap(at, piece.len() * PAGE_LEN)?;
            }
            at += piece.len() * PAGE_LEN;
        }
        self.pages.fill(Page::Unmapped);
        Ok(())
    }

    fn protect(
        &mut self,
        start: usize,
        len_bytes: usize,
        range: std::ops::Range<usize>,
    ) -> Result<(), MemoryError> {
        let protection = [Protection::READ_WRITE, READ, NO_ACCESS][self.random.below(3)];
        memory::protect(start, len_bytes, protection)?;
        for page in &mut self.pages[range] {
            if let Page::Mapped {
                writable, readable, ..
            } = page
            {
                *writable = protection.write;
                *readable = protection.read;
            }
        }
        Ok(())
    }

    fn forget(&mut self, range: std::ops::Range<usize>) {
        for page in &mut self.pages[range] {
            if let Page::Mapped { word, .. } = page {
                *word = 0;
            }
        }
    }

    /// Only where every page may be accessed.
    fn populate(
        &mut self,
        start: usize,
        len_bytes: usize,
        range: std::ops::Range<usize>,
    ) -> Result<(), MemoryError> {
        let accessible = |page: &Page| matches!(page, Page::Mapped { readable: true, .. });
        if self.pages[range].iter().all(accessible) {
            memory::populate(start, len_bytes)?;
        }
        Ok(())
    }

    fn store(&mut self, range: std::ops::Range<usize>) {
        for index in range {
            let value = self.random.next();
            if let Page::Mapped {
                writable: true,
                word,
                ..
            } = &mut self.pages[index]
            {
                *word = value;
                let at = self.start + index * PAGE_LEN;
                probe::store(&self.licence, at, value);
                probe::store(&self.licence, at + PAGE_LEN - 8, !value);
            }
        }
    }

    fn check(&self, range: std::ops::Range<usize>) -> Result<(), String> {
        for index in range {
            let Page::Mapped {
                readable: true,
                word,
                ..
            } = self.pages[index]
            else {
                continue;
            };
            let at = self.start + index * PAGE_LEN;
            let last = if word == 0 { 0 } else { !word };
            let found = [at, at + 8, at + PAGE_LEN - 8].map(|at| probe::load(&self.licence, at));
            if found != [word, 0, last] {
                return Err(format!("page {index} of {word:#x} has {found:#x?}"));
            }
        }
        Ok(())
    }
}
