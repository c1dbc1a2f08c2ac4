//! The kernel watches itself: what a kernel built with the feature `checks` does beside its work.
//!
//! Law: a check never changes what the kernel does; it looks, and at the first broken rule it stops the machine with a
//! sentence that says which rule, where, and who else is concerned. It allocates nothing and waits for nobody, and
//! what it keeps for a CPU is written by that CPU alone, with interrupts off. Without the feature all of it is empty
//! functions and types without a size: the kernel that people get, and that is measured, is the same as without them.
//!
//! - [`locks`]: which lock is taken under which, and that no lock is held where a thread switches.
//! - [`context`]: what may not happen in an interrupt handler or under a lock, and what a gate has to leave behind.
//! - `memory/frame_checks.rs` and `heap/checks.rs`: what free frames and blocks hold, and what surrounds live ones.
//! - [`translations`]: that no frame is freed while a CPU may still reach it by an old translation.
//!
//! A broken rule is reported through a hook ([`init`]), not by a panic: a panic's message is put together on the heap,
//! and the heap's lock may be the one that is held.

#[cfg(feature = "checks")]
mod stop;

#[cfg(feature = "checks")]
pub mod context;
#[cfg(feature = "checks")]
pub mod locks;
#[cfg(feature = "checks")]
pub(crate) use stop::broken;
#[cfg(feature = "checks")]
pub mod translations;
#[cfg(feature = "checks")]
pub use stop::{Stop, finish, init, is_over};

#[cfg(not(feature = "checks"))]
mod off;
#[cfg(not(feature = "checks"))]
pub(crate) use off::broken;
#[cfg(not(feature = "checks"))]
pub use off::{context, locks, translations};
