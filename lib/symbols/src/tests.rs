//! The builder and the reader against each other, and the reader against hostile bytes.

extern crate std;

use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;

use crate::{BuildError, NAME_LEN_BYTES_MAX, OpenError, SymbolTable, SymbolTableBuilder};

const BASE: u64 = 0xffff_ffff_8000_1000;

fn table(functions: &[(u64, u64, &str)]) -> Vec<u8> {
    let mut builder = SymbolTableBuilder::new();
    for &(address, len_bytes, name) in functions {
        builder.add(address, len_bytes, name);
    }
    builder.build().expect("the functions are near each other")
}

/// `name+offset` for an address, or nothing.
fn lookup(bytes: &[u8], address: u64) -> Option<String> {
    let symbol = SymbolTable::open(bytes).expect("a table").lookup(address)?;
    Some(std::format!("{}+{}", symbol.name, symbol.offset))
}

#[test]
fn names_are_demangled_and_found_by_any_address_inside() {
    let bytes = table(&[
        (
            BASE + 0x40,
            0x20,
            "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE",
        ),
        (BASE, 0x40, "_RNvCs1234_7mycrate3foo"),
        (BASE + 0x100, 0x10, "memcpy"),
    ]);
    assert_eq!(SymbolTable::open(&bytes).map(|table| table.len()), Ok(3));
    assert_eq!(lookup(&bytes, BASE).as_deref(), Some("mycrate::foo+0"));
    assert_eq!(
        lookup(&bytes, BASE + 0x3F).as_deref(),
        Some("mycrate::foo+63")
    );
    assert_eq!(
        lookup(&bytes, BASE + 0x40).as_deref(),
        Some("core::fmt::Formatter::pad+0")
    );
    assert_eq!(lookup(&bytes, BASE + 0x10F).as_deref(), Some("memcpy+15"));
    for outside in [0, BASE - 1, BASE + 0x60, BASE + 0x110, u64::MAX] {
        assert_eq!(lookup(&bytes, outside), None, "{outside:#x}");
    }
}

#[test]
fn labels_without_a_length_reach_to_the_next_function() {
    let bytes = table(&[
        (BASE, 0, "trap_entry"),
        (BASE + 9, 4, "next"),
        (BASE, 0, "alias"),
    ]);
    assert_eq!(lookup(&bytes, BASE + 8).as_deref(), Some("alias+8"));
    assert_eq!(lookup(&bytes, BASE + 9).as_deref(), Some("next+0"));
}

#[test]
fn of_two_names_for_an_address_the_longer_function_wins() {
    let bytes = table(&[(BASE, 4, "short"), (BASE, 8, "long")]);
    assert_eq!(lookup(&bytes, BASE + 5).as_deref(), Some("long+5"));
}

#[test]
fn endless_names_are_cut_between_characters() {
    let bytes = table(&[(BASE, 1, &"é".repeat(1000))]);
    let name = lookup(&bytes, BASE).expect("found");
    assert!(
        name.ends_with("é…+0") && name.len() <= NAME_LEN_BYTES_MAX + 2,
        "{name}"
    );
}

#[test]
fn an_empty_table_answers_nothing() {
    let bytes = table(&[]);
    assert!(SymbolTable::open(&bytes).is_ok_and(|table| table.is_empty()));
    assert_eq!(lookup(&bytes, 0), None);
}

#[test]
fn functions_too_far_apart_are_refused() {
    let mut builder = SymbolTableBuilder::new();
    builder.add(0, 1, "low");
    builder.add(BASE, 1, "high");
    assert_eq!(builder.build(), Err(BuildError::TooFarApart));
}

#[test]
fn what_is_no_table_is_refused_with_the_reason() {
    let bytes = table(&[(BASE, 4, "f")]);
    let mut other_magic = bytes.clone();
    other_magic[0] ^= 1;
    let mut other_version = bytes.clone();
    other_version[8] = 9;
    for (bytes, error) in [
        (&bytes[..10], OpenError::NotATable),
        (&other_magic[..], OpenError::NotATable),
        (&other_version[..], OpenError::Version(9)),
        (&bytes[..30], OpenError::Truncated),
    ] {
        assert_eq!(SymbolTable::open(bytes).map(|_| ()), Err(error));
        assert!(error.to_string().starts_with("the symbol table"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lookup_agrees_with_a_scan(
        lens in proptest::collection::vec((1_u64..20, 0_u64..5), 1..40),
        target in 0_u64..1000,
    ) {
        let mut functions = Vec::new();
        let mut address = BASE;
        for (index, (len_bytes, gap)) in lens.into_iter().enumerate() {
            functions.push((address, len_bytes, std::format!("f{index}")));
            address += len_bytes + gap;
        }
        let borrowed: Vec<_> = functions.iter().map(|(a, l, n)| (*a, *l, n.as_str())).collect();
        let target = BASE + target;
        let scanned = borrowed
            .iter()
            .find(|(start, len_bytes, _)| (*start..start + len_bytes).contains(&target))
            .map(|(start, _, name)| std::format!("{name}+{}", target - start));
        prop_assert_eq!(lookup(&table(&borrowed), target), scanned);
    }

    #[test]
    fn damaged_tables_answer_or_refuse(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<prop::sample::Index>(),
        target in 0_u64..64,
    ) {
        let mut bytes = table(&[(BASE, 8, "a"), (BASE + 8, 8, "bb"), (BASE + 20, 8, "ccc")]);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        if let Ok(table) = SymbolTable::open(&bytes) {
            // An answer must come from the bytes; that this returns at all is the claim.
            let name_len = table.lookup(BASE + target).map_or(0, |symbol| symbol.name.len());
            prop_assert!(name_len <= bytes.len());
        }
    }
}
