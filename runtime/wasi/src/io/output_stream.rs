//! The state behind an `output-stream`: a sink that may be full, or a place in a file.
//!
//! A write may be as long as what `check-write` permitted last, less what was written since. A sink may
//! be shared, so that another writer takes the room in between: then the write waits for room instead of
//! losing bytes.

use std::sync::Arc;

use runtime_host::{ByteSink, FilePlace, FileSink, PinnedNode, tmpfs};

use super::{Pollable, READ_MAX_BYTES, StreamError, WRITE_MAX_BYTES};

/// An output stream. After a failure it is closed for good.
pub struct OutputStream {
    target: Target,
    permit_bytes: usize,
    closed: bool,
    is_terminal: bool,
}

enum Target {
    Sink(Arc<dyn ByteSink>),
    File { node: PinnedNode, place: FilePlace },
}

impl OutputStream {
    /// A stream to `sink`.
    pub fn to_sink(sink: Arc<dyn ByteSink>) -> Self {
        Self::to(Target::Sink(sink))
    }

    pub(crate) fn to_file(node: PinnedNode, place: FilePlace) -> Self {
        Self::to(Target::File { node, place })
    }

    fn to(target: Target) -> Self {
        Self {
            target,
            permit_bytes: 0,
            closed: false,
            is_terminal: false,
        }
    }

    /// The same stream, which leads to a terminal or not.
    pub fn with_terminal(self, is_terminal: bool) -> Self {
        Self {
            is_terminal,
            ..self
        }
    }

    /// Whether the stream leads to the process's terminal.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// What the stream writes to, to be written by others as well; a place in a file is shared with them from now on.
    pub fn share(&mut self) -> Result<Arc<dyn ByteSink>, tmpfs::Error> {
        let sink: Arc<dyn ByteSink> = match &self.target {
            Target::Sink(sink) => Arc::clone(sink),
            Target::File { node, place } => Arc::new(FileSink::new(node.again()?, *place)),
        };
        self.target = Target::Sink(Arc::clone(&sink));
        Ok(sink)
    }

    /// How many bytes the next write may have; 0 when there is no room now.
    pub(crate) fn check_write(&mut self) -> Result<usize, StreamError> {
        let room = self.guarded(|target| match target {
            Target::Sink(sink) => Ok(sink.room_bytes()?.min(READ_MAX_BYTES)),
            Target::File { .. } => Ok(WRITE_MAX_BYTES),
        })?;
        self.permit_bytes = room;
        Ok(room)
    }

    /// Uses up the permit for `len` bytes, which the WIT says to trap on when it is not enough.
    pub(crate) fn spend_permit(&mut self, len: u64) -> wasmtime::Result<()> {
        let left = (self.permit_bytes as u64).checked_sub(len).ok_or_else(|| {
            wasmtime::format_err!(
                "the program wrote {len} bytes to a stream that permitted {}",
                self.permit_bytes
            )
        })?;
        // No more than the permit was, which is a usize.
        self.permit_bytes = left as usize;
        Ok(())
    }

    /// Takes as many of the first bytes as there is room for; a file takes all.
    pub(crate) fn write(
        &mut self,
        bytes: &[u8],
        now: tmpfs::Timestamp,
    ) -> Result<usize, StreamError> {
        self.guarded(|target| match target {
            Target::Sink(sink) => Ok(sink.write(bytes)?),
            Target::File { node, place } => {
                write_file(node, place, bytes, now)?;
                Ok(bytes.len())
            }
        })
    }

    /// An error if the stream is closed, or its other end is.
    pub(crate) fn check_open(&mut self) -> Result<(), StreamError> {
        self.guarded(|target| {
            if let Target::Sink(sink) = target {
                sink.room_bytes()?;
            }
            Ok(())
        })
    }

    pub(crate) fn pollable(&self) -> Pollable {
        match &self.target {
            Target::Sink(sink) if !self.closed => Pollable::Sink(Arc::clone(sink)),
            Target::Sink(_) | Target::File { .. } => Pollable::Ready,
        }
    }

    fn guarded<R>(
        &mut self,
        operation: impl FnOnce(&mut Target) -> Result<R, StreamError>,
    ) -> Result<R, StreamError> {
        if self.closed {
            return Err(StreamError::Closed);
        }
        let answer = operation(&mut self.target);
        self.closed = answer.is_err();
        answer
    }
}

fn write_file(
    node: &PinnedNode,
    place: &mut FilePlace,
    mut bytes: &[u8],
    now: tmpfs::Timestamp,
) -> Result<(), tmpfs::Error> {
    let mut tree = node.tree().write();
    while !bytes.is_empty() {
        let taken = match place {
            FilePlace::Offset(offset) => {
                let taken = tree.write(node.id(), *offset, bytes, now)?;
                *offset += taken as u64;
                taken
            }
            FilePlace::End => tree.append(node.id(), bytes, now)?,
        };
        // A short write is followed by one that says why.
        bytes = &bytes[taken..];
    }
    Ok(())
}
