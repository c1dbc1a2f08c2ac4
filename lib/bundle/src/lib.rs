//! The read-only archive of a system image, what its programs are granted, and the hash list of the boot volume.
//!
//! Law:
//! - The bytes are hostile until their digests match. Whatever they hold, reading ends in a value or
//!   in a [`BundleError`] that names what is wrong: no panic, no allocation, and no more work than one
//!   hash of the index and one search in it for each directory.
//! - Opening a bundle verifies its header and index and nothing else. Contents have a digest each and
//!   are verified by whoever uses them first ([`Entry::verify`]), so that starting does not wait for
//!   the hash of files that nobody opens.
//! - Reading copies nothing: every path, target and content is a slice of the bytes given.
//! - A bundle is canonical: the same entries give the same bytes. No timestamps, owners or other
//!   facts of the building machine are in it except the modification times that were asked for.
//!
//! Why not tar, cpio or zip: none has a verified index that can be searched in place, and page-aligned
//! contents, from which code is mapped without a copy. Why not EROFS or squashfs: a kernel that can
//! read its own programs only through a file-system driver has one more thing to start first.
//!
//! # Layout
//! All integers are little-endian. Offsets count from the bundle's first byte.
//!
//! | bytes | what |
//! |---|---|
//! | 0..64 | header: see [`Bundle::open`] |
//! | 64.. | one record of 64 bytes per entry, sorted by (path of the parent directory, name), bytewise |
//! | then | names: each entry's path, followed by its target if it is a symbolic link, packed |
//! | then | contents of files; 4096-aligned from 4096 bytes on, otherwise 16-aligned; padding is zero |
//!
//! Header: magic `KPIOBNDL`; version (u32); entries (u32); length of all (u64); length of records and
//! names (u64); SHA-256 of the header up to here followed by records and names.
//!
//! Record: kind (u8: 1 file, 2 directory, 3 symbolic link); flags (u8: 1 executable); length of the
//! path (u16); offset of the path (u32); offset of the contents or target (u64); its length (u64);
//! modification time in nanoseconds since 1970 (u64); SHA-256 of a file's contents, zero for others.
#![no_std]

extern crate alloc;

mod builder;
mod digest;
mod error;
mod format;
pub mod grants;
pub mod manifest;
mod path;
mod pieces;
mod reader;

pub use builder::{BuildError, BundleBuilder};
pub use digest::{Digest, Hex, sha256};
pub use error::BundleError;
pub use path::{COMPONENT_LEN_MAX_BYTES, PATH_LEN_MAX_BYTES, PathError};
pub use pieces::index_digest;
pub use reader::{Bundle, Children, Entries, Entry, EntryKind};
