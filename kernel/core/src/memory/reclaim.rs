//! Who can give frames back when memory is short.
//!
//! Law: a subsystem that keeps frames which it could do without registers one function, once, at boot. Before a
//! request for frames is refused, the functions are called in the order of [`Stage`] until one has given
//! something back. They run with interrupts off, possibly on a landing pad, on behalf of a thread that
//! holds no lock of the core: they may take their own locks, free frames and shoot down, in bounded steps,
//! and may neither allocate nor fault nor wait for a thread. One CPU reclaims at a time; another that comes meanwhile
//! waits for it (answering shoot-downs) and then tries its request again. A function whose own requests fail gets
//! no second round.
//!
//! Requests from inside the heap's or the regions' lock (pages of the heap, page tables) do not come here; the
//! reserve is theirs.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use kernel_machine::cpu::{self, interrupts, mailbox};
use spin::Once;

/// When a function is called: the cheapest to lose first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Memory that is kept only to be fast: spare stacks, spare heap.
    Spare = 0,
    /// Copies of what can be read again.
    Cached = 1,
}

/// The stages in their order.
const STAGES: [Stage; 2] = [Stage::Spare, Stage::Cached];
/// Functions in one stage, at most.
const PER_STAGE: usize = 4;
/// No CPU reclaims; otherwise the CPU's index plus one.
const NOBODY: u32 = 0;

/// Gives back at least `wanted_frames` if it can; returns how many it freed.
pub type GiveBack = fn(wanted_frames: u64) -> u64;

static HOOKS: [[Once<GiveBack>; PER_STAGE]; STAGES.len()] =
    [const { [const { Once::new() }; PER_STAGE] }; STAGES.len()];
static RECLAIMER: AtomicU32 = AtomicU32::new(NOBODY);
static ROUNDS: AtomicU64 = AtomicU64::new(0);

/// Adds a function to a stage. False when the stage is full.
#[must_use]
pub fn register(stage: Stage, give_back: GiveBack) -> bool {
    HOOKS[stage as usize].iter().any(|slot| {
        let mut is_ours = false;
        slot.call_once(|| {
            is_ours = true;
            give_back
        });
        is_ours
    })
}

/// How often memory was so short that it was asked back.
pub fn rounds() -> u64 {
    ROUNDS.load(Ordering::Relaxed)
}

/// Asks for frames back. True if it is worth trying the request again.
pub(super) fn run(wanted_frames: u64) -> bool {
    let _interrupts = interrupts::Disabled::enter();
    let me = cpu::index() + 1;
    match RECLAIMER.compare_exchange(NOBODY, me, Ordering::Acquire, Ordering::Relaxed) {
        Ok(_) => {
            ROUNDS.fetch_add(1, Ordering::Relaxed);
            let freed = ask_all(wanted_frames);
            RECLAIMER.store(NOBODY, Ordering::Release);
            freed > 0
        }
        Err(other) if other == me => false,
        Err(_) => {
            wait_for_the_other();
            true
        }
    }
}

fn ask_all(wanted_frames: u64) -> u64 {
    let mut freed = 0;
    for give_back in HOOKS.as_flattened().iter().filter_map(Once::get) {
        if freed < wanted_frames {
            freed += give_back(wanted_frames - freed);
        }
    }
    freed
}

fn wait_for_the_other() {
    while RECLAIMER.load(Ordering::Acquire) != NOBODY {
        mailbox::answer();
        core::hint::spin_loop();
    }
}
