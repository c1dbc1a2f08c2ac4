//! The kernel's log as logic: which lines are kept and which are shown, and the ring that keeps them.
//!
//! - A line belongs to an [`Area`], found from the `log` crate's target, and has a level. [`Levels`] says for
//!   each area down to which level lines count; people write it as `info,memory=debug`.
//! - [`LogRing`] keeps the newest lines in a fixed number of bytes and hands them out by position, so that
//!   a reader who comes back later goes on where it was and learns what it has missed.
//!
//! No clock and no lock is here: the kernel stamps lines and guards the ring.
#![no_std]

mod area;
mod levels;
mod ring;

pub use area::{AREAS, Area};
pub use levels::{LevelError, Levels};
pub use ring::{Header, HeaderKind, LogRing, Read, TEXT_BYTES_MAX};
