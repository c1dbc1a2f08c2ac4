//! Threads beside each other: in one region, in places that the other has just left, at a right that the other takes.
//!
//! Law: each thread knows what its own pages must hold, whatever its neighbour does at the same time.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};

use kernel_core::memory::{self, MapRequest, Protection, images};
use kernel_machine::memory::page_table;
use kernel_machine::memory::{PAGE_LEN, probe};

use super::{LARGE_PAGES, READ, map_window};
use crate::Storm;
use crate::random::Random;

const TURNS: usize = 12;
/// Of the region that two threads share: three places of large pages and more.
const SHARED_PAGES: usize = 4 * LARGE_PAGES;
/// As much as an alternate stack of the engine's.
const PASSING_PAGES: usize = 64;
const PASSING_TURNS: usize = 300;
const READ_PAGES: usize = 48;

/// Two threads fill and discard their parts of one region; the border lies in the middle of a large page's place.
pub fn share_a_region(storm: &Storm) -> Result<(), String> {
    let mut random = storm.random(3000);
    let len_bytes = SHARED_PAGES * PAGE_LEN;
    for turn in 0..TURNS {
        let start = map_window(len_bytes, false).map_err(|error| error.to_string())?;
        let border = LARGE_PAGES + random.below(2 * LARGE_PAGES);
        let parts = [0..border, border..SHARED_PAGES];
        let filled = thread::scope(|scope| {
            let workers = parts.map(|part| {
                let random = storm.random((3001 + 2 * turn + part.start.min(1)) as u64);
                scope.spawn(move || fill_and_discard(storm, start, part, random))
            });
            workers.into_iter().try_for_each(join)
        });
        let unmapped = memory::unmap(start, len_bytes);
        filled.and(unmapped.map_err(|error| error.to_string()))?;
    }
    Ok(())
}

fn fill_and_discard(
    storm: &Storm,
    start: usize,
    part: Range<usize>,
    mut random: Random,
) -> Result<(), String> {
    let places = || part.clone().map(|page| start + page * PAGE_LEN);
    for _ in 0..2 {
        // Not always to the end, so that a part's last pages may never have been touched.
        let count = part.len() - random.below(part.len() / 2);
        places()
            .take(count)
            .for_each(|at| probe::store(&storm.licence, at, at as u64));
        expect(storm, places().take(count), |at| at as u64)?;
        let (from, len_bytes) = (start + part.start * PAGE_LEN, part.len() * PAGE_LEN);
        memory::discard(from, len_bytes).map_err(|error| error.to_string())?;
        expect(storm, places(), |_| 0)?;
    }
    Ok(())
}

fn expect(
    storm: &Storm,
    places: impl Iterator<Item = usize>,
    word: impl Fn(usize) -> u64,
) -> Result<(), String> {
    for at in places {
        let found = probe::load(&storm.licence, at);
        if found != word(at) {
            return Err(format!(
                "{at:#x} has {found:#x} and not {:#x}, beside a neighbour",
                word(at)
            ));
        }
    }
    Ok(())
}

/// One thread maps and unmaps what it never touches, one makes and closes images, one keeps what it maps for a while:
/// the place that one leaves is the next one's at once, and nobody's who left it before.
pub fn get_places_of_others(storm: &Storm) -> Result<(), String> {
    let ends = AtomicBool::new(false);
    thread::scope(|scope| {
        let passing = scope.spawn(|| repeat_until(&ends, map_and_unmap));
        let closing = scope.spawn(|| repeat_until(&ends, make_and_close));
        let keeping = scope.spawn(|| keep(storm));
        let kept = join(keeping);
        ends.store(true, Ordering::SeqCst);
        kept.and(join(passing)).and(join(closing))
    })
}

fn repeat_until(ends: &AtomicBool, act: fn() -> Result<(), String>) -> Result<(), String> {
    while !ends.load(Ordering::SeqCst) {
        act()?;
    }
    Ok(())
}

fn map_and_unmap() -> Result<(), String> {
    let len_bytes = PASSING_PAGES * PAGE_LEN;
    let start = map_window(len_bytes, false).map_err(|error| error.to_string())?;
    memory::unmap(start, len_bytes).map_err(|error| error.to_string())
}

fn make_and_close() -> Result<(), String> {
    let image = images::create().map_err(|error| error.to_string())?;
    images::append(image, b"bytes").map_err(|error| error.to_string())?;
    images::close(image).map_err(|error| error.to_string())
}

fn keep(storm: &Storm) -> Result<(), String> {
    let len_bytes = PASSING_PAGES * PAGE_LEN;
    for _ in 0..PASSING_TURNS {
        let start = map_window(len_bytes, false).map_err(|error| error.to_string())?;
        let places = || (start..start + len_bytes).step_by(PAGE_LEN);
        places().for_each(|at| probe::store(&storm.licence, at, at as u64));
        thread::yield_now();
        expect(storm, places(), |at| at as u64)?;
        memory::unmap(start, len_bytes).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// One thread reads forward through fresh pages while another takes the right to write to them.
pub fn lose_a_right_while_faulting(storm: &Storm) -> Result<(), String> {
    let len_bytes = READ_PAGES * PAGE_LEN;
    for _ in 0..TURNS {
        let start = memory::map(MapRequest {
            len_bytes,
            protection: Protection::READ_WRITE,
            at: None,
            populate: false,
            fault_around: true,
        })
        .map_err(|error| error.to_string())?;
        let places = || (start..start + len_bytes).step_by(PAGE_LEN);
        let done = thread::scope(|scope| {
            let reader = scope.spawn(move || expect(storm, places(), |_| 0));
            let protected = memory::protect(start, len_bytes, READ);
            join(reader).and(protected.map_err(|error| error.to_string()))
        });
        let may_write = |at: &usize| {
            let leaf = page_table::lookup(*at as u64);
            leaf.is_some_and(|leaf| leaf.rights.is_some_and(|rights| rights.write))
        };
        let wrong = places().find(may_write);
        memory::unmap(start, len_bytes).map_err(|error| error.to_string())?;
        done?;
        if let Some(at) = wrong {
            return Err(format!(
                "{at:#x} may be written in a region that is read-only"
            ));
        }
    }
    Ok(())
}

fn join(worker: ScopedJoinHandle<'_, Result<(), String>>) -> Result<(), String> {
    worker.join().unwrap_or_else(|_| Err("a panic".to_owned()))
}
