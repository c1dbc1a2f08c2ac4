//! A ring of bytes in one allocation that never grows.
//!
//! The bytes held are `storage[start..start + len]`, modulo the storage's length. Both indices are
//! plain byte counts; nothing here can overflow, because no count exceeds an allocation's size.

use alloc::vec::Vec;

/// The allocator had no room for a ring's storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// How many bytes were asked for.
    pub asked_bytes: usize,
}

impl core::fmt::Display for OutOfMemory {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(out, "no memory for a buffer of {} bytes", self.asked_bytes)
    }
}

impl core::error::Error for OutOfMemory {}

/// A first-in first-out ring of bytes.
pub struct Ring {
    storage: Vec<u8>,
    start: usize,
    len: usize,
}

impl Ring {
    /// An empty ring that holds up to `capacity_bytes`.
    pub fn new(capacity_bytes: usize) -> Result<Self, OutOfMemory> {
        let mut storage = Vec::new();
        storage
            .try_reserve_exact(capacity_bytes)
            .map_err(|_| OutOfMemory {
                asked_bytes: capacity_bytes,
            })?;
        storage.resize(capacity_bytes, 0);
        Ok(Self {
            storage,
            start: 0,
            len: 0,
        })
    }

    /// Moves up to `buffer.len()` of the oldest bytes into `buffer`, and says how many.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let count = buffer.len().min(self.len);
        let first = count.min(self.storage.len() - self.start);
        buffer[..first].copy_from_slice(&self.storage[self.start..self.start + first]);
        buffer[first..count].copy_from_slice(&self.storage[..count - first]);
        self.discard(count);
        count
    }

    /// Takes as many of the first bytes as there is room for, and says how many.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.room_bytes());
        let end = self.wrapped(self.start + self.len);
        let first = count.min(self.storage.len() - end);
        self.storage[end..end + first].copy_from_slice(&bytes[..first]);
        self.storage[..count - first].copy_from_slice(&bytes[first..count]);
        self.len += count;
        count
    }

    /// Forgets everything up to the last byte that is `byte`, and that one; whether there was one.
    pub fn drop_through_last(&mut self, byte: u8) -> bool {
        let is_wanted = |index: &usize| self.storage[self.wrapped(self.start + index)] == byte;
        let Some(index) = (0..self.len).rev().find(is_wanted) else {
            return false;
        };
        self.discard(index + 1);
        true
    }

    /// Forgets all that is held.
    pub fn clear(&mut self) {
        self.start = 0;
        self.len = 0;
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes are held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// How many more bytes fit.
    pub fn room_bytes(&self) -> usize {
        self.storage.len() - self.len
    }

    /// How many bytes fit in all.
    pub fn capacity_bytes(&self) -> usize {
        self.storage.len()
    }

    fn discard(&mut self, count: usize) {
        self.len -= count;
        self.start = if self.len == 0 {
            0
        } else {
            self.wrapped(self.start + count)
        };
    }

    /// `position` brought back into the storage; it is less than twice the storage's length.
    fn wrapped(&self, position: usize) -> usize {
        if position >= self.storage.len() {
            position - self.storage.len()
        } else {
            position
        }
    }
}
