//! The state behind an `input-stream`: a source that may have to be waited for, or a place in a file.

use std::sync::Arc;

use runtime_host::{ByteSource, FileSource, PinnedNode, Read, tmpfs};

use super::{Pollable, READ_MAX_BYTES, StreamError};

/// An input stream. After its end or a failure it is closed for good.
pub struct InputStream {
    origin: Origin,
    closed: bool,
    is_terminal: bool,
}

enum Origin {
    Source(Arc<dyn ByteSource>),
    File { node: PinnedNode, offset: u64 },
}

impl InputStream {
    /// A stream of what `source` has.
    pub fn from_source(source: Arc<dyn ByteSource>) -> Self {
        Self {
            origin: Origin::Source(source),
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

    /// What the stream reads, to be read by others as well; a place in a file is shared with them from now on.
    pub fn share(&mut self) -> Result<Arc<dyn ByteSource>, tmpfs::Error> {
        let source: Arc<dyn ByteSource> = match &self.origin {
            Origin::Source(source) => Arc::clone(source),
            Origin::File { node, offset } => Arc::new(FileSource::new(node.again()?, *offset)),
        };
        self.origin = Origin::Source(Arc::clone(&source));
        Ok(source)
    }

    pub(crate) fn from_file(node: PinnedNode, offset: u64) -> Self {
        Self {
            origin: Origin::File { node, offset },
            closed: false,
            is_terminal: false,
        }
    }

    /// What is there now, up to `len` and [`READ_MAX_BYTES`]; `None` when nothing is there yet.
    pub(crate) fn read(&mut self, len: u64) -> Result<Option<Vec<u8>>, StreamError> {
        if self.closed {
            return Err(StreamError::Closed);
        }
        if len == 0 {
            return Ok(Some(Vec::new()));
        }
        let len = usize::try_from(len).map_or(READ_MAX_BYTES, |len| len.min(READ_MAX_BYTES));
        let answer = self.origin.read(len);
        self.closed = answer.is_err();
        answer
    }

    pub(crate) fn pollable(&self) -> Pollable {
        match &self.origin {
            Origin::Source(source) if !self.closed => Pollable::Source(Arc::clone(source)),
            Origin::Source(_) | Origin::File { .. } => Pollable::Ready,
        }
    }
}

impl Origin {
    fn read(&mut self, len: usize) -> Result<Option<Vec<u8>>, StreamError> {
        match self {
            Self::Source(source) => read_source(source.as_ref(), len),
            Self::File { node, offset } => {
                let bytes = read_file(node, *offset, len)?;
                *offset += bytes.len() as u64;
                if bytes.is_empty() {
                    return Err(StreamError::Closed);
                }
                Ok(Some(bytes))
            }
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

/// What lies at `offset` of a file, up to `len`; empty at its end.
pub(crate) fn read_file(
    node: &PinnedNode,
    offset: u64,
    len: usize,
) -> Result<Vec<u8>, runtime_host::tmpfs::Error> {
    let tree = node.tree().read();
    let left = tree.stat(node.id())?.len_bytes.saturating_sub(offset);
    let mut bytes = vec![0; usize::try_from(left).map_or(len, |left| left.min(len))];
    let count = tree.read(node.id(), offset, &mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}
