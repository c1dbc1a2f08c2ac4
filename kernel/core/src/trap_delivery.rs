//! Handing a trap in published code to the runtime, as Linux would deliver a signal.
//!
//! Law: a trap is delivered only if the instruction lies in code that was published
//! ([`crate::memory::code`]), a handler is set, and the thread has an alternate stack; anything else is a fault of the
//! kernel. The handler runs as the thread itself, with interrupts on.

use core::sync::atomic::{AtomicUsize, Ordering};

use kernel_machine::cpu::trap::{SIGNAL_FRAME_BYTES, Trap, vector};
use kernel_machine::memory::PAGE_BYTES;

use crate::memory::{FaultAccess, FaultOutcome, code, resolve_kernel_fault};
use crate::thread;

/// What a handler can be set for; Linux's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrapSignal {
    /// An access that is not allowed.
    Segv = 11,
    /// An instruction that is none.
    Ill = 4,
    /// A division that has no result.
    Fpe = 8,
}

static HANDLERS: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];

fn handler_of(signal: TrapSignal) -> &'static AtomicUsize {
    &HANDLERS[match signal {
        TrapSignal::Segv => 0,
        TrapSignal::Ill => 1,
        TrapSignal::Fpe => 2,
    }]
}

/// Sets or removes the address of the handler `(signal, siginfo, ucontext)`.
pub fn set_handler(signal: TrapSignal, handler: Option<usize>) {
    handler_of(signal).store(handler.unwrap_or(0), Ordering::Release);
}

/// True if the interrupted thread will continue in the handler.
pub(crate) fn deliver(trap: &mut Trap<'_>) -> bool {
    signal_of(trap.vector()).is_some_and(|signal| deliver_as(trap, signal))
}

/// The same for an access that was allowed and found no memory. It goes by the signal that carries no address: the handler
/// holds an address that is in no linear memory, a table's for one, for a bug of the code, and gives up the machine.
pub(crate) fn deliver_shortage(trap: &mut Trap<'_>) -> bool {
    deliver_as(trap, TrapSignal::Ill)
}

/// Lets the interrupted thread, which is in published code, call the handler with 0 for the signal's number.
pub(crate) fn call(trap: &mut Trap<'_>, handler: usize) -> bool {
    deliver_to(trap, handler, 0)
}

fn deliver_as(trap: &mut Trap<'_>, signal: TrapSignal) -> bool {
    let handler = handler_of(signal).load(Ordering::Acquire);
    deliver_to(trap, handler, signal as i32)
}

fn deliver_to(trap: &mut Trap<'_>, handler: usize, signal: i32) -> bool {
    let in_code = code::contains(trap.instruction_pointer() as usize);
    let local = thread::local();
    let start = local.alternate_stack_start.load(Ordering::Relaxed);
    let len_bytes = local.alternate_stack_len_bytes.load(Ordering::Relaxed);
    if handler == 0 || !in_code || len_bytes == 0 || !trap.interrupts_were_enabled() {
        return false;
    }
    let stack = start..start + len_bytes;
    back_top(stack.end) && trap.deliver(handler, signal, stack)
}

fn signal_of(trap_vector: u8) -> Option<TrapSignal> {
    match trap_vector {
        vector::PAGE_FAULT | vector::PROTECTION => Some(TrapSignal::Segv),
        vector::INVALID_OPCODE => Some(TrapSignal::Ill),
        vector::DIVIDE | vector::SIMD => Some(TrapSignal::Fpe),
        _ => None,
    }
}

/// Backs what the delivery writes: it runs with interrupts off and must not fault.
fn back_top(stack_end: usize) -> bool {
    let start = stack_end.saturating_sub(SIGNAL_FRAME_BYTES + PAGE_BYTES as usize);
    (start..stack_end)
        .step_by(PAGE_BYTES as usize)
        .chain(core::iter::once(stack_end.saturating_sub(1)))
        .all(|address| resolve_kernel_fault(address, FaultAccess::Write) == FaultOutcome::Resolved)
}
