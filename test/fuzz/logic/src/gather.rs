//! Extents of a device, as a provider says them, moved to a buffer (`kpio:bulk/buffers`).
//!
//! Laws: what is moved is what a model moves byte by byte, with numbers that nothing goes over; where one extent lies outside, or all
//! together are too long, nothing is moved.

use runtime_host::{Extent, gather};
use test_fuzz::{Input, Subject, Target, Verdict, same};

pub const TARGET: Target = Target {
    name: "gather",
    cases: 20_000,
    len_bytes_max: 128,
    defect: "extents that are moved before all were looked at",
    try_input,
};

const LEN_BYTES_MAX: usize = 64;
const EXTENTS_MAX: usize = 6;
/// What lies in the target before.
const OLD: u8 = 0xee;

fn try_input(subject: Subject, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let source: Vec<u8> = (0..input.below(LEN_BYTES_MAX) as u8).collect();
    let mut target = vec![OLD; input.below(LEN_BYTES_MAX)];
    let count = input.below(EXTENTS_MAX);
    let extents: Vec<Extent> = (0..count).map(|_| extent(&mut input)).collect();
    let expected = model(&source, &extents, target.len());
    let moved = match subject {
        Subject::Real => gather(&source, &extents, &mut target).ok(),
        Subject::Spoiled => one_by_one(&source, &extents, &mut target),
    };
    same("how many bytes", moved, expected.as_ref().map(Vec::len))?;
    let mut whole = expected.unwrap_or_default();
    whole.resize(target.len(), OLD);
    same(&format!("the target of {extents:?}"), target, whole)
}

/// One that lies inside, more often than not.
fn extent(input: &mut Input<'_>) -> Extent {
    let is_any = input.one_in(8);
    let (offset, len) = match is_any {
        true => (input.number(), input.number()),
        false => {
            let (offset, len) = (input.below(LEN_BYTES_MAX), input.below(8));
            (offset as u64, len as u64)
        }
    };
    Extent {
        offset,
        len_bytes: len as u32,
    }
}

/// What is moved, or nothing if something does not fit.
fn model(source: &[u8], extents: &[Extent], room_bytes: usize) -> Option<Vec<u8>> {
    let mut moved = Vec::new();
    for extent in extents {
        let offset = u128::from(extent.offset);
        for place in offset..offset + u128::from(extent.len_bytes) {
            moved.push(*source.get(usize::try_from(place).ok()?)?);
        }
        // One without bytes lies somewhere too.
        usize::try_from(offset)
            .ok()
            .filter(|&at| at <= source.len())?;
    }
    (moved.len() <= room_bytes).then_some(moved)
}

/// The planted defect.
fn one_by_one(source: &[u8], extents: &[Extent], target: &mut [u8]) -> Option<usize> {
    let mut total = 0;
    for extent in extents {
        total += gather(source, &[*extent], &mut target[total..]).ok()?;
    }
    Some(total)
}
