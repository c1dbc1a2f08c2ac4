//! Regions from all CPUs at once, each thread's against a model of its own: mapped, populated, replaced, protected,
//! discarded, unmapped in part, and every word that may be read is what was stored, or zero.
//!
//! Law: what was unmapped may be anybody's in the next moment, since a region goes where the lowest gap is. So a thread
//! never again touches, replaces or unmaps a page that it has unmapped; when its window has many holes it takes another.

use std::thread;

use kernel_core::crash::Licence;
use kernel_core::memory::{self, MapRequest, MemoryError, Protection, frames};
use kernel_machine::memory::probe;
use kernel_machine::memory::{FrameOwner, PAGE_LEN};

use crate::Storm;
use crate::random::Random;

const THREADS_PER_CPU: usize = 2;
const STEPS: usize = 400;
/// Each thread has one window of so many pages, in which everything happens.
const PAGES: usize = 96;
const LEN_PAGES_MAX: usize = 24;
/// Pages that a window may lack until it is given up.
const HOLES_MAX: usize = PAGES / 3;

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
    start: usize,
    pages: [Page; PAGES],
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
    thread::scope(|scope| {
        let workers: Vec<_> = (0..storm.cpus * THREADS_PER_CPU)
            .map(|number| {
                let (random, licence) = (storm.random(1000 + number as u64), storm.licence);
                scope.spawn(move || work(licence, random))
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

fn work(licence: Licence, random: Random) -> Result<(), String> {
    let mut window = Window::map(licence, random).map_err(|error| error.to_string())?;
    let worked = (0..STEPS).try_for_each(|_| window.step());
    let unmapped = window.unmap_rest();
    worked.and(unmapped.map_err(|error| error.to_string()))
}

/// A window of fresh pages, somewhere.
fn map_window() -> Result<usize, MemoryError> {
    memory::map(MapRequest {
        len_bytes: PAGES * PAGE_LEN,
        protection: Protection::READ_WRITE,
        at: None,
        populate: false,
    })
}

impl Window {
    fn map(licence: Licence, random: Random) -> Result<Self, MemoryError> {
        Ok(Self {
            licence,
            start: map_window()?,
            pages: [Page::FRESH; PAGES],
            random,
        })
    }

    fn step(&mut self) -> Result<(), String> {
        let first = self.random.below(PAGES);
        let count = (1 + self.random.below(LEN_PAGES_MAX)).min(PAGES - first);
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
        if holes.count() > HOLES_MAX {
            self.unmap_rest()?;
            self.start = map_window()?;
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
