//! The end of a terminal's input for one reader: Ctrl-D, while a shell has the terminal and lives on.
//!
//! Law: a mark is behind all that was typed before it, is read once, and is no end for anybody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use runtime_host::{ByteSource, Notifier, PipeReader, Read, StreamFailure, Subscribers};

/// Ctrl-C, as a key.
pub(crate) const INTERRUPT: u8 = 0x03;

/// The mark, shared by the keys' side and the readers'.
#[derive(Clone)]
pub(crate) struct EndMark(Arc<Shared>);

struct Shared {
    is_set: AtomicBool,
    subscribers: Subscribers,
}

impl Default for EndMark {
    fn default() -> Self {
        Self(Arc::new(Shared {
            is_set: AtomicBool::new(false),
            subscribers: Subscribers::new(),
        }))
    }
}

impl EndMark {
    /// From now on the next reader finds the end.
    pub(crate) fn set(&self) {
        self.0.is_set.store(true, Ordering::SeqCst);
        self.0.subscribers.notify_all();
    }

    /// Removes it; whether it was there.
    pub(crate) fn take(&self) -> bool {
        self.0.is_set.swap(false, Ordering::SeqCst)
    }

    fn is_set(&self) -> bool {
        self.0.is_set.load(Ordering::SeqCst)
    }
}

/// What was typed, with the mark behind it.
pub(crate) struct MarkedInput {
    pipe: PipeReader,
    end_mark: EndMark,
}

impl MarkedInput {
    pub(crate) fn new(pipe: PipeReader, end_mark: EndMark) -> Self {
        Self { pipe, end_mark }
    }
}

impl ByteSource for MarkedInput {
    fn read(&self, buffer: &mut [u8]) -> Result<Read, StreamFailure> {
        match self.pipe.read(buffer)? {
            Read::Empty if !buffer.is_empty() && self.end_mark.take() => Ok(Read::End),
            found => Ok(found),
        }
    }

    fn is_readable(&self) -> bool {
        self.pipe.is_readable() || self.end_mark.is_set()
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.pipe.subscribe(notifier);
        self.end_mark.0.subscribers.add(notifier);
    }

    fn take_interrupt(&self) -> bool {
        self.pipe.drop_through_last(INTERRUPT)
    }
}

#[cfg(test)]
mod tests {
    use runtime_host::{Budget, ByteSink, pipe};

    use super::*;

    #[test]
    fn the_end_comes_behind_the_bytes_and_once() {
        let (reader, writer) = pipe(64, &Budget::new(1 << 20)).unwrap();
        let mark = EndMark::default();
        let input = MarkedInput::new(reader, mark.clone());
        let mut buffer = [0; 8];
        writer.write(b"typed").unwrap();
        mark.set();
        assert!(matches!(input.read(&mut buffer), Ok(Read::Bytes(5))));
        assert!(input.is_readable());
        assert!(matches!(input.read(&mut []), Ok(Read::Empty)));
        assert!(matches!(input.read(&mut buffer), Ok(Read::End)));
        assert!(!input.is_readable());
        assert!(matches!(input.read(&mut buffer), Ok(Read::Empty)));
    }
}
