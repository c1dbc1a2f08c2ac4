//! The audit of shoot-downs.
//!
//! Law: time is counted in generations: each page that is made inaccessible or unmapped begins a new one, which is
//! remembered for its frame. A shoot-down proves that every CPU has forgotten what was changed up to the generation
//! in which it began ([`crate::cpu::mailbox::Flushed`] has the number), so a frame may be freed only with a proof that is not
//! older than its own page's end. Whether the CPUs have really forgotten is the protocol's business (`lib/shootdown`).
//!
//! For frames whose number ends in the same bits only the last is remembered: an audit may miss, but never accuses the
//! innocent.

use core::sync::atomic::{AtomicU64, Ordering};

use super::stop::{broken, is_over};

/// Frames that are remembered at a time.
const REMEMBERED: usize = 4096;

struct Ended {
    frame_number: AtomicU64,
    generation: AtomicU64,
}

static ENDED: [Ended; REMEMBERED] = [const {
    Ended {
        frame_number: AtomicU64::new(0),
        generation: AtomicU64::new(0),
    }
}; REMEMBERED];
static GENERATION: AtomicU64 = AtomicU64::new(1);

/// A page of this frame was made inaccessible, or unmapped while it was accessible; its table says so already.
pub(crate) fn page_ended(frame_number: u64) {
    let generation = GENERATION.fetch_add(1, Ordering::SeqCst) + 1;
    let ended = &ENDED[frame_number as usize % REMEMBERED];
    ended.generation.store(0, Ordering::Relaxed);
    ended.frame_number.store(frame_number, Ordering::Release);
    ended.generation.store(generation, Ordering::Release);
}

/// The generation that began last.
pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::SeqCst)
}

/// A frame is freed with the proof of a shoot-down that began in `proven`.
pub(crate) fn check_reclaim(frame_number: u64, proven: u64) {
    let ended = &ENDED[frame_number as usize % REMEMBERED];
    let generation = ended.generation.load(Ordering::Acquire);
    let is_it = ended.frame_number.load(Ordering::Acquire) == frame_number;
    if is_it && generation > proven && !is_over() {
        broken(format_args!(
            "frame {frame_number:#x} is freed after a shoot-down of generation {proven}, but its page ended in {generation}: a cpu may still reach it"
        ));
    }
}
