//! A buddy allocator over frame numbers whose records lie outside the frames.
//!
//! Nothing here reads or writes a frame: a list threaded through free memory would touch all RAM at
//! boot. The records are one bitmap per order, bit set = "a free block of exactly this order begins
//! here", each with summary levels, in words that the caller provides: about 2.04 bits per frame.
//! Allocating and freeing walk the orders once and read log64(blocks) words in each.
//!
//! Invariants:
//! - A frame is covered by at most one set bit over all orders; it is free exactly when it is covered.
//! - No two buddies are both free in the same order below [`ORDER_MAX`]: they would be one block.
//! - Blocks are aligned by absolute frame number, whatever the first frame is.
//!
//! Policy: the smallest order that suffices, in it the lowest address, so that large blocks and high
//! memory stay whole as long as possible.
//!
//! Units: frames (4 KiB each, though no line here depends on it); a block of order `n` is 2^n frames.
//!
//! Concurrency: there is none inside. Callers wrap a [`Buddy`] in their own lock; every call is short
//! and bounded, allocates nothing and calls nobody.

#![no_std]

mod bitmap;

use bitmap::{Bitmap, words_for};
use core::fmt;

/// Number of a physical frame: its address divided by the frame size.
pub type FrameNumber = u64;

/// The largest order: blocks of 2^18 frames (1 GiB).
pub const ORDER_MAX: u8 = 18;

/// One past the largest frame number of the architecture: 52 address bits (Intel SDM vol. 3, 4.1.4).
pub const FRAME_LIMIT: FrameNumber = 1 << 40;

const ORDERS: usize = ORDER_MAX as usize + 1;

/// Why a request was refused. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuddyError {
    /// The range given at construction goes past [`FRAME_LIMIT`].
    BeyondAddressSpace {
        /// First frame of the range.
        first_frame: FrameNumber,
        /// Frames in the range.
        frame_count: u64,
    },
    /// Fewer words than [`metadata_words`] were given.
    TooFewWords {
        /// Words that the frame count takes.
        needed: usize,
        /// Words that were given.
        given: usize,
    },
    /// The frames are not all managed by this allocator.
    OutOfRange {
        /// First frame of the request.
        start: FrameNumber,
        /// Frames in the request.
        count: u64,
    },
    /// The order is above [`ORDER_MAX`].
    OrderTooLarge {
        /// The order of the request.
        order: u8,
    },
    /// A block of this order cannot begin at this frame.
    Misaligned {
        /// The frame of the request.
        frame: FrameNumber,
        /// The order of the request.
        order: u8,
    },
    /// At least one of the frames is free already.
    AlreadyFree {
        /// First frame of the request.
        start: FrameNumber,
        /// Frames in the request.
        count: u64,
    },
}

impl fmt::Display for BuddyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BeyondAddressSpace {
                first_frame,
                frame_count,
            } => write!(
                f,
                "{frame_count} frames from {first_frame:#x} on do not fit the 52-bit physical address space"
            ),
            Self::TooFewWords { needed, given } => {
                write!(
                    f,
                    "the frame records take {needed} words, but only {given} were given"
                )
            }
            Self::OutOfRange { start, count } => {
                write!(
                    f,
                    "{count} frames from {start:#x} on are not all managed by this allocator"
                )
            }
            Self::OrderTooLarge { order } => {
                write!(
                    f,
                    "blocks of order {order} do not exist; the largest order is {ORDER_MAX}"
                )
            }
            Self::Misaligned { frame, order } => {
                write!(f, "no block of order {order} begins at frame {frame:#x}")
            }
            Self::AlreadyFree { start, count } => {
                write!(
                    f,
                    "of the {count} frames from {start:#x} on at least one is free already"
                )
            }
        }
    }
}

impl core::error::Error for BuddyError {}

/// Words of records that `frame_count` frames take, wherever the first one lies.
///
/// Saturates for counts that no machine has; [`Buddy::new`] refuses those.
pub const fn metadata_words(frame_count: u64) -> usize {
    let mut total: u64 = 0;
    let mut order = 0;
    while order <= ORDER_MAX {
        total = total.saturating_add(words_for(blocks_max(frame_count, order)));
        order += 1;
    }
    if total > usize::MAX as u64 {
        usize::MAX
    } else {
        total as usize
    }
}

/// The most blocks of `order`, whole or cut, that `frame_count` consecutive frames can touch.
const fn blocks_max(frame_count: u64, order: u8) -> u64 {
    (frame_count >> order).saturating_add(2)
}

/// The allocator. See the crate's head for the invariants.
pub struct Buddy<'m> {
    words: &'m mut [u64],
    first_frame: FrameNumber,
    end_frame: FrameNumber,
    free_frames: u64,
    orders: [Order; ORDERS],
}

/// The free blocks of one order.
#[derive(Clone, Copy)]
struct Order {
    /// Block number (frame number >> order) of the bitmap's bit 0.
    first_block: u64,
    free: Bitmap,
}

impl Order {
    const EMPTY: Self = Self {
        first_block: 0,
        free: Bitmap::EMPTY,
    };

    /// The bit of `block`, if the bitmap has one.
    fn index(&self, block: u64) -> Option<u64> {
        let index = block.checked_sub(self.first_block)?;
        (index < self.free.bits()).then_some(index)
    }
}

impl<'m> Buddy<'m> {
    /// Manages `frame_count` frames from `first_frame` on, all of them in use at first.
    ///
    /// The first [`metadata_words`]`(frame_count)` of `words` are cleared and then belong to the
    /// allocator; their former content does not matter.
    pub fn new(
        first_frame: FrameNumber,
        frame_count: u64,
        words: &'m mut [u64],
    ) -> Result<Self, BuddyError> {
        let end_frame = first_frame
            .checked_add(frame_count)
            .filter(|&end| end <= FRAME_LIMIT)
            .ok_or(BuddyError::BeyondAddressSpace {
                first_frame,
                frame_count,
            })?;
        let (needed, given) = (metadata_words(frame_count), words.len());
        let words = words
            .get_mut(..needed)
            .ok_or(BuddyError::TooFewWords { needed, given })?;
        words.fill(0);
        let orders = lay_out(first_frame, end_frame);
        Ok(Self {
            words,
            first_frame,
            end_frame,
            free_frames: 0,
            orders,
        })
    }

    /// Makes `count` frames from `start` on free: a usable range found at boot, or any frames in use.
    ///
    /// The range is cut into the largest aligned blocks. No frames is no error.
    pub fn release_range(&mut self, start: FrameNumber, count: u64) -> Result<(), BuddyError> {
        if count == 0 {
            return Ok(());
        }
        let end = self.check_in_use(start, count)?;
        let mut frame = start;
        while frame < end {
            let order = largest_order(frame, end - frame);
            self.insert_block(frame, order);
            frame += 1 << order;
        }
        Ok(())
    }

    /// Takes a free block of 2^`order` frames, aligned to its size; `None` if there is none.
    pub fn allocate(&mut self, order: u8) -> Option<FrameNumber> {
        self.allocate_below(order, FRAME_LIMIT)
    }

    /// Like [`Self::allocate`], but the whole block ends at `end_frame` or before: for devices that
    /// reach only part of the memory.
    pub fn allocate_below(&mut self, order: u8, end_frame: FrameNumber) -> Option<FrameNumber> {
        let last_start = end_frame.checked_sub(1u64.checked_shl(order.into())?)?;
        let (found_order, frame) = (order..=ORDER_MAX)
            .filter_map(|larger| Some((larger, self.lowest_free(larger)?)))
            .find(|&(_, frame)| frame <= last_start)?;
        self.clear(frame, found_order);
        self.split(frame, found_order, order);
        self.free_frames -= 1 << order;
        Some(frame)
    }

    /// Gives back 2^`order` frames from `frame` on and joins them with free neighbours.
    ///
    /// Part of an allocated block may be given back alone. Refused if any of the frames is free
    /// already, whether alone or as part of a larger or smaller block. Frames that were never
    /// released count as in use, so that freeing a hole in the memory map is not noticed.
    pub fn free(&mut self, frame: FrameNumber, order: u8) -> Result<(), BuddyError> {
        if order > ORDER_MAX {
            return Err(BuddyError::OrderTooLarge { order });
        }
        let count = 1 << order;
        if !frame.is_multiple_of(count) {
            return Err(BuddyError::Misaligned { frame, order });
        }
        self.check_in_use(frame, count)?;
        self.insert_block(frame, order);
        Ok(())
    }

    /// Frames that are free now.
    pub fn free_frames(&self) -> u64 {
        self.free_frames
    }

    /// The largest order that [`Self::allocate`] can serve now.
    pub fn largest_free_order(&self) -> Option<u8> {
        (0..=ORDER_MAX)
            .rev()
            .find(|&order| self.lowest_free(order).is_some())
    }

    /// The range's end, if all of it is managed here and none of it is free.
    fn check_in_use(&self, start: FrameNumber, count: u64) -> Result<FrameNumber, BuddyError> {
        let end = start
            .checked_add(count)
            .filter(|&end| start >= self.first_frame && end <= self.end_frame)
            .ok_or(BuddyError::OutOfRange { start, count })?;
        if (0..=ORDER_MAX).any(|order| self.touches_free(order, start, end - 1)) {
            return Err(BuddyError::AlreadyFree { start, count });
        }
        Ok(end)
    }

    /// Whether a free block of `order` has a frame in `first..=last`.
    fn touches_free(&self, order: u8, first: FrameNumber, last: FrameNumber) -> bool {
        let level = &self.orders[usize::from(order)];
        let from = (first >> order) - level.first_block;
        let to = (last >> order) - level.first_block;
        if from == to {
            return level.free.contains(self.words, from);
        }
        level
            .free
            .first_from(self.words, from)
            .is_some_and(|found| found <= to)
    }

    /// First frame of the lowest free block of exactly this order.
    fn lowest_free(&self, order: u8) -> Option<FrameNumber> {
        let level = &self.orders[usize::from(order)];
        let index = level.free.first(self.words)?;
        Some((level.first_block + index) << order)
    }

    /// Records the upper halves as free until a block of order `from` has shrunk to order `to`.
    fn split(&mut self, frame: FrameNumber, from: u8, to: u8) {
        for order in to..from {
            self.set(frame + (1 << order), order);
        }
    }

    /// Records a block that is in use as free, joined with its buddy as long as that is free too.
    fn insert_block(&mut self, frame: FrameNumber, order: u8) {
        self.free_frames += 1 << order;
        let (mut frame, mut order) = (frame, order);
        while order < ORDER_MAX && self.is_free_block(frame ^ (1 << order), order) {
            self.clear(frame ^ (1 << order), order);
            frame &= !(1 << order);
            order += 1;
        }
        self.set(frame, order);
    }

    fn is_free_block(&self, frame: FrameNumber, order: u8) -> bool {
        let level = &self.orders[usize::from(order)];
        level
            .index(frame >> order)
            .is_some_and(|index| level.free.contains(self.words, index))
    }

    fn set(&mut self, frame: FrameNumber, order: u8) {
        let level = &self.orders[usize::from(order)];
        if let Some(index) = level.index(frame >> order) {
            level.free.set(self.words, index);
        }
    }

    fn clear(&mut self, frame: FrameNumber, order: u8) {
        let level = &self.orders[usize::from(order)];
        if let Some(index) = level.index(frame >> order) {
            level.free.clear(self.words, index);
        }
    }
}

/// Places the bitmaps of all orders one behind the other.
fn lay_out(first_frame: FrameNumber, end_frame: FrameNumber) -> [Order; ORDERS] {
    let mut orders = [Order::EMPTY; ORDERS];
    let mut next_word = 0;
    for (order, level) in orders.iter_mut().enumerate() {
        let first_block = first_frame >> order;
        let blocks = end_frame.saturating_sub(1).max(first_frame) / (1 << order) - first_block + 1;
        *level = Order {
            first_block,
            free: Bitmap::new(blocks, next_word),
        };
        next_word += words_for(blocks) as usize;
    }
    orders
}

/// The largest order of a block that may begin at `frame` and lies within `count` (not 0) frames.
fn largest_order(frame: FrameNumber, count: u64) -> u8 {
    let by_alignment = frame.trailing_zeros();
    let by_count = count.ilog2();
    by_alignment.min(by_count).min(ORDER_MAX.into()) as u8
}
