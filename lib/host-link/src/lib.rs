//! The codec of the host link, for both of its ends.
//!
//! `contract/host-link` is the law; this crate turns [`Message`]s into frames ([`Message::encode`],
//! [`encode_bytes`]) and received bytes into messages ([`Decoder`]).
//!
//! - The bytes received are hostile: garbage is skipped, a frame that is damaged or makes no sense is
//!   a [`DecodeError`], and decoding goes on behind it. Nothing panics.
//! - A [`Decoder`] holds one buffer of the longest frame, allocated when it is made; it never grows.
//! - Paths that reach a caller are absolute and normalised, so joining one to a folder does not leave
//!   it. Symbolic links are given as they are: create them after everything else, or a later entry
//!   could be written through one.
#![no_std]

extern crate alloc;

mod decoder;
mod encoder;
mod error;
mod frame;
mod message;
mod path;
#[cfg(test)]
mod tests;

pub use decoder::Decoder;
pub use encoder::{Stream, encode_bytes};
pub use error::{DecodeError, EncodeError};
pub use message::{Message, TreeEntry, TreeKind};
