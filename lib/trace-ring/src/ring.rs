//! A ring of records that overwrites the oldest.
//!
//! Law: pushes come from one CPU, with interrupts off. A push that interrupts another (an NMI's) is
//! dropped and counted: `busy` is a plain store, since both run on the same CPU. The writer announces a
//! record in `reserved` before it touches the slot and in `committed` after; a reader copies a slot
//! between looking at `committed` and at `reserved`, and believes the copy only if the slot cannot have
//! been announced again meanwhile. So no reader sees half of a record, and the writer never waits.
//! (A seqlock, with the two counters as the sequence of all slots.)
//!
//! Positions count records since the beginning of time.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::record::Record;
use crate::sync::{AtomicBool, AtomicU64, Ordering, fence};

type Slot = [AtomicU64; 4];

/// The newest records of one CPU.
pub struct Ring {
    slots: Box<[Slot]>,
    /// Records that the writer has begun to write.
    reserved: AtomicU64,
    /// Records that are written.
    committed: AtomicU64,
    busy: AtomicBool,
    dropped: AtomicU64,
}

/// What a reader found in a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Oldest first.
    pub records: Vec<Record>,
    /// Records since the position asked for that were overwritten before they were read.
    pub overwritten: u64,
    /// Where the next record will be.
    pub next: u64,
}

impl Ring {
    /// A ring of at least one record; `None` where there is no memory for it. All of its memory has been written
    /// when this returns, so that pushes never fault.
    pub fn new(capacity: usize) -> Option<Self> {
        let capacity = capacity.max(1);
        let mut slots = Vec::new();
        slots.try_reserve_exact(capacity).ok()?;
        slots.resize_with(capacity, || [0; 4].map(AtomicU64::new));
        let ring = Self {
            slots: slots.into_boxed_slice(),
            reserved: AtomicU64::new(0),
            committed: AtomicU64::new(0),
            busy: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        };
        // The compiler may know of memory that is zero without being there.
        for slot in &ring.slots {
            slot[0].store(0, Ordering::Relaxed);
        }
        Some(ring)
    }

    /// How many records it keeps.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Records written so far: the position of the next one.
    pub fn position(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    /// Records that were dropped because their push interrupted another.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Appends a record, by the ring's CPU, with interrupts off.
    pub fn push(&self, record: &Record) {
        if !self.enter() {
            return;
        }
        let position = self.committed.load(Ordering::Relaxed);
        self.reserved.store(position + 1, Ordering::Relaxed);
        // Whoever sees one of the words below sees the announcement too.
        fence(Ordering::Release);
        let slot = self.slot(position);
        for (place, word) in slot.iter().zip(record.to_words()) {
            place.store(word, Ordering::Relaxed);
        }
        self.committed.store(position + 1, Ordering::Release);
        self.leave();
    }

    /// False, and counted, if this interrupts a push.
    pub(crate) fn enter(&self) -> bool {
        if self.busy.load(Ordering::Relaxed) {
            let dropped = self.dropped.load(Ordering::Relaxed);
            self.dropped.store(dropped + 1, Ordering::Relaxed);
            return false;
        }
        self.busy.store(true, Ordering::Relaxed);
        true
    }

    pub(crate) fn leave(&self) {
        self.busy.store(false, Ordering::Relaxed);
    }

    /// The records from position `from` on, as far as they are still there, on any CPU at any time.
    pub fn read_from(&self, from: u64) -> Snapshot {
        let end = self.position();
        let oldest = end.saturating_sub(self.slots.len() as u64);
        let mut records = Vec::with_capacity(end.saturating_sub(from.max(oldest)) as usize);
        let found = (from.max(oldest)..end).filter_map(|position| self.read(position));
        records.extend(found);
        Snapshot {
            overwritten: end.saturating_sub(from) - records.len() as u64,
            records,
            next: end.max(from),
        }
    }

    /// The record at a position below [`Self::position`], unless it was overwritten.
    fn read(&self, position: u64) -> Option<Record> {
        let slot = self.slot(position);
        let words = [0, 1, 2, 3].map(|word| slot[word].load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        // The record that takes this place is announced by this number.
        let successor = position + self.slots.len() as u64 + 1;
        let is_whole = self.reserved.load(Ordering::Relaxed) < successor;
        is_whole.then(|| Record::from_words(words)).flatten()
    }

    fn slot(&self, position: u64) -> &Slot {
        &self.slots[(position % self.slots.len() as u64) as usize]
    }
}
