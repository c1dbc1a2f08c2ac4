//! The core: safe policy over the machine. Frames, address space, threads, interrupts, the console line,
//! the log, and what happens when something goes wrong.
//!
//! Law: the core does not know that WebAssembly exists, nor the C library; what they need reaches them as
//! functions here, what the core needs of them (a trap handler's address, say) they register. No unsafe
//! code. Nothing here allocates or blocks in interrupt context.
//!
//! Lock order, outermost first: heap lists → heap; heap, regions or the device window → a frame cache → frames; a console line → the
//! log ring (`checks.rs` has it as a table, which kernels with checks hold themselves to). Every other lock is
//! taken alone: a run queue, a CPU's timeouts, a futex line, the cache of stacks, a console line, the log ring.
//! Locks that spin answer shoot-downs meanwhile, so none is held in vain.
#![no_std]

extern crate alloc;

mod backtrace;
pub mod boot;
mod checks;
pub mod console;
pub mod cpu;
pub mod crash;
pub mod fault;
pub mod futex;
pub mod interrupt;
pub mod log;
pub mod memory;
pub mod mishap;
pub mod platform;
pub mod power;
pub mod random;
pub mod screen;
mod start;
pub mod thread;
pub mod time;
pub mod trace;
pub mod trap_delivery;
mod traps;
#[cfg(feature = "checks")]
mod watchdog;

/// The kernel's heap.
pub mod heap {
    pub use kernel_machine::heap::{allocate, len_bytes as usable_len_bytes, release, statistics};
}

pub use start::start;
