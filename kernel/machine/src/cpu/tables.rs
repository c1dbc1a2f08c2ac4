//! Segment, task and interrupt tables (Intel SDM vol. 3, chapters 3, 6 and 8).
//!
//! Law: every gate lands on an IST stack with interrupts off, and each kind of trap that can interrupt
//! another has a pad of its own: see [`slot_of`]. A pad is only a landing: nothing blocks or is preempted
//! on it. The interrupt table is shared; segment table, task state and pads are a CPU's own.

use alloc::boxed::Box;

use super::SLOT_COUNT;
use crate::checks::context;
use spin::Once;

/// Selector of the kernel's code segment.
pub const KERNEL_CODE: u16 = 0x08;
/// Selector of the kernel's data segment.
pub const KERNEL_DATA: u16 = 0x10;
const TASK_STATE: u16 = 0x18;

/// Landing pads by what lands there.
pub mod slot {
    /// Exceptions, page faults among them.
    pub const EXCEPTION: u8 = 1;
    /// Device interrupts, timers and messages between CPUs.
    pub const INTERRUPT: u8 = 2;
    /// Non-maskable interrupts.
    pub const NMI: u8 = 3;
    /// Double faults.
    pub const DOUBLE_FAULT: u8 = 4;
    /// Machine checks.
    pub const MACHINE_CHECK: u8 = 5;
    /// Debug exceptions.
    pub const DEBUG: u8 = 6;
    /// The report of a kernel that has failed.
    pub const REPORT: u8 = 7;
}

/// Bytes of each landing pad: room for saved state and for a fault's report.
pub(crate) const PAD_BYTES: usize = 32 * 1024;

#[repr(C, align(64))]
struct Pad([u64; PAD_BYTES / 8]);

#[repr(C, packed)]
struct TaskState {
    reserved0: u32,
    privilege_stacks: [u64; 3],
    reserved1: u64,
    interrupt_stacks: [u64; 7],
    reserved2: u64,
    reserved3: u16,
    io_map_base: u16,
}

#[repr(C, align(16))]
struct CpuTables {
    segments: [u64; 8],
    task: TaskState,
    pads: [Pad; SLOT_COUNT - 1],
}

#[repr(C, align(16))]
#[derive(Clone, Copy)]
struct Gate(u64, u64);

#[repr(C, packed)]
struct TablePointer {
    limit: u16,
    base: u64,
}

static GATES: Once<[Gate; 256]> = Once::new();

/// The landing pad of a vector.
pub const fn slot_of(vector: u8) -> u8 {
    match vector {
        1 => slot::DEBUG,
        2 => slot::NMI,
        8 => slot::DOUBLE_FAULT,
        18 => slot::MACHINE_CHECK,
        super::trap::vector::REPORT => slot::REPORT,
        0..32 => slot::EXCEPTION,
        _ => slot::INTERRUPT,
    }
}

/// The tables of the boot CPU exist before there is a heap.
static BOOT_TABLES: BootTables = BootTables(core::cell::UnsafeCell::new(CpuTables::EMPTY));

struct BootTables(core::cell::UnsafeCell<CpuTables>);

// SAFETY: handed out once, by `install_boot`.
unsafe impl Sync for BootTables {}

impl CpuTables {
    const EMPTY: Self = Self {
        // Null, kernel code, kernel data, task state (two words), and room for user segments.
        segments: [
            0,
            0x00af_9b00_0000_ffff,
            0x00cf_9300_0000_ffff,
            0,
            0,
            0,
            0,
            0,
        ],
        task: TaskState {
            reserved0: 0,
            privilege_stacks: [0; 3],
            reserved1: 0,
            interrupt_stacks: [0; 7],
            reserved2: 0,
            reserved3: 0,
            io_map_base: size_of::<TaskState>() as u16,
        },
        pads: [const { Pad([0; PAD_BYTES / 8]) }; SLOT_COUNT - 1],
    };

    fn load(&'static mut self) {
        let mut stacks = [0; 7];
        for (stack, pad) in stacks.iter_mut().zip(&mut self.pads) {
            context::paint_pad(&mut pad.0);
            *stack = &raw const *pad as u64 + PAD_BYTES as u64;
        }
        self.task.interrupt_stacks = stacks;
        let task = &raw const self.task as u64;
        self.segments[3] = task_descriptor(task);
        self.segments[4] = task >> 32;
        // SAFETY: the tables live for ever and were just completed; the reload follows the manual's
        // order. GS is set again by the caller.
        unsafe {
            load_segments(&self.segments);
            load_gates(GATES.call_once(make_gates));
        }
    }
}

/// Loads the boot CPU's tables.
///
/// # Safety
/// Called once, on the boot CPU, before its first trap.
pub(crate) unsafe fn install_boot() {
    // SAFETY: the only use of the static, by this function's contract.
    unsafe { (*BOOT_TABLES.0.get()).load() }
}

/// Allocates and loads the tables of another CPU.
pub(crate) fn install() {
    let mut tables = Box::<CpuTables>::new_uninit();
    // SAFETY: zero bytes are valid for every field; the ones that must not be zero are set from
    // `EMPTY` without a copy of the pads on this stack.
    let tables = unsafe {
        tables.as_mut_ptr().write_bytes(0, 1);
        tables.assume_init()
    };
    let tables = Box::leak(tables);
    tables.segments = CpuTables::EMPTY.segments;
    tables.task.io_map_base = size_of::<TaskState>() as u16;
    tables.load();
}

fn task_descriptor(base: u64) -> u64 {
    const AVAILABLE_TASK: u64 = 0x89 << 40;
    let limit = size_of::<TaskState>() as u64 - 1;
    limit | (base & 0xff_ffff) << 16 | AVAILABLE_TASK | (base >> 24 & 0xff) << 56
}

unsafe fn load_segments(segments: &'static [u64; 8]) {
    let pointer = TablePointer {
        limit: size_of_val(segments) as u16 - 1,
        base: segments.as_ptr() as u64,
    };
    // SAFETY: by the caller; the far return reloads CS with the same kind of segment.
    unsafe {
        core::arch::asm!(
            "lgdt [{pointer}]",
            "push {code}",
            "lea {t}, [rip + 2f]",
            "push {t}",
            "retfq",
            "2:",
            "mov ds, {data:e}",
            "mov es, {data:e}",
            "mov ss, {data:e}",
            "ltr {task:x}",
            pointer = in(reg) &pointer,
            code = const KERNEL_CODE as i64,
            data = in(reg) KERNEL_DATA as u32,
            task = in(reg) TASK_STATE,
            t = out(reg) _,
        );
    }
}

unsafe fn load_gates(gates: &'static [Gate; 256]) {
    let pointer = TablePointer {
        limit: size_of_val(gates) as u16 - 1,
        base: gates.as_ptr() as u64,
    };
    // SAFETY: by the caller; every gate names an entry of the trap table.
    unsafe { core::arch::asm!("lidt [{}]", in(reg) &pointer, options(nostack)) }
}

fn make_gates() -> [Gate; 256] {
    core::array::from_fn(|vector| gate(super::trap::entry_address(vector as u8), vector as u8))
}

fn gate(entry: u64, vector: u8) -> Gate {
    const INTERRUPT_GATE: u64 = 0x8e << 40;
    let low = entry & 0xffff
        | (KERNEL_CODE as u64) << 16
        | (slot_of(vector) as u64) << 32
        | INTERRUPT_GATE
        | (entry >> 16 & 0xffff) << 48;
    Gate(low, entry >> 32)
}
