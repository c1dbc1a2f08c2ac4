//! Translations that another CPU has cached are forgotten before a frame is anybody else's.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use kernel_core::memory::{self, MapRequest, Protection};
use kernel_machine::cpu::mailbox;
use kernel_machine::memory::{PAGE_LEN, probe};

use crate::Storm;

const TURNS: u64 = 300;
const PAGES: usize = 8;

/// One CPU discards pages and stores into them anew; the others, which keep looking at them, see zero or the newer
/// value, never again an older one.
pub fn storm(storm: &Storm) -> Result<(), String> {
    let start = memory::map(MapRequest {
        len_bytes: PAGES * PAGE_LEN,
        protection: Protection::READ_WRITE,
        at: None,
        populate: true,
    })
    .map_err(|error| error.to_string())?;
    if storm.has_defect("skipped-shoot-down") {
        (1..storm.cpus as u32).for_each(|cpu| mailbox::forget(&storm.licence, cpu));
    }
    let (turn, ends) = (AtomicU64::new(1), AtomicBool::new(false));
    let result = thread::scope(|scope| {
        let (turn, ends) = (&turn, &ends);
        let lookers: Vec<_> = (0..storm.cpus)
            .map(|_| scope.spawn(move || look(storm, start, turn, ends)))
            .collect();
        let changed = change(storm, start, turn);
        ends.store(true, Ordering::SeqCst);
        lookers
            .into_iter()
            .try_for_each(|looker| looker.join().unwrap_or_else(|_| Err("a panic".to_owned())))
            .and(changed)
    });
    let unmapped = memory::unmap(start, PAGES * PAGE_LEN);
    result.and(unmapped.map_err(|error| error.to_string()))
}

fn change(storm: &Storm, start: usize, turn: &AtomicU64) -> Result<(), String> {
    for number in 2..TURNS {
        memory::discard(start, PAGES * PAGE_LEN).map_err(|error| error.to_string())?;
        for page in 0..PAGES {
            probe::store(&storm.licence, start + page * PAGE_LEN, number);
        }
        // Whoever has read this number sees nothing older.
        turn.store(number, Ordering::SeqCst);
        if number % 64 == 0 {
            thread::yield_now();
        }
    }
    Ok(())
}

fn look(storm: &Storm, start: usize, turn: &AtomicU64, ends: &AtomicBool) -> Result<(), String> {
    while !ends.load(Ordering::SeqCst) {
        for page in 0..PAGES {
            let known = turn.load(Ordering::SeqCst);
            let found = probe::load(&storm.licence, start + page * PAGE_LEN);
            if found != 0 && !(known..TURNS).contains(&found) {
                return Err(format!(
                    "a stale translation: page {page} shows {found} after {known}"
                ));
            }
        }
    }
    Ok(())
}
