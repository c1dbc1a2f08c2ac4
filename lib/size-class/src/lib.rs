//! Size classes for small blocks of memory.
//!
//! A request is rounded up to the length of its class, so that a block which one caller gave back serves the
//! next. Up to 128 bytes classes lie 16 bytes apart, above four to each doubling: from 65 bytes on less than a
//! quarter of a block is lost to rounding. Blocks above [`LEN_BYTES_MAX`] have no class.
//!
//! Units: bytes.

#![no_std]

/// How many classes there are.
pub const CLASS_COUNT: usize = 18;
/// The longest block that has a class.
pub const LEN_BYTES_MAX: usize = 1024;

/// The shortest class: a block is never shorter, since a free one carries a link.
const LEN_BYTES_MIN: usize = 48;
const FINE_STEP_BYTES: usize = 16;
/// Up to here classes lie [`FINE_STEP_BYTES`] apart.
const FINE_END_BYTES: usize = 128;
const FINE_FIRST_BEYOND: usize = FINE_END_BYTES + 1;
const FINE_CLASSES: usize = (FINE_END_BYTES - LEN_BYTES_MIN) / FINE_STEP_BYTES + 1;
/// A CPU keeps at most this much of each class, in bytes, but [`KEPT_MIN`] blocks of any.
const KEPT_BYTES: usize = 2048;
const KEPT_MIN: usize = 4;

/// The class that a block of `len_bytes` comes from; `None` for long ones.
pub const fn class_of(len_bytes: usize) -> Option<usize> {
    match len_bytes {
        ..LEN_BYTES_MIN => Some(0),
        LEN_BYTES_MIN..=FINE_END_BYTES => {
            Some((len_bytes - LEN_BYTES_MIN).div_ceil(FINE_STEP_BYTES))
        }
        FINE_FIRST_BEYOND..=LEN_BYTES_MAX => {
            let doubling = (len_bytes - 1).ilog2();
            let quarter = (len_bytes - 1 - (1 << doubling)) >> (doubling - 2);
            let doublings = (doubling - FINE_END_BYTES.ilog2()) as usize;
            Some(FINE_CLASSES + 4 * doublings + quarter)
        }
        _ => None,
    }
}

/// The length of the blocks of a class.
pub const fn len_bytes(class: usize) -> usize {
    if class < FINE_CLASSES {
        return LEN_BYTES_MIN + class * FINE_STEP_BYTES;
    }
    let (doublings, quarter) = ((class - FINE_CLASSES) / 4, (class - FINE_CLASSES) % 4);
    let start = FINE_END_BYTES << doublings;
    start + (quarter + 1) * (start / 4)
}

/// Free blocks of a class that one CPU keeps at most.
pub const fn kept_blocks(class: usize) -> usize {
    let blocks = KEPT_BYTES / len_bytes(class);
    if blocks < KEPT_MIN { KEPT_MIN } else { blocks }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The naive model: the shortest class that suffices.
    fn shortest(len: usize) -> Option<usize> {
        (0..CLASS_COUNT).find(|&class| len_bytes(class) >= len)
    }

    #[test]
    fn every_length_has_the_shortest_class_that_suffices() {
        for len in 0..=LEN_BYTES_MAX + 2000 {
            assert_eq!(class_of(len), shortest(len), "{len} bytes");
        }
        assert_eq!(class_of(usize::MAX), None);
    }

    #[test]
    fn classes_grow_and_end_at_the_longest() {
        for class in 1..CLASS_COUNT {
            assert!(len_bytes(class) > len_bytes(class - 1));
        }
        assert_eq!(len_bytes(CLASS_COUNT - 1), LEN_BYTES_MAX);
    }

    #[test]
    fn blocks_keep_the_alignment_of_malloc() {
        for class in 0..CLASS_COUNT {
            assert!(len_bytes(class).is_multiple_of(16), "class {class}");
        }
    }

    #[test]
    fn rounding_loses_less_than_a_quarter() {
        for len in 65..=LEN_BYTES_MAX {
            let rounded = len_bytes(class_of(len).unwrap());
            assert!((rounded - len) * 4 < rounded, "{len} becomes {rounded}");
        }
    }

    #[test]
    fn a_cpu_keeps_little() {
        let kept: usize = (0..CLASS_COUNT)
            .map(|class| kept_blocks(class) * len_bytes(class))
            .sum();
        assert!(kept < 48 * 1024, "{kept} bytes");
        assert!((0..CLASS_COUNT).all(|class| kept_blocks(class) >= KEPT_MIN));
    }
}
