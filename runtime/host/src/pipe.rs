//! A pipe between two holders on any threads.
//!
//! Ends can be cloned; the pipe ends for readers when the last writer is dropped (after what was written
//! is read), and breaks for writers when the last reader is dropped. One list of subscribers serves both
//! directions: whoever moves bytes or closes an end wakes it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lib_pipe as state;

use crate::{
    Budget, ByteSink, ByteSource, Notifier, OverBudget, Read, Reservation, StreamFailure,
    Subscribers,
};

/// A pipe's usual size.
pub const PIPE_DEFAULT_BYTES: usize = 64 * 1024;

/// Why no pipe could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipeError {
    /// The budget does not allow its buffer.
    OverBudget(OverBudget),
    /// The allocator has no room for its buffer.
    OutOfMemory(state::OutOfMemory),
}

impl fmt::Display for PipeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OverBudget(error) => write!(out, "no pipe can be made: {error}"),
            Self::OutOfMemory(error) => write!(out, "no pipe can be made: {error}"),
        }
    }
}

impl std::error::Error for PipeError {}

/// The reading end of a pipe.
#[derive(Clone)]
pub struct PipeReader(Arc<ReadEnd>);

/// The writing end of a pipe.
#[derive(Clone)]
pub struct PipeWriter(Arc<WriteEnd>);

struct ReadEnd(Arc<Shared>);
struct WriteEnd(Arc<Shared>);

struct Shared {
    state: Mutex<state::Pipe>,
    subscribers: Subscribers,
    /// Pays for the ring.
    _reservation: Reservation,
}

/// A pipe that holds up to `capacity_bytes`, which are reserved from `budget` as long as an end is held.
pub fn pipe(capacity_bytes: usize, budget: &Budget) -> Result<(PipeReader, PipeWriter), PipeError> {
    let reservation = budget
        .reserve(capacity_bytes as u64)
        .map_err(PipeError::OverBudget)?;
    let state = state::Pipe::new(capacity_bytes).map_err(PipeError::OutOfMemory)?;
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        subscribers: Subscribers::new(),
        _reservation: reservation,
    });
    let reader = PipeReader(Arc::new(ReadEnd(Arc::clone(&shared))));
    Ok((reader, PipeWriter(Arc::new(WriteEnd(shared)))))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, state::Pipe> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and then wakes both sides.
    fn change<R>(&self, operation: impl FnOnce(&mut state::Pipe) -> R) -> R {
        let answer = operation(&mut self.lock());
        self.subscribers.notify_all();
        answer
    }
}

impl Drop for ReadEnd {
    fn drop(&mut self) {
        self.0.change(state::Pipe::close_reader);
    }
}

impl Drop for WriteEnd {
    fn drop(&mut self) {
        self.0.change(state::Pipe::close_writer);
    }
}

impl PipeReader {
    /// Drops what is there up to the last byte that is `byte`, and that one; whether there was one.
    pub fn drop_through_last(&self, byte: u8) -> bool {
        self.0.0.change(|pipe| pipe.drop_through_last(byte))
    }
}

impl PipeWriter {
    /// The same at this end, for who finds that it is not to be read.
    pub fn drop_through_last(&self, byte: u8) -> bool {
        self.0.0.change(|pipe| pipe.drop_through_last(byte))
    }
}

impl ByteSource for PipeReader {
    fn read(&self, buffer: &mut [u8]) -> Result<Read, StreamFailure> {
        let found = self.0.0.lock().read(buffer);
        Ok(match found {
            state::Read::Bytes(count) => {
                self.0.0.subscribers.notify_all();
                Read::Bytes(count)
            }
            state::Read::Empty => Read::Empty,
            state::Read::End => Read::End,
        })
    }

    fn is_readable(&self) -> bool {
        self.0.0.lock().is_readable()
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.0.0.subscribers.add(notifier);
    }
}

impl ByteSink for PipeWriter {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        let room = self.0.0.lock().room_bytes();
        room.map_err(|state::Broken| StreamFailure::Closed)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        let taken = self.0.0.lock().write(bytes);
        match taken {
            Ok(0) => Ok(0),
            Ok(count) => {
                self.0.0.subscribers.notify_all();
                Ok(count)
            }
            Err(state::Broken) => Err(StreamFailure::Closed),
        }
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.0.0.subscribers.add(notifier);
    }
}
