//! Pages that may execute: the engine's published code.
//!
//! Law: code is published and withdrawn only here. A published page is executable and read-only, in its
//! region and in the direct map's alias (W^X holds for aliases). [`contains`] answers from a lock-free table,
//! because fault handlers ask: a trap is handed to the runtime only where the instruction lies in
//! published code. An entry of the table is free when its start is 0; the end is written first and
//! cleared last.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::regions::{self, Access, MemoryError};

/// At most this many published ranges at a time.
const RANGES_MAX: usize = 4096;

struct Entry {
    start: AtomicUsize,
    end: AtomicUsize,
}

static TABLE: [Entry; RANGES_MAX] = [const {
    Entry {
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
    }
}; RANGES_MAX];
/// No entry at or above this index was ever used.
static TABLE_LEN: AtomicUsize = AtomicUsize::new(0);

/// Whether `address` lies in published code.
pub fn contains(address: usize) -> bool {
    let len = TABLE_LEN.load(Ordering::Acquire);
    TABLE[..len].iter().any(|entry| {
        let start = entry.start.load(Ordering::Acquire);
        let end = entry.end.load(Ordering::Acquire);
        let inside = start > 1 && start <= address && address < end;
        // Unless the entry was given to another range in between.
        inside && entry.start.load(Ordering::Acquire) == start
    })
}

/// Makes `[start, start + len_bytes)` executable and no longer writable. Page-aligned.
///
/// # Errors
/// Where the range is not a mapped region, or memory or the table is used up.
pub fn publish(start: usize, len_bytes: usize) -> Result<(), MemoryError> {
    let entry = claim_entry().ok_or(MemoryError::NoSpace)?;
    let published = regions::populate(start, len_bytes)
        .and_then(|()| regions::set_access(start, len_bytes, Access::ReadExecute));
    if let Err(error) = published {
        entry.start.store(0, Ordering::Release);
        // Part of the way it may have become code; whoever wanted it unmaps it next.
        let _as_before = regions::set_access(start, len_bytes, Access::ReadWrite);
        return Err(error);
    }
    entry.end.store(start + len_bytes, Ordering::Release);
    entry.start.store(start, Ordering::Release);
    Ok(())
}

/// Takes the right to execute away again and makes the range writable. Nobody runs in it any more.
///
/// # Errors
/// Where the range was never published.
pub fn withdraw(start: usize, len_bytes: usize) -> Result<(), MemoryError> {
    let len = TABLE_LEN.load(Ordering::Acquire);
    let entry = TABLE[..len]
        .iter()
        .find(|entry| entry.start.load(Ordering::Acquire) == start)
        .filter(|entry| entry.end.load(Ordering::Acquire) == start + len_bytes)
        .ok_or(MemoryError::NoRegion)?;
    entry.start.store(0, Ordering::Release);
    regions::set_access(start, len_bytes, Access::ReadWrite)
}

/// Claims a free entry by writing 1, which is no page's address.
fn claim_entry() -> Option<&'static Entry> {
    for (index, entry) in TABLE.iter().enumerate() {
        let claimed = entry
            .start
            .compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed);
        if claimed.is_ok() {
            TABLE_LEN.fetch_max(index + 1, Ordering::AcqRel);
            return Some(entry);
        }
    }
    None
}
