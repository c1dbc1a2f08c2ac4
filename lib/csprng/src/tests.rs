//! Known answers, and the properties that the crate's head promises.

use super::{Csprng, KEY_BYTES, Key, KeyStream, OUTPUT_PER_KEY_BYTES};
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipherSeek};
use std::collections::HashSet;
use std::vec::Vec;
use std::{format, println, vec};
use zeroize::Zeroizing;

extern crate std;

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .filter_map(|c| c.to_digit(16).map(|d| d as u8))
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn with_key(key: Key) -> Csprng {
    Csprng {
        key: Zeroizing::new(key),
    }
}

fn output_of(generator: &mut Csprng, len: usize) -> Vec<u8> {
    let mut output = vec![0xaa; len];
    generator.fill(&mut output);
    output
}

/// RFC 8439, appendix A.1, test vectors 1 and 2: key and nonce zero, blocks 0 and 1.
const ZERO_KEY_BLOCKS: [&str; 2] = [
    "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7
     da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586",
    "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed
     29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
];

/// RFC 8439, section 2.3.2: the block function with a key, nonce and counter that are not zero.
#[test]
fn block_function_is_that_of_the_rfc() {
    let key: Key = core::array::from_fn(|i| i as u8);
    let mut cipher = ChaCha20::new(&key.into(), &[0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0].into());
    cipher.seek(64u64);
    let block = KeyStream(cipher).next_block();
    let expected = "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e
                    d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e";
    assert_eq!(block.as_slice(), bytes_of(expected));
}

#[test]
fn short_output_is_the_second_half_of_the_first_block() {
    let block = bytes_of(ZERO_KEY_BLOCKS[0]);
    for len in 0..=32 {
        let mut generator = with_key([0; KEY_BYTES]);
        assert_eq!(output_of(&mut generator, len), block[32..32 + len]);
        let next_key = if len == 0 {
            &[0; KEY_BYTES][..]
        } else {
            &block[..32]
        };
        assert_eq!(*generator.key, next_key);
    }
}

#[test]
fn long_output_begins_with_the_second_block() {
    let (first, second) = (bytes_of(ZERO_KEY_BLOCKS[0]), bytes_of(ZERO_KEY_BLOCKS[1]));
    for len in 33..=64 {
        let mut generator = with_key([0; KEY_BYTES]);
        assert_eq!(output_of(&mut generator, len), second[..len]);
        assert_eq!(*generator.key, first[..32]);
    }
}

/// FIPS 180-4 (its published example "abc"): the key is the seed's SHA-256.
#[test]
fn the_seed_is_hashed() {
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(*Csprng::from_seed(b"abc").key, bytes_of(expected)[..]);
}

/// Every request replaces the key, and no key, old or new, shows in any output: what is left in the
/// state after a request does not tell what that request or an earlier one gave.
#[test]
fn output_and_keys_never_meet() {
    let mut generator = Csprng::from_seed(b"backtracking");
    let mut keys = HashSet::from([*generator.key]);
    let mut outputs = Vec::new();
    for len in (1..200).chain([OUTPUT_PER_KEY_BYTES - 1, OUTPUT_PER_KEY_BYTES + 100]) {
        outputs.extend(output_of(&mut generator, len));
        assert!(keys.insert(*generator.key), "a key came back");
        generator.reseed(&[]);
        assert!(keys.insert(*generator.key), "a key came back");
    }
    assert!(
        !outputs
            .windows(KEY_BYTES)
            .any(|window| keys.contains(window))
    );
}

/// Long requests change the key on the way: the second part comes from the key that the first part
/// left, as if it had been asked for separately.
#[test]
fn long_requests_change_keys_on_the_way() {
    let (mut once, mut twice) = (Csprng::from_seed(b"x"), Csprng::from_seed(b"x"));
    let whole = output_of(&mut once, OUTPUT_PER_KEY_BYTES + 77);
    let mut parts = output_of(&mut twice, OUTPUT_PER_KEY_BYTES);
    parts.extend(output_of(&mut twice, 77));
    assert!(whole == parts);
    assert_eq!(once.key, twice.key);
}

#[test]
fn the_same_seed_gives_the_same_stream_and_others_do_not() {
    let stream = |seed: &[u8]| output_of(&mut Csprng::from_seed(seed), 64);
    assert_eq!(stream(b"one"), stream(b"one"));
    let seeds: [&[u8]; 5] = [b"", b"\0", b"\0\0", b"one", b"two"];
    assert_eq!(
        seeds.map(stream).into_iter().collect::<HashSet<_>>().len(),
        seeds.len()
    );
}

#[test]
fn a_reseed_changes_the_stream() {
    let after = |materials: &[&[u8]]| {
        let mut generator = Csprng::from_seed(b"seed");
        materials
            .iter()
            .for_each(|material| generator.reseed(material));
        output_of(&mut generator, 32)
    };
    let histories: [&[&[u8]]; 6] = [&[], &[b""], &[b"a"], &[b"b"], &[b"a", b"b"], &[b"a", b"a"]];
    let streams: HashSet<_> = histories.iter().map(|history| after(history)).collect();
    assert_eq!(streams.len(), histories.len());
}

/// Material whose hash an attacker knows does not undo the old key: with that hash removed again, the
/// new key is the block function's output, not the old key and not a constant.
#[test]
fn known_material_does_not_reveal_the_key() {
    let block = bytes_of(ZERO_KEY_BLOCKS[0]);
    let mut generator = with_key([0; KEY_BYTES]);
    generator.reseed(b"abc");
    let hash = super::digest(b"abc");
    let unmixed: Vec<u8> = generator
        .key
        .iter()
        .zip(hash.iter())
        .map(|(a, b)| a ^ b)
        .collect();
    assert_eq!(unmixed, block[..32]);
}

/// Chi-square over byte values: 255 degrees of freedom, so mean 255 and deviation 22.6; nine
/// deviations away would not happen by chance. The same for requests of every small length.
#[test]
fn bytes_are_evenly_spread() {
    let seed = std::env::var("KPIO_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("replay with KPIO_SEED={seed}");
    let mut generator = Csprng::from_seed(&seed.to_le_bytes());
    let long = output_of(&mut generator, 1 << 18);
    let short: Vec<u8> = (0..4000)
        .flat_map(|i| output_of(&mut generator, i % 67))
        .collect();
    for sample in [long, short] {
        let mut counts = [0u32; 256];
        sample
            .iter()
            .for_each(|&byte| counts[usize::from(byte)] += 1);
        let expected = sample.len() as f64 / 256.0;
        let deviations = counts
            .iter()
            .map(|&count| (f64::from(count) - expected).powi(2));
        let chi_square = deviations.sum::<f64>() / expected;
        assert!(
            (52.0..458.0).contains(&chi_square),
            "chi-square {chi_square}"
        );
    }
}

#[test]
fn debug_does_not_show_the_key() {
    let text = format!("{:?}", with_key([0x5a; KEY_BYTES]));
    assert!(
        !text.contains("90") && !text.to_lowercase().contains("5a"),
        "{text}"
    );
}
