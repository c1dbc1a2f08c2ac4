//! The line to the host.
//!
//! Law: frames are sent whole, one after the other, whichever threads send. A program's output goes out as it comes.

use std::sync::{Arc, Mutex, PoisonError};

use kernel_core::console::{self, Line};
use lib_host_link::{Message, Stream, encode_bytes};
use runtime_host::{ByteSink, Notifier, StreamFailure};

/// Program output sent as one frame, at most.
const FRAME_BYTES_MAX: usize = 8 << 10;

/// The line to the host; frames are sent whole.
#[derive(Default)]
pub struct Link {
    frames: Mutex<Vec<u8>>,
}

impl Link {
    /// Sends one message.
    pub fn send(&self, message: &Message<'_>) {
        self.send_frames(|frames| {
            // A message that does not fit its frame would be a bug of this kernel's.
            let encoded = message.encode(frames);
            debug_assert!(encoded.is_ok());
        });
    }

    /// Sends sentences for the person, as many of them as one frame holds.
    pub fn send_text(&self, text: &str) {
        let limit = text.floor_char_boundary(contract_host_link::PAYLOAD_LEN_BYTES_MAX);
        self.send(&Message::Text(&text[..limit]));
    }

    fn send_frames(&self, encode: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames.clear();
        encode(&mut frames);
        console::write(Line::HostLink, &frames)
    }

    /// One of a program's output streams.
    pub fn output(self: &Arc<Self>, stream: Stream) -> LinkOutput {
        LinkOutput {
            link: Arc::clone(self),
            stream,
        }
    }
}

/// One of the program's output streams.
pub struct LinkOutput {
    link: Arc<Link>,
    stream: Stream,
}

impl ByteSink for LinkOutput {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        Ok(FRAME_BYTES_MAX)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        let part = &bytes[..bytes.len().min(FRAME_BYTES_MAX)];
        if self
            .link
            .send_frames(|frames| encode_bytes(self.stream, part, frames))
        {
            Ok(part.len())
        } else {
            Err(StreamFailure::Closed)
        }
    }

    fn subscribe(&self, _notifier: &Notifier) {
        // There is always room: a write waits for the line by itself.
    }
}
