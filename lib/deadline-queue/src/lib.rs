//! Deadlines of numbered things, the earliest first.
//!
//! An indexed binary min-heap: `heap` holds the entries, `positions` says where in the heap each id
//! stands, so that an entry can be removed by its id without a search. Both arrays are allocated at
//! construction and never again; every later call takes O(log n) and may be made with a lock held.
//!
//! Invariants:
//! - An id below the capacity is queued at most once.
//! - `positions[heap[i].id] == i` for every entry, and `NOT_QUEUED` for every other id.
//! - No entry is due before its parent `(i - 1) / 2`. Equal deadlines go by the lower id, so that the
//!   order never depends on history.
//!
//! Units: deadlines are nanoseconds on whatever clock the caller reads; none is read here.

#![no_std]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// In `positions`: the id has no entry.
const NOT_QUEUED: u32 = u32::MAX;

/// Why an id was not queued. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueError {
    /// The id is not below the capacity given at construction.
    IdTooLarge {
        /// The id of the request.
        id: u32,
        /// Ids from 0 up to this one, exclusive, exist.
        capacity: u32,
    },
    /// The id has an entry; remove it first.
    AlreadyQueued {
        /// The id of the request.
        id: u32,
    },
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IdTooLarge { id, capacity } => {
                write!(
                    f,
                    "the deadline queue was made for ids below {capacity}, not for {id}"
                )
            }
            Self::AlreadyQueued { id } => {
                write!(
                    f,
                    "id {id} waits for a deadline already; remove that one first"
                )
            }
        }
    }
}

impl core::error::Error for QueueError {}

/// An entry. Field order makes the derived ordering: by deadline, then by id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    deadline_ns: u64,
    id: u32,
}

/// The queue. See the crate's head for the invariants.
pub struct DeadlineQueue {
    /// Never grows past the capacity it was made with.
    heap: Vec<Entry>,
    /// One place per id.
    positions: Box<[u32]>,
}

impl DeadlineQueue {
    /// An empty queue for the ids `0..capacity`. The only call that allocates: 20 bytes per id.
    pub fn new(capacity: u32) -> Self {
        Self {
            heap: Vec::with_capacity(capacity as usize),
            positions: vec![NOT_QUEUED; capacity as usize].into_boxed_slice(),
        }
    }

    /// Queues `id` for `deadline_ns`.
    pub fn insert(&mut self, id: u32, deadline_ns: u64) -> Result<(), QueueError> {
        let capacity = self.positions.len() as u32;
        if id >= capacity {
            return Err(QueueError::IdTooLarge { id, capacity });
        }
        if self.contains(id) {
            return Err(QueueError::AlreadyQueued { id });
        }
        let last = self.heap.len();
        self.heap.push(Entry { deadline_ns, id });
        self.rise(last);
        Ok(())
    }

    /// Takes `id` out and returns its deadline in nanoseconds; `None` if it was not queued.
    pub fn remove(&mut self, id: u32) -> Option<u64> {
        let at = self.position(id)?;
        Some(self.take(at).deadline_ns)
    }

    /// The earliest deadline in nanoseconds; `None` if the queue is empty.
    #[inline]
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.heap.first().map(|entry| entry.deadline_ns)
    }

    /// Takes out the earliest entry whose deadline is `now_ns` or before; call until it gives `None`.
    pub fn pop_due(&mut self, now_ns: u64) -> Option<u32> {
        let earliest = self.next_deadline_ns()?;
        (earliest <= now_ns).then(|| self.take(0).id)
    }

    /// Whether `id` is queued. An id past the capacity is not.
    pub fn contains(&self, id: u32) -> bool {
        self.position(id).is_some()
    }

    /// Entries in the queue.
    #[inline]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing is queued.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    fn position(&self, id: u32) -> Option<usize> {
        let at = *self.positions.get(id as usize)?;
        (at != NOT_QUEUED).then_some(at as usize)
    }

    /// Removes the entry at `at`, fills the place with the last one and restores the order.
    fn take(&mut self, at: usize) -> Entry {
        let taken = self.heap.swap_remove(at);
        self.positions[taken.id as usize] = NOT_QUEUED;
        if at < self.heap.len() {
            self.sink(at);
            self.rise(at);
        }
        taken
    }

    /// Moves the entry at `at` up until its parent is not later.
    fn rise(&mut self, at: usize) {
        let mut at = at;
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.heap[parent] <= self.heap[at] {
                break;
            }
            self.swap(parent, at);
            at = parent;
        }
        self.note_position(at);
    }

    /// Moves the entry at `at` down until no child is earlier.
    fn sink(&mut self, at: usize) {
        let mut at = at;
        while let Some(child) = self.earlier_child(at) {
            if self.heap[at] <= self.heap[child] {
                break;
            }
            self.swap(at, child);
            at = child;
        }
        self.note_position(at);
    }

    fn earlier_child(&self, at: usize) -> Option<usize> {
        let (left, right) = (2 * at + 1, 2 * at + 2);
        let left_entry = self.heap.get(left)?;
        let right_is_earlier = self.heap.get(right).is_some_and(|entry| entry < left_entry);
        Some(if right_is_earlier { right } else { left })
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.note_position(a);
        self.note_position(b);
    }

    fn note_position(&mut self, at: usize) {
        self.positions[self.heap[at].id as usize] = at as u32;
    }
}
