//! Bytes that are no bundle end in a value that names what is wrong, never in a panic; and a change of
//! any byte that counts is noticed.

use lib_bundle::{Bundle, BundleBuilder, BundleError, EntryKind, sha256};
use proptest::prelude::*;

const HEADER_LEN: usize = 64;
const RECORD_LEN: usize = 64;

/// Entries in the index's order: 0 `/`, 1 `/bin` and 2 `/link`, 3 `/bin/small`, 4 `/bin/tool`.
fn sample() -> Vec<u8> {
    let mut builder = BundleBuilder::new();
    builder
        .file("/bin/tool", vec![7; 5000], 3, true)
        .expect("a good path");
    builder
        .file("/bin/small", b"hello".as_slice(), 4, false)
        .expect("a good path");
    builder
        .symlink("/link", "bin/tool", 5)
        .expect("a good path");
    builder.build().expect("a tree")
}

/// Makes the header's digest right again, as somebody would who changes a bundle on purpose.
fn reseal(bytes: &mut [u8]) {
    let tables_len = u64::from_le_bytes(bytes[24..32].try_into().expect("8 bytes")) as usize;
    let Some(tables) = HEADER_LEN
        .checked_add(tables_len)
        .and_then(|end| bytes.get(HEADER_LEN..end))
    else {
        return;
    };
    let digest = sha256(&[&bytes[..32], tables]);
    bytes[32..64].copy_from_slice(&digest);
}

/// What opening says after `new` was written `at` and the digest was made right.
fn after_change(at: usize, new: &[u8]) -> BundleError {
    let mut bytes = sample();
    bytes[at..at + new.len()].copy_from_slice(new);
    reseal(&mut bytes);
    Bundle::open(&bytes).expect_err("the change is noticed")
}

fn record(entry: usize, offset: usize) -> usize {
    HEADER_LEN + entry * RECORD_LEN + offset
}

/// Uses everything that an opened bundle offers.
fn exercise(bundle: &Bundle<'_>) {
    for entry in bundle.entries() {
        assert_eq!(
            bundle.get(entry.path()).map(|found| found.number()),
            Some(entry.number())
        );
        assert_eq!(entry.target().is_some(), entry.kind() == EntryKind::Symlink);
        assert!(bundle.children(entry.path()).count() < bundle.entries().len());
        let _ = entry.verify();
    }
}

#[test]
fn every_cut_is_noticed() {
    let bytes = sample();
    for len in 0..bytes.len() {
        assert!(Bundle::open(&bytes[..len]).is_err(), "cut to {len} bytes");
    }
}

#[test]
fn every_byte_that_counts_is_covered_by_a_digest() {
    let whole = sample();
    let index_len = Bundle::open(&whole).expect("whole").index_len();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        match Bundle::open(&bytes) {
            Err(_) => assert!(at < index_len),
            Ok(bundle) => assert!(
                at >= index_len && notices_or_padding(&bundle, at),
                "byte {at}"
            ),
        }
    }
}

/// Whether a file's digest covers the changed byte `at` and says so, or no file has it.
fn notices_or_padding(bundle: &Bundle<'_>, at: usize) -> bool {
    let covers = |entry: &lib_bundle::Entry<'_>| {
        let start = entry.contents_offset() as usize;
        (start..start + entry.contents().len()).contains(&at)
    };
    bundle
        .entries()
        .filter(covers)
        .all(|entry| entry.verify().is_err())
}

#[test]
fn each_error_names_the_guilty_entry() {
    use BundleError as E;
    assert_eq!(after_change(0, b"x"), E::WrongMagic);
    assert_eq!(after_change(8, &[2]), E::UnknownVersion { found: 2 });
    assert!(matches!(after_change(16, &[9]), E::WrongLength { .. }));
    assert!(matches!(
        after_change(24, &[0xff; 8]),
        E::WrongIndexLength { .. }
    ));
    assert!(matches!(
        after_change(24, &[0; 8]),
        E::WrongIndexLength { stated_bytes: 0 }
    ));
    assert!(matches!(
        after_change(12, &[0xff; 4]),
        E::WrongIndexLength { .. }
    ));
    assert!(matches!(after_change(12, &[0; 4]), E::TrailingNames { .. }));
    assert_eq!(
        after_change(record(1, 0), &[9]),
        E::UnknownKind { entry: 1, kind: 9 }
    );
    assert_eq!(
        after_change(record(1, 1), &[1]),
        E::WrongFlags { entry: 1, flags: 1 }
    );
    assert_eq!(
        after_change(record(3, 2), &[0xff, 0xff]),
        E::WrongNamePlace { entry: 3 }
    );
    assert_eq!(
        after_change(record(3, 4), &[0]),
        E::WrongNamePlace { entry: 3 }
    );
    assert_eq!(
        after_change(record(2, 8), &[0; 8]),
        E::WrongNamePlace { entry: 2 }
    );
    assert_eq!(
        after_change(record(4, 8), &[0; 8]),
        E::WrongContentsPlace { entry: 4 }
    );
    assert_eq!(
        after_change(record(4, 16), &[0xff; 8]),
        E::WrongContentsPlace { entry: 4 }
    );
    assert_eq!(
        after_change(record(1, 8), &[16]),
        E::WrongContentsPlace { entry: 1 }
    );
}

#[test]
fn names_are_checked_where_they_lie() {
    let names = HEADER_LEN + 5 * RECORD_LEN;
    let name_of = |needle: &str| {
        let bytes = sample();
        let found = bytes[names..]
            .windows(needle.len())
            .position(|window| window == needle.as_bytes());
        names + found.expect("is in the sample")
    };
    let wrong_name = |error| matches!(error, BundleError::WrongName { .. });
    assert!(wrong_name(after_change(names, b"x")));
    assert!(wrong_name(after_change(
        name_of("/bin/small"),
        b"/bin//mall"
    )));
    assert!(wrong_name(after_change(
        name_of("/bin/small"),
        b"/bin/\xffmall"
    )));
    assert!(wrong_name(after_change(
        name_of("/bin/small"),
        b"/../.small"
    )));
    let unordered = after_change(name_of("/bin/small"), b"/bin/zmall");
    assert_eq!(unordered, BundleError::WrongOrder { entry: 4 });
    let orphan = after_change(name_of("/bin/small"), b"/bim/small");
    assert_eq!(orphan, BundleError::NoParent { entry: 3 });
    let in_a_link = after_change(name_of("/bin/tool"), b"/link/ool");
    assert_eq!(in_a_link, BundleError::NoParent { entry: 4 });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn random_changes_never_panic(
        changes in prop::collection::vec((0..HEADER_LEN + 6 * RECORD_LEN, any::<u8>()), 1..8),
        sealed in any::<bool>(),
    ) {
        let mut bytes = sample();
        for (at, value) in changes {
            bytes[at] = value;
        }
        if sealed {
            reseal(&mut bytes);
        }
        if let Ok(bundle) = Bundle::open(&bytes) {
            exercise(&bundle);
        }
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..600), head in any::<bool>()) {
        let len = bytes.len() as u64;
        if head && bytes.len() >= HEADER_LEN {
            bytes[0..8].copy_from_slice(b"KPIOBNDL");
            bytes[8..16].copy_from_slice(&[1, 0, 0, 0, 2, 0, 0, 0]);
            bytes[16..24].copy_from_slice(&len.to_le_bytes());
            bytes[24..32].copy_from_slice(&(len - HEADER_LEN as u64).to_le_bytes());
            reseal(&mut bytes);
        }
        prop_assert!(Bundle::open(&bytes).is_err());
    }
}
