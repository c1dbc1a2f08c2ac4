//! Physical memory and the kernel's page tables.
//!
//! Law: a physical frame is in exactly one state of [`frame`]'s table; who holds a [`Frame`] owns it
//! alone. A frame that was mapped comes back as a [`StaleFrame`], which becomes a [`Frame`] only against
//! a [`Flushed`](crate::cpu::mailbox::Flushed), the proof that no CPU can still reach it by an old
//! translation. Addresses are bytes, frames are numbered in units of [`PAGE_BYTES`].

pub mod direct_map;
pub mod frame;
pub mod frame_block;
mod frame_checks;
pub mod page_table;
pub mod probe;

pub use frame::{Frame, FrameOwner, StaleFrame};
pub use frame_block::{FrameBlock, StaleBlock};

/// Bytes in a page and in a frame.
pub const PAGE_BYTES: u64 = 4096;
/// The page size as a count of bytes in memory.
pub const PAGE_LEN: usize = PAGE_BYTES as usize;
