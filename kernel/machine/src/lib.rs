//! The machine: all hardware as safe types.
//!
//! Law: this is the lowest layer, and the only one (with `libc`, the engine and the loader's
//! hand-over) in which unsafe code may stand. What it exports is safe to call: an owned [`memory::Frame`]
//! proves that nobody else uses that frame, a [`sync::IrqLock`] guard proves that interrupts are off,
//! a [`cpu::trap::Trap`] proves that a trap is being handled on this CPU. It holds no policy: which frame, which
//! thread, which process are `kernel-core`'s questions, asked through the hooks of [`cpu::trap`].
//!
//! Lock order: this layer has one lock, the heap's ([`heap`]); it is taken before core's memory locks,
//! because the heap grows by asking core for pages.
//!
//! The crate also compiles and links in host test binaries, where only its pure parts may be run.
#![no_std]
#![expect(
    unsafe_code,
    reason = "the machine layer is where privileged instructions and raw memory are made safe"
)]

extern crate alloc;

pub mod cpu;
pub mod heap;
pub mod kernel_image;
pub mod memory;
pub mod mmio;
pub mod msr;
pub mod platform;
pub mod port;
pub mod sync;
