//! How much a process may still write.

use std::fmt;
use std::sync::Arc;

use crate::{Budget, ByteSink, Notifier, SINK_DEPTH_MAX, StreamFailure, Tie};

/// What is done about a process that has written more than it may.
pub type OnExcess = Arc<dyn Fn() + Send + Sync>;

/// A sink that counts what goes through it, and whoever inherits it counts along.
pub struct MeteredSink {
    sink: Arc<dyn ByteSink>,
    left: Budget,
    on_excess: OnExcess,
}

/// A process has written as much as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputExceeded {
    /// How much that is.
    pub limit_bytes: u64,
}

impl fmt::Display for OutputExceeded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "the process wrote more than the {} bytes that it may write",
            self.limit_bytes
        )
    }
}

impl MeteredSink {
    /// Lets through to `sink` as many bytes as `left` has, of which nothing is given back, and then calls `on_excess`
    /// once for every write. None if the sink is as deep as one may be.
    pub fn new(sink: Arc<dyn ByteSink>, left: Budget, on_excess: OnExcess) -> Option<Self> {
        (sink.depth() < SINK_DEPTH_MAX).then_some(Self {
            sink,
            left,
            on_excess,
        })
    }

    fn exceeded(&self) -> StreamFailure {
        (self.on_excess)();
        let limit_bytes = self.left.limit_bytes();
        StreamFailure::Failed(OutputExceeded { limit_bytes }.to_string())
    }
}

impl ByteSink for MeteredSink {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        self.sink.room_bytes()
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        let asked_bytes = bytes.len() as u64;
        if let Err(over) = self.left.charge(asked_bytes) {
            // The last bytes that are allowed still go out.
            let allowed = &bytes[..(over.free_bytes as usize).min(bytes.len())];
            return match allowed {
                [] => Err(self.exceeded()),
                allowed => self.write(allowed),
            };
        }
        let taken = self.sink.write(bytes);
        let taken_bytes = *taken.as_ref().unwrap_or(&0) as u64;
        self.left.release(asked_bytes - taken_bytes);
        taken
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.sink.subscribe(notifier);
    }

    fn ties(&self) -> Vec<Tie> {
        self.sink.ties()
    }

    fn depth(&self) -> usize {
        self.sink.depth() + 1
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::Discard;

    #[test]
    fn who_counts_for_those_who_count_is_refused_some_time() {
        let mut sink: Arc<dyn ByteSink> = Arc::new(Discard);
        for _ in 0..SINK_DEPTH_MAX {
            let counted = MeteredSink::new(sink, Budget::new(1), Arc::new(|| {}));
            sink = Arc::new(counted.expect("it is not that deep"));
        }
        assert!(MeteredSink::new(sink, Budget::new(1), Arc::new(|| {})).is_none());
    }

    #[test]
    fn what_is_allowed_goes_through_and_the_rest_is_told() {
        let told = Arc::new(AtomicU32::new(0));
        let witness = Arc::clone(&told);
        let on_excess: OnExcess = Arc::new(move || {
            witness.fetch_add(1, Ordering::Relaxed);
        });
        let sink = MeteredSink::new(Arc::new(Discard), Budget::new(10), on_excess).expect("flat");
        assert_eq!(sink.write(b"12345678"), Ok(8));
        assert_eq!(sink.write(b"12345"), Ok(2));
        assert_eq!(told.load(Ordering::Relaxed), 0);
        let sentence = OutputExceeded { limit_bytes: 10 }.to_string();
        assert_eq!(sink.write(b"3"), Err(StreamFailure::Failed(sentence)));
        assert_eq!(told.load(Ordering::Relaxed), 1);
    }
}
