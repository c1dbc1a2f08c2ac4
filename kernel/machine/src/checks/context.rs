//! What may not happen where.
//!
//! Law: an interrupt's handler, and whoever holds a lock, neither allocates nor gives up the CPU. A gate is entered
//! and left with interrupts off and with the same locks held, and the stack of its landing pad is not used up:
//! each pad is painted when the CPU starts, and its last words must still have the paint whenever the pad is left. From
//! where interrupts are turned off, no more of the stack is used than was made sure of there
//! ([`crate::sync::STACK_RESERVE_BYTES`]); that is looked at whenever a lock is taken.

use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::locks;
use super::stop::{broken, is_over};
use crate::cpu::tables::PAD_BYTES;
use crate::cpu::{self, CPUS_MAX, interrupts};
use crate::sync::STACK_RESERVE_BYTES;

/// What unused words of a landing pad hold.
const PAINT: u64 = 0x7061_696e_7470_6164;
/// Words at the end of a pad that nobody may ever reach.
const PAD_END_WORDS: usize = 16;
/// What of the reserve has to be left when a lock is taken: its holder calls further.
const LOCK_HOLDER_BYTES: usize = 2 * 1024;
/// The first vector that is no exception.
const FIRST_INTERRUPT: u8 = 32;
const NMI: u8 = 2;
const MACHINE_CHECK: u8 = 18;

struct PerCpu {
    /// The vector whose handler runs, plus one; 0 when none does.
    top_half: AtomicUsize,
    /// The stack pointer where interrupts were turned off; 0 when it is not known.
    stack_base: AtomicUsize,
    /// The most that was ever used from there on, in bytes.
    deepest_bytes: AtomicUsize,
    /// How often interrupts came to be on: who makes progress, counts.
    progress: AtomicU64,
    /// It waits for an interrupt, or handles the first since it did.
    halt: AtomicU32,
    /// Rounds spent in spinning.
    spins: AtomicU32,
}

static CPUS: [PerCpu; CPUS_MAX] = [const {
    PerCpu {
        top_half: AtomicUsize::new(0),
        stack_base: AtomicUsize::new(0),
        deepest_bytes: AtomicUsize::new(0),
        progress: AtomicU64::new(0),
        halt: AtomicU32::new(RUNS),
        spins: AtomicU32::new(0),
    }
}; CPUS_MAX];

/// States of [`PerCpu::halt`].
const RUNS: u32 = 0;
const HALTED: u32 = 1;
const WOKEN: u32 = 2;

/// Rounds of spinning between two calls of the hook.
const SPINS: u32 = 1 << 12;
/// What whoever spins runs now and then; 0 when there is nothing.
static SPIN_HOOK: AtomicUsize = AtomicUsize::new(0);

fn here() -> &'static PerCpu {
    &CPUS[cpu::index() as usize]
}

/// An interrupt's handler runs while this lives.
#[derive(Debug)]
pub struct TopHalf(());

impl TopHalf {
    /// The handler of `vector` begins; interrupts are off.
    pub fn enter(vector: u8) -> Self {
        here()
            .top_half
            .store(usize::from(vector) + 1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for TopHalf {
    fn drop(&mut self) {
        here().top_half.store(0, Ordering::Relaxed);
    }
}

/// `what` is about to happen, which may neither happen in an interrupt's handler nor under a lock.
#[track_caller]
fn assert_in_thread(what: &str) {
    if is_over() {
        return;
    }
    let _interrupts = interrupts::Disabled::enter();
    let vector = here().top_half.load(Ordering::Relaxed);
    if vector != 0 {
        let vector = vector - 1;
        broken(format_args!(
            "{what} in the handler of interrupt {vector}, which may only note things and wake threads"
        ));
    }
    locks::assert_none_held(format_args!("{what}"));
}

/// The heap is asked for memory, or given some back.
#[track_caller]
pub(crate) fn about_to_use_heap() {
    // With interrupts on, the caller is a thread without locks: nothing to look at, and the heap is busy.
    if !interrupts::are_enabled() {
        assert_in_thread("the heap is used");
    }
}

/// A thread may have to wait, now or another time.
#[track_caller]
pub fn about_to_wait() {
    assert_in_thread("a thread gives up its CPU");
}

/// A thread gives up this CPU.
#[track_caller]
pub(crate) fn about_to_switch() {
    about_to_wait();
    here().stack_base.store(0, Ordering::Relaxed);
}

/// What has to be the same when a gate is left.
#[derive(Debug)]
pub struct Gate {
    vector: u8,
    held_count: usize,
    stack_base: usize,
    pad_end: usize,
}

/// A gate was entered; `pad_end` is where the stack of its landing pad begins to grow.
pub(crate) fn enter_gate(vector: u8, interrupts_were_on: bool, pad_end: usize) -> Gate {
    if interrupts::are_enabled() && !is_over() {
        broken(format_args!(
            "the gate of vector {vector} leaves interrupts on"
        ));
    }
    let is_maskable = vector >= FIRST_INTERRUPT || interrupts_were_on;
    if interrupts_were_on && vector != NMI {
        note_interrupt();
    }
    if is_maskable && vector != NMI && vector != MACHINE_CHECK {
        locks::assert_none_held(format_args!("trap {vector} comes with interrupts on"));
    }
    Gate {
        vector,
        held_count: locks::held_count(),
        stack_base: here().stack_base.swap(pad_end, Ordering::Relaxed),
        pad_end,
    }
}

/// The gate's handler has returned.
pub(crate) fn leave_gate(gate: &Gate) {
    let vector = gate.vector;
    if !is_over() {
        if interrupts::are_enabled() {
            broken(format_args!(
                "the handler of vector {vector} returns with interrupts on"
            ));
        }
        if locks::held_count() > gate.held_count {
            locks::assert_none_held(format_args!("the handler of vector {vector} returns"));
        }
        check_pad(gate.pad_end);
    }
    here().stack_base.store(gate.stack_base, Ordering::Relaxed);
}

/// Paints a landing pad that is not in use, by its first and last address.
pub(crate) fn paint_pad(words: &mut [u64]) {
    words.fill(PAINT);
}

/// The pad that ends at `pad_end` is left for another thread.
pub(crate) fn check_pad(pad_end: usize) {
    if !is_over() && pad_room_bytes(pad_end, PAD_END_WORDS) < PAD_END_WORDS * size_of::<u64>() {
        broken(format_args!(
            "the landing pad that ends at {pad_end:#x} ran over: all of its {PAD_BYTES} bytes were used"
        ));
    }
}

/// Bytes at the far end of a pad that were never used, looking at so many words.
fn pad_room_bytes(pad_end: usize, words_max: usize) -> usize {
    let start = pad_end - PAD_BYTES;
    let word = |index: usize| {
        // SAFETY: the address lies in the landing pad, which is mapped for ever; the words are only compared, and
        // whoever writes to them meanwhile has used them.
        unsafe { ((start + index * size_of::<u64>()) as *const u64).read_volatile() }
    };
    let unused = (0..words_max).take_while(|index| word(*index) == PAINT);
    unused.count() * size_of::<u64>()
}

/// Interrupts were turned off by code whose stack pointer is about here.
#[inline(always)]
pub(crate) fn interrupts_went_off() {
    here().stack_base.store(stack_pointer(), Ordering::Relaxed);
}

/// Interrupts are about to be on again.
#[inline(always)]
pub(crate) fn interrupts_come_on() {
    let mine = here();
    mine.stack_base.store(0, Ordering::Relaxed);
    mine.progress.fetch_add(1, Ordering::Relaxed);
}

/// Interrupts were on when a trap came.
fn note_interrupt() {
    let mine = here();
    mine.progress.fetch_add(1, Ordering::Relaxed);
    if mine.halt.load(Ordering::Relaxed) != RUNS {
        mine.halt.store(WOKEN, Ordering::Relaxed);
    }
}

/// This CPU is about to wait for an interrupt.
pub(crate) fn halts() {
    interrupts_come_on();
    here().halt.store(HALTED, Ordering::Release);
}

/// It has handled one.
pub(crate) fn goes_on() {
    here().halt.store(RUNS, Ordering::Release);
}

/// Whether a CPU waits for an interrupt, and does not handle one.
pub fn is_halted(cpu: u32) -> bool {
    CPUS[cpu as usize].halt.load(Ordering::Acquire) == HALTED
}

/// Whether this CPU handles the first interrupt since it waited for one. Asked in handlers.
pub fn has_woken() -> bool {
    here().halt.load(Ordering::Relaxed) == WOKEN
}

/// Lets whoever spins for long, with interrupts off, run `hook` now and then.
pub fn set_spin_hook(hook: fn()) {
    SPIN_HOOK.store(hook as usize, Ordering::Release);
}

/// One round of spinning.
pub(crate) fn spins() {
    let hook = SPIN_HOOK.load(Ordering::Acquire);
    let spins = here().spins.fetch_add(1, Ordering::Relaxed);
    if hook != 0 && spins.is_multiple_of(SPINS) && !is_over() {
        // SAFETY: only `set_spin_hook` stores here, and it stores such a function.
        let hook: fn() = unsafe { core::mem::transmute(hook) };
        hook();
    }
}

/// How often interrupts came to be on at a CPU, or it took one.
pub fn progress(cpu: u32) -> u64 {
    CPUS[cpu as usize].progress.load(Ordering::Relaxed)
}

/// A lock was taken here: what is left of the reserve must do for its holder.
pub(super) fn note_stack_depth() {
    let mine = here();
    let base = mine.stack_base.load(Ordering::Relaxed);
    let depth_bytes = base.saturating_sub(stack_pointer());
    if depth_bytes > mine.deepest_bytes.load(Ordering::Relaxed) && depth_bytes < PAD_BYTES {
        mine.deepest_bytes.store(depth_bytes, Ordering::Relaxed);
    }
    let limit_bytes = STACK_RESERVE_BYTES - LOCK_HOLDER_BYTES;
    if base != 0 && depth_bytes > limit_bytes && depth_bytes < 2 * PAD_BYTES {
        broken(format_args!(
            "code with interrupts off has used {depth_bytes} bytes of stack when it takes a lock; {STACK_RESERVE_BYTES} are reserved, of which {LOCK_HOLDER_BYTES} are the lock holder's"
        ));
    }
}

/// The most stack, in bytes, that code with interrupts off had used on any CPU when it took a lock.
pub fn deepest_bytes() -> usize {
    let all = CPUS.iter();
    all.map(|cpu| cpu.deepest_bytes.load(Ordering::Relaxed))
        .max()
        .unwrap_or(0)
}

#[inline(always)]
fn stack_pointer() -> usize {
    let pointer: usize;
    // SAFETY: only reads the register.
    unsafe {
        core::arch::asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    pointer
}
