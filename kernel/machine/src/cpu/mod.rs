//! Processors: per-CPU blocks, control registers, traps, contexts, and the start of other CPUs.
//!
//! Law: every CPU has one [`Block`], found through GS from its first instruction of Rust on; FS is the
//! running thread's. A CPU's index counts from 0 (the boot CPU) and never changes. What a block holds is
//! written by its own CPU only.

use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

pub mod context;
pub mod entry;
pub mod interrupts;
pub mod mailbox;
pub mod provoke;
pub mod rehearse;
pub mod startup;
pub mod tables;
pub mod thread_pointer;
pub mod trap;
pub mod witness;
mod xsave;

/// The most CPUs that the kernel runs on; more are left off, and the log says so.
pub const CPUS_MAX: usize = 64;
/// Landing pads (IST slots) a CPU has; slot 0 means none.
pub const SLOT_COUNT: usize = 8;

const MSR_FS_BASE: u32 = 0xc000_0100;
const MSR_GS_BASE: u32 = 0xc000_0101;

/// What a CPU finds through GS. The offsets of the first fields stand in assembly as well.
#[repr(C)]
pub struct Block {
    /// GS:0: the block's own address.
    this: usize,
    /// GS:8: this CPU's index.
    index: u32,
    /// GS:12: the slot of the thread that runs here, for `kernel-core`.
    thread: AtomicU32,
    /// GS:16: which landing pads are in use.
    busy: [AtomicU8; SLOT_COUNT],
    /// GS:24: what FS holds, as far as the switch code knows; 0 before the first switch.
    thread_pointer: AtomicU64,
}

const _: () = assert!(
    core::mem::offset_of!(Block, busy) == 16 && core::mem::offset_of!(Block, thread_pointer) == 24
);

impl Block {
    pub(crate) const fn new(index: u32) -> Self {
        Self {
            this: 0,
            index,
            thread: AtomicU32::new(0),
            busy: [const { AtomicU8::new(0) }; SLOT_COUNT],
            thread_pointer: AtomicU64::new(0),
        }
    }

    /// Makes this the block of the running CPU.
    pub(crate) fn install(&'static mut self) {
        self.this = &raw const *self as usize;
        // SAFETY: GS is the kernel's own in ring 0 and names a block that lives for ever.
        unsafe { write_msr(MSR_GS_BASE, self.this as u64) };
    }
}

/// This CPU's index. One instruction, so a thread may be anywhere else right after it.
#[inline(always)]
pub fn index() -> u32 {
    let index: u32;
    // SAFETY: GS names the block of this CPU since its start; offset 8 is `index`.
    unsafe {
        core::arch::asm!("mov {:e}, gs:[8]", out(reg) index, options(nostack, readonly, preserves_flags));
    }
    index
}

/// The slot of the running thread. Stays true for the caller, whichever CPU it moves to.
#[inline(always)]
pub fn current_thread_slot() -> u32 {
    let slot: u32;
    // SAFETY: as in `index`; offset 12 is `thread`.
    unsafe {
        core::arch::asm!("mov {:e}, gs:[12]", out(reg) slot, options(nostack, readonly, preserves_flags));
    }
    slot
}

/// Says which thread runs on this CPU; called with interrupts off, right before the switch.
#[inline]
pub fn set_current_thread_slot(slot: u32) {
    block().thread.store(slot, Ordering::Relaxed);
}

#[inline]
fn block() -> &'static Block {
    let this: usize;
    // SAFETY: as in `index`; offset 0 is the block's address.
    unsafe {
        core::arch::asm!("mov {}, gs:[0]", out(reg) this, options(nostack, readonly, preserves_flags));
        &*(this as *const Block)
    }
}

/// The time-stamp counter.
#[inline(always)]
pub fn time_stamp() -> u64 {
    // SAFETY: every x86-64 CPU has it, and CR4.TSD is clear.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Forgets all translations of this CPU.
#[inline]
pub fn flush_translations() {
    // SAFETY: writing CR3's own value changes no mapping; no page is global.
    unsafe {
        core::arch::asm!("mov {t}, cr3", "mov cr3, {t}", t = out(reg) _, options(nostack));
    }
}

/// Forgets this CPU's translation of one page.
#[inline]
pub fn flush_page(virt: u64) {
    // SAFETY: only drops a cached translation.
    unsafe { core::arch::asm!("invlpg [{}]", in(reg) virt, options(nostack)) }
}

/// Touches the stack reserve below the caller, so that it cannot fault once interrupts are off.
#[inline(always)]
pub fn touch_stack_reserve() {
    // SAFETY: reads below the stack pointer of this thread's own stack; if a page is missing it is
    // brought in, and if the guard is hit the thread has overflowed its stack, which the fault reports.
    unsafe {
        core::arch::asm!(
            "mov {t}, [rsp - 4096]",
            "mov {t}, [rsp - 8192]",
            "mov {t}, [rsp - 12288]",
            "mov {t}, [rsp - 16384]",
            t = out(reg) _,
            options(nostack, readonly, preserves_flags)
        );
    }
}

/// Stops this CPU for ever.
pub fn halt_forever() -> ! {
    loop {
        // SAFETY: with interrupts off only NMIs wake it, and the loop halts again.
        unsafe { core::arch::asm!("cli", "hlt", options(nomem, nostack)) }
    }
}

/// Brings this CPU's control registers, tables and extended state to the kernel's settings.
///
/// `boot` says that this is the boot CPU, whose settings the others must be able to take over.
pub(crate) fn configure(boot: bool) {
    // SAFETY: ring 0; each bit is set only where CPUID reports the feature, and the mappings in force
    // obey NX and WP already (boot contract).
    unsafe {
        enable_protections();
        xsave::enable(boot);
    }
}

unsafe fn enable_protections() {
    use core::arch::x86_64::{__cpuid, __cpuid_count};
    const CR4_MCE: u64 = 1 << 6;
    const CR4_SMEP: u64 = 1 << 20;
    const CR4_SMAP: u64 = 1 << 21;
    const CR4_UMIP: u64 = 1 << 11;
    let leaf7 = if __cpuid(0).eax >= 7 {
        __cpuid_count(7, 0)
    } else {
        __cpuid(0x8000_0000)
    };
    let known = __cpuid(0).eax >= 7;
    let mut cr4 = 0;
    for (present, bit) in [
        // Without it a machine check shuts the machine down, and nobody learns why.
        (__cpuid(1).edx & 1 << 7 != 0, CR4_MCE),
        (known && leaf7.ebx & 1 << 7 != 0, CR4_SMEP),
        (known && leaf7.ebx & 1 << 20 != 0, CR4_SMAP),
        (known && leaf7.ecx & 1 << 2 != 0, CR4_UMIP),
    ] {
        if present {
            cr4 |= bit;
        }
    }
    // CR0: monitor coprocessor, no emulation, no lazy state, caches on, native errors, write protection.
    const CR0_CLEAR: u64 = 0xc | 0x6000_0000;
    // SAFETY: by this function's caller.
    unsafe {
        core::arch::asm!(
            "mov {t}, cr0",
            "and {t}, {keep}",
            "or {t}, 0x10022",
            "mov cr0, {t}",
            "mov {t}, cr4",
            "or {t}, {bits}",
            "mov cr4, {t}",
            t = out(reg) _,
            bits = in(reg) cr4,
            keep = in(reg) !CR0_CLEAR,
            options(nostack)
        );
    }
}

pub(crate) unsafe fn write_msr(msr: u32, value: u64) {
    // SAFETY: by this function's caller: the register exists and the value is legal.
    unsafe {
        core::arch::asm!(
            "wrmsr",
            in("ecx") msr,
            in("eax") value as u32,
            in("edx") (value >> 32) as u32,
            options(nostack)
        );
    }
}
