//! Exceptions and interrupts that go wrong on purpose: what the tests of them are made with.
//!
//! Law: everything asks for a [`Licence`], so only test images reach it. An exception that would stop the machine
//! is rehearsed ([`rehearse`]): it goes through the real gate and the real decision, and only the stop itself is
//! replaced by an [`Outcome`]. Of that the report of a failed kernel knows one line ([`end_attempt`]).

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use kernel_machine::cpu::rehearse::{self, Ending};
use kernel_machine::cpu::trap::Frame;
use kernel_machine::cpu::{interrupts, mailbox, provoke};
use kernel_machine::memory::PAGE_LEN;
use kernel_machine::platform::pit;
use kernel_machine::sync::IrqLock;

use crate::crash::Licence;
use crate::memory::{MapRequest, MemoryError, Protection, code, map};
use crate::trap_delivery::{self, TrapSignal};
use crate::{interrupt, thread, time};

pub use kernel_machine::cpu::rehearse::{Act, Exception, has_error_code, kernel_place};

/// An ISA line of the interval timer.
const STORM_LINE: u8 = 0;
/// An ISA line that no device of a virtual machine uses, and its vector.
const FREE_LINE: u8 = 5;
const FREE_VECTOR: u8 = interrupt::vector::ISA.start + FREE_LINE;
const SENTENCE_BYTES: usize = 160;
const ALTERNATE_STACK_BYTES: usize = 64 * 1024;

static STOP: IrqLock<Option<Stop>> = IrqLock::new(None);
static STORM_COUNT: AtomicU64 = AtomicU64::new(0);
/// What the last handler of [`FREE_LINE`] found: flags and MXCSR.
static SEEN_FLAGS: AtomicU64 = AtomicU64::new(u64::MAX);
static SEEN_MXCSR: AtomicU32 = AtomicU32::new(0);

/// A stop of the machine that was only rehearsed.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    sentence: [u8; SENTENCE_BYTES],
    len_bytes: usize,
    /// The instruction that the report would have named; 0 where it is the kernel's own complaint.
    pub place: u64,
}

impl Stop {
    fn new(sentence: fmt::Arguments<'_>, frame: Option<&Frame>) -> Self {
        let mut stop = Self {
            sentence: [0; SENTENCE_BYTES],
            len_bytes: 0,
            place: frame.map_or(0, |frame| frame.dwarf()[16]),
        };
        // What does not fit is cut off.
        let _ = stop.write_fmt(sentence);
        stop
    }

    /// What the report would have said first.
    pub fn sentence(&self) -> &str {
        core::str::from_utf8(&self.sentence[..self.len_bytes]).unwrap_or("?")
    }
}

impl Write for Stop {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.sentence[self.len_bytes..];
        let count = text.len().min(room.len());
        room[..count].copy_from_slice(&text.as_bytes()[..count]);
        self.len_bytes += count;
        if count < text.len() {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}

/// What came of an exception.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// The code went on.
    Returned,
    /// The machine would have stopped.
    Stopped(Stop),
    /// The runtime's handler was called with this signal about the instruction at this address.
    Delivered(u32, u64),
}

/// Does it with interrupts on or off, and says what would have come of it. One thread at a time.
pub fn rehearse(licence: &Licence, act: Act, interrupts_on: bool) -> Outcome {
    *STOP.lock() = None;
    match rehearse::attempt(licence, act, interrupts_on) {
        Ending::Returned => Outcome::Returned,
        Ending::Abandoned => match (STOP.lock().take(), rehearse::delivered()) {
            (Some(stop), _) => Outcome::Stopped(stop),
            (None, Some((signal, place))) => Outcome::Delivered(signal, place),
            (None, None) => Outcome::Returned,
        },
    }
}

/// Called where the machine is about to stop: does not come back where that is only rehearsed.
pub(crate) fn end_attempt(sentence: fmt::Arguments<'_>, frame: Option<&Frame>) {
    if rehearse::is_attempting() {
        let _interrupts = interrupts::Disabled::enter();
        *STOP.lock() = Some(Stop::new(sentence, frame));
        rehearse::abandon_from_pad()
    }
}

/// Publishes code as the engine does and gives the calling thread an alternate stack, and the three signals a
/// handler that ends the rehearsal. Returns the code's address; it stays for ever.
///
/// # Errors
/// Where there is no memory.
pub fn publish(licence: &Licence, machine_code: &[u8]) -> Result<usize, MemoryError> {
    let mapped = |len_bytes| {
        map(MapRequest {
            len_bytes,
            protection: Protection::READ_WRITE,
            at: None,
            populate: true,
            fault_around: false,
        })
    };
    let local = thread::local();
    if local.alternate_stack_len_bytes.load(Ordering::Relaxed) == 0 {
        let stack = mapped(ALTERNATE_STACK_BYTES)?;
        local.alternate_stack_start.store(stack, Ordering::Relaxed);
        local
            .alternate_stack_len_bytes
            .store(ALTERNATE_STACK_BYTES, Ordering::Relaxed);
    }
    for signal in [TrapSignal::Segv, TrapSignal::Ill, TrapSignal::Fpe] {
        trap_delivery::set_handler(signal, Some(rehearse::handler_address()));
    }
    let len_bytes = machine_code.len().next_multiple_of(PAGE_LEN);
    let address = mapped(len_bytes)?;
    rehearse::write_code(licence, address, machine_code);
    code::publish(address, len_bytes)?;
    Ok(address)
}

/// Sends an interrupt of any vector to a CPU by its index.
pub fn send(_: &Licence, cpu: u32, vector: u8) {
    interrupt::send(cpu, vector);
}

/// Loses the next `count` messages by which one CPU tells another that it has work.
pub fn drop_reschedules(_: &Licence, count: u32) {
    interrupt::drop_reschedules(count);
}

/// Keeps this CPU's timer from interrupting until that time has passed: what it was set to is lost.
pub fn lose_timer_interrupts(_: &Licence, duration_ns: u64) {
    let _interrupts = interrupts::Disabled::enter();
    interrupt::lose_timer();
    spin_for(duration_ns);
    interrupt::start_timer_anew();
}

/// Keeps all interrupts from this CPU for that time; they come late.
pub fn delay_interrupts(_: &Licence, duration_ns: u64) {
    let _interrupts = interrupts::Disabled::enter();
    spin_for(duration_ns);
}

fn spin_for(duration_ns: u64) {
    let end_ns = time::monotonic_ns() + duration_ns;
    while time::monotonic_ns() < end_ns {
        mailbox::answer();
        core::hint::spin_loop();
    }
}

/// Holds an ISA line back, or lets it through again.
pub fn mask_isa(_: &Licence, irq: u8, is_masked: bool) -> bool {
    interrupt::set_isa_masked(irq, is_masked)
}

/// Lets the interval timer interrupt the boot CPU as often as it can be told to; false where it has no line.
pub fn start_storm(_: &Licence, ticks: u16) -> bool {
    let routed = interrupt::register_isa(STORM_LINE, || {
        STORM_COUNT.fetch_add(1, Ordering::Relaxed);
    });
    pit::storm(Some(ticks));
    routed
}

/// Ends the storm.
pub fn stop_storm(licence: &Licence) {
    pit::storm(None);
    mask_isa(licence, STORM_LINE, true);
}

/// Interrupts of all storms so far.
pub fn storm_count() -> u64 {
    STORM_COUNT.load(Ordering::Relaxed)
}

/// Raises an interrupt while the interrupted code has the flags DF and AC set and rounds toward zero, and returns the
/// flags and MXCSR that its handler had.
pub fn handler_state(licence: &Licence) -> (u64, u32) {
    let note = || {
        let (flags, mxcsr) = provoke::handler_state();
        SEEN_FLAGS.store(flags, Ordering::Relaxed);
        SEEN_MXCSR.store(mxcsr, Ordering::Relaxed);
    };
    if interrupt::register_isa(FREE_LINE, note) {
        provoke::interrupt_with_odd_state::<FREE_VECTOR>(licence);
    }
    let flags = SEEN_FLAGS.load(Ordering::Relaxed);
    (flags, SEEN_MXCSR.load(Ordering::Relaxed))
}
