//! Streams of bytes as processes see them: where they come from and where they go.
//!
//! Both kinds answer at once and say when to come back: whoever finds nothing subscribes a notifier,
//! looks again, and sleeps (see [`crate::wait_until`]). A sink holds nothing back: what it took is handed
//! over, so there is no flushing.

use std::fmt;

use crate::{Cancellation, Cancelled, Notifier, Tie, wait_for};

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes were moved to the buffer's start.
    Bytes(usize),
    /// Nothing is there now.
    Empty,
    /// Nothing is there and nothing will come.
    End,
}

/// Why a stream does not work (any more).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamFailure {
    /// The other end is gone.
    Closed,
    /// What lies behind the stream failed; the text is a sentence for the user.
    Failed(String),
}

impl fmt::Display for StreamFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => out.write_str("the stream's other end is closed"),
            Self::Failed(reason) => out.write_str(reason),
        }
    }
}

impl std::error::Error for StreamFailure {}

/// Where bytes come from.
pub trait ByteSource: Send + Sync {
    /// Moves what is there to the buffer's start. Never blocks; an empty buffer takes nothing.
    fn read(&self, buffer: &mut [u8]) -> Result<Read, StreamFailure>;
    /// Whether a read would not answer [`Read::Empty`].
    fn is_readable(&self) -> bool;
    /// Has `notifier` notified whenever the source may have become readable.
    fn subscribe(&self, notifier: &Notifier);
    /// Of keys that nobody has read: drops them up to the last Ctrl-C, and that one; whether there was one. Where nobody
    /// types there is none.
    fn take_interrupt(&self) -> bool {
        false
    }
    /// What it hangs on; nothing, if nobody can take it away.
    fn ties(&self) -> Vec<Tie> {
        Vec::new()
    }
}

/// Where bytes go.
pub trait ByteSink: Send + Sync {
    /// How many bytes a write would take now; 0 when full.
    fn room_bytes(&self) -> Result<usize, StreamFailure>;
    /// Takes as many of the first bytes as there is room for, and says how many. Never blocks.
    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure>;
    /// Whether a write would take something or fail.
    fn is_writable(&self) -> bool {
        self.room_bytes() != Ok(0)
    }
    /// Has `notifier` notified whenever the sink may have become writable.
    fn subscribe(&self, notifier: &Notifier);
    /// What it hangs on; nothing, if nobody can take it away.
    fn ties(&self) -> Vec<Tie> {
        Vec::new()
    }
    /// How many others a write goes through until the bytes are somewhere: at most [`SINK_DEPTH_MAX`], since each calls the next.
    fn depth(&self) -> usize {
        0
    }
}

/// The greatest [`ByteSink::depth`]. Whoever puts something in front of a sink sees to it.
pub const SINK_DEPTH_MAX: usize = 32;

/// A source at whose end one always is.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoInput;

impl ByteSource for NoInput {
    fn read(&self, _buffer: &mut [u8]) -> Result<Read, StreamFailure> {
        Ok(Read::End)
    }
    fn is_readable(&self) -> bool {
        true
    }
    fn subscribe(&self, _notifier: &Notifier) {}
}

/// A sink that takes everything and keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

impl ByteSink for Discard {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        Ok(64 * 1024)
    }
    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        Ok(bytes.len())
    }
    fn subscribe(&self, _notifier: &Notifier) {}
}

/// Waits until something can be read, and reads it; 0 bytes mean the end.
pub fn read_blocking(
    source: &dyn ByteSource,
    buffer: &mut [u8],
    cancellation: &Cancellation,
) -> Result<Result<usize, StreamFailure>, Cancelled> {
    let attempt = || match source.read(buffer) {
        Ok(Read::Bytes(count)) => Some(Ok(count)),
        Ok(Read::Empty) => None,
        Ok(Read::End) => Some(Ok(0)),
        Err(failure) => Some(Err(failure)),
    };
    wait_for(cancellation, |notifier| source.subscribe(notifier), attempt)
}

/// Writes all of `bytes`, waiting whenever the sink is full.
pub fn write_all_blocking(
    sink: &dyn ByteSink,
    mut bytes: &[u8],
    cancellation: &Cancellation,
) -> Result<Result<(), StreamFailure>, Cancelled> {
    let attempt = || {
        while !bytes.is_empty() {
            match sink.write(bytes) {
                Ok(0) => return None,
                Ok(count) => bytes = &bytes[count..],
                Err(failure) => return Some(Err(failure)),
            }
        }
        Some(Ok(()))
    };
    wait_for(cancellation, |notifier| sink.subscribe(notifier), attempt)
}
