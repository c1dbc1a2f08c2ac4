//! The balanced tree under the region map: an AVL tree over slots that the caller provides.
//!
//! Nodes are slots and refer to each other by index. Each node also records, for the subtree below
//! it, its height, the lowest and the highest page and the longest gap between two of its regions,
//! so that a gap is found without walking all regions.
//!
//! Invariants, for every node:
//! - All regions of the left subtree lie below its own, all of the right one above.
//! - The subtrees' heights differ by at most one, so that the height is at most 1.44 log2(n + 2):
//!   below 47 for as many nodes as there are indices. No recursion here goes deeper.
//! - The recorded facts about the subtree are true whenever a public method returns.
//!
//! Slots: those given back come first, then the lowest that was never used. A slot that was never
//! used is never read either, so that memory behind it need not exist yet.
//!
//! Why not `BTreeMap`: it allocates, and under a lock that page faults take. Why not a treap or a
//! splay tree: their depth is a matter of luck or of history, and a kernel stack is small.

use core::ops::Range;

/// In place of a node's index: no node.
const NIL: u32 = u32::MAX;

/// Memory for one region. Provided by the caller, written only once it is needed.
#[derive(Clone, Copy, Debug)]
pub struct Slot<V> {
    start: u64,
    end: u64,
    /// `None` while the slot is not part of the tree.
    value: Option<V>,
    left: u32,
    /// For a slot that was given back: the next one of these.
    right: u32,
    height: u8,
    subtree: Subtree,
}

/// Facts about the regions of a node and all below it.
#[derive(Clone, Copy, Debug)]
struct Subtree {
    /// First page of the lowest region.
    low: u64,
    /// End of the highest region.
    high: u64,
    /// Pages of the longest gap between two neighbouring regions.
    gap_max: u64,
}

impl<V> Slot<V> {
    /// A slot without content.
    pub const EMPTY: Self = Self {
        start: 0,
        end: 0,
        value: None,
        left: NIL,
        right: NIL,
        height: 0,
        subtree: Subtree {
            low: 0,
            high: 0,
            gap_max: 0,
        },
    };

    fn range(&self) -> Range<u64> {
        self.start..self.end
    }
}

/// The tree. Ranges in it are not empty and do not overlap.
pub(crate) struct Tree<'s, V> {
    slots: &'s mut [Slot<V>],
    root: u32,
    len: usize,
    /// Slots from this index on were never used.
    touched: usize,
    /// First slot that was given back.
    returned: u32,
}

impl<'s, V: Copy> Tree<'s, V> {
    /// An empty tree. No slot is read or written yet.
    pub(crate) fn new(slots: &'s mut [Slot<V>]) -> Self {
        Self {
            slots,
            root: NIL,
            len: 0,
            touched: 0,
            returned: NIL,
        }
    }

    /// Regions in the tree.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Slots that were ever used: those below this index.
    pub(crate) fn touched(&self) -> usize {
        self.touched
    }

    /// Slots that may be used: as many as there are, as long as an index tells them apart.
    pub(crate) fn capacity(&self) -> usize {
        self.slots.len().min(NIL as usize)
    }

    /// The lowest region that ends above `page`: the one that holds it, or else the next.
    pub(crate) fn first_ending_above(&self, page: u64) -> Option<(Range<u64>, V)> {
        let mut at = self.root;
        let mut best = None;
        while let Some(node) = self.node(at) {
            if node.end > page {
                best = Some(node);
                at = node.left;
            } else {
                at = node.right;
            }
        }
        best.and_then(|node| Some((node.range(), node.value?)))
    }

    /// The highest region that starts below `page`.
    pub(crate) fn last_starting_below(&self, page: u64) -> Option<(Range<u64>, V)> {
        let mut at = self.root;
        let mut best = None;
        while let Some(node) = self.node(at) {
            if node.start < page {
                best = Some(node);
                at = node.right;
            } else {
                at = node.left;
            }
        }
        best.and_then(|node| Some((node.range(), node.value?)))
    }

    /// Adds a region that overlaps no other; `false` if there is no slot for it.
    #[must_use]
    pub(crate) fn insert(&mut self, range: Range<u64>, value: V) -> bool {
        let Some(new) = self.take_slot() else {
            return false;
        };
        let slot = &mut self.slots[new as usize];
        *slot = Slot {
            start: range.start,
            end: range.end,
            value: Some(value),
            ..Slot::EMPTY
        };
        self.refresh(new);
        self.root = self.insert_below(self.root, new);
        self.len += 1;
        true
    }

    /// Removes the region that starts at `start`, if there is one.
    pub(crate) fn remove(&mut self, start: u64) {
        if let Some((root, removed)) = self.detach(self.root, start) {
            self.root = root;
            self.len -= 1;
            self.give_back(removed);
        }
    }

    /// Changes the region that starts at `start`: its range, which must stay between its
    /// neighbours, and its value.
    pub(crate) fn replace(&mut self, start: u64, range: Range<u64>, value: V) {
        self.replace_below(self.root, start, range, value);
    }

    /// The lowest gap that starts at `from` or above, has at least `len_pages` and lies in `window`.
    /// A gap reaches from one region, or the window's start, to the next, or the window's end.
    pub(crate) fn first_gap(
        &self,
        window: &Range<u64>,
        from: u64,
        len_pages: u64,
    ) -> Option<Range<u64>> {
        let search = GapSearch {
            tree: self,
            from,
            len_pages,
        };
        search.below(self.root, window.start).or_else(|| {
            let tail = self
                .node(self.root)
                .map_or(window.start, |root| root.subtree.high);
            search.accept(tail..window.end)
        })
    }

    fn node(&self, at: u32) -> Option<&Slot<V>> {
        if at == NIL {
            None
        } else {
            self.slots.get(at as usize)
        }
    }

    fn insert_below(&mut self, at: u32, new: u32) -> u32 {
        let Some(node) = self.node(at) else {
            return new;
        };
        let (left, right) = (node.left, node.right);
        if self.slots[new as usize].start < node.start {
            self.slots[at as usize].left = self.insert_below(left, new);
        } else {
            self.slots[at as usize].right = self.insert_below(right, new);
        }
        self.balance(at)
    }

    /// Unlinks the node that starts at `start` from the subtree `at`: its new root and the node.
    fn detach(&mut self, at: u32, start: u64) -> Option<(u32, u32)> {
        let node = self.node(at)?;
        let (left, right) = (node.left, node.right);
        if start == node.start {
            return Some((self.join(left, right), at));
        }
        let removed = if start < node.start {
            let (root, removed) = self.detach(left, start)?;
            self.slots[at as usize].left = root;
            removed
        } else {
            let (root, removed) = self.detach(right, start)?;
            self.slots[at as usize].right = root;
            removed
        };
        Some((self.balance(at), removed))
    }

    /// One tree of two that were the children of a node which is gone.
    fn join(&mut self, left: u32, right: u32) -> u32 {
        let Some((rest, lowest)) = self.detach_lowest(right) else {
            return left;
        };
        self.slots[lowest as usize].left = left;
        self.slots[lowest as usize].right = rest;
        self.balance(lowest)
    }

    /// Unlinks the lowest node of the subtree `at`: its new root and the node.
    fn detach_lowest(&mut self, at: u32) -> Option<(u32, u32)> {
        let node = self.node(at)?;
        let (left, right) = (node.left, node.right);
        let Some((rest, lowest)) = self.detach_lowest(left) else {
            return Some((right, at));
        };
        self.slots[at as usize].left = rest;
        Some((self.balance(at), lowest))
    }

    fn replace_below(&mut self, at: u32, start: u64, range: Range<u64>, value: V) {
        let Some(node) = self.node(at) else { return };
        if start < node.start {
            self.replace_below(node.left, start, range, value);
        } else if start > node.start {
            self.replace_below(node.right, start, range, value);
        } else {
            let slot = &mut self.slots[at as usize];
            (slot.start, slot.end, slot.value) = (range.start, range.end, Some(value));
        }
        self.refresh(at);
    }

    /// Makes the subtree `at`, whose children are balanced and differ by at most two, balanced.
    fn balance(&mut self, at: u32) -> u32 {
        let (left, right) = self.children(at);
        if self.height(left) > self.height(right) + 1 {
            self.slots[at as usize].left = self.lean_left(left);
            self.rotate_right(at)
        } else if self.height(right) > self.height(left) + 1 {
            self.slots[at as usize].right = self.lean_right(right);
            self.rotate_left(at)
        } else {
            self.refresh(at);
            at
        }
    }

    /// Rotates the subtree `at` if its right side is the higher one.
    fn lean_left(&mut self, at: u32) -> u32 {
        let (left, right) = self.children(at);
        if self.height(right) > self.height(left) {
            self.rotate_left(at)
        } else {
            at
        }
    }

    /// Rotates the subtree `at` if its left side is the higher one.
    fn lean_right(&mut self, at: u32) -> u32 {
        let (left, right) = self.children(at);
        if self.height(left) > self.height(right) {
            self.rotate_right(at)
        } else {
            at
        }
    }

    /// The left child, which exists, becomes the root of the subtree.
    fn rotate_right(&mut self, at: u32) -> u32 {
        let (child, _) = self.children(at);
        self.slots[at as usize].left = self.slots[child as usize].right;
        self.slots[child as usize].right = at;
        self.refresh(at);
        self.refresh(child);
        child
    }

    /// The right child, which exists, becomes the root of the subtree.
    fn rotate_left(&mut self, at: u32) -> u32 {
        let (_, child) = self.children(at);
        self.slots[at as usize].right = self.slots[child as usize].left;
        self.slots[child as usize].left = at;
        self.refresh(at);
        self.refresh(child);
        child
    }

    /// Recomputes what a node records about its subtree from the node and its children.
    fn refresh(&mut self, at: u32) {
        let (left, right) = self.children(at);
        let height = 1 + self.height(left).max(self.height(right));
        let node = &self.slots[at as usize];
        let mut subtree = Subtree {
            low: node.start,
            high: node.end,
            gap_max: 0,
        };
        if let Some(below) = self.node(left).map(|node| node.subtree) {
            subtree.low = below.low;
            subtree.gap_max = below.gap_max.max(node.start - below.high);
        }
        if let Some(above) = self.node(right).map(|node| node.subtree) {
            subtree.high = above.high;
            subtree.gap_max = subtree.gap_max.max(above.gap_max).max(above.low - node.end);
        }
        let node = &mut self.slots[at as usize];
        (node.height, node.subtree) = (height, subtree);
    }

    fn children(&self, at: u32) -> (u32, u32) {
        self.node(at)
            .map_or((NIL, NIL), |node| (node.left, node.right))
    }

    fn height(&self, at: u32) -> u8 {
        self.node(at).map_or(0, |node| node.height)
    }

    fn take_slot(&mut self) -> Option<u32> {
        if let Some(slot) = self.node(self.returned) {
            let taken = self.returned;
            self.returned = slot.right;
            return Some(taken);
        }
        let taken = self.touched;
        (taken < self.capacity()).then(|| {
            self.touched += 1;
            taken as u32
        })
    }

    fn give_back(&mut self, slot: u32) {
        self.slots[slot as usize] = Slot {
            right: self.returned,
            ..Slot::EMPTY
        };
        self.returned = slot;
    }
}

/// What [`Tree::first_gap`] looks for.
struct GapSearch<'t, 's, V> {
    tree: &'t Tree<'s, V>,
    from: u64,
    len_pages: u64,
}

impl<V: Copy> GapSearch<'_, '_, V> {
    /// The lowest suitable gap among those below a region of the subtree `at`. `floor` is where the
    /// gap below its lowest region starts.
    ///
    /// O(log n): of the subtrees that reach below `from` there is one per level, and the others are
    /// only entered if their longest gap will do.
    fn below(&self, at: u32, floor: u64) -> Option<Range<u64>> {
        let node = self.tree.node(at)?;
        let gap_max = node.subtree.gap_max.max(node.subtree.low - floor);
        if gap_max < self.len_pages || node.subtree.high <= self.from {
            return None;
        }
        let left_end = self
            .tree
            .node(node.left)
            .map_or(floor, |left| left.subtree.high);
        self.below(node.left, floor)
            .or_else(|| self.accept(left_end..node.start))
            .or_else(|| self.below(node.right, node.end))
    }

    fn accept(&self, gap: Range<u64>) -> Option<Range<u64>> {
        let len_pages = gap.end.checked_sub(gap.start)?;
        (gap.start >= self.from && len_pages >= self.len_pages).then_some(gap)
    }
}

#[cfg(test)]
impl<V: Copy> Tree<'_, V> {
    /// Fails unless every invariant of this module holds.
    pub(crate) fn assert_sound(&self) {
        let mut nodes = 0;
        self.assert_sound_below(self.root, &mut nodes);
        assert_eq!(nodes, self.len);
        let mut returned = 0;
        let mut at = self.returned;
        while let Some(slot) = self.node(at) {
            assert!(slot.value.is_none());
            returned += 1;
            at = slot.right;
        }
        assert_eq!(nodes + returned, self.touched);
    }

    fn assert_sound_below(&self, at: u32, nodes: &mut usize) -> Option<Subtree> {
        let node = self.node(at)?;
        *nodes += 1;
        assert!(node.start < node.end && node.value.is_some());
        let (left, right) = (self.height(node.left), self.height(node.right));
        assert!(left.abs_diff(right) <= 1);
        assert_eq!(node.height, 1 + left.max(right));
        let mut expected = Subtree {
            low: node.start,
            high: node.end,
            gap_max: 0,
        };
        if let Some(below) = self.assert_sound_below(node.left, nodes) {
            assert!(below.high <= node.start);
            expected.low = below.low;
            expected.gap_max = below.gap_max.max(node.start - below.high);
        }
        if let Some(above) = self.assert_sound_below(node.right, nodes) {
            assert!(node.end <= above.low);
            expected.high = above.high;
            expected.gap_max = expected
                .gap_max
                .max(above.gap_max)
                .max(above.low - node.end);
        }
        let facts = node.subtree;
        assert_eq!(
            (facts.low, facts.high, facts.gap_max),
            (expected.low, expected.high, expected.gap_max)
        );
        Some(facts)
    }
}
