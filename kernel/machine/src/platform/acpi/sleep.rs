//! The sleep type of S5, read from the DSDT without an AML interpreter.
//!
//! Law: `\_S5_` is a package of small constants in practically every DSDT (ACPI 6.5, section 7.4.2
//! asks for it), so its encoding can be recognised: `NameOp`, an optional root character, `_S5_`,
//! `PackageOp`, the package's length, the number of elements, then the elements. Only that exact
//! shape is accepted, at every place where the name occurs; all else is skipped. A wrong find costs
//! a power-off that does nothing, never memory.
//!
//! Source: ACPI 6.5, sections 20.2.3 (constants), 20.2.4 (package length), 20.2.5.1 (names).

const NAME_OP: u8 = 0x08;
const ROOT_CHARACTER: u8 = b'\\';
const PACKAGE_OP: u8 = 0x12;
const ZERO_OP: u8 = 0x00;
const ONE_OP: u8 = 0x01;
const BYTE_PREFIX: u8 = 0x0a;
const WORD_PREFIX: u8 = 0x0b;
const DWORD_PREFIX: u8 = 0x0c;
/// SLP_TYP is a field of three bits.
const SLEEP_TYPE_MAX: u32 = 7;

/// The values of SLP_TYP for one sleep state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SleepType {
    /// For PM1a control, 0..=7.
    pub pm1a: u8,
    /// For PM1b control, 0..=7.
    pub pm1b: u8,
}

/// Finds `_S5_` in the bytes of a DSDT.
pub(super) fn find_s5(dsdt: &[u8]) -> Option<SleepType> {
    const NAME: &[u8] = b"_S5_";
    dsdt.windows(NAME.len())
        .enumerate()
        .filter(|(_, window)| *window == NAME)
        .filter(|(at, _)| is_name_definition(&dsdt[..*at]))
        .find_map(|(at, _)| package(&dsdt[at + NAME.len()..]))
}

fn is_name_definition(before: &[u8]) -> bool {
    matches!(before, [.., NAME_OP, ROOT_CHARACTER] | [.., NAME_OP])
}

fn package(bytes: &[u8]) -> Option<SleepType> {
    let bytes = bytes.strip_prefix(&[PACKAGE_OP])?;
    // The two top bits of the first byte tell how many more the length takes.
    let length_bytes = usize::from(bytes.first()? >> 6) + 1;
    let (elements, bytes) = bytes.get(length_bytes..)?.split_first()?;
    let (pm1a, bytes) = constant(bytes)?;
    let pm1b = match elements {
        0 => return None,
        1 => pm1a,
        _ => constant(bytes)?.0,
    };
    Some(SleepType { pm1a, pm1b })
}

/// A constant that fits SLP_TYP, and what follows it.
fn constant(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (prefix, rest) = bytes.split_first()?;
    let (value, rest) = match *prefix {
        ZERO_OP => (0, rest),
        ONE_OP => (1, rest),
        BYTE_PREFIX => (u32::from(*rest.first()?), &rest[1..]),
        WORD_PREFIX => {
            let (word, rest) = rest.split_first_chunk()?;
            (u32::from(u16::from_le_bytes(*word)), rest)
        }
        DWORD_PREFIX => {
            let (dword, rest) = rest.split_first_chunk()?;
            (u32::from_le_bytes(*dword), rest)
        }
        _ => return None,
    };
    u8::try_from(value)
        .ok()
        .filter(|value| u32::from(*value) <= SLEEP_TYPE_MAX)
        .map(|value| (value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn usual_encodings_are_read() {
        let qemu = b"\x08_S5_\x12\x06\x04\x00\x00\x00\x00";
        let byte = b"junk\x08\\_S5_\x12\x0a\x04\x0a\x05\x0a\x07\x00\x00";
        let long_length = b"\x08_S5_\x12\x40\x01\x02\x0b\x05\x00\x01";
        let single = b"\x08_S5_\x12\x04\x01\x0a\x05";
        assert_eq!(find_s5(qemu), Some(SleepType { pm1a: 0, pm1b: 0 }));
        assert_eq!(find_s5(byte), Some(SleepType { pm1a: 5, pm1b: 7 }));
        assert_eq!(find_s5(long_length), Some(SleepType { pm1a: 5, pm1b: 1 }));
        assert_eq!(find_s5(single), Some(SleepType { pm1a: 5, pm1b: 5 }));
    }

    #[test]
    fn a_mention_is_not_a_definition() {
        let mention_first = b"\x70_S5_\x12\x06\x04\x0a\x06 \x08_S5_\x12\x06\x04\x0a\x03\x0a\x03";
        assert_eq!(find_s5(mention_first), Some(SleepType { pm1a: 3, pm1b: 3 }));
        assert_eq!(find_s5(b"_S5_\x12\x06\x04\x00\x00"), None);
    }

    #[test]
    fn cut_and_absurd_packages_are_refused() {
        let whole = b"\x08_S5_\x12\x0a\x04\x0a\x05\x0a\x07";
        for end in 0..whole.len() {
            assert_eq!(find_s5(&whole[..end]), None, "cut at {end}");
        }
        assert_eq!(find_s5(b"\x08_S5_\x12\x06\x00\x00\x00"), None);
        assert_eq!(find_s5(b"\x08_S5_\x12\x06\x04\x0a\x08\x0a\x08"), None);
        assert_eq!(find_s5(b"\x08_S5_\x12\x06\x04\xff\xff"), None);
    }

    proptest! {
        #[test]
        fn garbage_is_survived(before: Vec<u8>, after: Vec<u8>) {
            let bytes = [&before[..], b"\x08_S5_", &after[..]].concat();
            let fits = |found: SleepType| found.pm1a <= 7 && found.pm1b <= 7;
            prop_assert!(find_s5(&bytes).is_none_or(fits));
        }
    }
}
