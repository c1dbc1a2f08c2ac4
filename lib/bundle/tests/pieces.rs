//! A bundle in pieces has the digest of the bundle in one, however it is cut; and damage is noticed alike.

use lib_bundle::{Bundle, BundleBuilder, index_digest};
use proptest::prelude::*;

fn sample() -> Vec<u8> {
    let mut builder = BundleBuilder::new();
    builder
        .file("/bin/tool", vec![7; 5000], 3, true)
        .expect("a good path");
    builder
        .symlink("/link", "bin/tool", 5)
        .expect("a good path");
    builder.build().expect("a tree")
}

/// `bytes`, cut at `cuts`; equal cuts make empty pieces.
fn cut<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|at| at % (bytes.len() + 1)).collect();
    ends.sort_unstable();
    ends.push(bytes.len());
    let mut start = 0;
    let piece = |end| &bytes[core::mem::replace(&mut start, end)..end];
    ends.into_iter().map(piece).collect()
}

#[test]
fn no_pieces_are_no_bundle() {
    assert!(index_digest(core::iter::empty()).is_err());
}

proptest! {
    #[test]
    fn cuts_do_not_matter(
        // Most cuts fall into header and index; offsets behind the bundle wrap around.
        cuts in prop::collection::vec(prop_oneof![0..400_usize, any::<usize>()], 0..7),
        damage in prop::option::of((0..400_usize, 1..=255_u8)),
        len in prop::option::of(0..9000_usize),
    ) {
        let mut bytes = sample();
        if let Some((at, flip)) = damage {
            bytes[at] ^= flip;
        }
        if let Some(len) = len {
            bytes.truncate(len);
        }
        let whole = Bundle::open(&bytes).map(|bundle| bundle.digest());
        prop_assert_eq!(index_digest(cut(&bytes, &cuts).into_iter()), whole);
    }
}
