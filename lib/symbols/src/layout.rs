//! The numbers of the layout that the crate's head describes.

pub(crate) const MAGIC: [u8; 8] = *b"KPIOSYMS";
pub(crate) const VERSION: u32 = 1;
pub(crate) const HEADER_LEN_BYTES: usize = 24;
pub(crate) const RECORD_LEN_BYTES: usize = 12;

/// Longest name kept; longer ones are cut. Names of generic code can run to many kilobytes, and a
/// line of a dump cannot.
pub const NAME_LEN_BYTES_MAX: usize = 240;

/// One function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Address minus the table's base.
    pub(crate) start: u32,
    pub(crate) len_bytes: u32,
    /// From the first byte of the names.
    pub(crate) name_offset: u32,
}

impl Record {
    pub(crate) fn to_bytes(self) -> [u8; RECORD_LEN_BYTES] {
        let mut bytes = [0; RECORD_LEN_BYTES];
        bytes[..4].copy_from_slice(&self.start.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.len_bytes.to_le_bytes());
        bytes[8..].copy_from_slice(&self.name_offset.to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; RECORD_LEN_BYTES]) -> Self {
        let [s0, s1, s2, s3, l0, l1, l2, l3, n0, n1, n2, n3] = bytes;
        Self {
            start: u32::from_le_bytes([s0, s1, s2, s3]),
            len_bytes: u32::from_le_bytes([l0, l1, l2, l3]),
            name_offset: u32::from_le_bytes([n0, n1, n2, n3]),
        }
    }
}
