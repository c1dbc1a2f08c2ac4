//! A service's standard input: empty until the service is asked to end, and then at its end. On a terminal it is what is
//! typed there until then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use runtime_host::{ByteSource, Notifier, Read, StreamFailure, Subscribers};

#[derive(Default)]
pub(crate) struct StopInput {
    is_over: AtomicBool,
    readers: Subscribers,
}

impl StopInput {
    /// Asks its reader to end.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        self.readers.notify_all();
    }
}

impl ByteSource for StopInput {
    fn read(&self, _buffer: &mut [u8]) -> Result<Read, StreamFailure> {
        match self.is_over.load(Ordering::Acquire) {
            true => Ok(Read::End),
            false => Ok(Read::Empty),
        }
    }

    fn is_readable(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.readers.add(notifier);
    }
}

/// A terminal's input, until the other source has something to say, which is that the service is to end.
pub(crate) struct TerminalOrStop {
    pub terminal: Arc<dyn ByteSource>,
    pub stop: Arc<dyn ByteSource>,
}

impl ByteSource for TerminalOrStop {
    fn read(&self, buffer: &mut [u8]) -> Result<Read, StreamFailure> {
        match self.stop.is_readable() {
            true => self.stop.read(buffer),
            false => self.terminal.read(buffer),
        }
    }

    fn is_readable(&self) -> bool {
        self.stop.is_readable() || self.terminal.is_readable()
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.stop.subscribe(notifier);
        self.terminal.subscribe(notifier);
    }

    fn take_interrupt(&self) -> bool {
        self.terminal.take_interrupt()
    }
}
