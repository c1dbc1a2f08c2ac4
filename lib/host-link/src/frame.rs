//! One frame: its header and its checksums.

use contract_host_link::{HEADER_LEN_BYTES, PAYLOAD_LEN_BYTES_MAX, SYNC};

/// The part of the header that its own check covers: sync byte, kind, length.
const CHECKED_LEN_BYTES: usize = 6;

/// A header whose check is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: u8,
    /// At most [`PAYLOAD_LEN_BYTES_MAX`].
    pub(crate) payload_len_bytes: usize,
    pub(crate) payload_crc: u32,
}

/// The check of a header: the low half of the CRC-32 of its first bytes.
fn header_check(checked: &[u8]) -> [u8; 2] {
    let [low, high, ..] = crc32fast::hash(checked).to_le_bytes();
    [low, high]
}

impl Header {
    /// The header of a frame that carries `payload`; `None` where that is too long.
    pub(crate) fn for_payload(kind: u8, payload: &[u8]) -> Option<Self> {
        (payload.len() <= PAYLOAD_LEN_BYTES_MAX).then(|| Self {
            kind,
            payload_len_bytes: payload.len(),
            payload_crc: crc32fast::hash(payload),
        })
    }

    pub(crate) fn to_bytes(self) -> [u8; HEADER_LEN_BYTES] {
        let len_bytes = self.payload_len_bytes as u32;
        let mut bytes = [0; HEADER_LEN_BYTES];
        bytes[0] = SYNC;
        bytes[1] = self.kind;
        bytes[2..CHECKED_LEN_BYTES].copy_from_slice(&len_bytes.to_le_bytes());
        let check = header_check(&bytes[..CHECKED_LEN_BYTES]);
        bytes[CHECKED_LEN_BYTES..8].copy_from_slice(&check);
        bytes[8..].copy_from_slice(&self.payload_crc.to_le_bytes());
        bytes
    }

    /// The header in `bytes`, unless they are something else.
    pub(crate) fn from_bytes(bytes: &[u8; HEADER_LEN_BYTES]) -> Option<Self> {
        let [sync, kind, l0, l1, l2, l3, check @ .., c0, c1, c2, c3] = *bytes;
        let payload_len_bytes = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let is_header = sync == SYNC
            && payload_len_bytes <= PAYLOAD_LEN_BYTES_MAX
            && check == header_check(&bytes[..CHECKED_LEN_BYTES]);
        is_header.then_some(Self {
            kind,
            payload_len_bytes,
            payload_crc: u32::from_le_bytes([c0, c1, c2, c3]),
        })
    }
}
