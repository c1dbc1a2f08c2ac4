//! Starting the other CPUs (Intel SDM vol. 3, section 8.4; the INIT–SIPI–SIPI sequence).
//!
//! Law: CPUs are started one after another through one page below 1 MiB, which the loader set aside. The
//! page holds code for real mode and the parameters of the CPU being started. While it runs, the first
//! 2 MiB are mapped at their own addresses; the caller sees to that.

use alloc::boxed::Box;

use super::{Block, tables};
use crate::memory::{direct_map, page_table};
use crate::platform::local_apic::{IpiError, LocalApic, StartupPage};
use crate::platform::tsc::MonotonicClock;

/// What a started CPU runs; never returns. It runs on the stack of its idle thread.
pub type Main = fn(cpu: u32) -> !;

/// Parameters at the end of the trampoline page; the assembly knows the offsets from `PARAMETERS`.
#[repr(C)]
struct Parameters {
    page_table_root: u64,
    stack_pointer: u64,
    entry: u64,
    seed: u64,
}

/// Where [`Parameters`] stand in the page.
const PARAMETERS: usize = 0xf00;

/// What the new CPU needs from the old one.
struct Seed {
    index: u32,
    block: Box<Block>,
    thread_pointer: u64,
    main: Main,
}

unsafe extern "C" {
    static kpio_trampoline_start: u8;
    static kpio_trampoline_end: u8;
    static kpio_trampoline_patch_gdt: u8;
    static kpio_trampoline_patch_32: u8;
    static kpio_trampoline_patch_64: u8;
    static kpio_trampoline_patch_base: u8;
}

/// A CPU to be started.
#[derive(Clone, Copy, Debug)]
pub struct NewCpu {
    /// Its index from now on.
    pub index: u32,
    /// Its local APIC's id.
    pub apic_id: u32,
    /// The end of its idle thread's stack, all of which is backed.
    pub stack_end: usize,
    /// Its idle thread's thread pointer.
    pub thread_pointer: u64,
    /// What it runs.
    pub main: Main,
}

/// Starts a CPU through the trampoline page at physical `page`. That it has arrived is seen by its being online
/// ([`super::mailbox::join`]); one that is given up must be held back ([`hold_back`]).
///
/// `page` is the loader's trampoline (kind `LOADER`, below 1 MiB), and no other CPU is being started.
///
/// # Errors
/// Where the local APIC refuses. A `page` that cannot be one is a bug and panics.
pub fn start_cpu(
    local_apic: &LocalApic,
    clock: &MonotonicClock,
    page: u64,
    cpu: NewCpu,
) -> Result<(), IpiError> {
    let startup_page = StartupPage::new(page);
    let startup_page = startup_page.expect("the boot information was checked");
    prepare(page, cpu.index, cpu.stack_end, cpu.thread_pointer, cpu.main);
    // SAFETY: the page now holds the trampoline, which leads to `start`; the caller waits for the CPU
    // before it uses the page again.
    unsafe { local_apic.start_processor(cpu.apic_id, startup_page, clock) }
}

fn prepare(page: u64, index: u32, stack_end: usize, thread_pointer: u64, main: Main) {
    let seed = Box::new(Seed {
        index,
        block: Box::new(Block::new(index)),
        thread_pointer,
        main,
    });
    let code = &raw const kpio_trampoline_start;
    let len = &raw const kpio_trampoline_end as usize - code as usize;
    assert!(len <= PARAMETERS && page < 1 << 20 && page != 0);
    let target = direct_map::pointer(page);
    // SAFETY: the page is ours (see above), mapped, and long enough; the code is position-dependent
    // only through the base address that is patched into it below.
    unsafe {
        target.copy_from_nonoverlapping(code, len);
        target
            .add(PARAMETERS)
            .cast::<Parameters>()
            .write(Parameters {
                page_table_root: page_table::root(),
                stack_pointer: (stack_end as u64 & !15) - 8,
                entry: start as *const () as u64,
                seed: Box::into_raw(seed) as u64,
            });
        patch(target, page as u32);
    }
}

/// Sends a CPU that was started and did not arrive back to where it waits for a start: else it might arrive when the
/// page and the mapping that it needs are gone. The caller has looked that it is not online.
pub fn hold_back(local_apic: &LocalApic, apic_id: u32) {
    // SAFETY: a CPU that is not online holds nothing and is waited for by nobody.
    if let Err(error) = unsafe { local_apic.reset_processor(apic_id) } {
        log::error!("the CPU with APIC id {apic_id} cannot be held back: {error}");
    }
}

/// Adds the page's address to the four places in the code that hold addresses.
unsafe fn patch(target: *mut u8, base: u32) {
    for place in [
        &raw const kpio_trampoline_patch_32,
        &raw const kpio_trampoline_patch_64,
        &raw const kpio_trampoline_patch_base,
        &raw const kpio_trampoline_patch_gdt,
    ] {
        let offset = place as usize - &raw const kpio_trampoline_start as usize;
        // SAFETY: the labels name 32-bit words inside the copied code.
        unsafe {
            let word = target.add(offset).cast::<u32>();
            word.write_unaligned(word.read_unaligned() + base);
        }
    }
}

unsafe extern "sysv64" fn start(seed: *mut Seed) -> ! {
    // SAFETY: `prepare` boxed the seed for this CPU alone.
    unsafe {
        super::xsave::enable(false);
        let seed = core::ptr::read(seed);
        // The heap's lock asks for the CPU's index, so GS comes before everything that allocates.
        Box::leak(seed.block).install();
        super::write_msr(super::MSR_FS_BASE, seed.thread_pointer);
        tables::install();
        super::configure(false);
        (seed.main)(seed.index)
    }
}

core::arch::global_asm!(
    r#"
.section .rodata.kpio_trampoline, "a"
.balign 16
.code16
.globl kpio_trampoline_start
kpio_trampoline_start:
  cli
  cld
  mov ax, cs
  mov ds, ax
  # lgdt with a 32-bit operand: the pointer stands in this page, reached through DS.
  .byte 0x66, 0x0f, 0x01, 0x16
  .word kpio_trampoline_gdt_pointer - kpio_trampoline_start
  mov eax, cr0
  or eax, 1
  mov cr0, eax
  # far jump with a 32-bit offset
  .byte 0x66, 0xea
.globl kpio_trampoline_patch_32
kpio_trampoline_patch_32:
  .long kpio_trampoline_32 - kpio_trampoline_start
  .word 8
.code32
kpio_trampoline_32:
  mov ax, 16
  mov ds, ax
  mov es, ax
  mov ss, ax
  .byte 0xbb                      # mov ebx, imm32: the page's address
.globl kpio_trampoline_patch_base
kpio_trampoline_patch_base:
  .long 0
  mov eax, cr4
  or eax, 0x620                   # PAE, FXSR, XMM exceptions
  mov cr4, eax
  mov eax, [ebx + {parameters}]
  mov cr3, eax
  mov ecx, 0xc0000080
  rdmsr
  or eax, 0x900                   # long mode, no-execute
  wrmsr
  mov eax, cr0
  and eax, 0x9fffffff             # caches on: INIT leaves them as they were
  or eax, 0x80010000              # paging, write protection
  mov cr0, eax
  .byte 0xea
.globl kpio_trampoline_patch_64
kpio_trampoline_patch_64:
  .long kpio_trampoline_64 - kpio_trampoline_start
  .word 24
.code64
kpio_trampoline_64:
  mov ebx, ebx
  mov rsp, [rbx + {parameters} + 8]
  mov rax, [rbx + {parameters} + 16]
  mov rdi, [rbx + {parameters} + 24]
  xor ebp, ebp
  jmp rax
.balign 8
kpio_trampoline_gdt:
  .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
kpio_trampoline_gdt_pointer:
  .word 31
.globl kpio_trampoline_patch_gdt
kpio_trampoline_patch_gdt:
  .long kpio_trampoline_gdt - kpio_trampoline_start
.globl kpio_trampoline_end
kpio_trampoline_end:
.text
"#,
    parameters = const PARAMETERS,
);
