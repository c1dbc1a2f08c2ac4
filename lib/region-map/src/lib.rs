//! A map from page numbers to values, kept as ranges: the regions of an address space.
//!
//! Seen from outside it is a function from the pages of a window to values, undefined in the gaps.
//! Inside it is a balanced tree of ranges in slots that the caller provides, so that no operation
//! allocates: every one of them may run under a lock that page faults take.
//!
//! Invariants:
//! - Ranges are half open, not empty, inside the window, and do not overlap.
//! - Ranges are as long as possible: where two touch, their values differ. Cuts therefore mean
//!   nothing and cost no slot; **who wants two neighbours kept apart puts an identity into the value**.
//! - A slot is written only when it is needed, and slots in order: [`RegionMap::slots_touched`] is a
//!   high-water mark. Before an operation the caller makes sure, without its lock, that
//!   [`RegionMap::slots_free_below`] of the memory that exists is at least [`SLOTS_PER_OPERATION`].
//! - An operation that fails has changed nothing.
//!
//! Costs: O(log n) to look up, to insert and to find a gap; O(log n) per region concerned to remove,
//! change or visit. Recursion is bounded by the tree's height, see `tree.rs`.
//!
//! Units: page numbers and counts of pages, never bytes or addresses.
//!
//! Concurrency: none inside; the callbacks run with the map borrowed, so they cannot come back to it.

#![no_std]

pub mod images;
pub mod space;
mod tree;

use core::fmt;
use core::ops::Range;
use tree::Tree;

pub use tree::Slot;

/// The most slots that one operation takes: a change in the middle of a region makes three of one.
pub const SLOTS_PER_OPERATION: usize = 2;

/// Gaps that are long enough, but not once their start is aligned, before [`RegionMap::find_gap`]
/// stops insisting on the lowest one. Keeps that search short however many such gaps there are.
const MISFITS_MAX: usize = 32;

/// Why an operation was refused. The map is unchanged then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionError {
    /// The range ends where it starts, or before.
    EmptyRange {
        /// First page of the request.
        start: u64,
        /// End of the request.
        end: u64,
    },
    /// The range is not wholly inside the window.
    OutsideWindow {
        /// First page of the request.
        start: u64,
        /// End of the request.
        end: u64,
    },
    /// A region stands in the way.
    Overlap {
        /// First page of the lowest such region.
        start: u64,
        /// Its end.
        end: u64,
    },
    /// The operation takes more slots than are left.
    NoSlot {
        /// Slots that the operation takes.
        needed: usize,
    },
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::EmptyRange { start, end } => {
                write!(
                    f,
                    "no page lies in the requested range {start:#x}..{end:#x}"
                )
            }
            Self::OutsideWindow { start, end } => {
                write!(
                    f,
                    "the requested pages {start:#x}..{end:#x} are not all inside the window"
                )
            }
            Self::Overlap { start, end } => {
                write!(
                    f,
                    "the pages {start:#x}..{end:#x} are in use; remove them first"
                )
            }
            Self::NoSlot { needed } => {
                write!(
                    f,
                    "the request takes {needed} more region slots, and fewer are left"
                )
            }
        }
    }
}

impl core::error::Error for RegionError {}

/// The map. See the crate's head for the invariants.
pub struct RegionMap<'s, V> {
    tree: Tree<'s, V>,
    window: Range<u64>,
}

impl<'s, V: Copy + Eq> RegionMap<'s, V> {
    /// An empty map of the pages in `window` with room for as many regions as there are slots.
    ///
    /// Reads and writes no slot. In a window without pages nothing can be inserted.
    pub fn new(slots: &'s mut [Slot<V>], window: Range<u64>) -> Self {
        Self {
            tree: Tree::new(slots),
            window,
        }
    }

    /// The pages that the map is about.
    pub fn window(&self) -> Range<u64> {
        self.window.clone()
    }

    /// Regions, each as long as possible.
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    /// Whether no page has a value.
    pub fn is_empty(&self) -> bool {
        self.tree.len() == 0
    }

    /// Slots that were ever written: those with an index below this one.
    pub fn slots_touched(&self) -> usize {
        self.tree.touched()
    }

    /// How many more regions fit without touching the slot `backed` or any behind it.
    pub fn slots_free_below(&self, backed: usize) -> usize {
        // Below the high-water mark one cannot tell where the returned slots lie.
        let usable = backed.min(self.tree.capacity());
        if usable < self.tree.touched() {
            0
        } else {
            usable - self.tree.len()
        }
    }

    /// Gives the pages of `range`, none of which may have one yet, a value. Takes at most one slot,
    /// none next to a region of the same value.
    pub fn insert(&mut self, range: Range<u64>, value: V) -> Result<(), RegionError> {
        self.check_vacant(&range)?;
        let (start, end) = (range.start, range.end);
        let below = self
            .tree
            .last_starting_below(start)
            .filter(|(r, v)| r.end == start && *v == value);
        let above = self
            .tree
            .first_ending_above(end)
            .filter(|(r, v)| r.start == end && *v == value);
        match (below, above) {
            (Some((below, _)), Some((above, _))) => {
                self.tree.remove(above.start);
                self.tree
                    .replace(below.start, below.start..above.end, value);
            }
            (Some((below, _)), None) => self.tree.replace(below.start, below.start..end, value),
            (None, Some((above, _))) => self.tree.replace(above.start, start..above.end, value),
            (None, None) if self.tree.insert(range, value) => {}
            (None, None) => return Err(RegionError::NoSlot { needed: 1 }),
        }
        Ok(())
    }

    /// Takes the values of all pages in `range` away. `removed` is called for each part that had one,
    /// lowest first, after the part is gone. Pages without a value, or outside the window, are no
    /// error. Takes one slot if the range is strictly inside one region, else none.
    pub fn remove(
        &mut self,
        range: Range<u64>,
        removed: &mut dyn FnMut(Range<u64>, V),
    ) -> Result<(), RegionError> {
        check_range(&range)?;
        if self.lies_strictly_inside_a_region(&range) {
            self.reserve(1)?;
        }
        while let Some((region, value)) = self.first_in(&range) {
            let part = intersection(&region, &range);
            self.cut(&region, &part, value)?;
            removed(part, value);
        }
        Ok(())
    }

    /// Lets `change` see and change the value of each part of `range` that has one, lowest first.
    ///
    /// A region that reaches out of `range` is changed inside only. Takes at most one slot for each
    /// end of `range` that lies strictly inside a region, and needs them even if nothing changes.
    pub fn update(
        &mut self,
        range: Range<u64>,
        change: &mut dyn FnMut(&Range<u64>, &mut V),
    ) -> Result<(), RegionError> {
        check_range(&range)?;
        self.reserve(self.cuts_at(range.start) + self.cuts_at(range.end))?;
        self.split(range.start)?;
        self.split(range.end)?;
        let mut rest = range.clone();
        while let Some((region, mut value)) = self.first_in(&rest) {
            change(&region, &mut value);
            self.tree.replace(region.start, region.clone(), value);
            self.merge(region.start);
            rest.start = region.end;
        }
        self.merge(range.end);
        Ok(())
    }

    /// The region that holds `page`, in full, and its value.
    pub fn find(&self, page: u64) -> Option<(Range<u64>, V)> {
        self.tree
            .first_ending_above(page)
            .filter(|(region, _)| region.start <= page)
    }

    /// A start for `len_pages` pages without a value, at a multiple of `align_pages`.
    ///
    /// The lowest such start. If the lowest 32 gaps that are long enough are all badly aligned, then
    /// the lowest start in the gaps behind them that are long enough for any alignment, so that a
    /// gap which just fits may be missed there. `None` if there is none, if `len_pages` is 0 or if
    /// `align_pages` is 0. O(log n).
    pub fn find_gap(&self, len_pages: u64, align_pages: u64) -> Option<u64> {
        if len_pages == 0 {
            return None;
        }
        let mut from = self.window.start;
        for _ in 0..MISFITS_MAX {
            let gap = self.tree.first_gap(&self.window, from, len_pages)?;
            if let Some(start) = aligned_start(&gap, len_pages, align_pages) {
                return Some(start);
            }
            from = gap.end;
        }
        let surely_enough = len_pages.checked_add(align_pages.checked_sub(1)?)?;
        let gap = self.tree.first_gap(&self.window, from, surely_enough)?;
        aligned_start(&gap, len_pages, align_pages)
    }

    /// Calls `visit` for each part of `range` that has a value, lowest first.
    pub fn for_each_in(&self, range: Range<u64>, visit: &mut dyn FnMut(Range<u64>, V)) {
        let mut rest = range;
        while let Some((region, value)) = self.first_in(&rest) {
            visit(intersection(&region, &rest), value);
            rest.start = region.end;
        }
    }

    fn check_vacant(&self, range: &Range<u64>) -> Result<(), RegionError> {
        check_range(range)?;
        let (start, end) = (range.start, range.end);
        if start < self.window.start || end > self.window.end {
            return Err(RegionError::OutsideWindow { start, end });
        }
        match self.first_in(range) {
            Some((taken, _)) => Err(RegionError::Overlap {
                start: taken.start,
                end: taken.end,
            }),
            None => Ok(()),
        }
    }

    /// The lowest region with a page in `range`, in full.
    fn first_in(&self, range: &Range<u64>) -> Option<(Range<u64>, V)> {
        let first = self.tree.first_ending_above(range.start);
        first.filter(|(region, _)| region.start < range.end && !range.is_empty())
    }

    fn lies_strictly_inside_a_region(&self, range: &Range<u64>) -> bool {
        self.find(range.start)
            .is_some_and(|(r, _)| r.start < range.start && r.end > range.end)
    }

    /// Slots that splitting at `page` takes.
    fn cuts_at(&self, page: u64) -> usize {
        usize::from(
            self.find(page)
                .is_some_and(|(region, _)| region.start < page),
        )
    }

    fn reserve(&self, needed: usize) -> Result<(), RegionError> {
        if self.tree.capacity() - self.tree.len() < needed {
            return Err(RegionError::NoSlot { needed });
        }
        Ok(())
    }

    /// Takes `part` out of `region`, of which it is a part, and leaves what stands before and behind.
    fn cut(&mut self, region: &Range<u64>, part: &Range<u64>, value: V) -> Result<(), RegionError> {
        let before = region.start..part.start;
        let behind = part.end..region.end;
        match (before.is_empty(), behind.is_empty()) {
            (true, true) => self.tree.remove(region.start),
            (true, false) => self.tree.replace(region.start, behind, value),
            (false, true) => self.tree.replace(region.start, before, value),
            (false, false) => {
                self.tree.replace(region.start, before, value);
                self.add(behind, value)?;
            }
        }
        Ok(())
    }

    /// Makes two regions of the one that has `page` strictly inside, if there is one.
    fn split(&mut self, page: u64) -> Result<(), RegionError> {
        let Some((region, value)) = self.find(page).filter(|(region, _)| region.start < page)
        else {
            return Ok(());
        };
        self.tree.replace(region.start, region.start..page, value);
        self.add(page..region.end, value)
    }

    /// Joins the regions that touch at `page` if their values are the same.
    fn merge(&mut self, page: u64) {
        let below = self
            .tree
            .last_starting_below(page)
            .filter(|(region, _)| region.end == page);
        let above = self.find(page).filter(|(region, _)| region.start == page);
        if let (Some((below, value)), Some((above, same))) = (below, above)
            && value == same
        {
            self.tree.remove(above.start);
            self.tree
                .replace(below.start, below.start..above.end, value);
        }
    }

    fn add(&mut self, range: Range<u64>, value: V) -> Result<(), RegionError> {
        if self.tree.insert(range, value) {
            Ok(())
        } else {
            Err(RegionError::NoSlot { needed: 1 })
        }
    }
}

fn check_range(range: &Range<u64>) -> Result<(), RegionError> {
    if range.is_empty() {
        return Err(RegionError::EmptyRange {
            start: range.start,
            end: range.end,
        });
    }
    Ok(())
}

fn intersection(a: &Range<u64>, b: &Range<u64>) -> Range<u64> {
    a.start.max(b.start)..a.end.min(b.end)
}

/// The lowest multiple of `align_pages` in `gap` with `len_pages` behind it.
fn aligned_start(gap: &Range<u64>, len_pages: u64, align_pages: u64) -> Option<u64> {
    let start = gap.start.checked_next_multiple_of(align_pages)?;
    let end = start.checked_add(len_pages)?;
    (end <= gap.end).then_some(start)
}

#[cfg(test)]
mod space_tests;
#[cfg(test)]
mod tests;
