//! A priority queue of numbered things that allocates nothing: a pairing heap over links that the things bring.
//!
//! Law: a number stands in at most one heap at a time, and the links of what stands in a heap are touched only
//! by whoever has that heap `&mut` (in the scheduler: under its queue's lock). Inserting takes O(1), removing the
//! first or any other O(log n) amortised; nothing recurses. The root's `previous` and `next` are [`NOBODY`]; the
//! `previous` of a first child is its parent, of any other its left sibling.
//!
//! Why not an array: a heap of each CPU would need room for every thread of the system.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::NOBODY;

/// The links of one number.
#[derive(Debug)]
pub struct Link {
    child: AtomicU32,
    next: AtomicU32,
    previous: AtomicU32,
}

impl Default for Link {
    fn default() -> Self {
        Self::new()
    }
}

impl Link {
    /// Links of what stands in no heap.
    pub const fn new() -> Self {
        Self {
            child: AtomicU32::new(NOBODY),
            next: AtomicU32::new(NOBODY),
            previous: AtomicU32::new(NOBODY),
        }
    }

    #[inline]
    fn clear(&self) {
        self.child.store(NOBODY, Relaxed);
        self.next.store(NOBODY, Relaxed);
        self.previous.store(NOBODY, Relaxed);
    }
}

/// Where the links are, and who comes before whom.
pub trait Order {
    /// The links of `id`.
    fn link(&self, id: u32) -> &Link;
    /// Whether `a` comes before `b`; a strict weak order that does not change while they stand in the heap.
    fn is_before(&self, a: u32, b: u32) -> bool;
}

/// One heap. Dropping one that is not empty leaves its numbers linked.
#[derive(Debug)]
pub struct Heap {
    root: u32,
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

impl Heap {
    /// An empty one.
    pub const fn new() -> Self {
        Self { root: NOBODY }
    }

    /// Who comes first.
    #[inline]
    pub fn first(&self) -> Option<u32> {
        (self.root != NOBODY).then_some(self.root)
    }

    /// Puts in `id`, which stands in no heap.
    #[inline]
    pub fn insert(&mut self, order: &impl Order, id: u32) {
        order.link(id).clear();
        self.root = if self.root == NOBODY {
            id
        } else {
            meld(order, self.root, id)
        };
    }

    /// Takes out `id`, which stands in this heap.
    #[inline]
    pub fn remove(&mut self, order: &impl Order, id: u32) {
        let child = order.link(id).child.load(Relaxed);
        let rest = if child == NOBODY {
            NOBODY
        } else {
            merge_siblings(order, child)
        };
        if id == self.root {
            self.root = rest;
        } else {
            cut(order, id);
            self.root = meld(order, self.root, rest);
        }
        order.link(id).clear();
    }

    /// Visits all, in no particular order.
    #[inline]
    pub fn iter<'a, O: Order>(&self, order: &'a O) -> Walk<'a, O> {
        Walk {
            order,
            at: self.root,
        }
    }
}

/// A walk through a heap that does not change meanwhile.
pub struct Walk<'a, O> {
    order: &'a O,
    at: u32,
}

impl<O: Order> Iterator for Walk<'_, O> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        let at = self.at;
        if at == NOBODY {
            return None;
        }
        self.at = behind(self.order, at);
        Some(at)
    }
}

/// Who comes behind `id` when children are visited before siblings.
#[inline]
fn behind(order: &impl Order, id: u32) -> u32 {
    let child = order.link(id).child.load(Relaxed);
    if child != NOBODY {
        return child;
    }
    let mut at = id;
    loop {
        let next = order.link(at).next.load(Relaxed);
        if next != NOBODY {
            return next;
        }
        at = parent(order, at);
        if at == NOBODY {
            return NOBODY;
        }
    }
}

#[inline]
fn parent(order: &impl Order, id: u32) -> u32 {
    let mut at = id;
    loop {
        let previous = order.link(at).previous.load(Relaxed);
        if previous == NOBODY || order.link(previous).child.load(Relaxed) == at {
            return previous;
        }
        at = previous;
    }
}

/// Joins two heaps by their roots, each of which may be nobody; the roots have no siblings.
fn meld(order: &impl Order, a: u32, b: u32) -> u32 {
    if a == NOBODY {
        return b;
    }
    if b == NOBODY {
        return a;
    }
    let (top, below) = if order.is_before(b, a) {
        (b, a)
    } else {
        (a, b)
    };
    let sibling = order.link(top).child.load(Relaxed);
    if sibling != NOBODY {
        order.link(sibling).previous.store(below, Relaxed);
    }
    order.link(below).next.store(sibling, Relaxed);
    order.link(below).previous.store(top, Relaxed);
    order.link(top).child.store(below, Relaxed);
    top
}

/// Takes `id`, which is not the root, out of its parent's children.
fn cut(order: &impl Order, id: u32) {
    let link = order.link(id);
    let (previous, next) = (link.previous.load(Relaxed), link.next.load(Relaxed));
    let before = order.link(previous);
    if before.child.load(Relaxed) == id {
        before.child.store(next, Relaxed);
    } else {
        before.next.store(next, Relaxed);
    }
    if next != NOBODY {
        order.link(next).previous.store(previous, Relaxed);
    }
}

/// Makes one heap of siblings: pairs from left to right, then all from right to left.
fn merge_siblings(order: &impl Order, first: u32) -> u32 {
    let mut pairs = NOBODY;
    let mut rest = first;
    while rest != NOBODY {
        let a = detach(order, rest, &mut rest);
        let b = if rest == NOBODY {
            NOBODY
        } else {
            detach(order, rest, &mut rest)
        };
        let pair = meld(order, a, b);
        order.link(pair).next.store(pairs, Relaxed);
        pairs = pair;
    }
    let mut root = NOBODY;
    while pairs != NOBODY {
        let pair = detach(order, pairs, &mut pairs);
        root = meld(order, root, pair);
    }
    root
}

/// Makes `id` a root of its own and tells who stood behind it.
#[inline]
fn detach(order: &impl Order, id: u32, behind: &mut u32) -> u32 {
    let link = order.link(id);
    *behind = link.next.load(Relaxed);
    link.next.store(NOBODY, Relaxed);
    link.previous.store(NOBODY, Relaxed);
    id
}
