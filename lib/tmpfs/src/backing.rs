//! Bytes that a tree shows as a file without owning them.
//!
//! The system image's files are not copied into a tree: a node refers to them. Where the bytes are
//! checked on first use, the check happens in [`Backing::bytes`], and a failed check reaches the reader
//! as an error value.

use core::fmt;

/// The backing's bytes cannot be had, or are not the ones that were promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackingError;

impl fmt::Display for BackingError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the file's stored bytes are missing or damaged")
    }
}

impl core::error::Error for BackingError {}

/// A file's contents, held by somebody else and never changing.
pub trait Backing: Send + Sync {
    /// The length of what [`Backing::bytes`] answers.
    fn len_bytes(&self) -> u64;
    /// All the bytes, the same at every call, or an error.
    fn bytes(&self) -> Result<&[u8], BackingError>;
}

/// Bytes that live as long as the system.
#[derive(Clone, Copy)]
pub struct StaticBytes(pub &'static [u8]);

impl Backing for StaticBytes {
    fn len_bytes(&self) -> u64 {
        self.0.len() as u64
    }
    fn bytes(&self) -> Result<&[u8], BackingError> {
        Ok(self.0)
    }
}
