//! The incremental decoder.
//!
//! Received bytes collect in a buffer that one longest frame fits in. After each addition every
//! complete frame is taken off its front. What cannot be a frame is skipped up to the next sync byte;
//! behind a damaged payload the search goes on right after that frame's header, since a sender that
//! was reset may have begun a new frame inside the old one's length.

use alloc::vec::Vec;

use contract_host_link::{HEADER_LEN_BYTES, PAYLOAD_LEN_BYTES_MAX, SYNC};

use crate::error::DecodeError;
use crate::frame::Header;
use crate::message::{Message, parse};

/// The longest frame, which is also the most that a decoder keeps.
const FRAME_LEN_BYTES_MAX: usize = HEADER_LEN_BYTES + PAYLOAD_LEN_BYTES_MAX;

/// Turns received bytes into messages.
pub struct Decoder {
    /// Received, not decoded; never longer than [`FRAME_LEN_BYTES_MAX`], its capacity.
    pending: Vec<u8>,
    skipped_bytes: u64,
}

/// What the front of the pending bytes is.
enum Front {
    /// Not known yet: more bytes are needed.
    Incomplete,
    /// No frame: skip so many bytes.
    Garbage(usize),
    /// A frame whose payload is damaged.
    Damaged(Header),
    /// A whole frame.
    Frame(Header),
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder with nothing pending. Allocates its one buffer of a little more than 32 KiB.
    pub fn new() -> Self {
        Self {
            pending: Vec::with_capacity(FRAME_LEN_BYTES_MAX),
            skipped_bytes: 0,
        }
    }

    /// Takes all of `bytes` and calls `receive` for each message, or error, that they complete.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        mut receive: impl FnMut(Result<Message<'_>, DecodeError>),
    ) {
        while !bytes.is_empty() {
            let room_bytes = FRAME_LEN_BYTES_MAX - self.pending.len();
            let (taken, rest) = bytes.split_at(room_bytes.min(bytes.len()));
            self.pending.extend_from_slice(taken);
            bytes = rest;
            self.drain(&mut receive);
        }
    }

    /// How many bytes were skipped so far because they belonged to no frame.
    pub fn skipped_bytes(&self) -> u64 {
        self.skipped_bytes
    }

    /// Decodes all that is complete. Afterwards there is room: a full buffer holds a whole frame or
    /// garbage at its front.
    fn drain(&mut self, receive: &mut impl FnMut(Result<Message<'_>, DecodeError>)) {
        let mut done_bytes = 0;
        loop {
            let pending = &self.pending[done_bytes..];
            match front(pending) {
                Front::Incomplete => break,
                Front::Garbage(len_bytes) => {
                    self.skipped_bytes += len_bytes as u64;
                    done_bytes += len_bytes;
                }
                Front::Damaged(header) => {
                    receive(Err(DecodeError::Damaged { kind: header.kind }));
                    self.skipped_bytes += HEADER_LEN_BYTES as u64;
                    done_bytes += HEADER_LEN_BYTES;
                }
                Front::Frame(header) => {
                    let len_bytes = HEADER_LEN_BYTES + header.payload_len_bytes;
                    receive(parse(header.kind, &pending[HEADER_LEN_BYTES..len_bytes]));
                    done_bytes += len_bytes;
                }
            }
        }
        self.pending.drain(..done_bytes);
    }
}

fn front(pending: &[u8]) -> Front {
    let garbage_bytes = pending.iter().take_while(|&&byte| byte != SYNC).count();
    if garbage_bytes > 0 {
        return Front::Garbage(garbage_bytes);
    }
    let Some((header, rest)) = pending.split_first_chunk() else {
        return Front::Incomplete;
    };
    let Some(header) = Header::from_bytes(header) else {
        return Front::Garbage(1);
    };
    match rest.get(..header.payload_len_bytes) {
        None => Front::Incomplete,
        Some(payload) if crc32fast::hash(payload) == header.payload_crc => Front::Frame(header),
        Some(_) => Front::Damaged(header),
    }
}
