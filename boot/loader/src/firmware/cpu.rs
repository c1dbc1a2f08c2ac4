//! The CPU: what it must be able to do, and the jump into the kernel.

use core::arch::asm;
use core::arch::x86_64::{__cpuid, _rdtsc};

use boot_loader::LoadError;
use contract_boot::BootInfo;

/// CR4.LA57: five-level paging is on (Intel SDM, volume 3, section 2.5).
const CR4_FIVE_LEVEL_PAGING: u64 = 1 << 12;
/// CPUID leaf 8000_0001h, EDX: pages can be made not executable.
const CPUID_EXECUTE_DISABLE: u32 = 1 << 20;

/// The time-stamp counter.
pub(super) fn time_stamp() -> u64 {
    // SAFETY: Every x86-64 CPU has the instruction, and firmware does not forbid it to itself.
    unsafe { _rdtsc() }
}

/// Checks that the CPU can be handed over in the state that the contract states.
pub(super) fn check() -> Result<(), LoadError> {
    if __cpuid(0x8000_0001).edx & CPUID_EXECUTE_DISABLE == 0 {
        return Err(LoadError::NoExecuteDisable);
    }
    let cr4: u64;
    // SAFETY: Reading CR4 has no effect, and EFI applications run in ring 0.
    unsafe { asm!("mov {}, cr4", out(reg) cr4, options(nomem, nostack, preserves_flags)) };
    if cr4 & CR4_FIVE_LEVEL_PAGING != 0 {
        return Err(LoadError::FiveLevelPaging);
    }
    Ok(())
}

/// Switches interrupts off for good.
pub(super) fn disable_interrupts() {
    // SAFETY: Boot services, which want interrupts, are exited. Nothing depends on them any more.
    unsafe { asm!("cli", options(nomem, nostack)) };
}

/// Stops the CPU.
pub(super) fn stop() -> ! {
    loop {
        // SAFETY: Interrupts off and halted: nothing runs, so nothing can be harmed.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}

/// Sets the CPU up as the contract says, switches to the kernel's tables and stack, and enters it.
///
/// # Safety
/// Boot services are exited and interrupts off. `info` names page tables that map this function, the
/// boot stack and the kernel; `entry` is the kernel's entry and `info_virt` the address of `info`'s copy
/// for the kernel.
pub(super) unsafe fn enter_kernel(info: &BootInfo, entry: u64, info_virt: u64) -> ! {
    let stack_top = info.direct_map_base + info.boot_stack.start + info.boot_stack.len_bytes;
    // SAFETY: By the caller's promise the code runs on under the new tables and finds its stack there.
    // EFER.NXE (MSR C000_0080h bit 11) is set before tables with NX bits are used; clearing CR4.PGE (bit 7)
    // drops the firmware's global entries. The pushed 0 is a return address that nobody returns to: it
    // makes the stack pointer 8 modulo 16.
    unsafe {
        asm!(
            "cli",
            "cld",
            "mov ecx, 0xc0000080",
            "rdmsr",
            "or eax, 0x800",
            "wrmsr",
            "mov rax, cr0",
            "or rax, 0x10000",
            "mov cr0, rax",
            "mov rax, cr4",
            "and rax, -0x81",
            "mov cr4, rax",
            "mov cr3, r8",
            "mov rsp, r9",
            "xor ebp, ebp",
            "push rbp",
            "jmp r10",
            in("r8") info.page_table_root,
            in("r9") stack_top,
            in("r10") entry,
            in("rdi") info_virt,
            options(noreturn)
        )
    }
}
