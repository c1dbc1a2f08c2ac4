//! Extended state: x87, SSE and AVX (Intel SDM vol. 1, chapter 13).
//!
//! Law: XCR0 is the same on all CPUs and is x87 + SSE (+ AVX where there is AVX): AVX-512 and AMX stay
//! off, since their state would grow every trap. An [`Area`] holds all of it in the standard format. Where a
//! CPU has no XSAVE the legacy FXSAVE image at its start is used.

use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// Bytes in an area: 512 legacy, 64 header, 256 AVX, rounded up to keep stacks aligned.
pub const AREA_BYTES: usize = 1024;

/// Nonzero where XSAVE is used; read by the trap entry.
#[unsafe(no_mangle)]
static KPIO_USE_XSAVE: AtomicU8 = AtomicU8::new(0);
/// XCR0; read by the trap entry.
#[unsafe(no_mangle)]
static KPIO_XSAVE_MASK: AtomicU32 = AtomicU32::new(3);

/// A saved extended state.
#[repr(C, align(64))]
#[derive(Clone)]
pub struct Area([u8; AREA_BYTES]);

impl Area {
    /// The state that the System V ABI wants a thread to start with.
    pub const INITIAL: Self = {
        let mut bytes = [0; AREA_BYTES];
        // x87 control word 0x037f, MXCSR 0x1f80, and XSTATE_BV naming x87 and SSE.
        bytes[0] = 0x7f;
        bytes[1] = 0x03;
        bytes[24] = 0x80;
        bytes[25] = 0x1f;
        bytes[512] = 3;
        Self(bytes)
    };
}

/// From now on traps save only what is there without AVX: a planted defect.
pub(super) fn forget_vector_halves() {
    KPIO_XSAVE_MASK.store(3, Ordering::Relaxed);
}

/// Turns SSE and, where present, XSAVE and AVX on for this CPU.
///
/// # Safety
/// Runs in ring 0, before the CPU's first trap.
pub unsafe fn enable(boot: bool) {
    const CR4_OSFXSR_OSXMMEXCPT: u64 = 0x600;
    const CR4_OSXSAVE: u64 = 1 << 18;
    let leaf1 = core::arch::x86_64::__cpuid(1);
    let has_xsave = leaf1.ecx & 1 << 26 != 0;
    let has_avx = leaf1.ecx & 1 << 28 != 0;
    let cr4 = CR4_OSFXSR_OSXMMEXCPT | if has_xsave { CR4_OSXSAVE } else { 0 };
    // SAFETY: by this function's contract; XSAVE is enabled only where CPUID reports it.
    unsafe {
        core::arch::asm!("mov {t}, cr4", "or {t}, {bits}", "mov cr4, {t}", t = out(reg) _, bits = in(reg) cr4, options(nostack));
        if has_xsave {
            let mask: u32 = if has_avx { 7 } else { 3 };
            core::arch::asm!("xsetbv", in("ecx") 0, in("eax") mask, in("edx") 0, options(nostack));
            if boot {
                KPIO_XSAVE_MASK.store(mask, Ordering::Relaxed);
                KPIO_USE_XSAVE.store(1, Ordering::Release);
            }
        }
        core::arch::asm!("fninit", "ldmxcsr [{}]", in(reg) &0x1f80u32, options(nostack));
    }
}
