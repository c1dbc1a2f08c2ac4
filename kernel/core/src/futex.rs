//! Futexes: sleeping on the value of a word.
//!
//! Law: waiters stand in buckets by address, each with its own lock; a thread waits on one word at a time.
//! Checking the word and standing in line is one step under the bucket's lock, so a wake-up that follows a
//! change of the word is not lost. The word is touched before the lock is taken: under it nothing may
//! fault. Wakers collect whom to wake under the lock and wake them without it.

use core::sync::atomic::{AtomicU32, Ordering};

use kernel_machine::sync::IrqLock;
use lib_index_list::{LinkTable, List};
use spin::Once;

use crate::thread::slot::{THREADS_MAX, by_slot};
use crate::thread::{current_thread, wait as waiting};
use crate::time;

const BUCKET_COUNT: usize = 256;
/// Threads woken in one go.
const BATCH: usize = 16;

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitOutcome {
    /// Somebody woke the thread.
    Woken,
    /// The word did not hold the expected value.
    Mismatch,
    /// The deadline passed.
    TimedOut,
}

static BUCKETS: [IrqLock<List>; BUCKET_COUNT] = {
    let mut buckets = [const { IrqLock::new(List::new(0)) }; BUCKET_COUNT];
    let mut bucket = 0;
    while bucket < BUCKET_COUNT {
        buckets[bucket] = IrqLock::new(List::new(bucket as u32));
        bucket += 1;
    }
    buckets
};
static LINKS: Once<LinkTable> = Once::new();

fn links() -> &'static LinkTable {
    LINKS.call_once(|| LinkTable::new(THREADS_MAX as u32))
}

/// Makes the table of links; called once at boot, where allocating is allowed.
pub(crate) fn init() {
    let _table = links();
}

fn bucket_of(address: usize) -> &'static IrqLock<List> {
    let mixed = (address as u64 >> 2).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    &BUCKETS[(mixed >> 56) as usize % BUCKET_COUNT]
}

/// Sleeps while `word` holds `expected`, until woken by a wake with a common bit in `mask`, or until
/// `deadline_ns` on the monotonic clock.
pub fn wait(word: &AtomicU32, expected: u32, deadline_ns: Option<u64>, mask: u32) -> WaitOutcome {
    if word.load(Ordering::Relaxed) != expected {
        return WaitOutcome::Mismatch;
    }
    if !stand_in_line(word, expected, mask) {
        return WaitOutcome::Mismatch;
    }
    loop {
        waiting::park(deadline_ns);
        if !is_in_line(word) {
            return WaitOutcome::Woken;
        }
        if deadline_ns.is_some_and(|deadline| time::monotonic_ns() >= deadline) {
            return leave_line(word);
        }
    }
}

fn stand_in_line(word: &AtomicU32, expected: u32, mask: u32) -> bool {
    let me = current_thread();
    let address = word.as_ptr() as usize;
    let mut bucket = bucket_of(address).lock();
    if word.load(Ordering::SeqCst) != expected {
        return false;
    }
    me.futex_address.store(address, Ordering::Relaxed);
    me.futex_mask.store(mask, Ordering::Relaxed);
    let queued = bucket.push_back(links(), me.slot);
    assert!(queued.is_ok(), "a thread waits on one word at a time");
    true
}

fn is_in_line(word: &AtomicU32) -> bool {
    let bucket = bucket_of(word.as_ptr() as usize).lock();
    bucket.contains(links(), current_thread().slot)
}

fn leave_line(word: &AtomicU32) -> WaitOutcome {
    let mut bucket = bucket_of(word.as_ptr() as usize).lock();
    if bucket.remove(links(), current_thread().slot) {
        WaitOutcome::TimedOut
    } else {
        WaitOutcome::Woken
    }
}

/// Wakes at most `count` threads that wait on `word` with a common bit in `mask`; returns how many.
/// May be called from interrupt handlers.
pub fn wake(word: &AtomicU32, count: u32, mask: u32) -> u32 {
    let address = word.as_ptr() as usize;
    let mut woken = 0;
    while woken < count {
        let mut batch = [0; BATCH];
        let wanted = BATCH.min((count - woken) as usize);
        let taken = take_from_line(address, mask, &mut batch[..wanted]);
        batch[..taken]
            .iter()
            .for_each(|slot| waiting::unpark(by_slot(*slot)));
        woken += taken as u32;
        if taken < wanted {
            break;
        }
    }
    woken
}

fn take_from_line(address: usize, mask: u32, batch: &mut [u32]) -> usize {
    let mut bucket = bucket_of(address).lock();
    let mut taken = 0;
    while taken < batch.len() {
        let matching = bucket.iter(links()).find(|slot| {
            let thread = by_slot(*slot);
            thread.futex_address.load(Ordering::Relaxed) == address
                && thread.futex_mask.load(Ordering::Relaxed) & mask != 0
        });
        let Some(slot) = matching else {
            break;
        };
        bucket.remove(links(), slot);
        batch[taken] = slot;
        taken += 1;
    }
    taken
}
