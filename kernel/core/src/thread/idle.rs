//! The thread that each CPU runs when nobody else wants to.
//!
//! Law: an idle thread never blocks and stands in no queue. Before it waits it zeroes frames ahead of need,
//! one at a time and with interrupts on, until enough are or work comes. The boot CPU's is switched to; another CPU
//! starts on its idle thread's stack.

use core::sync::atomic::{AtomicU32, Ordering};

use kernel_machine::cpu::{self, CPUS_MAX, interrupts};

use super::{scheduler, slot};
use crate::memory::regions;

/// An idle CPU handles interrupts on landing pads and needs little stack of its own.
const STACK_LEN_BYTES: usize = 64 * 1024;

static SLOTS: [AtomicU32; CPUS_MAX] = [const { AtomicU32::new(0) }; CPUS_MAX];

/// Makes the idle thread of `cpu`. False when memory is out: then the CPU must not be started.
pub fn prepare(cpu: u32) -> bool {
    let Some(thread) = slot::claim() else {
        return false;
    };
    let Ok(stack) = regions::map_stack(STACK_LEN_BYTES) else {
        slot::give_back(thread);
        return false;
    };
    // A CPU that starts on it has no way to fault pages in yet.
    if regions::populate(stack.start, stack.len()).is_err() {
        return false;
    }
    thread.prepare(stack, "idle");
    if !thread.start_idle_at(idle_thread) {
        return false;
    }
    SLOTS[cpu as usize].store(thread.slot, Ordering::Release);
    scheduler::set_idle_thread(cpu, thread);
    true
}

/// Whether this CPU runs its idle thread. Interrupts are off.
pub(super) fn is_running() -> bool {
    SLOTS[cpu::index() as usize].load(Ordering::Acquire) == cpu::current_thread_slot()
}

/// Where the stack of a CPU's idle thread ends, and its thread pointer.
pub fn stack_end(cpu: u32) -> (usize, u64) {
    let thread = slot::by_slot(SLOTS[cpu as usize].load(Ordering::Acquire));
    (thread.stack().end, thread.thread_pointer())
}

/// Becomes the idle thread of this CPU: the end of a CPU's start.
pub fn run() -> ! {
    let me = slot::by_slot(SLOTS[cpu::index() as usize].load(Ordering::Acquire));
    cpu::set_current_thread_slot(me.slot);
    me.task.set_last_cpu(cpu::index());
    me.context.set_on_cpu();
    interrupts::enable();
    idle_thread(0)
}

extern "C" fn idle_thread(_slot: usize) -> ! {
    loop {
        scheduler::idle_once();
    }
}
