//! The C symbols that Rust's `std` and the crates above it link to when the kernel is built for
//! `x86_64-unknown-linux-gnu`.
//!
//! Every symbol is a thin adapter: it checks and converts what C passes, calls one function of
//! `kernel-core`, and turns the answer into a return value and `errno`. No policy lives here.
//! `README.md` beside this crate lists each symbol, the kernel function that serves it, and how
//! much of the POSIX contract it keeps; a test holds that list to the source.
//!
//! Rules:
//! * Callers are `std`, `rustix`, Wasmtime and `unwinding`, which run in ring 0 and are trusted to
//!   pass pointers as POSIX demands; what they pass on from a guest are values, never pointers.
//! * Nothing here may panic or unwind: the callers are `extern "C"`.
//! * The crate must be linked whole (`use kernel_libc as _;`) and never into a host program, where
//!   it would take the place of the C library. Hence the symbols do not exist in test builds,
//!   which see only the modules that compute.
#![no_std]
#![expect(
    unsafe_code,
    reason = "the C interface is raw pointers; every block argues from POSIX's contract"
)]

#[cfg(test)]
extern crate std;

mod error_text;
mod memory_block;
mod timespec;

#[cfg(not(test))]
mod environment;
#[cfg(not(test))]
mod error;
#[cfg(not(test))]
mod files;
#[cfg(not(test))]
mod futex;
#[cfg(not(test))]
mod heap;
#[cfg(not(test))]
mod mapping;
#[cfg(not(test))]
mod process;
#[cfg(not(test))]
mod random;
#[cfg(not(test))]
mod signals;
#[cfg(not(test))]
mod system;
#[cfg(not(test))]
mod thread_exit;
#[cfg(not(test))]
mod thread_keys;
#[cfg(not(test))]
mod threads;
#[cfg(not(test))]
mod time;

#[cfg(test)]
mod fault_walk;
#[cfg(test)]
mod symbol_list;
