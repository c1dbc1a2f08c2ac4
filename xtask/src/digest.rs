//! SHA-256 as this tool uses it: names for what is cached, and checks of what was fetched.

use lib_bundle::{Hex, sha256};

/// The digest of some bytes, in hexadecimal digits: what `sha256sum` prints.
pub fn hex(bytes: &[u8]) -> String {
    Hex(sha256(&[bytes])).to_string()
}

/// A name for something made from several parts; parts cannot run together.
pub fn key(parts: &[&[u8]]) -> String {
    let digests: Vec<_> = parts.iter().map(|part| sha256(&[part])).collect();
    let slices: Vec<&[u8]> = digests.iter().map(|digest| digest.as_slice()).collect();
    Hex(sha256(&slices)).to_string()
}
