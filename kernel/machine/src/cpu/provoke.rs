//! Illegal operations, performed on purpose: what the report of a failed kernel is tested with.
//!
//! Law: these functions are safe to call only because each asks for a [`Licence`], which exists only in images whose
//! command line has the word `test`. Each is meant to stop the machine; one that returns has found a
//! protection that does not work. None is inlined, so that its name stands in the backtrace.

use core::arch::asm;

use super::tables;
use crate::memory::{Frame, PAGE_BYTES, direct_map, page_table};
use crate::{heap, kernel_image};

/// Proof that this is a test image, where stopping the machine harms nobody.
#[derive(Clone, Copy, Debug)]
pub struct Licence(());

impl Licence {
    /// A licence if the image's command line has the word `test`.
    pub fn for_test_image(command_line: &str) -> Option<Self> {
        let is_test_image = command_line.split(' ').any(|word| word == "test");
        is_test_image.then_some(Self(()))
    }
}

/// Not mapped, like all of the first page.
pub(super) const NOWHERE: u64 = 8;
/// Bits 47 and up are not all equal: no such address exists (Intel SDM vol. 1, section 3.3.7.1).
const NOT_CANONICAL: u64 = 0x8000_dead_beef_0000;
const RETURN_INSTRUCTION: u8 = 0xc3;
/// Length of the heap's blocks that are damaged: small, and no size class.
const DAMAGED_BYTES: usize = 72;

/// Loads from a null pointer's field.
#[inline(never)]
pub fn null_read(_: &Licence) {
    // SAFETY: the load faults; nothing is read.
    unsafe { asm!("mov {t}, [{at}]", t = out(reg) _, at = in(reg) NOWHERE) }
}

/// Stores to a null pointer's field.
#[inline(never)]
pub fn null_write(_: &Licence) {
    write(NOWHERE);
    stay_on_the_stack();
}

/// Jumps to where no code is, as a call through a damaged pointer does.
#[inline(never)]
pub fn wild_jump(_: &Licence) {
    call(NOWHERE);
    stay_on_the_stack();
}

/// Divides by zero.
#[inline(never)]
pub fn division(_: &Licence) {
    // SAFETY: the instruction faults and changes nothing.
    unsafe {
        asm!("div {zero}", zero = in(reg) 0_u64, inout("rax") 1_u64 => _, inout("rdx") 0_u64 => _);
    }
}

/// Executes what is no instruction.
#[inline(never)]
pub fn invalid_instruction(_: &Licence) {
    // SAFETY: the instruction faults and changes nothing.
    unsafe { asm!("ud2") }
}

/// Hits a breakpoint that no debugger has set.
#[inline(never)]
pub fn breakpoint(_: &Licence) {
    // SAFETY: the instruction traps and changes nothing.
    unsafe { asm!("int3") }
}

/// Loads from an address that cannot exist.
#[inline(never)]
pub fn general_protection(_: &Licence) {
    // SAFETY: the load faults; nothing is read.
    unsafe { asm!("mov {t}, [{at}]", t = out(reg) _, at = in(reg) NOT_CANONICAL) }
}

/// Loses the stack: the pointer names memory that is not mapped, and something is pushed there.
#[inline(never)]
pub fn lost_stack(_: &Licence) {
    // SAFETY: the push faults, and nobody returns from here: the test ends with the machine.
    unsafe {
        asm!("mov rsp, {nowhere}", "push rax", "ud2", nowhere = in(reg) NOWHERE, options(noreturn))
    }
}

/// Makes the next exception undeliverable by taking its landing pad away, and causes one.
#[inline(never)]
pub fn double_fault(licence: &Licence) {
    let pad = pad_pointer(tables::slot::EXCEPTION);
    // SAFETY: the task state is this CPU's own and writable; the processor reads it at the next exception,
    // after which this machine is not used any more.
    unsafe { (pad as *mut u64).write_unaligned(NOWHERE) };
    null_read(licence);
    stay_on_the_stack();
}

/// Where the task state keeps the stacks of the interrupt stack table (Intel SDM vol. 3, figure 8-11).
const INTERRUPT_STACKS_OFFSET: u64 = 0x24;

/// Where this CPU's landing pad of the slot ends.
pub(super) fn pad_end(slot: u8) -> u64 {
    // SAFETY: the task state is this CPU's own and lives for ever.
    unsafe { (pad_pointer(slot) as *const u64).read_unaligned() }
}

/// Where this CPU's task state keeps the address of the landing pad of the slot, which is not 0.
fn pad_pointer(slot: u8) -> u64 {
    task_state() + INTERRUPT_STACKS_OFFSET + (u64::from(slot) - 1) * 8
}

/// Address of this CPU's task state, by way of its descriptor (Intel SDM vol. 3, section 8.2.3).
fn task_state() -> u64 {
    let mut table = [0_u8; 10];
    let selector: u64;
    // SAFETY: both instructions only tell registers; the table has room for limit and base, and the
    // selector names a descriptor of two words in it.
    let [low, high] = unsafe {
        asm!("sgdt [{}]", in(reg) &raw mut table);
        asm!("str {:r}", out(reg) selector);
        let base = (&raw const table[2]).cast::<u64>().read_unaligned();
        ((base + selector) as *const [u64; 2]).read_unaligned()
    };
    (low >> 16 & 0xff_ffff) | (low >> 56 & 0xff) << 24 | high << 32
}

/// Stores into the kernel's own code.
#[inline(never)]
pub fn write_to_text(_: &Licence) {
    write(kernel_image::text().start as u64);
    stay_on_the_stack();
}

/// Stores into the kernel's own code where the direct map shows it.
#[inline(never)]
pub fn write_to_text_alias(_: &Licence) {
    let text = kernel_image::text().start as u64 & !(PAGE_BYTES - 1);
    if let Some(leaf) = page_table::lookup(text) {
        write(direct_map::pointer(leaf.frame_number * PAGE_BYTES) as u64);
    }
    stay_on_the_stack();
}

/// Executes an instruction that was written to the heap.
#[inline(never)]
pub fn execute_heap(_: &Licence) {
    if let Some(block) = heap::allocate(16, 16) {
        // SAFETY: the block is ours and long enough.
        unsafe { block.as_ptr().write_volatile(RETURN_INSTRUCTION) };
        call(block.as_ptr() as u64);
    }
    stay_on_the_stack();
}

/// Frees a block of the heap twice.
#[inline(never)]
pub fn double_free(_: &Licence) {
    if let Some(block) = heap::allocate(64, 16) {
        // SAFETY: the first is right; the second is what the heap has to notice.
        unsafe {
            heap::release(block);
            heap::release(block);
        }
    }
    stay_on_the_stack();
}

/// Writes one byte more than it asked the heap for, and gives the block back.
#[inline(never)]
pub fn heap_overrun(_: &Licence) {
    if let Some(block) = heap::allocate(DAMAGED_BYTES, heap::MIN_ALIGN) {
        // SAFETY: none: the byte behind the block is what the heap has to notice. It lies within the heap.
        unsafe {
            block.add(DAMAGED_BYTES).write(1);
            heap::release(block);
        }
    }
    stay_on_the_stack();
}

/// Writes to a block of the heap that it gave back, and asks for another.
#[inline(never)]
pub fn heap_write_after_free(_: &Licence) {
    let _stay_on_this_cpu = super::interrupts::Disabled::enter();
    if let Some(block) = heap::allocate(DAMAGED_BYTES, heap::MIN_ALIGN) {
        // SAFETY: none: the late write is what the heap has to notice. It lies within the heap.
        unsafe {
            heap::release(block);
            block.add(DAMAGED_BYTES / 2).write(1);
        }
    }
    let _the_same_block = heap::allocate(DAMAGED_BYTES, heap::MIN_ALIGN);
    stay_on_the_stack();
}

/// A second owner of `frame`, against all rules.
pub fn duplicate(_: &Licence, frame: &Frame) -> Frame {
    // SAFETY: none: two owners are what the frame allocator has to notice. A frame is a plain number.
    unsafe { core::ptr::read(frame) }
}

/// Raises the interrupt `VECTOR` as a device would.
#[inline(never)]
pub fn interrupt<const VECTOR: u8>(_: &Licence) {
    // SAFETY: every vector has a gate, which saves and restores everything.
    unsafe { asm!("int {}", const VECTOR) }
}

/// What a handler can see of its own state: flags, and MXCSR.
pub fn handler_state() -> (u64, u32) {
    let flags: u64;
    let mut mxcsr = 0_u32;
    // SAFETY: both only tell registers.
    unsafe {
        asm!("pushfq", "pop {}", out(reg) flags);
        asm!("stmxcsr [{}]", in(reg) &raw mut mxcsr, options(nostack));
    }
    (flags, mxcsr)
}

/// Raises the interrupt `VECTOR` with the flags DF and AC set and MXCSR rounding toward zero, and takes all that back.
#[inline(never)]
pub fn interrupt_with_odd_state<const VECTOR: u8>(_: &Licence) {
    // SAFETY: every vector has a gate, which saves and restores everything; what was changed is changed back.
    unsafe {
        asm!(
            "sub rsp, 16",
            "stmxcsr [rsp]",
            "mov dword ptr [rsp + 4], 0x7f80",
            "ldmxcsr [rsp + 4]",
            "pushfq",
            "or qword ptr [rsp], 0x40400",
            "popfq",
            "int {vector}",
            "pushfq",
            "and qword ptr [rsp], 0xfffffffffffbfbff",
            "popfq",
            "ldmxcsr [rsp]",
            "add rsp, 16",
            vector = const VECTOR,
        );
    }
}

/// Keeps the call before it from being the caller's last, which would take the caller off the stack first and out of
/// the backtrace.
#[inline(always)]
fn stay_on_the_stack() {
    // SAFETY: it is empty.
    unsafe { asm!("", options(nomem, nostack)) }
}

#[inline(never)]
fn write(address: u64) {
    // SAFETY: the store faults, or a protection is missing, which is what the test is to find.
    unsafe { asm!("mov byte ptr [{at}], 0xcc", at = in(reg) address) }
}

#[inline(never)]
fn call(address: u64) {
    // SAFETY: the jump faults, or a protection is missing, which is what the test is to find; then the
    // code there returns at once.
    unsafe { asm!("call {at}", at = in(reg) address, clobber_abi("sysv64")) }
}

/// A protection of the processor and whether it is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// Its name in the manuals.
    pub name: &'static str,
    /// Whether the processor has it.
    pub exists: bool,
    /// Whether it is turned on.
    pub is_on: bool,
}

/// The protections of the CPU that this runs on.
pub fn protections() -> [Protection; 5] {
    use core::arch::x86_64::__cpuid_count;
    const EXTENDED_FEATURES: u32 = 0xc000_0080;
    let (control0, control4, extended): (u64, u64, u32);
    // SAFETY: reading control registers and this model-specific register, which every x86-64 CPU has,
    // changes nothing.
    unsafe {
        asm!("mov {}, cr0", out(reg) control0, options(nomem, nostack));
        asm!("mov {}, cr4", out(reg) control4, options(nomem, nostack));
        asm!("rdmsr", in("ecx") EXTENDED_FEATURES, out("eax") extended, out("edx") _, options(nomem, nostack));
    }
    let features = __cpuid_count(7, 0);
    let protection = |name, exists, is_on| Protection {
        name,
        exists,
        is_on,
    };
    [
        protection("WP", true, control0 & 1 << 16 != 0),
        protection("NX", true, extended & 1 << 11 != 0),
        protection("SMEP", features.ebx & 1 << 7 != 0, control4 & 1 << 20 != 0),
        protection("SMAP", features.ebx & 1 << 20 != 0, control4 & 1 << 21 != 0),
        protection("UMIP", features.ecx & 1 << 2 != 0, control4 & 1 << 11 != 0),
    ]
}
