//! What a thread in the kernel pays for the kernel's services.
//!
//! Law: a figure has the name, the unit and the meaning that the Linux peer gives it there. What the peer measures by a
//! system call is a call of the C library here, the same one that `std` makes.

mod clock;
mod memory;
mod pipes;
mod scheduling;
mod tracing;

use bench_sampling::Meter;

/// Takes all figures of the suite.
pub fn run(meter: &mut Meter<'_>) {
    clock::run(meter);
    scheduling::run(meter);
    pipes::run(meter);
    memory::run(meter);
    tracing::run(meter);
}
