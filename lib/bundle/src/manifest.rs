//! The hash list of the boot volume, `\kpio\manifest`: what the loader may load.
//!
//! Law: text, one line per file, each ended by a line feed: `SHA256 LENGTH NAME`, separated by single
//! spaces. SHA256 is 64 lower-case hexadecimal digits, LENGTH the file's length in bytes in decimal,
//! NAME the file's name in the same folder. Nothing else: no comments, no empty lines, no duplicates.
//!
//! The digest is that of the whole file, except for files that are bundles (`bundle` and `job`): there
//! it is [`crate::Bundle::digest`], which covers header and index. The loader thus reads the
//! contents without hashing them, and whoever uses them first verifies them by the index.
//!
//! The list itself is not authenticated: whoever can write it can write the rest too. What it gives is
//! that a damaged or half-written volume is noticed, and one place to sign later.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::digest::{Digest, Hex};

/// Longest hash list, in bytes.
pub const MANIFEST_LEN_MAX_BYTES: usize = 4096;
/// Longest name, in bytes.
pub const NAME_LEN_MAX_BYTES: usize = 32;

/// What a file should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestEntry {
    /// Name in the hash list's folder: lower-case letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// Length in bytes.
    pub len_bytes: u64,
    /// Of the file, or of a bundle's header and index.
    pub digest: Digest,
}

/// A hash list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    entries: Vec<ManifestEntry>,
}

/// What is wrong with a hash list. Lines count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestError {
    /// Longer than [`MANIFEST_LEN_MAX_BYTES`].
    TooLong,
    /// It is not UTF-8.
    NotUtf8,
    /// The last line is not ended: the list was cut off.
    NotEnded,
    /// A line is not three words.
    WrongLine {
        /// The guilty line.
        line: usize,
    },
    /// The first word is not a SHA-256.
    WrongDigest {
        /// The guilty line.
        line: usize,
    },
    /// The second word is not a length.
    WrongLength {
        /// The guilty line.
        line: usize,
    },
    /// The third word is not a possible name.
    WrongName {
        /// The guilty line.
        line: usize,
    },
    /// A name comes a second time.
    Duplicate {
        /// The line where it comes again.
        line: usize,
    },
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(
                f,
                "the hash list is longer than {MANIFEST_LEN_MAX_BYTES} bytes"
            ),
            Self::NotUtf8 => write!(f, "the hash list is not text"),
            Self::NotEnded => write!(f, "the hash list is cut off: its last line is not ended"),
            Self::WrongLine { line } => {
                write!(
                    f,
                    "line {line} of the hash list is not 'SHA256 LENGTH NAME'"
                )
            }
            Self::WrongDigest { line } => {
                write!(
                    f,
                    "line {line} of the hash list does not start with a SHA-256"
                )
            }
            Self::WrongLength { line } => write!(f, "line {line} of the hash list has no length"),
            Self::WrongName { line } => {
                write!(f, "line {line} of the hash list has an impossible name")
            }
            Self::Duplicate { line } => {
                write!(f, "line {line} of the hash list names a file a second time")
            }
        }
    }
}

impl core::error::Error for ManifestError {}

impl Manifest {
    /// A hash list of `entries`, in that order. Their names must be possible and different; what reads
    /// the text refuses it otherwise.
    pub fn new(entries: Vec<ManifestEntry>) -> Self {
        Self { entries }
    }

    /// Reads a hash list.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_LEN_MAX_BYTES {
            return Err(ManifestError::TooLong);
        }
        let text = core::str::from_utf8(bytes).map_err(|_| ManifestError::NotUtf8)?;
        let mut manifest = Self::default();
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let line = line.strip_suffix('\n').ok_or(ManifestError::NotEnded)?;
            manifest.push_line(line, index + 1)?;
        }
        Ok(manifest)
    }

    /// What the file `name` should be, if it is listed.
    pub fn get(&self, name: &str) -> Option<&ManifestEntry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// All files, in the list's order.
    pub fn entries(&self) -> &[ManifestEntry] {
        &self.entries
    }

    fn push_line(&mut self, text: &str, line: usize) -> Result<(), ManifestError> {
        let entry = parse_line(text, line)?;
        if self.get(&entry.name).is_some() {
            return Err(ManifestError::Duplicate { line });
        }
        self.entries.push(entry);
        Ok(())
    }
}

/// The list as text.
impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.iter().try_for_each(|entry| {
            writeln!(
                f,
                "{} {} {}",
                Hex(entry.digest),
                entry.len_bytes,
                entry.name
            )
        })
    }
}

fn parse_line(text: &str, line: usize) -> Result<ManifestEntry, ManifestError> {
    let mut words = text.split(' ');
    let (Some(digest), Some(len), Some(name), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(ManifestError::WrongLine { line });
    };
    let Hex(digest) = Hex::parse(digest).ok_or(ManifestError::WrongDigest { line })?;
    let len_bytes = parse_len(len).ok_or(ManifestError::WrongLength { line })?;
    if !is_name(name) {
        return Err(ManifestError::WrongName { line });
    }
    Ok(ManifestEntry {
        name: name.to_string(),
        len_bytes,
        digest,
    })
}

/// A decimal number without sign and without leading zeros, so that it has one spelling.
fn parse_len(text: &str) -> Option<u64> {
    let canonical = text == "0" || text.starts_with(|c: char| ('1'..='9').contains(&c));
    text.parse().ok().filter(|_| canonical)
}

fn is_name(name: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    (1..=NAME_LEN_MAX_BYTES).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(allowed)
}
