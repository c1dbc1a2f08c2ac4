//! The state of a pipe: a bounded ring of bytes between readers and writers.
//!
//! Pure logic: no lock, no waiting, no clock. Whoever owns a [`Pipe`] puts it behind a lock and wakes
//! the other side when an operation says that something moved.
//!
//! Invariants:
//! - bytes leave in the order in which they entered, each exactly once;
//! - never more than `capacity_bytes` are held, and storage is allocated once, when the pipe is made;
//! - what was written before the last writer closed can still be read: [`Read::End`] comes after it;
//! - after the last reader closed, nothing more is accepted and what was held is gone.
#![no_std]

extern crate alloc;

mod ring;

pub use ring::{OutOfMemory, Ring};

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes, at least one unless the reader's buffer was empty, were moved to its start.
    Bytes(usize),
    /// Nothing is there now, and a writer is still open.
    Empty,
    /// Nothing is there, and no writer is left.
    End,
}

/// No reader is left, so nothing that is written can ever be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl core::fmt::Display for Broken {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str("the pipe is broken: its reading end was closed")
    }
}

impl core::error::Error for Broken {}

/// A bounded pipe with its two ends' open flags. It starts with both ends open.
pub struct Pipe {
    ring: Ring,
    reader_open: bool,
    writer_open: bool,
}

impl Pipe {
    /// A pipe that holds up to `capacity_bytes`, which is at least one byte.
    pub fn new(capacity_bytes: usize) -> Result<Self, OutOfMemory> {
        Ok(Self {
            ring: Ring::new(capacity_bytes.max(1))?,
            reader_open: true,
            writer_open: true,
        })
    }

    /// Moves what is there, up to the buffer's length, to the buffer's start.
    pub fn read(&mut self, buffer: &mut [u8]) -> Read {
        match self.ring.read(buffer) {
            0 if !self.ring.is_empty() => Read::Bytes(0),
            0 if self.writer_open => Read::Empty,
            0 => Read::End,
            moved => Read::Bytes(moved),
        }
    }

    /// Takes as many of the first bytes as there is room for, and says how many; 0 when full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        if !self.reader_open {
            return Err(Broken);
        }
        Ok(self.ring.write(bytes))
    }

    /// Drops what is there up to the last byte that is `byte`, and that one; whether there was one.
    pub fn drop_through_last(&mut self, byte: u8) -> bool {
        self.ring.drop_through_last(byte)
    }

    /// How many bytes a write would take now.
    pub fn room_bytes(&self) -> Result<usize, Broken> {
        if !self.reader_open {
            return Err(Broken);
        }
        Ok(self.ring.room_bytes())
    }

    /// Whether a read would not answer [`Read::Empty`].
    pub fn is_readable(&self) -> bool {
        !self.ring.is_empty() || !self.writer_open
    }

    /// Whether a write would take a byte or fail, rather than take nothing.
    pub fn is_writable(&self) -> bool {
        !self.reader_open || self.ring.room_bytes() > 0
    }

    /// No writer is left.
    pub fn close_writer(&mut self) {
        self.writer_open = false;
    }

    /// No reader is left. What was not read is dropped.
    pub fn close_reader(&mut self) {
        self.reader_open = false;
        self.ring.clear();
    }

    /// How many bytes can be held.
    pub fn capacity_bytes(&self) -> usize {
        self.ring.capacity_bytes()
    }
}
