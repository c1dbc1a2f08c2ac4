//! The machine: all hardware as safe types.
//!
//! Law: this is the lowest layer, and the only one (with `libc`, the engine and the loader's
//! hand-over) in which unsafe code may stand. Its types carry proofs: an owned [`memory::Frame`]
//! proves that nobody else uses that frame, a [`sync::IrqLock`] guard proves that interrupts are off,
//! a [`cpu::trap::Trap`] proves that a trap is being handled on this CPU. It holds no policy: which frame, which
//! thread, which process are `kernel-core`'s questions, asked through the hooks of [`cpu::trap`].
//!
//! Not everything can be proved by a type: page tables, contexts and the boot-time functions are sound only in
//! `kernel-core`'s hands, and each says what it asks of its caller. Nobody but core calls those.
//!
//! Lock order: two locks stand here, the heap's ([`heap`]) and that of the device window
//! ([`memory::page_table`]); both are taken before core's frame allocator, which they ask for frames.
//!
//! The crate also compiles and links in host test binaries, where only its pure parts may be run.
#![no_std]
#![expect(
    unsafe_code,
    reason = "the machine layer is where privileged instructions and raw memory are made safe"
)]

extern crate alloc;

pub mod checks;
pub mod cpu;
pub mod heap;
pub mod kernel_image;
pub mod memory;
pub mod mmio;
pub mod msr;
pub mod platform;
pub mod port;
pub mod sync;
