//! Trace records and the ring that keeps the newest of them: one ring per CPU.
//!
//! A record is four words ([`Record`]); what its words mean is its [`Kind`]'s business. A ring
//! ([`Ring`]) has one writer at a time and readers on any CPU: nobody waits for anybody, and a
//! reader never sees half of a record.
//!
//! No clock is here: whoever writes stamps.
#![no_std]

extern crate alloc;

mod record;
mod ring;
#[cfg(test)]
mod tests;

/// What the ring is made of. A model checker puts its own in this place.
mod sync {
    pub use core::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
}

pub use record::{Category, KINDS, Kind, RECORD_BYTES, Record};
pub use ring::{Ring, Snapshot};
