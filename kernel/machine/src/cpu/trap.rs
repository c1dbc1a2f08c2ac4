//! Traps: exceptions and interrupts, from the gate to `kernel-core`'s handler and back.
//!
//! Law: the entry saves all general registers and the extended state before any Rust runs, on the
//! landing pad of its vector ([`super::tables::slot_of`]), with interrupts off. A pad that is entered again
//! while it is in use has lost its frame: that stops the machine ([`LostPadHandler`]). The handler may leave the pad for
//! another thread by [`Trap::switch_to`], or let the interrupted thread continue in a signal handler by
//! [`Trap::deliver`].

use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::context::Context;
use super::xsave::{AREA_BYTES, Area};
use super::{SLOT_COUNT, tables};
use crate::checks::context;
use crate::memory::page_table;

/// The exceptions that the kernel tells apart (Intel SDM vol. 3, table 6-1).
pub mod vector {
    /// Division by zero or overflow of a quotient.
    pub const DIVIDE: u8 = 0;
    /// Debug exception.
    pub const DEBUG: u8 = 1;
    /// Non-maskable interrupt.
    pub const NMI: u8 = 2;
    /// `int3`.
    pub const BREAKPOINT: u8 = 3;
    /// Invalid opcode, `ud2` among them.
    pub const INVALID_OPCODE: u8 = 6;
    /// A fault while a fault was delivered.
    pub const DOUBLE_FAULT: u8 = 8;
    /// General protection.
    pub const PROTECTION: u8 = 13;
    /// Page fault.
    pub const PAGE_FAULT: u8 = 14;
    /// Machine check.
    pub const MACHINE_CHECK: u8 = 18;
    /// SIMD floating-point exception.
    pub const SIMD: u8 = 19;
    /// Raised by [`super::report`] only; never dealt out to a device.
    pub const REPORT: u8 = 0xfe;
}

/// Registers as the entry saves them; the order is the assembly's.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    pub(super) r15: u64,
    pub(super) r14: u64,
    pub(super) r13: u64,
    pub(super) r12: u64,
    pub(super) r11: u64,
    pub(super) r10: u64,
    pub(super) r9: u64,
    pub(super) r8: u64,
    pub(super) rbp: u64,
    pub(super) rdi: u64,
    pub(super) rsi: u64,
    pub(super) rdx: u64,
    pub(super) rcx: u64,
    pub(super) rbx: u64,
    pub(super) rax: u64,
    pub(super) vector: u64,
    pub(super) error: u64,
    pub(super) rip: u64,
    pub(super) cs: u64,
    pub(super) rflags: u64,
    pub(super) rsp: u64,
    pub(super) ss: u64,
}

impl Frame {
    /// Every register with its name, for a dump.
    pub fn named(&self) -> [(&'static str, u64); 18] {
        [
            ("rax", self.rax),
            ("rbx", self.rbx),
            ("rcx", self.rcx),
            ("rdx", self.rdx),
            ("rsi", self.rsi),
            ("rdi", self.rdi),
            ("rbp", self.rbp),
            ("rsp", self.rsp),
            ("r8", self.r8),
            ("r9", self.r9),
            ("r10", self.r10),
            ("r11", self.r11),
            ("r12", self.r12),
            ("r13", self.r13),
            ("r14", self.r14),
            ("r15", self.r15),
            ("rip", self.rip),
            ("rflags", self.rflags),
        ]
    }

    /// The registers in DWARF's order (System V ABI, figure 3.36): rax, rdx, rcx, rbx, rsi, rdi, rbp,
    /// rsp, r8 … r15, and the instruction pointer.
    pub fn dwarf(&self) -> [u64; 17] {
        [
            self.rax, self.rdx, self.rcx, self.rbx, self.rsi, self.rdi, self.rbp, self.rsp,
            self.r8, self.r9, self.r10, self.r11, self.r12, self.r13, self.r14, self.r15, self.rip,
        ]
    }

    /// Which exception or interrupt saved it.
    pub fn vector(&self) -> u8 {
        self.vector as u8
    }

    /// The frame at `address`, if all of it can be read without a fault.
    fn peek(address: u64) -> Option<Self> {
        let mut words = [0; FRAME_WORDS];
        for (index, word) in words.iter_mut().enumerate() {
            *word = page_table::peek(address.wrapping_add(index as u64 * 8))?;
        }
        // SAFETY: a frame is exactly these words, and any values are valid for it.
        Some(unsafe { core::mem::transmute::<[u64; FRAME_WORDS], Self>(words) })
    }
}

/// What `kernel-core` does about traps.
pub type Handler = fn(&mut Trap<'_>);
/// What it does when a landing pad (its slot) was entered while it was in use. What was on the pad is lost;
/// the frame is that of the second entry.
pub type LostPadHandler = fn(&Frame, u8) -> !;

static HANDLER: AtomicUsize = AtomicUsize::new(0);
static LOST_PAD_HANDLER: AtomicUsize = AtomicUsize::new(0);
/// Address of what [`report`] is to run; 0 but for the moment between its store and its trap.
static REPORT: AtomicUsize = AtomicUsize::new(0);
/// Read by the entry: the landing pad of each vector.
#[unsafe(no_mangle)]
static KPIO_TRAP_SLOTS: [u8; 256] = {
    let mut slots = [0; 256];
    let mut vector = 0;
    while vector < 256 {
        slots[vector] = tables::slot_of(vector as u8);
        vector += 1;
    }
    slots
};

/// MXCSR as the System V ABI wants it at a function's entry: loaded by the entry, since the interrupted code may have
/// another rounding, or exceptions that are not masked.
#[unsafe(no_mangle)]
static KPIO_INITIAL_MXCSR: u32 = 0x1f80;

/// Sets the handlers of all traps. Called once, before interrupts are on.
pub fn init(handler: Handler, lost_pad_handler: LostPadHandler) {
    LOST_PAD_HANDLER.store(lost_pad_handler as usize, Ordering::Release);
    HANDLER.store(handler as usize, Ordering::Release);
}

/// Runs `body` with the caller's registers and then halts this CPU.
///
/// It runs with interrupts off on a landing pad that nothing else uses, so it has all of that stack however
/// little of the caller's is left. Only one CPU reports, and only once: the caller sees to that.
pub fn report(mut body: &mut dyn FnMut(&Frame)) -> ! {
    let _interrupts = super::interrupts::Disabled::enter();
    REPORT.store(&raw mut body as usize, Ordering::Release);
    // SAFETY: the gate saves all registers and runs on a stack of its own; `dispatch` takes the request.
    unsafe { core::arch::asm!("int {}", const vector::REPORT) }
    super::halt_forever()
}

/// The registers that the trap entry or the signal trampoline saved, for code at `rip` with these
/// callee-saved registers; `None` for any other code, and where they cannot be read.
///
/// This is the seam over which a backtrace passes from a landing pad or an alternate stack to the code
/// that was interrupted.
pub fn interrupted_frame(rip: u64, rbx: u64, r12: u64) -> Option<Frame> {
    let within = |start: *const u8, end: *const u8| (start as u64..end as u64).contains(&rip);
    if within(&raw const kpio_trap_common, &raw const kpio_trap_common_end) {
        return Frame::peek(rbx);
    }
    let trampoline = kpio_signal_trampoline as *const () as *const u8;
    if within(trampoline, &raw const kpio_signal_trampoline_end) {
        return Frame::peek(r12.wrapping_add(core::mem::offset_of!(SignalFrame, frame) as u64));
    }
    None
}

/// A trap that is being handled on this CPU.
pub struct Trap<'a> {
    frame: &'a mut Frame,
    extended: &'a mut Area,
    slot: u8,
    fault_address: u64,
}

impl Trap<'_> {
    /// Which exception or interrupt it is.
    pub fn vector(&self) -> u8 {
        self.frame.vector as u8
    }

    /// The error code that the CPU pushed, or 0.
    pub fn error_code(&self) -> u64 {
        self.frame.error
    }

    /// The address whose translation failed; meaningful for page faults.
    pub fn fault_address(&self) -> u64 {
        self.fault_address
    }

    /// The interrupted registers.
    pub fn frame(&self) -> &Frame {
        self.frame
    }

    /// Address of the interrupted instruction.
    pub fn instruction_pointer(&self) -> u64 {
        self.frame.rip
    }

    /// The interrupted stack pointer.
    pub fn stack_pointer(&self) -> u64 {
        self.frame.rsp
    }

    /// Whether the interrupted code ran with interrupts on: then it holds no lock that spins.
    pub fn interrupts_were_enabled(&self) -> bool {
        self.frame.rflags & 1 << 9 != 0
    }

    /// Lets the interrupted thread continue at `landing`, with all other registers as they are.
    pub fn redirect(&mut self, landing: usize) {
        self.frame.rip = landing as u64;
    }

    /// Lets the interrupted thread continue at `landing` when it returns by the return address at `at`, which lies in its stack.
    /// Nothing is done where that is not so, or nothing is mapped there.
    pub fn replace_return_address(&mut self, at: u64, landing: usize, stack: Range<usize>) {
        let is_in_use = at >= self.frame.rsp && stack.contains(&(at as usize));
        if is_in_use && page_table::peek(at).is_some() {
            // SAFETY: a mapped, aligned word in the live part of the interrupted thread's own stack, which is writable memory
            // of that thread alone; it does not run now. The caller found it by the unwind tables to be a
            // return address, so nothing but a return reads it.
            unsafe { core::ptr::write_volatile(at as *mut u64, landing as u64) };
        }
    }

    /// Saves the interrupted thread in `from` and continues `to`. Does not come back to the caller:
    /// when `from` is continued, it is at the interrupted instruction.
    pub fn switch_to(&mut self, from: &Context, to: &Context) -> ! {
        context::about_to_switch();
        context::check_pad(pad_end(self.frame));
        from.save_interrupted(self.frame, self.extended);
        super::block().busy[self.slot as usize].store(0, Ordering::Release);
        from.resume_other(to)
    }

    /// Lets the interrupted thread continue in `handler(signal, siginfo, ucontext)` on the given stack,
    /// as Linux delivers a signal (the part of the layout that Wasmtime reads and edits). When the handler
    /// returns, the thread continues with the registers in the edited `ucontext`.
    ///
    /// `stack` is the thread's alternate stack; its top [`SIGNAL_FRAME_BYTES`] are backed. False if it is
    /// too small, or already in use by the interrupted code.
    pub fn deliver(&mut self, handler: usize, signal: i32, stack: Range<usize>) -> bool {
        if stack.len() < 2 * SIGNAL_FRAME_BYTES || stack.contains(&(self.frame.rsp as usize)) {
            return false;
        }
        let at = (stack.end - size_of::<SignalFrame>()) & !63;
        let signal_frame = at as *mut SignalFrame;
        // SAFETY: the range lies in the thread's own alternate stack, is backed as the caller says, and
        // nobody uses it, since the thread does not run on it.
        unsafe {
            signal_frame.write_bytes(0, 1);
            (*signal_frame).extended = self.extended.clone();
            (*signal_frame).fill(self.frame, signal, self.fault_address);
        }
        self.frame.rdi = signal as u64;
        self.frame.rsi = at as u64 + core::mem::offset_of!(SignalFrame, signal_info) as u64;
        self.frame.rdx = at as u64 + core::mem::offset_of!(SignalFrame, user_context) as u64;
        self.frame.rbx = handler as u64;
        self.frame.r12 = at as u64;
        self.frame.rbp = 0;
        self.frame.rsp = at as u64;
        self.frame.rip = kpio_signal_trampoline as *const () as u64;
        // As Linux does: the handler is a function of the ABI, whatever flags the code had.
        self.frame.rflags &= !(FLAG_TRAP | FLAG_DIRECTION | FLAG_ALIGNMENT_CHECK);
        true
    }
}

const FLAG_TRAP: u64 = 1 << 8;
const FLAG_DIRECTION: u64 = 1 << 10;
const FLAG_ALIGNMENT_CHECK: u64 = 1 << 18;

/// Bytes at the top of an alternate stack that [`Trap::deliver`] writes with interrupts off.
pub const SIGNAL_FRAME_BYTES: usize = (size_of::<SignalFrame>() + 64).next_multiple_of(4096);

/// Indices of `gregs` in Linux's x86-64 `mcontext_t` (`<sys/ucontext.h>`).
mod greg {
    pub const RBP: usize = 10;
    pub const RDX: usize = 12;
    pub const RAX: usize = 13;
    pub const RSP: usize = 15;
    pub const RIP: usize = 16;
}

/// `ucontext_t` up to and with `gregs`; the rest is zero.
#[repr(C)]
struct UserContext {
    flags: u64,
    link: u64,
    stack: [u64; 3],
    gregs: [u64; 23],
    rest: [u64; 100],
}

#[repr(C, align(64))]
struct SignalFrame {
    extended: Area,
    frame: Frame,
    /// `siginfo_t`: signal number first, fault address at byte 16.
    signal_info: [u64; 16],
    user_context: UserContext,
}

impl SignalFrame {
    fn fill(&mut self, frame: &Frame, signal: i32, fault_address: u64) {
        self.frame = *frame;
        self.signal_info[0] = signal as u64;
        self.signal_info[2] = fault_address;
        let gregs = &mut self.user_context.gregs;
        gregs[greg::RIP] = frame.rip;
        gregs[greg::RSP] = frame.rsp;
        gregs[greg::RBP] = frame.rbp;
        gregs[greg::RAX] = frame.rax;
        gregs[greg::RDX] = frame.rdx;
    }
}

/// Address of a vector's entry.
pub(super) fn entry_address(vector: u8) -> u64 {
    &raw const kpio_trap_table as u64 + vector as u64 * 16
}

unsafe extern "sysv64" fn dispatch(frame: *mut Frame, extended: *mut Area, slot: u32) {
    if slot == u32::from(tables::slot::REPORT) {
        // SAFETY: the entry passes a pointer to the frame that it saved on the pad.
        run_report(unsafe { &*frame });
    }
    let handler = HANDLER.load(Ordering::Acquire);
    if handler == 0 {
        super::halt_forever();
    }
    // SAFETY: only `init` stores here, and it stores a `Handler`.
    let handler: Handler = unsafe { core::mem::transmute(handler) };
    let fault_address: u64;
    // SAFETY: the entry passes pointers to what it saved on the pad, which nobody else uses; CR2 is
    // still this fault's, since interrupts are off and nothing has faulted since.
    let mut trap = unsafe {
        core::arch::asm!("mov {}, cr2", out(reg) fault_address, options(nomem, nostack));
        Trap {
            frame: &mut *frame,
            extended: &mut *extended,
            slot: slot as u8,
            fault_address: if (*frame).vector == u64::from(vector::PAGE_FAULT) {
                fault_address
            } else {
                0
            },
        }
    };
    let gate = context::enter_gate(
        trap.vector(),
        trap.interrupts_were_enabled(),
        pad_end(trap.frame),
    );
    handler(&mut trap);
    context::leave_gate(&gate);
}

/// Where the landing pad begins on which the entry has saved this frame: right above it.
fn pad_end(frame: &Frame) -> usize {
    core::ptr::from_ref(frame) as usize + size_of::<Frame>()
}

/// Comes back where nobody asked for a report: then it is an interrupt like any other on a vector that is not dealt
/// out.
fn run_report(frame: &Frame) {
    let body = REPORT.swap(0, Ordering::AcqRel) as *mut &mut dyn FnMut(&Frame);
    if !body.is_null() {
        // SAFETY: only `report` stores here, right before the trap that leads here; what it points to lives
        // on the stack of a function that does not return.
        unsafe { (*body)(frame) };
        super::halt_forever();
    }
}

/// A landing pad was entered while it was in use: what was on it is lost.
unsafe extern "sysv64" fn nested(frame: *const Frame, slot: u32) -> ! {
    let handler = LOST_PAD_HANDLER.load(Ordering::Acquire);
    if handler == 0 {
        super::halt_forever();
    }
    // SAFETY: only `init` stores here, and it stores a `LostPadHandler`; the entry passes a pointer to the frame
    // that it just pushed.
    unsafe {
        let handler: LostPadHandler = core::mem::transmute(handler);
        handler(&*frame, slot as u8)
    }
}

unsafe extern "C" {
    static kpio_trap_table: u8;
    static kpio_trap_common: u8;
    static kpio_trap_common_end: u8;
    static kpio_signal_trampoline_end: u8;
    fn kpio_signal_trampoline();
}

const FRAME_WORDS: usize = size_of::<Frame>() / 8;
const _: () = assert!(SLOT_COUNT == 8 && AREA_BYTES == 1024 && FRAME_WORDS == 22);

core::arch::global_asm!(
    r#"
.text
.macro KPIO_POP_REGISTERS
  pop r15; pop r14; pop r13; pop r12; pop r11; pop r10; pop r9; pop r8
  pop rbp; pop rdi; pop rsi; pop rdx; pop rcx; pop rbx; pop rax
.endm

# Restores the extended state at [\area]; clobbers rax and rdx.
.macro KPIO_RESTORE_EXTENDED area
  cmp byte ptr [rip + KPIO_USE_XSAVE], 0
  je 101f
  mov eax, [rip + KPIO_XSAVE_MASK]
  xor edx, edx
  xrstor64 [\area]
  jmp 102f
101: fxrstor64 [\area]
102:
.endm

.globl kpio_trap_common
.type kpio_trap_common, @function
kpio_trap_common:
  .cfi_startproc
  .cfi_signal_frame
  .cfi_def_cfa rsp, 56
  .cfi_offset rip, -40
  .cfi_offset rsp, -16
  test byte ptr [rsp + 24], 3
  jz 1f
  swapgs
1:
  push rax; .cfi_adjust_cfa_offset 8
  push rbx; .cfi_adjust_cfa_offset 8
  .cfi_offset rbx, -72
  push rcx; .cfi_adjust_cfa_offset 8
  push rdx; .cfi_adjust_cfa_offset 8
  push rsi; .cfi_adjust_cfa_offset 8
  push rdi; .cfi_adjust_cfa_offset 8
  push rbp; .cfi_adjust_cfa_offset 8
  .cfi_offset rbp, -112
  push r8; .cfi_adjust_cfa_offset 8
  push r9; .cfi_adjust_cfa_offset 8
  push r10; .cfi_adjust_cfa_offset 8
  push r11; .cfi_adjust_cfa_offset 8
  push r12; .cfi_adjust_cfa_offset 8
  .cfi_offset r12, -152
  push r13; .cfi_adjust_cfa_offset 8
  .cfi_offset r13, -160
  push r14; .cfi_adjust_cfa_offset 8
  .cfi_offset r14, -168
  push r15; .cfi_adjust_cfa_offset 8
  .cfi_offset r15, -176
  cld
  mov rbx, rsp
  .cfi_def_cfa rbx, 176
  mov rax, [rbx + 120]
  lea rcx, [rip + KPIO_TRAP_SLOTS]
  movzx r12d, byte ptr [rcx + rax]
  cmp byte ptr gs:[r12 + 16], 0
  jne 9f
  mov byte ptr gs:[r12 + 16], 1
  sub rsp, 1024
  and rsp, -64
  cmp byte ptr [rip + KPIO_USE_XSAVE], 0
  je 2f
  xor eax, eax
  mov [rsp + 512], rax
  mov [rsp + 520], rax
  mov [rsp + 528], rax
  mov [rsp + 536], rax
  mov [rsp + 544], rax
  mov [rsp + 552], rax
  mov [rsp + 560], rax
  mov [rsp + 568], rax
  mov eax, [rip + KPIO_XSAVE_MASK]
  xor edx, edx
  xsave64 [rsp]
  jmp 3f
2: fxsave64 [rsp]
3:
  mov rdi, rbx
  mov rsi, rsp
  mov edx, r12d
  test dword ptr [rbx + 152], 0x40000
  jnz 5f
6:
  ldmxcsr [rip + KPIO_INITIAL_MXCSR]
  call {dispatch}
  KPIO_RESTORE_EXTENDED rsp
  mov byte ptr gs:[r12 + 16], 0
  mov rsp, rbx
  KPIO_POP_REGISTERS
  test byte ptr [rsp + 24], 3
  jz 4f
  swapgs
4:
  add rsp, 16
  iretq
5:                                # AC would lift SMAP in the handler, and in whoever runs next
  push 2
  popfq
  jmp 6b
9:
  and rsp, -16
  mov rdi, rbx
  mov esi, r12d
  call {nested}
  ud2
  .cfi_endproc
.size kpio_trap_common, . - kpio_trap_common
.globl kpio_trap_common_end
kpio_trap_common_end:

# A thread continues here to run a signal handler (rbx) on its alternate stack; r12 names the
# SignalFrame. Everything afterwards works on that stack: interrupts have their own, so they may come.
.globl kpio_signal_trampoline
.type kpio_signal_trampoline, @function
kpio_signal_trampoline:
  call rbx
  KPIO_RESTORE_EXTENDED r12
  lea rsp, [r12 + {frame}]
  mov rax, [r12 + {gregs} + {rip}*8]
  mov [rsp + 136], rax
  mov rax, [r12 + {gregs} + {rsp_}*8]
  mov [rsp + 160], rax
  mov rax, [r12 + {gregs} + {rbp_}*8]
  mov [rsp + 64], rax
  mov rax, [r12 + {gregs} + {rax_}*8]
  mov [rsp + 112], rax
  mov rax, [r12 + {gregs} + {rdx_}*8]
  mov [rsp + 88], rax
  KPIO_POP_REGISTERS
  add rsp, 16
  iretq
.size kpio_signal_trampoline, . - kpio_signal_trampoline
.globl kpio_signal_trampoline_end
kpio_signal_trampoline_end:

# What a thread's saved context continues through: see context.rs.
.globl kpio_switch
kpio_switch:
  push rbp
  push rbx
  push r12
  push r13
  push r14
  push r15
  push 0
  stmxcsr [rsp]
  fnstcw [rsp + 4]
  mov r8, [rsp]                   # the control words that are loaded
  mov [rdi], rsp
  mov qword ptr [rdi + 8], 0
  jmp 6f
.globl kpio_resume
kpio_resume:
  fninit                          # whoever was interrupted may have left an x87 stack
  mov r8, -1
6:
  mov rax, [rsi + 16]
  test rax, rax
  jz 7f
  cmp rax, gs:[24]
  je 7f
  mov gs:[24], rax
  mov rdx, rax
  shr rdx, 32
  mov ecx, 0xc0000100
  wrmsr
7:
  cmp qword ptr [rsi + 8], 0
  jne 5f
  mov rsp, [rsi]
  mov dword ptr [rdi + 24], 0
  cmp r8, [rsp]
  je 8f
  ldmxcsr [rsp]
  fldcw [rsp + 4]
8:
  add rsp, 8
  pop r15
  pop r14
  pop r13
  pop r12
  pop rbx
  pop rbp
  ret
5:
  lea rsp, [rsi + 32]
  mov dword ptr [rdi + 24], 0
  lea rcx, [rsi + {context_extended}]
  KPIO_RESTORE_EXTENDED rcx
  KPIO_POP_REGISTERS
  add rsp, 16
  iretq

# Where a thread begins: r12 is what it runs, r13 the argument; the stack ends in a return address of 0.
.globl kpio_start_thread
kpio_start_thread:
  mov rdi, r13
  sti
  jmp r12

.balign 16
.globl kpio_trap_table
kpio_trap_table:
.set kpio_vector, 0
.rept 256
  .balign 16
  .if (kpio_vector == 8) || (kpio_vector == 10) || (kpio_vector == 11) || (kpio_vector == 12) || (kpio_vector == 13) || (kpio_vector == 14) || (kpio_vector == 17) || (kpio_vector == 21) || (kpio_vector == 29) || (kpio_vector == 30)
  .else
    push 0
  .endif
  push kpio_vector
  jmp kpio_trap_common
  .set kpio_vector, kpio_vector + 1
.endr
"#,
    dispatch = sym dispatch,
    nested = sym nested,
    frame = const core::mem::offset_of!(SignalFrame, frame),
    gregs = const core::mem::offset_of!(SignalFrame, user_context) + core::mem::offset_of!(UserContext, gregs),
    rip = const greg::RIP,
    rsp_ = const greg::RSP,
    rbp_ = const greg::RBP,
    rax_ = const greg::RAX,
    rdx_ = const greg::RDX,
    context_extended = const super::context::EXTENDED_OFFSET,
);
