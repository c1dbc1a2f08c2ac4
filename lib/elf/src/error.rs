//! Why a file cannot be loaded.

use core::fmt;

/// What is wrong with an executable. `header` is the number of the guilty program header, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElfError {
    /// It does not start as ELF files do.
    NotElf,
    /// Not little-endian ELF64 for x86-64.
    WrongMachine,
    /// Not an executable that is complete in itself: an object, a library, or dynamically linked.
    NotStatic,
    /// A header lies behind the end of the file.
    CutOff,
    /// The table of program headers has an unknown format or is too long.
    WrongHeaderTable {
        /// Length of one header in bytes, as stated.
        header_len: u16,
        /// Number of headers, as stated.
        count: u16,
    },
    /// More than [`crate::SEGMENTS_MAX`] loadable segments.
    TooManySegments,
    /// A segment's bytes lie behind the end of the file.
    SegmentOutsideFile {
        /// The guilty header.
        header: u16,
    },
    /// A segment has more bytes in the file than in memory.
    SegmentLongerThanMemory {
        /// The guilty header.
        header: u16,
    },
    /// A segment does not start on a page.
    SegmentNotAligned {
        /// The guilty header.
        header: u16,
    },
    /// A segment leaves the range of addresses that it may use.
    SegmentNotAllowed {
        /// The guilty header.
        header: u16,
    },
    /// A segment is writable and executable.
    SegmentWritableAndExecutable {
        /// The guilty header.
        header: u16,
    },
    /// A segment shares a page with one before it, or comes out of order.
    SegmentOverlaps {
        /// The guilty header.
        header: u16,
    },
    /// The entry is in no executable segment.
    EntryNotExecutable {
        /// Virtual address of the entry.
        entry: u64,
    },
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotElf => write!(f, "it is not an ELF file"),
            Self::WrongMachine => write!(f, "it is not a 64-bit ELF file for x86-64"),
            Self::NotStatic => write!(f, "it is not a statically linked executable"),
            Self::CutOff => write!(f, "it is cut off inside its headers"),
            Self::WrongHeaderTable { header_len, count } => write!(
                f,
                "it has an impossible table of {count} program headers of {header_len} bytes"
            ),
            Self::TooManySegments => write!(f, "it has too many segments"),
            Self::SegmentOutsideFile { header } => {
                write!(f, "it is cut off: segment {header} ends behind its end")
            }
            Self::SegmentLongerThanMemory { header } => {
                write!(
                    f,
                    "segment {header} has more bytes in the file than in memory"
                )
            }
            Self::SegmentNotAligned { header } => {
                write!(f, "segment {header} does not start on a page")
            }
            Self::SegmentNotAllowed { header } => {
                write!(f, "segment {header} leaves the addresses that it may use")
            }
            Self::SegmentWritableAndExecutable { header } => {
                write!(f, "segment {header} is both writable and executable")
            }
            Self::SegmentOverlaps { header } => {
                write!(
                    f,
                    "segment {header} overlaps the one before it or is out of order"
                )
            }
            Self::EntryNotExecutable { entry } => {
                write!(f, "its entry {entry:#x} is in no executable segment")
            }
        }
    }
}

impl core::error::Error for ElfError {}
