//! The digest of a bundle that lies in several pieces of memory.
//!
//! Law: what [`index_digest`] accepts has a good header and an undamaged index; the index's records are for
//! [`Bundle::open`](crate::Bundle::open) to check, which needs the bundle in one piece. A loader that compares
//! the digest with a listed one needs no more. Nothing is copied but the header.

use crate::digest::{Digest, sha256_of};
use crate::error::BundleError;
use crate::format::{HEADER_HASHED_LEN, HEADER_LEN};
use crate::reader::{checked_header, checked_index_len};

/// Checks the header and the index's digest of the bundle that is `pieces`, one behind the other, and gives
/// the digest: that of [`Bundle::digest`](crate::Bundle::digest). Work: one SHA-256 over the index.
///
/// # Errors
/// As [`Bundle::open`](crate::Bundle::open), up to and including [`BundleError::WrongIndexDigest`].
pub fn index_digest<'a>(
    pieces: impl Iterator<Item = &'a [u8]> + Clone,
) -> Result<Digest, BundleError> {
    let found_bytes = pieces.clone().map(|piece| piece.len() as u64).sum();
    let header_bytes = header_bytes(pieces.clone());
    let header = checked_header(header_bytes.as_ref(), found_bytes)?;
    let index_len = checked_index_len(&header)?;
    let head = part(pieces.clone(), 0, HEADER_HASHED_LEN);
    let index = part(pieces, HEADER_LEN, index_len);
    if sha256_of(head.chain(index)) == header.digest {
        Ok(header.digest)
    } else {
        Err(BundleError::WrongIndexDigest)
    }
}

/// The first bytes of `pieces`; `None` if there are fewer than a header has.
fn header_bytes<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<[u8; HEADER_LEN]> {
    let mut header = [0; HEADER_LEN];
    let mut filled = 0;
    for bytes in part(pieces, 0, HEADER_LEN) {
        header[filled..filled + bytes.len()].copy_from_slice(bytes);
        filled += bytes.len();
    }
    (filled == HEADER_LEN).then_some(header)
}

/// The bytes from `start` up to `end`, both counted from the first piece's first byte, in pieces.
fn part<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    start: usize,
    end: usize,
) -> impl Iterator<Item = &'a [u8]> {
    pieces.scan(0, move |offset, piece| {
        let within = |at: usize| at.saturating_sub(*offset).min(piece.len());
        let bytes = &piece[within(start)..within(end)];
        *offset += piece.len();
        Some(bytes)
    })
}
