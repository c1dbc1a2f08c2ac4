//! The state behind an `input-stream`: a source that may have to be waited for, or a place in a file.

use std::sync::Arc;

use runtime_host::{ByteSource, Clock, PinnedNode, Read, tmpfs};

use super::error::check_stream_position;
use super::{IoError, Pollable, READ_MAX_BYTES, StreamError};

/// An input stream. After its end or a failure it is closed for good.
pub struct InputStream {
    origin: Origin,
    closed: bool,
}

enum Origin {
    Source(Arc<dyn ByteSource>),
    File {
        node: PinnedNode,
        offset: u64,
    },
    /// A file that was not opened for reading.
    Unreadable,
}

impl InputStream {
    pub(crate) fn from_source(source: Arc<dyn ByteSource>) -> Self {
        Self {
            origin: Origin::Source(source),
            closed: false,
        }
    }

    pub(crate) fn from_file(node: PinnedNode, offset: u64) -> Self {
        Self {
            origin: Origin::File { node, offset },
            closed: false,
        }
    }

    /// A stream whose first read fails.
    pub(crate) fn unreadable() -> Self {
        Self {
            origin: Origin::Unreadable,
            closed: false,
        }
    }

    /// What is there now, up to `len` and [`READ_MAX_BYTES`]; `None` when nothing is there yet.
    pub(crate) fn read(
        &mut self,
        len: u64,
        clock: &dyn Clock,
    ) -> Result<Option<Vec<u8>>, StreamError> {
        if self.closed {
            return Err(StreamError::Closed);
        }
        if len == 0 {
            return Ok(Some(Vec::new()));
        }
        let len = usize::try_from(len).map_or(READ_MAX_BYTES, |len| len.min(READ_MAX_BYTES));
        let answer = self.origin.read(len, clock);
        self.closed = answer.is_err();
        answer
    }

    pub(crate) fn pollable(&self) -> Pollable {
        match &self.origin {
            Origin::Source(source) if !self.closed => Pollable::Source(Arc::clone(source)),
            Origin::Source(_) | Origin::File { .. } | Origin::Unreadable => Pollable::Ready,
        }
    }
}

impl Origin {
    fn read(&mut self, len: usize, clock: &dyn Clock) -> Result<Option<Vec<u8>>, StreamError> {
        match self {
            Self::Source(source) => read_source(source.as_ref(), len),
            Self::File { node, offset } => {
                check_stream_position(*offset)?;
                let bytes = read_file(node, *offset, len, clock)?;
                *offset += bytes.len() as u64;
                if bytes.is_empty() {
                    return Err(StreamError::Closed);
                }
                Ok(Some(bytes))
            }
            Self::Unreadable => Err(StreamError::Failed(IoError::not_opened_for("reading"))),
        }
    }
}

fn read_source(source: &dyn ByteSource, len: usize) -> Result<Option<Vec<u8>>, StreamError> {
    let mut bytes = vec![0; len];
    match source.read(&mut bytes)? {
        Read::Bytes(count) => {
            bytes.truncate(count);
            Ok(Some(bytes))
        }
        Read::Empty => Ok(None),
        Read::End => Err(StreamError::Closed),
    }
}

/// What lies at `offset` of a file, up to `len`; empty at its end. Moves the access time if that is due.
pub(crate) fn read_file(
    node: &PinnedNode,
    offset: u64,
    len: usize,
    clock: &dyn Clock,
) -> Result<Vec<u8>, tmpfs::Error> {
    let tree = node.tree().read();
    let left = tree.stat(node.id())?.len_bytes.saturating_sub(offset);
    let mut bytes = vec![0; usize::try_from(left).map_or(len, |left| left.min(len))];
    let count = tree.read(node.id(), offset, &mut bytes)?;
    bytes.truncate(count);
    let access_is_due = tree.access_is_due(node.id())?;
    drop(tree);
    if access_is_due {
        node.note_access(clock)?;
    }
    Ok(bytes)
}
