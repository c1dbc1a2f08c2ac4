//! A place in a file as a stream that several holders share: what one reads or writes, the next one goes on behind.
//!
//! Law: bytes move under the place's lock, which is taken before the tree's. Neither is held while waiting: a tree is
//! memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lib_tmpfs::{Error, Timestamp};

use crate::{ByteSink, ByteSource, Clock, Notifier, PinnedNode, Read, StreamFailure, SystemClock};

/// The most that one write moves to a file.
const WRITE_MAX_BYTES: usize = 1024 * 1024;

/// A file that is read from some place on.
pub struct FileSource {
    node: PinnedNode,
    offset: Mutex<u64>,
}

/// A file that is written from some place on.
pub struct FileSink {
    node: PinnedNode,
    place: Mutex<FilePlace>,
}

/// Where in a file the next byte goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilePlace {
    /// There.
    Offset(u64),
    /// At its end, wherever that is by then.
    End,
}

impl FileSource {
    /// Reads `node` from `offset` on.
    pub fn new(node: PinnedNode, offset: u64) -> Self {
        Self {
            node,
            offset: Mutex::new(offset),
        }
    }
}

impl ByteSource for FileSource {
    fn read(&self, buffer: &mut [u8]) -> Result<Read, StreamFailure> {
        let mut offset = lock(&self.offset);
        let read = self.node.tree().read();
        let count = read
            .read(self.node.id(), *offset, buffer)
            .map_err(failure)?;
        *offset += count as u64;
        Ok(match count {
            0 if !buffer.is_empty() => Read::End,
            count => Read::Bytes(count),
        })
    }

    fn is_readable(&self) -> bool {
        true
    }

    fn subscribe(&self, _notifier: &Notifier) {
        // It is always readable.
    }
}

impl FileSink {
    /// Writes `node` at `place`.
    pub fn new(node: PinnedNode, place: FilePlace) -> Self {
        Self {
            node,
            place: Mutex::new(place),
        }
    }
}

impl ByteSink for FileSink {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        Ok(WRITE_MAX_BYTES)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        let bytes = &bytes[..bytes.len().min(WRITE_MAX_BYTES)];
        let now = now();
        let mut place = lock(&self.place);
        let mut tree = self.node.tree().write();
        let taken = match &mut *place {
            FilePlace::End => tree.append(self.node.id(), bytes, now).map_err(failure)?,
            FilePlace::Offset(offset) => {
                let taken = tree.write(self.node.id(), *offset, bytes, now);
                let taken = taken.map_err(failure)?;
                *offset += taken as u64;
                taken
            }
        };
        Ok(taken)
    }

    fn subscribe(&self, _notifier: &Notifier) {
        // It is always writable.
    }
}

/// Whoever panicked with the place left it whole.
fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failure(error: Error) -> StreamFailure {
    StreamFailure::Failed(error.to_string())
}

fn now() -> Timestamp {
    let wall = SystemClock::new().wall();
    Timestamp {
        seconds: wall.as_secs(),
        nanoseconds: wall.subsec_nanos(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lib_tmpfs::Tmpfs;

    use super::*;
    use crate::{Budget, BudgetCharge, FileTree};

    fn file(contents: &[u8]) -> PinnedNode {
        let charge = Arc::new(BudgetCharge(Budget::new(1 << 20)));
        let tree = FileTree::new(Tmpfs::new(charge, now()).expect("within the budget"));
        let node = {
            let mut locked = tree.write();
            let root = locked.root();
            let node = locked.create_file(root, "f", now()).expect("a new name");
            let written = locked.write(node, 0, contents, now());
            assert_eq!(written, Ok(contents.len()));
            node
        };
        tree.pin(node).expect("it is there")
    }

    #[test]
    fn readers_share_one_place() {
        let one: Arc<dyn ByteSource> = Arc::new(FileSource::new(file(b"abcdef"), 1));
        let other = Arc::clone(&one);
        let mut buffer = [0; 2];
        assert_eq!(one.read(&mut buffer), Ok(Read::Bytes(2)));
        assert_eq!(other.read(&mut buffer), Ok(Read::Bytes(2)));
        assert_eq!(&buffer, b"de");
        assert_eq!(one.read(&mut buffer), Ok(Read::Bytes(1)));
        assert_eq!(other.read(&mut buffer), Ok(Read::End));
    }

    #[test]
    fn writers_go_on_behind_each_other() {
        let node = file(b"0123456789");
        let read_back = node.again().expect("it is there");
        let sink = FileSink::new(node, FilePlace::Offset(2));
        assert_eq!(sink.write(b"ab"), Ok(2));
        assert_eq!(sink.write(b"cd"), Ok(2));
        let end = FileSink::new(read_back.again().expect("it is there"), FilePlace::End);
        assert_eq!(end.write(b"!"), Ok(1));
        let mut buffer = [0; 16];
        let source = FileSource::new(read_back, 0);
        assert_eq!(source.read(&mut buffer), Ok(Read::Bytes(11)));
        assert_eq!(&buffer[..11], b"01abcd6789!");
    }
}
