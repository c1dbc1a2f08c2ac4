//! What tests of several processes have in common: guests that are built now, and a memory for what they write.

#[path = "../../../../test/guest/built.rs"]
mod built;

use std::sync::{Mutex, PoisonError};

pub use built::{guest, guests_folder};
use runtime_host::{ByteSink, Notifier, StreamFailure, Subscribers};

/// Remembers what was written.
#[derive(Default)]
pub struct Collected {
    bytes: Mutex<Vec<u8>>,
    pub changed: Subscribers,
}

impl Collected {
    pub fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl ByteSink for Collected {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        Ok(4096)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        let mut kept = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(bytes);
        drop(kept);
        self.changed.notify_all();
        Ok(bytes.len())
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.changed.add(notifier);
    }
}
