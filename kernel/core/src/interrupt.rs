//! Interrupts: vectors, controllers, and who handles what.
//!
//! Law: vectors are dealt out here and nowhere else. A device's handler is a plain function that runs with
//! interrupts off on a landing pad: it takes what the device has, wakes somebody, and returns.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use kernel_machine::cpu::{CPUS_MAX, interrupts, mailbox};
use kernel_machine::platform::apic_timer::ApicTimer;
use kernel_machine::platform::io_apic::{IoApic, Route};
use kernel_machine::platform::local_apic::{Destination, LocalApic, LocalVectors};
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
const ISA_COUNT: usize = 16;

type IsaHandlers = [Option<fn()>; ISA_COUNT];

static LOCAL_APIC: Once<LocalApic> = Once::new();
static IO_APICS: IrqLock<Vec<IoApic>> = IrqLock::named("I/O APICs", Vec::new());
static ISA_HANDLERS: IrqLock<IsaHandlers> = IrqLock::new([None; ISA_COUNT]);
static APIC_IDS: [AtomicU64; CPUS_MAX] = [const { AtomicU64::new(0) }; CPUS_MAX];
static TIMER: Once<ApicTimer> = Once::new();
static READY: AtomicBool = AtomicBool::new(false);
/// Messages between CPUs that are still to be lost; a test's doing, 0 otherwise.
static DROPPED_RESCHEDULES: AtomicU32 = AtomicU32::new(0);
static SPURIOUS_COUNT: AtomicU64 = AtomicU64::new(0);

/// Sets the controllers up and this CPU's part of them.
pub(crate) fn init() {
    pic::remap_and_mask();
    let address = platform::platform().local_apic_address;
    let local_apic = LocalApic::new(platform::features(), address)
        .unwrap_or_else(|error| fault::stop_with(format_args!("the local APIC: {error}")));
    let local_apic = LOCAL_APIC.call_once(|| local_apic);
    local_apic.enable(LOCAL_VECTORS);
    let timer = ApicTimer::choose(platform::features(), local_apic, time::tsc_hz())
        .unwrap_or_else(|error| fault::stop_with(format_args!("{error}")));
    let timer = TIMER.call_once(|| timer);
    timer.enable(local_apic, LOCAL_VECTORS);
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
        match timer {
            ApicTimer::Deadline => "deadline",
            ApicTimer::OneShot { .. } => "count",
        }
    );
}

/// The same for a CPU that was started later.
pub(crate) fn init_other() {
    let local_apic = local_apic();
    local_apic.enable(LOCAL_VECTORS);
    start_timer_anew();
    note_apic_id();
}

/// Stops this CPU's timer, whatever it was set to.
pub(crate) fn lose_timer() {
    local_apic().stop_timer();
}

/// Lets this CPU's timer be set; what it was set to before is forgotten.
pub(crate) fn start_timer_anew() {
    if let Some(timer) = TIMER.get() {
        timer.enable(local_apic(), LOCAL_VECTORS);
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

/// Holds an ISA line back, or lets it through; false where no controller has the line.
///
/// An edge that comes to a masked pin is ignored (Intel 82093AA datasheet, section 3.2.4), so the handler is run when
/// the line is let through: what the device has would never be announced again.
pub(crate) fn set_isa_masked(irq: u8, is_masked: bool) -> bool {
    let gsi = platform::platform().isa_interrupt(irq).gsi;
    let set = |io_apic: &mut IoApic| match is_masked {
        true => io_apic.mask(gsi),
        false => io_apic.unmask(gsi),
    };
    let has_line = IO_APICS
        .lock()
        .iter_mut()
        .any(|io_apic| set(io_apic).is_ok());
    let handler = ISA_HANDLERS.lock().get(usize::from(irq)).copied().flatten();
    if let Some(handler) = handler.filter(|_| has_line && !is_masked) {
        interrupts::without(handler);
    }
    has_line
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

/// Handles an interrupt that nobody asked for. Whether the local APIC wants to be told depends on where it came from:
/// its own spurious vector and the 8259s' are not in service there, but what was sent on the same vector is.
pub(crate) fn handle_spurious(vector: u8) {
    count_spurious();
    let local_apic = local_apic();
    if local_apic.is_in_service(vector) {
        local_apic.end_of_interrupt();
    }
}

/// Interrupts this CPU as soon as it lets itself be interrupted.
pub(crate) fn send_deferred() {
    if is_ready() {
        send(kernel_machine::cpu::index(), vector::DEFERRED);
    }
}

/// Loses the next `count` messages of [`send_reschedule`], for tests.
pub(crate) fn drop_reschedules(count: u32) {
    DROPPED_RESCHEDULES.store(count, Ordering::SeqCst);
}

fn is_dropped() -> bool {
    DROPPED_RESCHEDULES.load(Ordering::Relaxed) != 0
        && DROPPED_RESCHEDULES
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            })
            .is_ok()
}

/// Makes another CPU look at its run queue.
pub(crate) fn send_reschedule(cpu: u32) {
    if !is_dropped() {
        send(cpu, vector::RESCHEDULE);
    }
}

pub(crate) fn send(cpu: u32, vector: u8) {
    let apic_id = APIC_IDS[cpu as usize].load(Ordering::Acquire) as u32;
    while local_apic()
        .send(Destination::One(apic_id), vector)
        .is_err()
    {
        mailbox::answer();
    }
}

/// Interrupts another CPU in a way that it cannot mask.
#[cfg(feature = "checks")]
pub(crate) fn send_nmi(cpu: u32) {
    let apic_id = APIC_IDS[cpu as usize].load(Ordering::Acquire) as u32;
    while local_apic().send_nmi(Destination::One(apic_id)).is_err() {
        core::hint::spin_loop();
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

/// Sets this CPU's timer to fire when the monotonic clock shows `deadline_ns`, or earlier.
pub(crate) fn arm_timer(deadline_ns: u64) {
    program_timer(profile::with_samples(Some(deadline_ns)));
}

/// The timer fired: nobody has asked for it until somebody asks again.
pub(crate) fn note_timer_fired() {
    // What the profiler wants it sets by itself.
    let _samples = profile::with_samples(None);
}

/// The same as [`arm_timer`] for exactly that time; `None` leaves the timer alone.
pub(crate) fn program_timer(deadline_ns: Option<u64>) {
    if let (Some(deadline_ns), Some(timer), Some(clock)) = (deadline_ns, TIMER.get(), time::clock())
    {
        timer.arm(local_apic(), clock.tsc_at(deadline_ns));
    }
}
