//! Byte streams of any length as frames.

use alloc::vec::Vec;

use contract_host_link::{PAYLOAD_LEN_BYTES_MAX, from_guest, from_host};

use crate::error::EncodeError;
use crate::message::push;

/// The messages that carry a stream of bytes, which may be cut anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// [`Message::Stdout`](crate::Message::Stdout)
    Stdout,
    /// [`Message::Stderr`](crate::Message::Stderr)
    Stderr,
    /// [`Message::TreeData`](crate::Message::TreeData)
    TreeData,
    /// [`Message::Stdin`](crate::Message::Stdin)
    Stdin,
}

impl Stream {
    fn kind(self) -> u8 {
        match self {
            Self::Stdout => from_guest::STDOUT,
            Self::Stderr => from_guest::STDERR,
            Self::TreeData => from_guest::TREE_DATA,
            Self::Stdin => from_host::STDIN,
        }
    }
}

/// Appends `bytes` to `frames`, in as many frames as they need; none for no bytes.
///
/// `frames` grows by the bytes and a header for each 32 KiB of them: cut what is large before.
pub fn encode_bytes(stream: Stream, bytes: &[u8], frames: &mut Vec<u8>) {
    for chunk in bytes.chunks(PAYLOAD_LEN_BYTES_MAX) {
        let pushed: Result<(), EncodeError> = push(frames, stream.kind(), chunk);
        debug_assert!(pushed.is_ok(), "a chunk is never longer than a payload");
    }
}
