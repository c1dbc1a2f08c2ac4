//! A watchdog for each CPU, in kernels with checks: somebody notices a CPU that is stuck, and says with which lock.
//!
//! Law: CPUs look at each other, about once in [`LOOK_NS`]: whoever handles a timer, spins for a lock or awaits an answer
//! looks at all others. A CPU makes progress when it comes to have interrupts on (`kernel_machine::checks::context::progress`),
//! and one that waits for an interrupt need not. One that has made none for [`PATIENCE_NS`] is asked by an interrupt
//! that cannot be masked. Its answer proves that the CPU itself runs, so that a host which stalls it for
//! seconds raises no alarm: only when it has answered [`ANSWERS`] times, a while apart, each time with interrupts off
//! and without progress in between, it is stuck. Then the machine stops with its registers and its backtrace, and with
//! the locks of all CPUs.
//!
//! An idle machine gets no ticks. While some CPU is busy, the others wake up once in [`LOOK_NS`] to look at it
//! ([`next_look_ns`]); a CPU that wakes up after a long silence tells one other ([`woke_up`]). The only CPU of a machine has nobody
//! who looks at it.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use kernel_machine::checks::{context, locks};
use kernel_machine::cpu::trap::{Frame, Trap};
use kernel_machine::cpu::{self, CPUS_MAX, mailbox};
use spin::Mutex;

use crate::fault::{self, Named};
use crate::{interrupt, time};

/// How often CPUs look at each other.
const LOOK_NS: u64 = 1_000_000_000;
/// How long nobody minds that a CPU makes no progress.
const PATIENCE_NS: u64 = 3_000_000_000;
/// Where `Frame::dwarf` has it.
const INSTRUCTION_POINTER: usize = 16;
/// Answers that prove that a CPU is stuck, one a look.
const ANSWERS: u32 = 8;

/// What the others know of a CPU.
struct Watched {
    progress: AtomicU64,
    /// When it was seen to have that progress first.
    since_ns: AtomicU64,
    /// It was asked and has not answered yet.
    asked: AtomicBool,
    /// How often it answered since, with interrupts off.
    answers: AtomicU32,
    /// When it is to look at the others again; its own.
    next_look_ns: AtomicU64,
    /// What it did when it answered last. Nobody waits for this lock.
    frame: Mutex<Option<Frame>>,
}

static CPUS: [Watched; CPUS_MAX] = [const {
    Watched {
        progress: AtomicU64::new(0),
        since_ns: AtomicU64::new(0),
        asked: AtomicBool::new(false),
        answers: AtomicU32::new(0),
        next_look_ns: AtomicU64::new(0),
        frame: Mutex::new(None),
    }
}; CPUS_MAX];
/// When anybody looked last.
static LOOKED_NS: AtomicU64 = AtomicU64::new(0);

/// From here on whoever spins looks.
pub(crate) fn init() {
    context::set_spin_hook(look);
}

/// Looks at the other CPUs, if this one has not for a while. That others do counts for nothing: one that is stuck itself
/// may look all the time.
pub(crate) fn look() {
    let now_ns = time::monotonic_ns();
    let next_look_ns = &CPUS[cpu::index() as usize].next_look_ns;
    let others = others();
    if others == 0 || now_ns < next_look_ns.load(Ordering::Relaxed) || fault::is_stopping() {
        return;
    }
    next_look_ns.store(now_ns + LOOK_NS, Ordering::Relaxed);
    LOOKED_NS.store(now_ns, Ordering::Relaxed);
    mailbox::bits(others).for_each(|cpu| look_at(cpu, now_ns));
}

fn others() -> u64 {
    mailbox::online_mask() & !(1 << cpu::index())
}

fn look_at(cpu: u32, now_ns: u64) {
    let watched = &CPUS[cpu as usize];
    let progress = context::progress(cpu);
    if context::is_halted(cpu) || watched.progress.swap(progress, Ordering::Relaxed) != progress {
        watched.since_ns.store(now_ns, Ordering::Relaxed);
        watched.answers.store(0, Ordering::Relaxed);
        return;
    }
    let silent_ns = now_ns.saturating_sub(watched.since_ns.load(Ordering::Relaxed));
    if watched.answers.load(Ordering::Acquire) >= ANSWERS {
        stop_for(cpu, silent_ns);
    }
    if silent_ns >= PATIENCE_NS && !watched.asked.swap(true, Ordering::AcqRel) {
        interrupt::send_nmi(cpu);
    }
}

/// This CPU was interrupted in a way that cannot be masked: true if that was the question of another one.
pub(crate) fn answer(trap: &Trap<'_>) -> bool {
    let watched = &CPUS[cpu::index() as usize];
    if !watched.asked.load(Ordering::Acquire) {
        return false;
    }
    if trap.interrupts_were_enabled() {
        watched.answers.store(0, Ordering::Relaxed);
    } else {
        if let Some(mut frame) = watched.frame.try_lock() {
            *frame = Some(*trap.frame());
        }
        watched.answers.fetch_add(1, Ordering::AcqRel);
    }
    watched.asked.store(false, Ordering::Release);
    true
}

fn stop_for(cpu: u32, silent_ns: u64) -> ! {
    let frame = CPUS[cpu as usize].frame.try_lock().and_then(|frame| *frame);
    fault::stop_at_frame(
        format_args!(
            "cpu {cpu} is stuck: for {} s it has had interrupts off and run{}{}",
            silent_ns / 1_000_000_000,
            At(frame.as_ref()),
            locks::Wait { cpu }
        ),
        frame.as_ref(),
    )
}

/// Where it was last, in words.
struct At<'a>(Option<&'a Frame>);

impl fmt::Display for At<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(frame) => write!(
                out,
                ", last at {}",
                Named(frame.dwarf()[INSTRUCTION_POINTER])
            ),
            None => Ok(()),
        }
    }
}

/// When this CPU's timer is to fire for the next look: as long as another CPU is busy.
pub(crate) fn next_look_ns() -> Option<u64> {
    let busy = mailbox::bits(others()).any(|cpu| !context::is_halted(cpu));
    // Of whole seconds, so that the timer is not set anew at every switch.
    busy.then(|| (time::monotonic_ns() / LOOK_NS + 1) * LOOK_NS)
}

/// This CPU handles an interrupt for which it has waited. Where nobody has looked for long, everybody was idle: somebody
/// is told, so that his timer is set.
pub(crate) fn woke_up() {
    let now_ns = time::monotonic_ns();
    if now_ns > LOOKED_NS.load(Ordering::Relaxed) + 2 * LOOK_NS {
        LOOKED_NS.store(now_ns, Ordering::Relaxed);
        if let Some(other) = mailbox::bits(others()).next() {
            interrupt::send_reschedule(other);
        }
    }
}
