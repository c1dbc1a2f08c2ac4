//! What the kernel does about each trap.
//!
//! Law: runs on a landing pad with interrupts off. A page fault is resolved, delivered to the runtime, or
//! a fault of the kernel; code with interrupts off never faults, so that is one at once.

use kernel_machine::checks::context::TopHalf;
use kernel_machine::cpu::mailbox;
use kernel_machine::cpu::trap::{Trap, vector};
use kernel_machine::memory::PAGE_LEN;
use kernel_machine::platform::pic;

use crate::interrupt::{self, vector as interrupt_vector};
use crate::memory::{FaultAccess, FaultOutcome, code, resolve_fault, resolve_kernel_fault};
use crate::thread::{detour, scheduler};
use crate::trace::{self, Kind, profile};
use crate::{checks, fault, screen, thread, trap_delivery};

pub(crate) fn handle(trap: &mut Trap<'_>) {
    mailbox::wake();
    match trap.vector() {
        vector::PAGE_FAULT => handle_page_fault(trap),
        vector::NMI => handle_nmi(trap),
        0..32 => handle_exception(trap),
        _ => handle_interrupt(trap),
    }
}

fn handle_page_fault(trap: &mut Trap<'_>) {
    const INSTRUCTION_FETCH: u64 = 1 << 4;
    const WRITE: u64 = 1 << 1;
    let access = match trap.error_code() {
        code if code & INSTRUCTION_FETCH != 0 => FaultAccess::Execute,
        code if code & WRITE != 0 => FaultAccess::Write,
        _ => FaultAccess::Read,
    };
    if !trap.interrupts_were_enabled() {
        fault::stop_at(trap, format_args!("page fault with interrupts off"));
    }
    let address = trap.fault_address();
    trace::point(Kind::FaultBegin, 0, address, access as u64);
    // A program that finds no memory is ended; the kernel's own code has the reserve.
    let outcome = if code::contains(trap.instruction_pointer() as usize) {
        resolve_fault(address as usize, access)
    } else {
        resolve_kernel_fault(address as usize, access)
    };
    trace::point(Kind::FaultEnd, 0, address, outcome as u64);
    if outcome == FaultOutcome::NoFrames {
        log::warn!("memory is used up: a page at {address:#x} cannot be had");
    }
    let deliver_by = match outcome {
        FaultOutcome::Resolved => return,
        FaultOutcome::NoFrames => trap_delivery::deliver_shortage,
        FaultOutcome::NoRegion | FaultOutcome::Forbidden => trap_delivery::deliver,
    };
    if deliver(trap, deliver_by) {
        return;
    }
    fault::stop_at(trap, format_args!("{}", page_fault_sentence(trap, outcome)));
}

fn page_fault_sentence(trap: &Trap<'_>, outcome: FaultOutcome) -> &'static str {
    const PRESENT: u64 = 1;
    let guard_start = thread::stack_bounds().start.saturating_sub(PAGE_LEN);
    match outcome {
        FaultOutcome::NoFrames => "page fault: memory is used up",
        _ if trap.error_code() & PRESENT != 0 => "page fault: the page forbids it",
        FaultOutcome::Forbidden
            if (trap.fault_address() as usize).wrapping_sub(guard_start) < PAGE_LEN =>
        {
            "page fault: the thread has used up its stack"
        }
        FaultOutcome::Forbidden => "page fault: the region forbids it",
        FaultOutcome::NoRegion | FaultOutcome::Resolved => "page fault: nothing is mapped there",
    }
}

/// True if the interrupted thread will continue in the runtime's handler.
fn deliver(trap: &mut Trap<'_>, deliver_by: fn(&mut Trap<'_>) -> bool) -> bool {
    let (vector, instruction) = (trap.vector(), trap.instruction_pointer());
    let is_delivered = deliver_by(trap);
    if is_delivered {
        trace::point(Kind::Trap, u16::from(vector), instruction, 0);
    }
    is_delivered
}

fn handle_exception(trap: &mut Trap<'_>) {
    if !deliver(trap, trap_delivery::deliver) {
        let name = exception_name(trap.vector());
        fault::stop_at(trap, format_args!("{name}"));
    }
}

fn exception_name(trap_vector: u8) -> &'static str {
    match trap_vector {
        vector::DIVIDE => "division error",
        vector::DEBUG => "debug exception",
        vector::BREAKPOINT => "breakpoint",
        vector::INVALID_OPCODE => "invalid instruction",
        vector::DOUBLE_FAULT => "double fault",
        vector::PROTECTION => "general protection fault",
        vector::MACHINE_CHECK => "machine check",
        vector::SIMD => "floating-point exception",
        _ => "unexpected exception",
    }
}

fn handle_nmi(trap: &mut Trap<'_>) {
    if fault::is_stopping() {
        fault::stop_for_report();
    }
    if checks::is_question(trap) {
        return;
    }
    fault::stop_at(
        trap,
        format_args!("non-maskable interrupt that nobody asked for"),
    );
}

fn handle_interrupt(trap: &mut Trap<'_>) {
    scheduler::enter_interrupt();
    serve_interrupt(trap);
    let may_switch = trap.interrupts_were_enabled();
    if may_switch {
        detour::after_interrupt(trap);
    }
    scheduler::leave_interrupt(trap, may_switch);
}

/// All of an interrupt but the switch to another thread, which may be its consequence.
fn serve_interrupt(trap: &Trap<'_>) {
    let vector = trap.vector();
    let _top_half = TopHalf::enter(vector);
    checks::woke_up();
    if vector == interrupt_vector::TIMER {
        trace::point(Kind::TimerBegin, 0, 0, 0);
        interrupt::local_apic().end_of_interrupt();
        scheduler::on_timer();
        checks::look_at_others();
        profile::on_timer(trap);
        trace::point(Kind::TimerEnd, 0, 0, 0);
    } else {
        trace::point(Kind::InterruptBegin, u16::from(vector), 0, 0);
        handle_other_interrupt(vector);
        trace::point(Kind::InterruptEnd, u16::from(vector), 0, 0);
    }
}

fn handle_other_interrupt(vector: u8) {
    match vector {
        interrupt_vector::RESCHEDULE => {
            interrupt::local_apic().end_of_interrupt();
            scheduler::on_reschedule();
            profile::begin_here();
        }
        interrupt_vector::SHOOT_DOWN => {
            mailbox::answer();
            interrupt::local_apic().end_of_interrupt();
        }
        interrupt_vector::DEFERRED => {
            interrupt::local_apic().end_of_interrupt();
            screen::wake();
            crate::log::wake_deferred();
        }
        interrupt_vector::APIC_ERROR => {
            let errors = interrupt::local_apic().take_errors();
            log::warn!("the local APIC reports errors {errors:#x}");
            interrupt::local_apic().end_of_interrupt();
        }
        _ if interrupt_vector::ISA.contains(&vector) => interrupt::handle_isa(vector),
        _ if interrupt_vector::LEGACY.contains(&vector) => {
            pic::handle(vector);
            interrupt::handle_spurious(vector);
        }
        _ => interrupt::handle_spurious(vector),
    }
}
