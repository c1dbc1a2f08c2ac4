//! Grants of programs: what is written is what is read, and everything else is refused.

use lib_bundle::grants::{GrantTable, Grants, GrantsError, ProgramError};
use proptest::prelude::*;

fn any_grants() -> impl Strategy<Value = Grants> {
    let small = || proptest::option::of(1..=u64::from(u32::MAX));
    let large = || proptest::option::of(1..=u64::MAX);
    let numbers = (large(), small(), small(), small(), large(), small());
    let flags = (any::<bool>(), any::<bool>());
    let interfaces = proptest::collection::btree_set("[a-z]{1,4}:[a-z-]{1,4}/[a-z]{1,4}", 0..4);
    (flags, interfaces, numbers).prop_map(|((may_spawn, may_control), interfaces, numbers)| {
        Grants {
            may_spawn,
            may_control,
            may_call: interfaces.into_iter().collect(),
            memory_bytes: numbers.0,
            cpu_percent: numbers.1,
            cpu_time_s: numbers.2,
            handles: numbers.3,
            output_bytes: numbers.4,
            processes: numbers.5,
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(programs in proptest::collection::btree_map("[a-z.+-]{1,20}", any_grants(), 0..20)) {
        let mut table = GrantTable::default();
        for (name, grants) in &programs {
            let pushed = table.push(name, grants.clone());
            prop_assert_eq!(pushed.is_ok(), *grants != Grants::default());
        }
        let read = GrantTable::parse(table.to_string().as_bytes());
        prop_assert_eq!(read.as_ref(), Ok(&table));
        for (name, grants) in &programs {
            prop_assert_eq!(read.as_ref().map(|read| read.of(name)), Ok(grants.clone()));
        }
    }

    #[test]
    fn any_bytes_end_in_a_value(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(table) = GrantTable::parse(&bytes) {
            prop_assert_eq!(GrantTable::parse(table.to_string().as_bytes()), Ok(table));
        }
    }

    #[test]
    fn any_words_end_in_a_value(line in "(a|may-spawn|may-control|may-call=|b:c/d|,|memory=|cpu-percent=|[0-9]{1,22}|=| |\n){0,12}") {
        if let Ok(table) = GrantTable::parse(line.as_bytes()) {
            prop_assert_eq!(GrantTable::parse(table.to_string().as_bytes()), Ok(table));
        }
    }
}

#[test]
fn who_is_not_listed_is_granted_nothing() {
    let table =
        GrantTable::parse(b"sh may-spawn\nrg memory=67108864 handles=32\n").expect("a list");
    assert!(table.of("sh").may_spawn);
    assert_eq!(table.of("sh").memory_bytes, None);
    assert!(!table.of("rg").may_spawn);
    assert_eq!(table.of("rg").memory_bytes, Some(64 << 20));
    assert_eq!(table.of("cat"), Grants::default());
    assert!(GrantTable::parse(b"").expect("no list").is_empty());
}

#[test]
fn what_is_wrong_is_named() {
    let line = |line, problem| Err(GrantsError::Line { line, problem });
    for (text, expected) in [
        ("sh may-spawn", Err(GrantsError::NotEnded)),
        ("\n", line(1, ProgramError::WrongName)),
        ("a may-spawn\n\n", line(2, ProgramError::WrongName)),
        ("a\n", line(1, ProgramError::Nothing)),
        ("a  may-spawn\n", line(1, ProgramError::WrongWord)),
        ("a may-spawn may-spawn\n", line(1, ProgramError::WrongWord)),
        (
            "a may-call=b:c/d may-call=b:c/d\n",
            line(1, ProgramError::WrongWord),
        ),
        ("a may-call=\n", line(1, ProgramError::WrongInterface)),
        ("a may-call=b:c\n", line(1, ProgramError::WrongInterface)),
        ("a may-call=b:c/d,\n", line(1, ProgramError::WrongInterface)),
        (
            "a may-call=b:c/d@1.0\n",
            line(1, ProgramError::WrongInterface),
        ),
        (
            "a may-call=b:c/e,b:c/d\n",
            line(1, ProgramError::WrongInterface),
        ),
        (
            "a may-control may-control\n",
            line(1, ProgramError::WrongWord),
        ),
        ("a memory=1 memory=1\n", line(1, ProgramError::WrongWord)),
        ("a memory=01\n", line(1, ProgramError::WrongWord)),
        ("a memory=-1\n", line(1, ProgramError::WrongWord)),
        (
            "a memory=18446744073709551616\n",
            line(1, ProgramError::WrongWord),
        ),
        ("a colour=1\n", line(1, ProgramError::WrongWord)),
        (
            "a may-spawn\na memory=1\n",
            line(2, ProgramError::Duplicate),
        ),
    ] {
        assert_eq!(GrantTable::parse(text.as_bytes()), expected, "{text:?}");
    }
    assert_eq!(GrantTable::parse(b"\xff\n"), Err(GrantsError::NotUtf8));
    let long = "a may-spawn\n".repeat(100_000);
    assert_eq!(
        GrantTable::parse(long.as_bytes()),
        Err(GrantsError::TooLong)
    );
    let error = GrantTable::parse(b"a cpu-percent=0\n").unwrap_err();
    assert!(
        error.to_string().contains("`cpu-percent` must be"),
        "{error}"
    );
}
