//! The sampling profiler: what each CPU runs, looked at so many times a second.
//!
//! Law: while profiling is on each CPU's timer also fires at its next sample, whatever else it is set
//! to; otherwise it fires only for the scheduler, so an idle machine stays without ticks. A sample is taken on
//! the landing pad of the timer's interrupt: it reads the stack through the page tables, so nothing faults, visits
//! at most [`PLACES_MAX`] places, takes no lock and allocates nothing; it becomes records in the CPU's ring.
//!
//! Code that runs with interrupts off is seen where it turns them on again. An NMI would see it in
//! between, but nothing may be learnt of a stack in the middle of a switch.
//!
//! The state of a CPU's sampler is written by that CPU only, with interrupts off.

use core::sync::atomic::{AtomicU64, Ordering};

use kernel_machine::cpu::trap::Trap;
use kernel_machine::cpu::{self, CPUS_MAX, interrupts, mailbox};

use super::{Category, Kind, TraceError, point};
use crate::{backtrace, interrupt, thread, time};

/// How many times a second unless somebody says otherwise: no multiple of what the machine does by itself.
pub const HZ_DEFAULT: u32 = 199;
/// The most samples a second: more would leave no time for what is sampled.
pub const HZ_MAX: u32 = 2000;
/// The most places of one sample, from the innermost outwards.
const PLACES_MAX: usize = 40;
const NEVER: u64 = u64::MAX;

struct Sampler {
    /// When the next sample is due.
    next_ns: AtomicU64,
    /// What the scheduler has set the timer to.
    requested_ns: AtomicU64,
}

static SAMPLERS: [Sampler; CPUS_MAX] = [const {
    Sampler {
        next_ns: AtomicU64::new(NEVER),
        requested_ns: AtomicU64::new(NEVER),
    }
}; CPUS_MAX];
static PERIOD_NS: AtomicU64 = AtomicU64::new(0);

/// Switches profiling on, and forgets what was traced before. `hz` is brought into 1 to [`HZ_MAX`]. It ends with
/// [`super::stop`]; the samples are in [`super::collect`].
///
/// # Errors
/// See [`TraceError`].
pub fn start(hz: u32) -> Result<(), TraceError> {
    let period_ns = 1_000_000_000 / u64::from(hz.clamp(1, HZ_MAX));
    PERIOD_NS.store(period_ns, Ordering::Relaxed);
    super::start(Category::Sample.bit() | Category::Process.bit())?;
    let _interrupts = interrupts::Disabled::enter();
    begin_here();
    let others = mailbox::online_mask() & !(1 << cpu::index());
    mailbox::bits(others).for_each(interrupt::send_reschedule);
    Ok(())
}

/// Lets this CPU take samples if it does not and is to. Interrupts are off.
pub(crate) fn begin_here() {
    let sampler = here();
    if super::is_on(Category::Sample) && sampler.next_ns.load(Ordering::Relaxed) == NEVER {
        sampler.set_next(time::monotonic_ns());
        interrupt::program_timer(sampler.earliest());
    }
}

/// What the timer is to be set to if the scheduler wants `deadline_ns`.
pub(crate) fn with_samples(deadline_ns: Option<u64>) -> Option<u64> {
    let sampler = here();
    let requested_ns = deadline_ns.unwrap_or(NEVER);
    sampler.requested_ns.store(requested_ns, Ordering::Relaxed);
    sampler.earliest()
}

/// The timer fired, and the scheduler has had its part.
pub(crate) fn on_timer(trap: &Trap<'_>) {
    let sampler = here();
    let next_ns = sampler.next_ns.load(Ordering::Relaxed);
    if next_ns == NEVER {
        return;
    }
    let now_ns = time::monotonic_ns();
    if !super::is_on(Category::Sample) {
        sampler.next_ns.store(NEVER, Ordering::Relaxed);
    } else if now_ns >= next_ns {
        take(trap);
        sampler.set_next(now_ns);
    }
    interrupt::program_timer(sampler.earliest());
}

fn here() -> &'static Sampler {
    &SAMPLERS[cpu::index() as usize]
}

impl Sampler {
    fn set_next(&self, now_ns: u64) {
        let next_ns = now_ns + PERIOD_NS.load(Ordering::Relaxed);
        self.next_ns.store(next_ns, Ordering::Relaxed);
    }

    fn earliest(&self) -> Option<u64> {
        let next_ns = self.next_ns.load(Ordering::Relaxed);
        let requested_ns = self.requested_ns.load(Ordering::Relaxed);
        let earliest_ns = next_ns.min(requested_ns);
        (earliest_ns != NEVER).then_some(earliest_ns)
    }
}

/// Records what was interrupted.
fn take(trap: &Trap<'_>) {
    if thread::is_idle() {
        return point(Kind::Sample, 0, 1, 0);
    }
    let mut places = [0; PLACES_MAX];
    let mut count = 0;
    backtrace::walk(trap.frame(), PLACES_MAX, &mut |place| {
        if let Some(slot) = places.get_mut(count) {
            *slot = place.lookup_address;
            count += 1;
        }
    });
    point(Kind::Sample, count as u16, 0, 0);
    for pair in places[..count].chunks(2) {
        let second = pair.get(1).copied().unwrap_or(0);
        point(Kind::Places, 0, pair[0], second);
    }
}
