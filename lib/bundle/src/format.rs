//! The bytes of headers and records: the layout table of the crate's documentation as code.

use crate::digest::Digest;

pub(crate) const MAGIC: [u8; 8] = *b"KPIOBNDL";
pub(crate) const VERSION: u32 = 1;
/// Length of the header in bytes.
pub(crate) const HEADER_LEN: usize = 64;
/// Length of the header's part that its own digest covers, in bytes.
pub(crate) const HEADER_HASHED_LEN: usize = 32;
/// Length of a record in bytes.
pub(crate) const RECORD_LEN: usize = 64;
/// Alignment of contents that are at least one page long: they can be mapped where they lie.
pub(crate) const PAGE_ALIGN: u64 = 4096;
/// Alignment of shorter contents.
pub(crate) const SMALL_ALIGN: u64 = 16;

pub(crate) const KIND_FILE: u8 = 1;
pub(crate) const KIND_DIRECTORY: u8 = 2;
pub(crate) const KIND_SYMLINK: u8 = 3;
pub(crate) const FLAG_EXECUTABLE: u8 = 1;

/// The alignment of contents of `len` bytes.
pub(crate) fn contents_align(len: u64) -> u64 {
    if len >= PAGE_ALIGN {
        PAGE_ALIGN
    } else {
        SMALL_ALIGN
    }
}

/// The header's numbers, as found or as to be written; nothing is checked here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) magic: [u8; 8],
    pub(crate) version: u32,
    pub(crate) entry_count: u32,
    pub(crate) total_len: u64,
    /// Length of records and names together, in bytes.
    pub(crate) tables_len: u64,
    pub(crate) digest: Digest,
}

impl Header {
    pub(crate) fn decode(bytes: &[u8; HEADER_LEN]) -> Self {
        Self {
            magic: array(bytes, 0),
            version: u32::from_le_bytes(array(bytes, 8)),
            entry_count: u32::from_le_bytes(array(bytes, 12)),
            total_len: u64::from_le_bytes(array(bytes, 16)),
            tables_len: u64::from_le_bytes(array(bytes, 24)),
            digest: array(bytes, HEADER_HASHED_LEN),
        }
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0..8].copy_from_slice(&self.magic);
        bytes[8..12].copy_from_slice(&self.version.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.entry_count.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.total_len.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.tables_len.to_le_bytes());
        bytes[32..64].copy_from_slice(&self.digest);
        bytes
    }
}

/// One entry's record, as found or as to be written; nothing is checked here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) path_len: u16,
    pub(crate) path_offset: u32,
    pub(crate) contents_offset: u64,
    pub(crate) contents_len: u64,
    pub(crate) mtime_ns: u64,
    pub(crate) digest: Digest,
}

impl Record {
    pub(crate) fn decode(bytes: &[u8; RECORD_LEN]) -> Self {
        Self {
            kind: bytes[0],
            flags: bytes[1],
            path_len: u16::from_le_bytes(array(bytes, 2)),
            path_offset: u32::from_le_bytes(array(bytes, 4)),
            contents_offset: u64::from_le_bytes(array(bytes, 8)),
            contents_len: u64::from_le_bytes(array(bytes, 16)),
            mtime_ns: u64::from_le_bytes(array(bytes, 24)),
            digest: array(bytes, 32),
        }
    }

    pub(crate) fn encode(&self) -> [u8; RECORD_LEN] {
        let mut bytes = [0; RECORD_LEN];
        bytes[0] = self.kind;
        bytes[1] = self.flags;
        bytes[2..4].copy_from_slice(&self.path_len.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.path_offset.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.contents_offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.contents_len.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.mtime_ns.to_le_bytes());
        bytes[32..64].copy_from_slice(&self.digest);
        bytes
    }
}

/// `N` bytes at `at`. Both callers pass constants that lie inside a buffer of 64 bytes.
fn array<const N: usize>(bytes: &[u8; 64], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}
