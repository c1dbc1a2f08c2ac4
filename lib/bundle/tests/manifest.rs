//! The hash list: what is written is read again, and anything else is refused.

use lib_bundle::manifest::{Manifest, ManifestEntry, ManifestError};
use proptest::prelude::*;

fn entry(name: &str, len_bytes: u64, byte: u8) -> ManifestEntry {
    ManifestEntry {
        name: name.into(),
        len_bytes,
        digest: [byte; 32],
    }
}

#[test]
fn a_list_reads_as_it_was_written() {
    let manifest = Manifest::new(vec![entry("kernel.elf", 123, 0xab), entry("cmdline", 0, 1)]);
    let text = manifest.to_string();
    assert!(text.starts_with(&format!("{} 123 kernel.elf\n", "ab".repeat(32))));
    assert_eq!(Manifest::parse(text.as_bytes()), Ok(manifest));
}

#[test]
fn what_is_no_list_is_refused_by_line() {
    use ManifestError as E;
    let good = Manifest::new(vec![entry("kernel.elf", 1, 2)]).to_string();
    let second = |line: String| Manifest::parse(format!("{good}{line}").as_bytes());
    let hex = "0a".repeat(32);
    assert_eq!(second("\n".into()), Err(E::WrongLine { line: 2 }));
    assert_eq!(second(format!("{hex} 1\n")), Err(E::WrongLine { line: 2 }));
    assert_eq!(
        second(format!("{hex} 1 a b\n")),
        Err(E::WrongLine { line: 2 })
    );
    assert_eq!(
        second(format!("{hex}  1 a\n")),
        Err(E::WrongLine { line: 2 })
    );
    assert_eq!(
        second(format!("{} 1 a\n", hex.to_uppercase())),
        Err(E::WrongDigest { line: 2 })
    );
    assert_eq!(
        second(format!("{} 1 a\n", "+a".repeat(32))),
        Err(E::WrongDigest { line: 2 })
    );
    for len in ["01", "+1", "-1", "x", "", "99999999999999999999"] {
        assert!(second(format!("{hex} {len} a\n")).is_err(), "{len:?}");
    }
    for name in ["A", "..", "a/b", "a\\b", "\u{e9}", &"x".repeat(33)] {
        assert_eq!(
            second(format!("{hex} 1 {name}\n")),
            Err(E::WrongName { line: 2 }),
            "{name:?}"
        );
    }
    assert_eq!(second(good.clone()), Err(E::Duplicate { line: 2 }));
    assert_eq!(second(format!("{hex} 1 a")), Err(E::NotEnded));
    assert_eq!(Manifest::parse(&[0xff]), Err(E::NotUtf8));
    assert_eq!(Manifest::parse(&vec![b'\n'; 5000]), Err(E::TooLong));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_written_the_same(changes in prop::collection::vec((0..170_usize, any::<u8>()), 0..4)) {
        let mut bytes = Manifest::new(vec![entry("a", 77, 9), entry("bb", 5, 3)]).to_string().into_bytes();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        if let Ok(manifest) = Manifest::parse(&bytes) {
            prop_assert_eq!(manifest.to_string().into_bytes(), bytes);
        }
    }
}
