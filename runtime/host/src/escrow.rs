//! What is kept for a service while its process is replaced by another.
//!
//! Law: an [`Escrow`] holds bytes by names, at most as many as its limit says, each charged with its place; a put is done
//! whole or not at all. It outlives the processes that use it, and goes with its last owner.
//!
//! Each process has a [`Seat`], in the order in which they came. Only the first is served: one process at a time has what is
//! kept, so what the next one finds is what the one before left. A seat is left when it is dropped, which is when nothing of
//! its process runs any more.
//!
//! What lost: both of two processes at once, as a file would have it. While one takes the other's place both answer calls for
//! a moment, and each would overwrite what the other has put.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::{Budget, Notifier, Reservation, Subscribers};

/// What one entry is charged with beside its name and its bytes.
const ENTRY_BYTES: u64 = 128;
/// Longest name, in bytes.
pub const ESCROW_KEY_BYTES_MAX: usize = 256;
/// Longest entry, in bytes.
pub const ESCROW_VALUE_BYTES_MAX: usize = 64 << 10;
/// Entries of one escrow, at most.
pub const ESCROW_ENTRIES_MAX: usize = 256;

/// Nothing more can be kept; what was there is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EscrowFull;

/// What is kept for one service. Clones are the same.
#[derive(Clone)]
pub struct Escrow(Arc<Shared>);

struct Shared {
    budget: Budget,
    state: Mutex<State>,
    changed: Subscribers,
}

struct State {
    limit_bytes: u64,
    held_bytes: u64,
    entries: BTreeMap<String, Entry>,
    /// The numbers of the seats, and that of the next.
    seats: Vec<u64>,
    next_seat: u64,
}

struct Entry {
    bytes: Vec<u8>,
    paid: Reservation,
}

/// One process's place at an escrow.
pub struct Seat {
    escrow: Escrow,
    number: u64,
}

impl Escrow {
    /// An empty one for `limit_bytes`, places in it included; what is in it is charged to `budget`.
    pub fn new(limit_bytes: u64, budget: &Budget) -> Escrow {
        Escrow(Arc::new(Shared {
            budget: budget.clone(),
            state: Mutex::new(State {
                limit_bytes,
                held_bytes: 0,
                entries: BTreeMap::new(),
                seats: Vec::new(),
                next_seat: 0,
            }),
            changed: Subscribers::new(),
        }))
    }

    /// From now on it may hold so much. What is in it stays, however much that is.
    pub fn set_limit(&self, limit_bytes: u64) {
        self.lock().limit_bytes = limit_bytes;
    }

    /// The place of a new process, behind those of all that there are.
    pub fn seat(&self) -> Seat {
        let mut state = self.lock();
        let number = state.next_seat;
        state.next_seat += 1;
        state.seats.push(number);
        Seat {
            escrow: self.clone(),
            number,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Whether it is this process's turn, which lasts until its end.
    pub fn is_first(&self) -> bool {
        self.escrow.lock().seats.first() == Some(&self.number)
    }

    /// Has `notifier` notified when it may have become this process's turn.
    pub fn subscribe(&self, notifier: &Notifier) {
        self.escrow.0.changed.add(notifier);
    }

    /// Keeps these bytes by this name, in place of those that were there.
    pub fn put(&self, key: String, bytes: Vec<u8>) -> Result<(), EscrowFull> {
        let is_short = key.len() <= ESCROW_KEY_BYTES_MAX && bytes.len() <= ESCROW_VALUE_BYTES_MAX;
        if !is_short {
            return Err(EscrowFull);
        }
        let len_bytes = ENTRY_BYTES + key.len() as u64 + bytes.len() as u64;
        let paid = self.escrow.0.budget.reserve(len_bytes);
        let paid = paid.map_err(|_over| EscrowFull)?;
        // Its room was paid for by its length.
        let bytes = bytes.into_boxed_slice().into_vec();
        self.escrow.lock().put(key, Entry { bytes, paid })
    }

    /// What is kept by this name.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let state = self.escrow.lock();
        state.entries.get(key).map(|entry| entry.bytes.clone())
    }

    /// Keeps it no longer.
    pub fn remove(&self, key: &str) {
        let mut state = self.escrow.lock();
        if let Some(entry) = state.entries.remove(key) {
            state.held_bytes -= entry.paid.bytes();
        }
    }

    /// The names by which something is kept, in their order.
    pub fn keys(&self) -> Vec<String> {
        self.escrow.lock().entries.keys().cloned().collect()
    }
}

impl State {
    fn put(&mut self, key: String, entry: Entry) -> Result<(), EscrowFull> {
        let before = self.entries.get(&key);
        let freed_bytes = before.map_or(0, |before| before.paid.bytes());
        let held_bytes = self.held_bytes - freed_bytes + entry.paid.bytes();
        let is_one_more = before.is_none();
        if held_bytes > self.limit_bytes
            || (is_one_more && self.entries.len() >= ESCROW_ENTRIES_MAX)
        {
            return Err(EscrowFull);
        }
        self.held_bytes = held_bytes;
        self.entries.insert(key, entry);
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let number = self.number;
        self.escrow.lock().seats.retain(|seat| *seat != number);
        self.escrow.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(seat: &Seat, key: &str, len_bytes: usize) -> Result<(), EscrowFull> {
        seat.put(key.to_owned(), vec![7; len_bytes])
    }

    #[test]
    fn a_put_is_done_whole_or_not_at_all_and_everything_is_charged() {
        let budget = Budget::new(1 << 20);
        let escrow = Escrow::new(1000, &budget);
        let seat = escrow.seat();
        assert_eq!(put(&seat, "a", 300), Ok(()));
        assert_eq!(put(&seat, "b", 300), Ok(()));
        assert_eq!(budget.used_bytes(), 2 * (ENTRY_BYTES + 301));
        assert_eq!(put(&seat, "c", 300), Err(EscrowFull));
        assert_eq!(put(&seat, "a", 600), Err(EscrowFull));
        assert_eq!(seat.get("a"), Some(vec![7; 300]));
        assert_eq!(put(&seat, "a", 400), Ok(()));
        seat.remove("b");
        seat.remove("never there");
        assert_eq!((seat.keys(), seat.get("b")), (vec!["a".to_owned()], None));
        assert_eq!(budget.used_bytes(), ENTRY_BYTES + 401);
        escrow.set_limit(0);
        assert_eq!(put(&seat, "a", 1), Err(EscrowFull));
        assert_eq!(seat.get("a"), Some(vec![7; 400]));
        drop((seat, escrow));
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn bounds_hold_whatever_the_limit_is() {
        let budget = Budget::new(1 << 30);
        let escrow = Escrow::new(u64::MAX, &budget);
        let seat = escrow.seat();
        let long = "k".repeat(ESCROW_KEY_BYTES_MAX + 1);
        assert_eq!(put(&seat, &long, 0), Err(EscrowFull));
        assert_eq!(put(&seat, "k", ESCROW_VALUE_BYTES_MAX + 1), Err(EscrowFull));
        for number in 0..ESCROW_ENTRIES_MAX {
            assert_eq!(put(&seat, &number.to_string(), 0), Ok(()));
        }
        assert_eq!(put(&seat, "one more", 0), Err(EscrowFull));
        assert_eq!(put(&seat, "0", 10), Ok(()));
        let poor = Escrow::new(u64::MAX, &Budget::new(ENTRY_BYTES));
        assert_eq!(put(&poor.seat(), "k", 1), Err(EscrowFull));
    }

    #[test]
    fn one_process_at_a_time_has_it_and_the_next_finds_what_it_left() {
        let escrow = Escrow::new(1000, &Budget::new(1000));
        let (first, second, third) = (escrow.seat(), escrow.seat(), escrow.seat());
        let woken = Notifier::new();
        third.subscribe(&woken);
        assert!(first.is_first() && !second.is_first());
        assert_eq!(put(&first, "a", 1), Ok(()));
        drop(second);
        assert!(!third.is_first());
        drop(first);
        assert!(woken.wait(None) && third.is_first());
        assert_eq!(third.get("a"), Some(vec![7]));
    }
}
