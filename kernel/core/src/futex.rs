//! Futexes: sleeping on the value of a word.
//!
//! Law: the lines and their protocol are `lib_scheduler::futex`: no lock is shared by all, waking where nobody sleeps
//! takes none, and a sleeper that was woken takes none. Here: the word is touched before a lock is taken, since under it
//! nothing may fault; wakers collect whom to wake under the lock and wake them without it.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU32, Ordering};

use lib_index_list::{LinkTable, List};
use lib_scheduler::WakeHint;
use lib_scheduler::futex::{Bucket, Sleeper, Sleepers};
use spin::Once;

use crate::thread::scheduler::Locked;
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

type Line = Bucket<AtomicU32, Locked<List>>;

static BUCKETS: Once<Box<[Line]>> = Once::new();
static LINKS: Once<LinkTable> = Once::new();

struct Threads;

impl Sleepers for Threads {
    type Word = AtomicU32;

    #[inline]
    fn sleeper(&self, id: u32) -> &Sleeper<AtomicU32> {
        &by_slot(id).sleeper
    }

    #[inline]
    fn links(&self) -> &LinkTable {
        links()
    }
}

/// Links of all threads, for lists of those that do not run.
pub(crate) fn links() -> &'static LinkTable {
    LINKS.call_once(|| LinkTable::new(THREADS_MAX as u32))
}

/// Makes the tables; called once at boot, where allocating is allowed.
pub(crate) fn init() {
    let _table = links();
    BUCKETS.call_once(|| (0..BUCKET_COUNT as u32).map(Bucket::new).collect());
}

/// The line of an address; `None` before [`init`], when nobody sleeps.
fn line_of(address: usize) -> Option<&'static Line> {
    let mixed = (address as u64 >> 2).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    BUCKETS.get()?.get((mixed >> 56) as usize % BUCKET_COUNT)
}

/// Sleeps while `word` holds `expected`, until woken by a wake with a common bit in `mask`, or until
/// `deadline_ns` on the monotonic clock.
pub fn wait(word: &AtomicU32, expected: u32, deadline_ns: Option<u64>, mask: u32) -> WaitOutcome {
    let address = word.as_ptr() as usize;
    if word.load(Ordering::Relaxed) != expected {
        return WaitOutcome::Mismatch;
    }
    let me = current_thread();
    let line = line_of(address).expect("nobody sleeps before the tables are made");
    let is_expected = || word.load(Ordering::SeqCst) == expected;
    if !line.stand(&Threads, me.slot, address, mask, is_expected) {
        return WaitOutcome::Mismatch;
    }
    loop {
        waiting::park(deadline_ns);
        if me.sleeper.is_out() {
            return WaitOutcome::Woken;
        }
        if deadline_ns.is_some_and(|deadline| time::monotonic_ns() >= deadline) {
            return if line.leave(&Threads, me.slot) {
                WaitOutcome::TimedOut
            } else {
                WaitOutcome::Woken
            };
        }
    }
}

/// Wakes at most `count` threads that wait on `word` with a common bit in `mask`; returns how many.
/// May be called from interrupt handlers.
pub fn wake(word: &AtomicU32, count: u32, mask: u32) -> u32 {
    wake_with(word, count, mask, WakeHint::None)
}

/// Wakes all that wait on `word`, by a thread that is about to stop.
pub(crate) fn wake_before_stopping(word: &AtomicU32) {
    wake_with(word, u32::MAX, u32::MAX, WakeHint::WakerStops);
}

fn wake_with(word: &AtomicU32, count: u32, mask: u32, hint: WakeHint) -> u32 {
    let address = word.as_ptr() as usize;
    let Some(line) = line_of(address) else {
        return 0;
    };
    let mut woken = 0;
    while woken < count {
        let mut batch = [0; BATCH];
        let wanted = BATCH.min((count - woken) as usize);
        let taken = line.take(&Threads, address, mask, &mut batch[..wanted]);
        batch[..taken]
            .iter()
            .for_each(|slot| waiting::unpark_with(by_slot(*slot), hint));
        woken += taken as u32;
        if taken < wanted {
            break;
        }
    }
    woken
}
