//! Why bytes are not a bundle.

use core::fmt;

use crate::path::PathError;

/// What is wrong with a bundle. `entry` is the number of the guilty entry, from 0 in the index's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BundleError {
    /// Shorter than a header.
    NoHeader {
        /// Length of what was given, in bytes.
        len_bytes: u64,
    },
    /// The first bytes are not a bundle's.
    WrongMagic,
    /// A layout that this reader does not know.
    UnknownVersion {
        /// The header's version.
        found: u32,
    },
    /// The header's length of all differs from the length of what was given.
    WrongLength {
        /// As the header says, in bytes.
        stated_bytes: u64,
        /// As given, in bytes.
        found_bytes: u64,
    },
    /// The index is longer than the bundle, too long for this format, or too short for its records.
    WrongIndexLength {
        /// Length of records and names, as the header says, in bytes.
        stated_bytes: u64,
    },
    /// Header or index were changed: their digest differs.
    WrongIndexDigest,
    /// A record's kind is none that this reader knows.
    UnknownKind {
        /// The guilty entry.
        entry: u32,
        /// The record's kind.
        kind: u8,
    },
    /// A record has flags that its kind cannot have.
    WrongFlags {
        /// The guilty entry.
        entry: u32,
        /// The record's flags.
        flags: u8,
    },
    /// A path or target does not follow the one before it, or leaves the index.
    WrongNamePlace {
        /// The guilty entry.
        entry: u32,
    },
    /// A path or a target is malformed.
    WrongName {
        /// The guilty entry.
        entry: u32,
        /// What is wrong with it.
        reason: PathError,
    },
    /// An entry does not come after the one before it, or the first one is not `/`.
    WrongOrder {
        /// The guilty entry.
        entry: u32,
    },
    /// An entry's parent is not a directory of the bundle.
    NoParent {
        /// The guilty entry.
        entry: u32,
    },
    /// A file's contents leave the bundle, overlap the index or are not aligned; or a directory has some.
    WrongContentsPlace {
        /// The guilty entry.
        entry: u32,
    },
    /// Bytes follow the last name inside the index.
    TrailingNames {
        /// How many.
        len_bytes: u64,
    },
    /// A file's contents were changed: their digest differs.
    WrongContentsDigest {
        /// The guilty entry.
        entry: u32,
    },
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader { len_bytes } => {
                write!(
                    f,
                    "the bundle is cut off: {len_bytes} bytes are less than its header"
                )
            }
            Self::WrongMagic => write!(f, "this is not a bundle: it does not start with KPIOBNDL"),
            Self::UnknownVersion { found } => {
                write!(
                    f,
                    "the bundle has layout {found}, only 1 is known: rebuild the image"
                )
            }
            Self::WrongLength {
                stated_bytes,
                found_bytes,
            } => write!(
                f,
                "the bundle should be {stated_bytes} bytes long but {found_bytes} are there"
            ),
            Self::WrongIndexLength { stated_bytes } => {
                write!(f, "the bundle's index cannot be {stated_bytes} bytes long")
            }
            Self::WrongIndexDigest => {
                write!(f, "the bundle's index is damaged: its SHA-256 differs")
            }
            Self::UnknownKind { entry, kind } => {
                write!(f, "entry {entry} of the bundle has the unknown kind {kind}")
            }
            Self::WrongFlags { entry, flags } => {
                write!(
                    f,
                    "entry {entry} of the bundle cannot have the flags {flags:#x}"
                )
            }
            Self::WrongNamePlace { entry } => {
                write!(
                    f,
                    "the name of entry {entry} of the bundle is not in its place"
                )
            }
            Self::WrongName { entry, reason } => {
                write!(
                    f,
                    "the name of entry {entry} of the bundle is malformed: {reason}"
                )
            }
            Self::WrongOrder { entry } => {
                write!(f, "entry {entry} of the bundle is not in order")
            }
            Self::NoParent { entry } => {
                write!(
                    f,
                    "entry {entry} of the bundle is in no directory of the bundle"
                )
            }
            Self::WrongContentsPlace { entry } => {
                write!(
                    f,
                    "the contents of entry {entry} of the bundle are not in a possible place"
                )
            }
            Self::TrailingNames { len_bytes } => {
                write!(f, "the bundle's index has {len_bytes} bytes too many")
            }
            Self::WrongContentsDigest { entry } => write!(
                f,
                "the contents of entry {entry} of the bundle are damaged: their SHA-256 differs"
            ),
        }
    }
}

impl core::error::Error for BundleError {}
