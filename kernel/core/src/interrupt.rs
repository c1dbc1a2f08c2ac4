//! Interrupts: vectors, controllers, and who handles what.
//!
//! Law: vectors are dealt out here and nowhere else. A device's handler is a plain function that runs with
//! interrupts off on a landing pad: it takes what the device has, wakes somebody, and returns.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kernel_machine::cpu::{CPUS_MAX, mailbox};
use kernel_machine::platform::io_apic::{IoApic, Route};
use kernel_machine::platform::local_apic::{Destination, LocalApic, LocalVectors, TimerDivider};
use kernel_machine::platform::pic;
use kernel_machine::sync::IrqLock;
use spin::Once;

use crate::trace::profile;
use crate::{cpu, fault, platform, time};

/// The vectors in use.
pub(crate) mod vector {
    use core::ops::Range;
    /// Where the 8259s are remapped to, and masked; only spurious ones arrive.
    pub const LEGACY: Range<u8> = 0x20..0x30;
    pub const TIMER: u8 = 0x30;
    pub const RESCHEDULE: u8 = 0x31;
    pub const SHOOT_DOWN: u8 = 0x32;
    pub const APIC_ERROR: u8 = 0x33;
    /// This CPU to itself: what could not be done with interrupts off.
    pub const DEFERRED: u8 = 0x34;
    /// ISA interrupts, in order.
    pub const ISA: Range<u8> = 0x40..0x50;
    pub const SPURIOUS: u8 = 0xff;
}

const LOCAL_VECTORS: LocalVectors = LocalVectors {
    timer: vector::TIMER,
    error: vector::APIC_ERROR,
    spurious: vector::SPURIOUS,
};
const DIVIDER: TimerDivider = TimerDivider::By16;
const ISA_COUNT: usize = 16;

type IsaHandlers = [Option<fn()>; ISA_COUNT];

static LOCAL_APIC: Once<LocalApic> = Once::new();
static IO_APICS: IrqLock<Vec<IoApic>> = IrqLock::named("I/O APICs", Vec::new());
static ISA_HANDLERS: IrqLock<IsaHandlers> = IrqLock::new([None; ISA_COUNT]);
static APIC_IDS: [AtomicU64; CPUS_MAX] = [const { AtomicU64::new(0) }; CPUS_MAX];
/// Ticks a second of the one-shot timer; 0 where deadlines are used.
static TIMER_HZ: AtomicU64 = AtomicU64::new(0);
static READY: AtomicBool = AtomicBool::new(false);
static SPURIOUS_COUNT: AtomicU64 = AtomicU64::new(0);

/// Sets the controllers up and this CPU's part of them.
pub(crate) fn init() {
    pic::remap_and_mask();
    let address = platform::platform().local_apic_address;
    let local_apic = LocalApic::new(platform::features(), address)
        .unwrap_or_else(|error| fault::stop_with(format_args!("the local APIC: {error}")));
    let local_apic = LOCAL_APIC.call_once(|| local_apic);
    local_apic.enable(LOCAL_VECTORS);
    start_timer(local_apic);
    note_apic_id();
    mailbox::init(|cpu| send(cpu, vector::SHOOT_DOWN));
    start_io_apics();
    READY.store(true, Ordering::Release);
    log::info!(
        "{}, timer by {}",
        if local_apic.is_x2apic() {
            "x2APIC"
        } else {
            "xAPIC"
        },
        if TIMER_HZ.load(Ordering::Relaxed) == 0 {
            "deadline"
        } else {
            "count"
        }
    );
}

/// The same for a CPU that was started later.
pub(crate) fn init_other() {
    let local_apic = local_apic();
    local_apic.enable(LOCAL_VECTORS);
    if TIMER_HZ.load(Ordering::Relaxed) == 0 {
        local_apic.use_tsc_deadline(LOCAL_VECTORS);
    } else {
        local_apic.use_one_shot(LOCAL_VECTORS, DIVIDER);
    }
    note_apic_id();
}

fn start_timer(local_apic: &LocalApic) {
    if platform::features().has_tsc_deadline {
        local_apic.use_tsc_deadline(LOCAL_VECTORS);
        return;
    }
    match local_apic.measure_timer(DIVIDER, time::tsc_hz()) {
        Ok(measured) => {
            TIMER_HZ.store(measured.hz, Ordering::Relaxed);
            local_apic.use_one_shot(LOCAL_VECTORS, DIVIDER);
        }
        Err(_) => fault::stop("the local APIC's timer does not count"),
    }
}

fn note_apic_id() {
    let index = kernel_machine::cpu::index() as usize;
    APIC_IDS[index].store(u64::from(local_apic().id()), Ordering::Release);
}

fn start_io_apics() {
    let mut started = Vec::new();
    for info in &platform::platform().io_apics {
        match IoApic::start(info) {
            Ok(io_apic) => started.push(io_apic),
            Err(error) => log::warn!("an I/O APIC is left out: {error}"),
        }
    }
    *IO_APICS.lock() = started;
}

pub(crate) fn local_apic() -> &'static LocalApic {
    LOCAL_APIC
        .get()
        .unwrap_or_else(|| fault::stop("the local APIC is used before it is set up"))
}

/// Whether interrupts between CPUs and timers work yet.
pub(crate) fn is_ready() -> bool {
    READY.load(Ordering::Acquire)
}

/// Lets `handler` run when the ISA device `irq` interrupts. Returns false where no controller has the line.
pub fn register_isa(irq: u8, handler: fn()) -> bool {
    let line = platform::platform().isa_interrupt(irq);
    match ISA_HANDLERS.lock().get_mut(irq as usize) {
        Some(slot) => *slot = Some(handler),
        None => return false,
    }
    let route = Route {
        vector: vector::ISA.start + irq,
        apic_id: APIC_IDS[0].load(Ordering::Acquire) as u8,
        polarity: line.polarity,
        trigger: line.trigger,
    };
    let mut io_apics = IO_APICS.lock();
    let owner = io_apics
        .iter_mut()
        .find(|io_apic| io_apic.interrupts().contains(&line.gsi));
    owner.is_some_and(|io_apic| {
        io_apic.route(line.gsi, route).is_ok() && io_apic.unmask(line.gsi).is_ok()
    })
}

/// Runs the handler of an ISA interrupt's vector.
pub(crate) fn handle_isa(vector: u8) {
    let handler = ISA_HANDLERS.lock()[(vector - vector::ISA.start) as usize];
    match handler {
        Some(handler) => handler(),
        None => count_spurious(),
    }
    local_apic().end_of_interrupt();
}

/// Counts an interrupt that nobody asked for.
pub(crate) fn count_spurious() {
    SPURIOUS_COUNT.fetch_add(1, Ordering::Relaxed);
}

/// Interrupts so far that nobody asked for.
pub fn spurious_count() -> u64 {
    SPURIOUS_COUNT.load(Ordering::Relaxed)
}

/// Makes another CPU look at its run queue.
pub(crate) fn send_reschedule(cpu: u32) {
    send(cpu, vector::RESCHEDULE);
}

/// Interrupts this CPU as soon as it lets itself be interrupted.
pub(crate) fn send_deferred() {
    if is_ready() {
        send(kernel_machine::cpu::index(), vector::DEFERRED);
    }
}

fn send(cpu: u32, vector: u8) {
    let apic_id = APIC_IDS[cpu as usize].load(Ordering::Acquire) as u32;
    while local_apic()
        .send(Destination::One(apic_id), vector)
        .is_err()
    {
        mailbox::answer();
    }
}

/// Stops all other CPUs by an interrupt that cannot be masked.
pub(crate) fn stop_other_cpus() {
    if cpu::online_count() > 1
        && let Some(local_apic) = LOCAL_APIC.get()
    {
        let _sent = local_apic.send_nmi(Destination::AllOthers);
    }
}

/// Sets this CPU's timer to fire at `deadline_ns`, or earlier while the profiler samples; `None` stops it.
pub(crate) fn arm_timer(deadline_ns: Option<u64>) {
    program_timer(profile::with_samples(deadline_ns));
}

/// The same for exactly that time.
pub(crate) fn program_timer(deadline_ns: Option<u64>) {
    if !is_ready() {
        return;
    }
    let Some(clock) = time::clock() else {
        return;
    };
    let timer_hz = TIMER_HZ.load(Ordering::Relaxed);
    match deadline_ns {
        None if timer_hz == 0 => local_apic().arm_tsc_deadline(0),
        None => local_apic().arm_one_shot(0),
        Some(deadline) if timer_hz == 0 => local_apic().arm_tsc_deadline(clock.tsc_at(deadline)),
        Some(deadline) => {
            let ns = deadline.saturating_sub(clock.now_ns());
            local_apic().arm_one_shot(timer_ticks(ns, timer_hz));
        }
    }
}

/// A count that is never 0, which would stop the timer; a long wait fires early and is armed again.
fn timer_ticks(ns: u64, timer_hz: u64) -> u32 {
    let ticks = u128::from(ns) * u128::from(timer_hz) / 1_000_000_000;
    ticks.clamp(1, u128::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::timer_ticks;

    #[test]
    fn the_timer_never_gets_a_count_that_stops_it() {
        assert_eq!(timer_ticks(0, 62_500_000), 1);
        assert_eq!(timer_ticks(16, 62_500_000), 1);
        assert_eq!(timer_ticks(1_000_000_000, 62_500_000), 62_500_000);
        assert_eq!(timer_ticks(u64::MAX, u64::MAX), u32::MAX);
    }
}
