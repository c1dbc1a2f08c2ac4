//! Rehearsals: exceptions raised on purpose whose end is not the machine's.
//!
//! Law: like everything in [`super::provoke`], this asks for a [`Licence`]. One thread at a time rehearses; what would
//! have stopped the machine because of it comes back to [`attempt`] by [`abandon_from_pad`], which forgets
//! the landing pads of this CPU: nothing that was done beneath the attempt is undone, so it must hold no lock. An
//! exception is raised as the processor does it (Intel SDM vol. 3, section 6.14.5): the frame on the vector's landing
//! pad, then the gate's entry; so those that no instruction of ring 0 can raise go the way of the others.

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::provoke::{self, Licence};
use super::{block, current_thread_slot, interrupts, tables, trap};

/// The stack pointer of the attempt that runs.
static STACK_POINTER: AtomicUsize = AtomicUsize::new(0);
/// The slot of the thread that attempts, plus one; 0 when nobody does.
static ATTEMPTER: AtomicU32 = AtomicU32::new(0);
/// The signal that was delivered to [`handler_address`], and the instruction that it was about.
static SIGNAL: AtomicU32 = AtomicU32::new(0);
static SIGNAL_PLACE: AtomicU64 = AtomicU64::new(0);

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It came back.
    Returned,
    /// It was abandoned: the machine would have stopped, or the signal handler was called.
    Abandoned,
}

/// An exception to be raised.
#[derive(Clone, Copy, Debug)]
pub struct Exception {
    /// Its vector, below 32.
    pub vector: u8,
    /// Its error code, where it has one.
    pub error: u32,
    /// The address of the instruction that it is about, which is a `ret`; `None` for one of the kernel's own.
    pub place: Option<u64>,
}

unsafe extern "sysv64" {
    fn kpio_attempt(body: extern "sysv64" fn(usize), argument: usize, keep: *mut usize) -> u64;
    fn kpio_abandon(stack_pointer: usize) -> !;
    fn kpio_raise(entry: u64, pad_end: u64, error: u64, place: u64, flags: u64, has_error: u64);
    fn kpio_raised();
}

/// What is attempted.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// The exception is raised as the processor does it.
    Raise(Exception),
    /// The same while the landing pad of its vector is in use, as it is while its handler runs.
    RaiseOnBusyPad(Exception),
    /// The code at this address is called; the caller has published it.
    Execute(usize),
}

struct Scene {
    act: Act,
    interrupts_on: bool,
}

/// Does it, with interrupts on or off; where the machine would have stopped because of it, that is how the attempt
/// ends. Interrupts are afterwards as they were.
pub fn attempt(_: &Licence, act: Act, interrupts_on: bool) -> Ending {
    let were_enabled = interrupts::are_enabled();
    let scene = Scene { act, interrupts_on };
    SIGNAL.store(0, Ordering::SeqCst);
    ATTEMPTER.store(current_thread_slot() + 1, Ordering::SeqCst);
    // SAFETY: the assembly keeps all callee-saved registers on this stack, whose frames outlive the attempt, as the
    // scene does.
    let ended = unsafe { kpio_attempt(play, &raw const scene as usize, STACK_POINTER.as_ptr()) };
    ATTEMPTER.store(0, Ordering::SeqCst);
    if were_enabled {
        interrupts::enable();
    }
    if ended == 0 {
        Ending::Returned
    } else {
        Ending::Abandoned
    }
}

extern "sysv64" fn play(scene: usize) {
    // SAFETY: `attempt` passes the address of its own.
    let Scene { act, interrupts_on } = unsafe { &*(scene as *const Scene) };
    match act {
        Act::Raise(exception) => raise(exception, *interrupts_on),
        Act::RaiseOnBusyPad(exception) => {
            let _interrupts = interrupts::Disabled::enter();
            let slot = usize::from(tables::slot_of(exception.vector));
            block().busy[slot].store(1, Ordering::Release);
            raise(exception, *interrupts_on);
        }
        Act::Execute(address) if *interrupts_on => execute(*address),
        Act::Execute(address) => interrupts::without(|| execute(*address)),
    }
}

/// Whether the running thread attempts something.
pub fn is_attempting() -> bool {
    ATTEMPTER.load(Ordering::SeqCst) == current_thread_slot() + 1
}

/// Ends the attempt from a landing pad. Only where [`is_attempting`].
pub fn abandon_from_pad() -> ! {
    block()
        .busy
        .iter()
        .for_each(|busy| busy.store(0, Ordering::Release));
    // SAFETY: the running thread is in `kpio_attempt`, whose stack pointer this is.
    unsafe { kpio_abandon(STACK_POINTER.load(Ordering::SeqCst)) }
}

/// A signal handler that ends the attempt.
pub fn handler_address() -> usize {
    end_by_signal as *const () as usize
}

/// The signal that ended the last attempt, and the address of the instruction.
pub fn delivered() -> Option<(u32, u64)> {
    let signal = SIGNAL.load(Ordering::SeqCst);
    (signal != 0).then(|| (signal, SIGNAL_PLACE.load(Ordering::SeqCst)))
}

extern "C" fn end_by_signal(signal: u32, _information: usize, user_context: *const u64) {
    /// `uc_mcontext.gregs[REG_RIP]` in words: flags, link, stack, then the sixteenth register.
    const PLACE_WORD: usize = 5 + 16;
    // SAFETY: the trap path passes a whole `ucontext_t`; the thread that attempts is the one that got the signal,
    // since only it runs what is attempted.
    unsafe {
        SIGNAL_PLACE.store(*user_context.add(PLACE_WORD), Ordering::SeqCst);
        SIGNAL.store(signal, Ordering::SeqCst);
        kpio_abandon(STACK_POINTER.load(Ordering::SeqCst))
    }
}

/// Raises `exception` as the processor would, with interrupts on or off at the place; returns if the handler does.
#[inline(never)]
fn raise(exception: &Exception, interrupts_on: bool) {
    const INTERRUPT_FLAG: u64 = 1 << 9;
    const ALWAYS_SET: u64 = 2;
    let &Exception {
        vector,
        error,
        place,
    } = exception;
    let _interrupts = interrupts::Disabled::enter();
    let place = place.unwrap_or_else(kernel_place);
    let flags = ALWAYS_SET | if interrupts_on { INTERRUPT_FLAG } else { 0 };
    let has_error = u64::from(has_error_code(vector));
    let pad_end = provoke::pad_end(tables::slot_of(vector));
    // SAFETY: interrupts are off, so the pad is this thread's; the address in CR2 only informs. The entry saves and
    // restores everything, and `place` holds a `ret`.
    unsafe {
        asm!("mov cr2, {}", in(reg) provoke::NOWHERE, options(nomem, nostack));
        kpio_raise(
            trap::entry_address(vector),
            pad_end,
            error.into(),
            place,
            flags,
            has_error,
        );
    }
}

/// Where exceptions of the kernel's own code are raised.
pub fn kernel_place() -> u64 {
    kpio_raised as *const () as u64
}

/// Whether the processor pushes an error code for `vector` (Intel SDM vol. 3, table 6-1; AMD APM vol. 2, section 8.2).
pub fn has_error_code(vector: u8) -> bool {
    matches!(vector, 8 | 10..=14 | 17 | 21 | 29 | 30)
}

#[inline(never)]
fn execute(address: usize) {
    // SAFETY: what is there was written by the test and returns, or traps, which ends the attempt.
    unsafe { asm!("call {}", in(reg) address, clobber_abi("sysv64")) }
}

/// From now on the upper halves of the vector registers are not saved: a defect that tests must notice.
pub fn forget_vector_halves(_: &Licence) {
    super::xsave::forget_vector_halves();
}

/// Writes code where the caller has mapped writable memory of at least that length.
pub fn write_code(_: &Licence, address: usize, code: &[u8]) {
    // SAFETY: the caller owns the memory; nothing runs there yet.
    unsafe { (address as *mut u8).copy_from(code.as_ptr(), code.len()) }
}

global_asm!(
    r#"
.text
.globl kpio_attempt
.type kpio_attempt, @function
kpio_attempt:
  push rbp
  push rbx
  push r12
  push r13
  push r14
  push r15
  sub rsp, 8
  mov [rdx], rsp
  mov rax, rdi
  mov rdi, rsi
  call rax
  xor eax, eax
2:
  add rsp, 8
  pop r15
  pop r14
  pop r13
  pop r12
  pop rbx
  pop rbp
  ret
.globl kpio_abandon
.type kpio_abandon, @function
kpio_abandon:
  mov rsp, rdi
  fninit
  mov eax, 1
  jmp 2b
.globl kpio_raise
.type kpio_raise, @function
kpio_raise:
  mov rax, rsp
  mov r10, ss
  mov r11, cs
  mov rsp, rsi
  push r10
  push rax
  push r8
  push r11
  push rcx
  test r9, r9
  jz 3f
  push rdx
3:
  jmp rdi
.globl kpio_raised
.type kpio_raised, @function
kpio_raised:
  ret
"#
);
