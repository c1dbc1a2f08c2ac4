//! Blocks of frames: 2^order frames, physically contiguous and aligned to their size.
//!
//! Law: a [`FrameBlock`] owns each of its frames exactly as a [`Frame`] owns one: their bytes in the table of
//! owners say so, and a block comes into being only by taking every one of them. Large pages and
//! devices are what blocks are for. A block that was mapped comes back as a [`StaleBlock`], usable again only
//! against a [`Flushed`]. A block may be taken apart into frames, which are then freed one by one.

use super::frame::{self, Frame, FrameOwner};
use super::{PAGE_BYTES, PAGE_LEN, direct_map};
use crate::checks::translations;
use crate::cpu::mailbox::Flushed;

/// The order of a 2 MiB page (Intel SDM vol. 3, 4.5).
pub const LARGE_PAGE_ORDER: u8 = 9;
/// The order of a 1 GiB page.
pub const GIANT_PAGE_ORDER: u8 = 18;

/// Contiguous frames that their holder alone may use.
#[derive(Debug)]
#[must_use = "a dropped block is lost: release it"]
pub struct FrameBlock {
    first: u64,
    order: u8,
}

impl FrameBlock {
    /// Takes 2^`order` frames that the allocator had as free. `None`, and nothing is taken, if one of them was
    /// not free: the allocator is wrong.
    pub fn claim(first: u64, order: u8, owner: FrameOwner) -> Option<Self> {
        let end = first.checked_add(1u64.checked_shl(order.into())?)?;
        for number in first..end {
            if let Some(frame) = Frame::claim(number, owner) {
                let _now_part_of_the_block = frame.into_number();
            } else {
                for taken in first..number {
                    Frame::of_block(taken).release();
                }
                return None;
            }
        }
        Some(Self { first, order })
    }

    /// Gives the block up; returns its first frame's number and its order for the allocator.
    pub fn release(self) -> (u64, u8) {
        let (first, order) = (self.first, self.order);
        self.into_frames().for_each(|frame| {
            frame.release();
        });
        (first, order)
    }

    /// Takes the block apart.
    pub fn into_frames(self) -> impl Iterator<Item = Frame> {
        (self.first..self.first + self.frame_count()).map(Frame::of_block)
    }

    /// The number of the first frame.
    pub fn first_number(&self) -> u64 {
        self.first
    }

    /// The physical address of the first byte.
    pub fn physical_start(&self) -> u64 {
        self.first * PAGE_BYTES
    }

    /// The block has 2^order frames.
    pub fn order(&self) -> u8 {
        self.order
    }

    /// Frames in the block.
    pub fn frame_count(&self) -> u64 {
        1 << self.order
    }

    /// Fills the block with zeroes.
    pub fn zero(&mut self) {
        // SAFETY: the frames are ours alone, adjacent, and the direct map covers all frames writably.
        unsafe { frame::zero_pages(self.pointer(), self.frame_count() as usize) }
    }

    /// The block's bytes.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let len_bytes = self.frame_count() as usize * PAGE_LEN;
        // SAFETY: as in `zero`; any bytes are valid.
        unsafe { core::slice::from_raw_parts_mut(self.pointer(), len_bytes) }
    }

    pub(super) fn into_first_number(self) -> u64 {
        self.first
    }

    fn pointer(&self) -> *mut u8 {
        direct_map::pointer(self.physical_start())
    }
}

/// A block that was unmapped but may still stand in some CPU's translation buffer.
#[derive(Debug)]
#[must_use = "reclaim it against a flush"]
pub struct StaleBlock {
    pub(super) first: u64,
    pub(super) order: u8,
}

impl StaleBlock {
    /// Becomes usable again: `flushed` proves that the old translation is gone everywhere.
    pub fn reclaim(self, flushed: &Flushed) -> FrameBlock {
        for number in self.first..self.first + (1 << self.order) {
            translations::check_reclaim(number, flushed.generation());
        }
        FrameBlock {
            first: self.first,
            order: self.order,
        }
    }
}
