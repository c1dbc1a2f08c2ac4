//! Walking a stack from registers that are given: after a fault, or from an interrupt.
//!
//! The unwinder of panics (`unwinding`) starts from its own caller, may run cleanup code and trusts
//! the stack. This one starts from any registers, only looks, and trusts nothing but its tables.
//!
//! - **Tables are trusted, registers and memory are not.** The tables are the kernel's own read-only
//!   sections. Memory is read through [`Memory`], which answers `None` for what is not mapped, and
//!   a walk that meets nonsense ends.
//! - It never allocates, panics or loops: frames are limited in number, and each has a higher stack
//!   pointer than the one before unless the caller moves the walk itself.
//! - It needs about 6 KiB of stack for one step.
//!
//! How the caller of a frame is found, in this order:
//! 1. Code in the kernel's text by its call frame information (`.eh_frame`, DWARF 5 section 6.4, with
//!    the Linux Standard Base's header for searching).
//! 2. Other code by the chain of frame pointers, which compiled WebAssembly keeps.
//! 3. A first frame that neither explains, such as a jump to a null pointer, by the return address
//!    that its call left on top of the stack, if that lies in the kernel's text.
//!
//! An interrupt's frame is a seam that only the kernel knows. Its entry code has no call frame
//! information, so a walk ends there; who knows where the interrupted registers were saved goes on
//! with [`Unwinder::resume_at`].
#![no_std]

mod dwarf;
mod registers;
#[cfg(test)]
mod tests;
mod walk;

pub use dwarf::{Section, Tables, TablesError};
pub use registers::Registers;
pub use walk::{Frame, Memory, Unwinder};
