//! A cryptographically secure random generator: ChaCha20 with fast key erasure.
//!
//! The whole state is one 256-bit key. A request makes the ChaCha20 key stream (RFC 8439, section
//! 2.4, nonce 0, counter from 0) of that key, lets its first 32 bytes take the key's place and hands
//! out only what follows. Hence the invariants:
//! - A key makes one key stream and is then overwritten; bytes that become key are never handed out.
//! - Who learns the state learns nothing about earlier output: that would take inverting ChaCha20.
//! - A reseed exclusive-ors SHA-256 (FIPS 180-4) of the new material into the next key. Material that
//!   an attacker chose cannot make the key weaker than it was, since he does not know the other half;
//!   unknown material makes it strong again, even if the state was known. (Hashing the old key
//!   together with the material would leave a copy of it in the hash state, which is not erased.)
//!
//! The design is Bernstein's "Fast-key-erasure random-number generators" (2017). Whether the seed
//! holds enough entropy is the caller's business; nothing here reads hardware or a clock.
//!
//! Key bytes are erased where this crate holds them. Copies that the compiler spills to the stack
//! are out of reach; they belong to keys that are already replaced.

#![no_std]

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use core::fmt;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const BLOCK_BYTES: usize = 64;

/// The most that one key gives out: a bound far below the counter's end (256 GiB), so that a long
/// request does not keep an old key for long.
const OUTPUT_PER_KEY_BYTES: usize = 64 * 1024;

type Key = [u8; KEY_BYTES];

/// The generator. Not `Clone`, since two with one state would give the same output, and without a
/// `Debug` that shows the key.
pub struct Csprng {
    key: Zeroizing<Key>,
}

impl Csprng {
    /// A generator whose output is determined by `seed`, any number of bytes.
    ///
    /// It is only as unpredictable as the seed: that needs 256 bits of entropy, however many bytes
    /// these are spread over.
    pub fn from_seed(seed: &[u8]) -> Self {
        Self { key: digest(seed) }
    }

    /// Mixes `material`, any number of bytes, into the state. Never makes it more predictable.
    pub fn reseed(&mut self, material: &[u8]) {
        let mixed_in = digest(material);
        let first_block = self.key_stream().next_block();
        for ((key, fresh), mixed) in self.key.iter_mut().zip(&*first_block).zip(&*mixed_in) {
            *key = fresh ^ mixed;
        }
    }

    /// Overwrites `output` with random bytes and replaces the key. Never fails.
    pub fn fill(&mut self, output: &mut [u8]) {
        for part in output.chunks_mut(OUTPUT_PER_KEY_BYTES) {
            self.fill_part(part);
        }
    }

    /// One key's worth: the first block gives the next key and, if that is all that is wanted, up to
    /// 32 bytes of output; else output begins with the second block.
    fn fill_part(&mut self, output: &mut [u8]) {
        let mut stream = self.key_stream();
        let first_block = stream.next_block();
        let (next_key, rest) = first_block.split_at(KEY_BYTES);
        self.key.copy_from_slice(next_key);
        match rest.get(..output.len()) {
            Some(enough) => output.copy_from_slice(enough),
            None => stream.fill(output),
        }
    }

    fn key_stream(&self) -> KeyStream {
        KeyStream(ChaCha20::new((&*self.key).into(), &[0; 12].into()))
    }
}

impl fmt::Debug for Csprng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Csprng { key: not shown }")
    }
}

/// The key stream of one key, read in whole blocks: then the cipher keeps none of it. It erases its
/// own copy of the key when dropped.
struct KeyStream(ChaCha20);

impl KeyStream {
    fn next_block(&mut self) -> Zeroizing<[u8; BLOCK_BYTES]> {
        let mut block = Zeroizing::new([0; BLOCK_BYTES]);
        self.0.apply_keystream(&mut *block);
        block
    }

    /// At most [`OUTPUT_PER_KEY_BYTES`]; whatever `output` held before does not matter.
    fn fill(&mut self, output: &mut [u8]) {
        let whole_bytes = output.len() - output.len() % BLOCK_BYTES;
        let (whole, tail) = output.split_at_mut(whole_bytes);
        whole.fill(0);
        self.0.apply_keystream(whole);
        if !tail.is_empty() {
            tail.copy_from_slice(&self.next_block()[..tail.len()]);
        }
    }
}

fn digest(bytes: &[u8]) -> Zeroizing<Key> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    Sha256::new_with_prefix(bytes).finalize_into((&mut *key).into());
    key
}

#[cfg(test)]
mod tests;
