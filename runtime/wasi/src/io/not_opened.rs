//! A file that was not opened for what a stream does, for those that the stream is passed on to.

use runtime_host::{ByteSink, ByteSource, Notifier, Read, StreamFailure};

use super::IoError;

/// Every read and every write fails, at once.
pub(super) struct NotOpened;

fn failure(operation: &str) -> StreamFailure {
    StreamFailure::Failed(IoError::not_opened_for(operation).message)
}

impl ByteSource for NotOpened {
    fn read(&self, _buffer: &mut [u8]) -> Result<Read, StreamFailure> {
        Err(failure("reading"))
    }

    fn is_readable(&self) -> bool {
        true
    }

    fn subscribe(&self, _notifier: &Notifier) {
        // It is always ready to fail.
    }
}

impl ByteSink for NotOpened {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        Err(failure("writing"))
    }

    fn write(&self, _bytes: &[u8]) -> Result<usize, StreamFailure> {
        Err(failure("writing"))
    }

    fn subscribe(&self, _notifier: &Notifier) {
        // It is always ready to fail.
    }
}
