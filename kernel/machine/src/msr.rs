//! Model-specific registers, by name.
//!
//! Law: only registers listed in [`Msr`] are reached, and all of them exist on every CPU that
//! passed [`crate::platform::features::CpuFeatures::missing_baseline`], unless their line says
//! which feature brings them; reading one that does not exist is a general-protection fault, so a
//! bug of ours. Writing can redirect the CPU, so [`write`] is unsafe and stays inside this crate.
//!
//! Source: Intel SDM vol. 4, chapter 2; x2APIC registers: SDM vol. 3, table 12-6.

use core::arch::asm;

/// A model-specific register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Msr {
    /// IA32_APIC_BASE: physical address, global enable and x2APIC enable of the local APIC.
    ApicBase = 0x1b,
    /// IA32_PAT: what the page tables' memory-type indices mean.
    Pat = 0x277,
    /// IA32_TSC_DEADLINE: the local APIC timer's deadline (feature `tsc_deadline`).
    TscDeadline = 0x6e0,
    /// IA32_EFER: long mode, no-execute, `syscall`.
    Efer = 0xc000_0080,
    /// IA32_STAR: segments for `syscall` and `sysret`.
    Star = 0xc000_0081,
    /// IA32_LSTAR: where `syscall` enters.
    Lstar = 0xc000_0082,
    /// IA32_FMASK: flags that `syscall` clears.
    Fmask = 0xc000_0084,
    /// IA32_FS_BASE.
    FsBase = 0xc000_0100,
    /// IA32_GS_BASE.
    GsBase = 0xc000_0101,
    /// IA32_KERNEL_GS_BASE: swapped in by `swapgs`.
    KernelGsBase = 0xc000_0102,
    /// Local APIC id (x2APIC mode, like all that follow).
    X2ApicId = 0x802,
    /// Version and number of local vectors.
    X2ApicVersion = 0x803,
    /// Task priority.
    X2ApicTaskPriority = 0x808,
    /// End of interrupt.
    X2ApicEoi = 0x80b,
    /// Spurious-interrupt vector and software enable.
    X2ApicSpurious = 0x80f,
    /// Interrupts in service, vectors 32 to 63.
    X2ApicInService1 = 0x811,
    /// Interrupts in service, vectors 224 to 255.
    X2ApicInService7 = 0x817,
    /// Error status.
    X2ApicErrorStatus = 0x828,
    /// Interrupt command: destination above, command below.
    X2ApicInterruptCommand = 0x830,
    /// Local vector: timer.
    X2ApicLvtTimer = 0x832,
    /// Local vector: thermal sensor.
    X2ApicLvtThermal = 0x833,
    /// Local vector: performance counters.
    X2ApicLvtPerformance = 0x834,
    /// Local vector: LINT0 pin.
    X2ApicLvtLint0 = 0x835,
    /// Local vector: LINT1 pin.
    X2ApicLvtLint1 = 0x836,
    /// Local vector: errors.
    X2ApicLvtError = 0x837,
    /// Timer's initial count.
    X2ApicTimerInitialCount = 0x838,
    /// Timer's current count.
    X2ApicTimerCurrentCount = 0x839,
    /// Timer's divider.
    X2ApicTimerDivide = 0x83e,
}

/// Reads `register` of this CPU.
pub fn read(register: Msr) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reading a register of the list changes nothing.
    unsafe {
        asm!("rdmsr", in("ecx") register as u32, out("eax") low, out("edx") high,
             options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes `register` of this CPU.
///
/// # Safety
/// The new value must keep what the kernel relies on: segment bases that point to their blocks, entry
/// points that are entry points, memory types that match the page tables, no reserved bit.
pub(crate) unsafe fn write(register: Msr, value: u64) {
    // SAFETY: the caller vouches for the value. No `nomem`: a base that moves, moves memory.
    unsafe {
        asm!("wrmsr", in("ecx") register as u32, in("eax") value as u32,
             in("edx") (value >> 32) as u32, options(nostack, preserves_flags));
    }
}
