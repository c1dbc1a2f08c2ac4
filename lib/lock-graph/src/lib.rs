//! Which kinds of lock were ever taken while which others were held, and whether two orders contradict each other.
//!
//! Law: locks are put into classes, and the classes are nodes. An edge from one class to another says that a lock of
//! the second was taken while one of the first was held. A cycle means that a deadlock is possible, whether or not it
//! has happened: [`LockGraph::note`] answers the edge that closes one with the whole [`Chain`].
//!
//! Nothing is ever removed, nothing is allocated and nobody waits: an edge is one bit, set before the search for a
//! cycle begins. So of several CPUs that add the edges of one cycle at the same time, at least the last finds all the
//! others' bits set, and reports (`tests/concurrent.rs` shows it for every interleaving). Chains are not sought again
//! for an edge that is known: [`LockGraph::contains`] is one load.
//!
//! A search per CPU over its own edges would need no atomics, but would miss the case that matters: the two orders
//! that two CPUs take.
#![no_std]

use core::sync::atomic::{AtomicU64, Ordering, fence};

/// Classes that a graph can hold, numbered from 0.
pub const CLASSES_MAX: usize = 64;

/// The edges that leave one class, a bit for each class that they lead to. A trait, so that tests can put
/// atomics in its place whose interleavings are all tried.
pub trait Row {
    /// The bits.
    fn load(&self) -> u64;
    /// Sets these bits; what the caller loads afterwards is as new as if all insertions had happened in one order.
    fn insert(&self, bits: u64);
}

impl Row for AtomicU64 {
    fn load(&self) -> u64 {
        self.load(Ordering::Acquire)
    }

    fn insert(&self, bits: u64) {
        self.fetch_or(bits, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }
}

/// All that was seen.
#[derive(Debug)]
pub struct LockGraph<R = AtomicU64> {
    /// For each class, those that were taken while it was held.
    rows: [R; CLASSES_MAX],
}

impl Default for LockGraph {
    fn default() -> Self {
        Self::new()
    }
}

impl LockGraph {
    /// Nothing seen yet.
    pub const fn new() -> Self {
        Self {
            rows: [const { AtomicU64::new(0) }; CLASSES_MAX],
        }
    }
}

impl<R: Row> LockGraph<R> {
    /// A graph over rows that are all empty.
    pub fn from_rows(rows: [R; CLASSES_MAX]) -> Self {
        Self { rows }
    }

    /// Whether a lock of class `inner` was seen taken under one of class `outer`. Classes that are too large never were.
    pub fn contains(&self, outer: usize, inner: usize) -> bool {
        self.row(outer) & bit(inner) != 0
    }

    /// Notes that a lock of class `inner` is taken while one of class `outer` is held.
    ///
    /// # Errors
    /// The shortest chain of known edges that leads back from `inner` to `outer`, when there is one. The edge stays
    /// noted. Classes from [`CLASSES_MAX`] on are not noted.
    pub fn note(&self, outer: usize, inner: usize) -> Result<(), Chain> {
        let Some(row) = self.rows.get(outer).filter(|_| inner < CLASSES_MAX) else {
            return Ok(());
        };
        row.insert(bit(inner));
        self.chain(inner, outer).map_or(Ok(()), Err)
    }

    /// The shortest chain of edges from one class to another; of one class to itself, the class alone.
    fn chain(&self, from: usize, to: usize) -> Option<Chain> {
        // Breadth first: `previous` says from where a class was reached.
        let mut previous = [from as u8; CLASSES_MAX];
        let mut reached = bit(from);
        let mut frontier = bit(from);
        while frontier != 0 && reached & bit(to) == 0 {
            let mut next = 0;
            for class in bits(frontier) {
                let new = self.row(class) & !reached;
                bits(new).for_each(|inner| previous[inner] = class as u8);
                reached |= new;
                next |= new;
            }
            frontier = next;
        }
        (reached & bit(to) != 0).then(|| Chain::backwards(&previous, from, to))
    }

    fn row(&self, class: usize) -> u64 {
        self.rows.get(class).map_or(0, Row::load)
    }
}

/// Classes of which each was held while the next was taken. Never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    classes: [u8; CLASSES_MAX],
    len: usize,
}

impl Chain {
    fn backwards(previous: &[u8; CLASSES_MAX], from: usize, to: usize) -> Self {
        let mut chain = Self {
            classes: [0; CLASSES_MAX],
            len: 0,
        };
        let mut class = to;
        chain.push(class);
        while class != from {
            class = previous[class] as usize;
            chain.push(class);
        }
        chain.classes[..chain.len].reverse();
        chain
    }

    fn push(&mut self, class: usize) {
        self.classes[self.len] = class as u8;
        self.len += 1;
    }

    /// The classes, outermost first.
    pub fn classes(&self) -> &[u8] {
        &self.classes[..self.len]
    }

    /// The edges, outermost first: which was held, and which was taken.
    pub fn edges(&self) -> impl Iterator<Item = (usize, usize)> {
        self.classes()
            .windows(2)
            .map(|pair| (pair[0] as usize, pair[1] as usize))
    }
}

fn bit(class: usize) -> u64 {
    if class < CLASSES_MAX { 1 << class } else { 0 }
}

fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let lowest = (mask != 0).then(|| mask.trailing_zeros() as usize)?;
        mask &= mask - 1;
        Some(lowest)
    })
}
