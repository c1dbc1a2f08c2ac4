//! What connects the runtime to this kernel, for every crate that is the top of one.
//!
//! Law: whoever links this crate links the kernel: its C library takes the place of the host's, so nothing that
//! runs on the host depends on it. It says where compiled code becomes executable ([`code_memory`]), how a
//! thread is made to leave it ([`interruption`]) or urgent ([`urgency`]) and what a panic means ([`failure`]), and knows nothing of
//! images, programs or prompts.

pub mod code_memory;
pub mod failure;
pub mod interruption;
pub mod urgency;

// Linked for their symbols: the C library that `std` stands on, the unwinder, and rustix without inline
// system calls.
extern crate kernel_libc;
extern crate unwinding;
use rustix as _;
