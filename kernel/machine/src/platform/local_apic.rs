//! The local APIC of the CPU that runs, in xAPIC or x2APIC mode behind one type.
//!
//! Law: there is one [`LocalApic`] for the machine, because all CPUs reach their own unit at one
//! address (or by the same MSRs); every method acts on the unit of the CPU that executes it.
//! Callers that need two calls to reach the same unit keep interrupts off between them. The mode is
//! chosen once, by the first CPU, and every other CPU enters the same one in [`LocalApic::enable`].
//!
//! Vectors are 32..=255; the kernel has a gate for each, so none of these registers can make the
//! CPU run anything but the kernel's entry points. The exception is [`LocalApic::start_processor`],
//! which is unsafe.
//!
//! Source: Intel SDM vol. 3, chapter 11: 11.4 (registers), 11.5 (local vectors, timer), 11.6
//! (commands), 11.8.5 (end of interrupt), 11.9 (spurious), 11.12 (x2APIC); 8.4.4 (start of other
//! CPUs).

use crate::cpu::interrupts;
use crate::mmio::{Mmio, MmioError};
use crate::msr::{self, Msr};

use super::features::CpuFeatures;
use super::tsc::sampling::{Counter, Measurement, Stuck, measure_counter};
use super::tsc::{self, MonotonicClock};

const REGISTERS_LEN_BYTES: usize = 0x400;
const BASE_GLOBAL_ENABLE: u64 = 1 << 11;
const BASE_X2APIC_ENABLE: u64 = 1 << 10;
const SPURIOUS_SOFTWARE_ENABLE: u32 = 1 << 8;
const LVT_INDEX_PERFORMANCE: u32 = 4;
const LVT_INDEX_THERMAL: u32 = 5;
const LVT_MASKED: u32 = 1 << 16;
const LVT_DELIVERY_NMI: u32 = 0b100 << 8;
const LVT_TIMER_DEADLINE: u32 = 0b10 << 17;
const COMMAND_PENDING: u32 = 1 << 12;
/// Polls after which a command that is not accepted is given up; the hardware takes microseconds.
const COMMAND_POLLS_MAX: u32 = 1_000_000;

const STARTUP_AFTER_INIT_NS: u64 = 10_000_000;
const STARTUP_REPEAT_NS: u64 = 200_000;

/// The registers that are used, by name; offsets are those of xAPIC mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Register {
    Id = 0x20,
    Version = 0x30,
    TaskPriority = 0x80,
    Eoi = 0xb0,
    Spurious = 0xf0,
    InService1 = 0x110,
    InService7 = 0x170,
    ErrorStatus = 0x280,
    LvtTimer = 0x320,
    LvtThermal = 0x330,
    LvtPerformance = 0x340,
    LvtLint0 = 0x350,
    LvtLint1 = 0x360,
    LvtError = 0x370,
    TimerInitialCount = 0x380,
    TimerCurrentCount = 0x390,
    TimerDivide = 0x3e0,
}

/// The two halves of the command register in xAPIC mode.
const XAPIC_COMMAND_LOW: usize = 0x300;
const XAPIC_COMMAND_HIGH: usize = 0x310;

impl Register {
    fn msr(self) -> Msr {
        match self {
            Self::Id => Msr::X2ApicId,
            Self::Version => Msr::X2ApicVersion,
            Self::TaskPriority => Msr::X2ApicTaskPriority,
            Self::Eoi => Msr::X2ApicEoi,
            Self::Spurious => Msr::X2ApicSpurious,
            Self::InService1 => Msr::X2ApicInService1,
            Self::InService7 => Msr::X2ApicInService7,
            Self::ErrorStatus => Msr::X2ApicErrorStatus,
            Self::LvtTimer => Msr::X2ApicLvtTimer,
            Self::LvtThermal => Msr::X2ApicLvtThermal,
            Self::LvtPerformance => Msr::X2ApicLvtPerformance,
            Self::LvtLint0 => Msr::X2ApicLvtLint0,
            Self::LvtLint1 => Msr::X2ApicLvtLint1,
            Self::LvtError => Msr::X2ApicLvtError,
            Self::TimerInitialCount => Msr::X2ApicTimerInitialCount,
            Self::TimerCurrentCount => Msr::X2ApicTimerCurrentCount,
            Self::TimerDivide => Msr::X2ApicTimerDivide,
        }
    }
}

#[derive(Debug)]
enum Access {
    XApic(Mmio),
    X2Apic,
}

/// Vectors on which the unit's own interrupts arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalVectors {
    /// The timer.
    pub timer: u8,
    /// Errors of the unit itself; read [`LocalApic::take_errors`] there.
    pub error: u8,
    /// Spurious interrupts: no end of interrupt is due for them. The low four bits are ones, as old
    /// hardware wants.
    pub spurious: u8,
}

/// Divider of the timer's input clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TimerDivider {
    /// Every tick.
    By1 = 0b1011,
    /// Every second tick.
    By2 = 0b0000,
    /// Every fourth tick.
    By4 = 0b0001,
    /// Every eighth tick.
    By8 = 0b0010,
    /// Every sixteenth tick.
    By16 = 0b0011,
}

/// Whom an interrupt between CPUs goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The CPU with this APIC id.
    One(u32),
    /// All but the sender.
    AllOthers,
}

/// A command was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpiError {
    /// In xAPIC mode ids above 254 cannot be addressed.
    Unaddressable(u32),
    /// The unit did not finish an earlier command in time.
    Busy,
}

impl core::fmt::Display for IpiError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unaddressable(id) => write!(
                out,
                "the CPU with APIC id {id} cannot be reached, because this machine has no x2APIC mode"
            ),
            Self::Busy => out.write_str("the local APIC does not accept commands any more"),
        }
    }
}

impl core::error::Error for IpiError {}

/// The page below 1 MiB at which another CPU starts, in real mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartupPage(u8);

impl StartupPage {
    /// The page at `physical`; `None` unless that is page-aligned, not 0 and below 1 MiB.
    pub fn new(physical: u64) -> Option<Self> {
        let page = u8::try_from(physical >> 12).ok()?;
        (physical.is_multiple_of(4096) && page != 0).then_some(Self(page))
    }
}

/// The local APIC of whichever CPU runs.
#[derive(Debug)]
pub struct LocalApic {
    access: Access,
}

impl LocalApic {
    /// Chooses the mode: x2APIC where the CPU has it or is in it already, else xAPIC with the registers
    /// at `physical_address`. Call once; then [`Self::enable`] on every CPU.
    pub fn new(features: &CpuFeatures, physical_address: u64) -> Result<Self, MmioError> {
        let base = msr::read(Msr::ApicBase);
        if features.has_x2apic || base & BASE_X2APIC_ENABLE != 0 {
            return Ok(Self {
                access: Access::X2Apic,
            });
        }
        Mmio::map(physical_address, REGISTERS_LEN_BYTES).map(|registers| Self {
            access: Access::XApic(registers),
        })
    }

    /// Whether the machine uses x2APIC mode.
    pub fn is_x2apic(&self) -> bool {
        matches!(self.access, Access::X2Apic)
    }

    /// Switches this CPU's unit on: timer masked, LINT0 masked (the 8259s are asleep), LINT1 an NMI
    /// as PCs wire it, errors and spurious interrupts on their vectors. Interrupts stay off
    /// meanwhile.
    pub fn enable(&self, vectors: LocalVectors) {
        self.enter_mode();
        self.write(Register::TaskPriority, 0);
        self.write(Register::LvtTimer, LVT_MASKED);
        self.mask_optional_vectors();
        self.write(Register::LvtLint0, LVT_MASKED);
        self.write(Register::LvtLint1, LVT_DELIVERY_NMI);
        self.take_errors();
        self.write(Register::LvtError, u32::from(vectors.error));
        self.write(
            Register::Spurious,
            SPURIOUS_SOFTWARE_ENABLE | u32::from(vectors.spurious),
        );
        // Acknowledges what the firmware may have left in service; harmless if there is nothing.
        self.end_of_interrupt();
    }

    /// Not every unit has these; touching an absent one faults in x2APIC mode (SDM vol. 3, section
    /// 11.4.8: the version register tells the index of the last).
    fn mask_optional_vectors(&self) {
        let last = self.read(Register::Version) >> 16 & 0xff;
        if last >= LVT_INDEX_PERFORMANCE {
            self.write(Register::LvtPerformance, LVT_MASKED);
        }
        if last >= LVT_INDEX_THERMAL {
            self.write(Register::LvtThermal, LVT_MASKED);
        }
    }

    fn enter_mode(&self) {
        let mut base = msr::read(Msr::ApicBase) | BASE_GLOBAL_ENABLE;
        if self.is_x2apic() {
            base |= BASE_X2APIC_ENABLE;
        }
        // SAFETY: only the mode bits change; xAPIC to x2APIC is a legal transition, and a unit
        // already in x2APIC mode never gets here with the bit clear.
        unsafe { msr::write(Msr::ApicBase, base) }
    }

    /// The id of the CPU that runs.
    pub fn id(&self) -> u32 {
        let id = self.read(Register::Id);
        if self.is_x2apic() { id } else { id >> 24 }
    }

    /// Whether an interrupt of `vector` is being served, for vectors at which one may come that is not: those of the
    /// 8259s and the unit's own spurious one. Of any other, that is so.
    pub fn is_in_service(&self, vector: u8) -> bool {
        let register = match vector / 32 {
            1 => Register::InService1,
            7 => Register::InService7,
            _ => return true,
        };
        self.read(register) & 1 << (vector % 32) != 0
    }

    /// Tells the unit that the interrupt in service is handled. Not for spurious ones and NMIs.
    pub fn end_of_interrupt(&self) {
        self.write(Register::Eoi, 0);
    }

    /// Reads and clears the error status: bits as in SDM vol. 3, figure 11-9; 0 if there was no error.
    pub fn take_errors(&self) -> u32 {
        // The write latches what happened since the last one.
        self.write(Register::ErrorStatus, 0);
        self.read(Register::ErrorStatus)
    }

    /// Sends `vector` to `destination`.
    pub fn send(&self, destination: Destination, vector: u8) -> Result<(), IpiError> {
        self.command(destination, command(Delivery::Fixed, vector))
    }

    /// Sends a non-maskable interrupt to `destination`: reaches CPUs that have interrupts off.
    pub fn send_nmi(&self, destination: Destination) -> Result<(), IpiError> {
        self.command(destination, command(Delivery::Nmi, 0))
    }

    /// Sends INIT: the CPU `apic_id` forgets everything and waits for a start-up.
    ///
    /// # Safety
    /// Nobody needs that CPU: it holds no lock and is asked for no answer.
    pub unsafe fn reset_processor(&self, apic_id: u32) -> Result<(), IpiError> {
        self.command(Destination::One(apic_id), command(Delivery::Init, 0))
    }

    /// Starts the CPU `apic_id` at `page`: INIT, then two start-ups (SDM vol. 3, section 8.4.4.1).
    /// Takes about 10 ms.
    ///
    /// # Safety
    /// The page holds real-mode code that leads into the kernel, for a CPU that is not running, and
    /// stays until that CPU has told that it is through.
    pub unsafe fn start_processor(
        &self,
        apic_id: u32,
        page: StartupPage,
        clock: &MonotonicClock,
    ) -> Result<(), IpiError> {
        let one = Destination::One(apic_id);
        let startup = command(Delivery::StartUp, page.0);
        self.command(one, command(Delivery::Init, 0))?;
        clock.spin_ns(STARTUP_AFTER_INIT_NS);
        self.command(one, startup)?;
        clock.spin_ns(STARTUP_REPEAT_NS);
        self.command(one, startup)
    }

    fn command(&self, destination: Destination, command: u32) -> Result<(), IpiError> {
        let (id, shorthand) = match destination {
            Destination::One(id) => (id, 0),
            Destination::AllOthers => (0, 0b11 << 18),
        };
        match &self.access {
            Access::X2Apic => {
                fence();
                let value = u64::from(id) << 32 | u64::from(command | shorthand);
                // SAFETY: `command` makes only well-formed values, and kernel gates answer them.
                unsafe { msr::write(Msr::X2ApicInterruptCommand, value) }
                Ok(())
            }
            Access::XApic(registers) => xapic_command(registers, id, command | shorthand),
        }
    }

    /// Puts this CPU's timer into one-shot mode, stopped.
    pub fn use_one_shot(&self, vectors: LocalVectors, divider: TimerDivider) {
        self.write(Register::TimerInitialCount, 0);
        self.write(Register::TimerDivide, divider as u32);
        self.write(Register::LvtTimer, u32::from(vectors.timer));
    }

    /// Fires once after `count` ticks of the divided clock; 0 stops it. Only in one-shot mode.
    pub fn arm_one_shot(&self, count: u32) {
        self.write(Register::TimerInitialCount, count);
    }

    /// Puts this CPU's timer into deadline mode. Only with [`CpuFeatures::has_tsc_deadline`].
    pub fn use_tsc_deadline(&self, vectors: LocalVectors) {
        self.write(
            Register::LvtTimer,
            LVT_TIMER_DEADLINE | u32::from(vectors.timer),
        );
        // The mode must have changed before the first deadline is written (SDM vol. 3, section
        // 11.5.4.1).
        fence();
    }

    /// Fires once when the time-stamp counter reaches `tsc`, at once if it has; 0 disarms. Only in
    /// deadline mode.
    pub fn arm_tsc_deadline(&self, tsc: u64) {
        // SAFETY: a deadline only raises the timer's vector.
        unsafe { msr::write(Msr::TscDeadline, tsc) }
    }

    /// Stops the timer in either mode.
    pub fn stop_timer(&self) {
        self.write(Register::LvtTimer, LVT_MASKED);
        self.write(Register::TimerInitialCount, 0);
    }

    /// Measures the frequency of the timer with `divider`, in ticks of the divided clock. Takes
    /// about 40 ms. Call with interrupts off; leaves the timer stopped.
    pub fn measure_timer(&self, divider: TimerDivider, tsc_hz: u64) -> Result<Measurement, Stuck> {
        self.write(Register::TimerDivide, divider as u32);
        self.write(Register::LvtTimer, LVT_MASKED);
        self.write(Register::TimerInitialCount, u32::MAX);
        let measured = measure_counter(&mut tsc::read, tsc_hz, &mut TimerCounter(self));
        self.stop_timer();
        measured
    }

    fn read(&self, register: Register) -> u32 {
        match &self.access {
            Access::XApic(registers) => registers.read32(register as usize),
            Access::X2Apic => msr::read(register.msr()) as u32,
        }
    }

    fn write(&self, register: Register, value: u32) {
        match &self.access {
            Access::XApic(registers) => registers.write32(register as usize, value),
            // SAFETY: every register of the enum takes the values that this module makes; vectors
            // lead to the kernel's gates.
            Access::X2Apic => unsafe { msr::write(register.msr(), u64::from(value)) },
        }
    }
}

/// The timer counts down from its initial value; as a counter it counts up.
struct TimerCounter<'a>(&'a LocalApic);

impl Counter for TimerCounter<'_> {
    fn mask(&self) -> u64 {
        u64::from(u32::MAX)
    }
    fn read(&mut self) -> u64 {
        u64::from(!self.0.read(Register::TimerCurrentCount))
    }
}

#[derive(Clone, Copy)]
enum Delivery {
    Fixed = 0b000,
    Nmi = 0b100,
    Init = 0b101,
    StartUp = 0b110,
}

/// The low half of the command register, figure 11-12: edge-triggered, level asserted, physical
/// destination.
fn command(delivery: Delivery, vector: u8) -> u32 {
    const LEVEL_ASSERT: u32 = 1 << 14;
    LEVEL_ASSERT | (delivery as u32) << 8 | u32::from(vector)
}

/// Writing the command register of x2APIC mode does not order earlier stores (SDM vol. 3, section
/// 11.12.3): without this the receiver may not see what the interrupt is about.
fn fence() {
    // SAFETY: fences change nothing.
    unsafe { core::arch::asm!("mfence", "lfence", options(nostack, preserves_flags)) }
}

/// The register is in two halves, so the CPU must not be interrupted between them.
fn xapic_command(registers: &Mmio, id: u32, command: u32) -> Result<(), IpiError> {
    if id >= 0xff {
        return Err(IpiError::Unaddressable(id));
    }
    interrupts::without(|| {
        for _ in 0..COMMAND_POLLS_MAX {
            if registers.read32(XAPIC_COMMAND_LOW) & COMMAND_PENDING == 0 {
                registers.write32(XAPIC_COMMAND_HIGH, id << 24);
                registers.write32(XAPIC_COMMAND_LOW, command);
                return Ok(());
            }
            core::hint::spin_loop();
        }
        Err(IpiError::Busy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_encoded_as_the_manual_shows() {
        assert_eq!(command(Delivery::Fixed, 0xf1), 0x40f1);
        assert_eq!(command(Delivery::Nmi, 0), 0x4400);
        assert_eq!(command(Delivery::Init, 0), 0x4500);
        assert_eq!(command(Delivery::StartUp, 8), 0x4608);
    }

    #[test]
    fn every_register_is_at_the_same_index_in_both_modes() {
        use Register as R;
        let all = [
            R::Id,
            R::Version,
            R::TaskPriority,
            R::Eoi,
            R::Spurious,
            R::ErrorStatus,
            R::LvtTimer,
            R::LvtThermal,
            R::LvtPerformance,
            R::LvtLint0,
            R::LvtLint1,
            R::LvtError,
            R::TimerInitialCount,
            R::TimerCurrentCount,
            R::TimerDivide,
        ];
        for register in all {
            // SDM vol. 3, section 11.12.1.2: MSR address = 0x800 + offset / 16.
            assert_eq!(register.msr() as usize, 0x800 + register as usize / 16);
        }
    }

    #[test]
    fn startup_pages_are_below_a_megabyte() {
        assert_eq!(StartupPage::new(0x8000), Some(StartupPage(8)));
        for bad in [0, 0x8001, 0x10_0000, !0xfff] {
            assert_eq!(StartupPage::new(bad), None);
        }
    }
}
