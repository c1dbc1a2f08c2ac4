//! What can be wrong with a message to send, and with bytes received.

use core::fmt;

/// Why a message cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The payload does not fit in one frame. Bytes of a stream are split by
    /// [`encode_bytes`](crate::encode_bytes).
    TooLong,
    /// The path of a tree entry is not absolute and normalised, or too long.
    Path,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the message is longer than a frame of the host link can be",
            Self::Path => "the path of the tree entry is not an absolute, normalised path of at most 4096 bytes",
        })
    }
}

impl core::error::Error for EncodeError {}

/// What the sender did wrong, or the line did to it. Decoding continues behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The payload does not match its checksum.
    Damaged {
        /// The kind in the frame's header.
        kind: u8,
    },
    /// A kind that the contract does not have.
    UnknownKind {
        /// The kind in the frame's header.
        kind: u8,
    },
    /// The payload is not what the contract says for its kind.
    Malformed {
        /// The kind in the frame's header.
        kind: u8,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { kind } => {
                write!(
                    f,
                    "a frame of kind {kind:#04x} arrived damaged on the host link"
                )
            }
            Self::UnknownKind { kind } => write!(
                f,
                "a frame of unknown kind {kind:#04x} arrived on the host link; are both ends of one build?"
            ),
            Self::Malformed { kind } => write!(
                f,
                "a frame of kind {kind:#04x} with a payload that makes no sense arrived on the host link"
            ),
        }
    }
}

impl core::error::Error for DecodeError {}
