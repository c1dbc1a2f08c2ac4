//! Damage of a picture, as a client says it, moved to another picture (`kpio:bulk/buffers`).
//!
//! Laws: what is moved is what a model moves pixel by pixel, with numbers that nothing goes over; where the damage lies in one of the
//! pictures only, nothing is moved. A damage without pixels may be refused, and moves nothing.

use runtime_host::{Rectangle, blit};
use test_fuzz::{Input, Subject, Target, Verdict, same};

pub const TARGET: Target = Target {
    name: "blit",
    cases: 20_000,
    len_bytes_max: 64,
    defect: "a picture that is read by the other one's width",
    try_input,
};

/// Columns and rows of a picture, at most.
const SIDE_MAX: usize = 9;
const PIXEL_BYTES: usize = 4;
/// What the target is made of before.
const OLD: u8 = 0xee;

/// A picture: its bytes, and a width that may be somebody's lie.
struct Picture {
    bytes: Vec<u8>,
    width: u32,
}

fn try_input(subject: Subject, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let source = picture(&mut input, |place| place as u8);
    let mut target = picture(&mut input, |_| OLD);
    let damage = damage(&mut input);
    let expected = model(&source, &damage, &target);
    let source_width = match subject {
        Subject::Real => source.width,
        Subject::Spoiled => target.width,
    };
    let moved = blit(
        &source.bytes,
        source_width,
        &damage,
        &mut target.bytes,
        target.width,
    );
    if damage.width > 0 && damage.height > 0 {
        let is_moved = expected.is_some();
        same(&format!("whether {damage:?} fits"), moved.is_ok(), is_moved)?;
    }
    let old = vec![OLD; target.bytes.len()];
    let what = format!("the target of {damage:?}");
    same(&what, target.bytes, expected.unwrap_or(old))
}

fn picture(input: &mut Input<'_>, byte: fn(usize) -> u8) -> Picture {
    let (columns, rows) = (input.below(SIDE_MAX), input.below(SIDE_MAX));
    // The last row need not be whole.
    let missing = input.below(PIXEL_BYTES);
    let len_bytes = (columns * rows * PIXEL_BYTES).saturating_sub(missing);
    let width = side(input, columns);
    Picture {
        bytes: (0..len_bytes).map(byte).collect(),
        width,
    }
}

/// This number, or any.
fn side(input: &mut Input<'_>, usual: usize) -> u32 {
    match input.one_in(16) {
        true => input.number() as u32,
        false => usual as u32,
    }
}

fn damage(input: &mut Input<'_>) -> Rectangle {
    let mut number = |bound| {
        let usual = input.below(bound);
        side(input, usual)
    };
    Rectangle {
        x: number(4),
        y: number(4),
        width: number(SIDE_MAX),
        height: number(SIDE_MAX),
    }
}

/// The target with all pixels of the damage, or nothing if one of them does not lie in both pictures.
fn model(source: &Picture, damage: &Rectangle, target: &Picture) -> Option<Vec<u8>> {
    let mut painted = target.bytes.clone();
    if damage.width == 0 {
        return Some(painted);
    }
    let columns = u64::from(damage.x)..u64::from(damage.x) + u64::from(damage.width);
    let rows = u64::from(damage.y)..u64::from(damage.y) + u64::from(damage.height);
    for (x, y) in rows.flat_map(|y| columns.clone().map(move |x| (x, y))) {
        let from = pixel(source, x, y)?;
        let to = pixel(target, x, y)?;
        let bytes = &source.bytes[from..from + PIXEL_BYTES];
        painted[to..to + PIXEL_BYTES].copy_from_slice(bytes);
    }
    Some(painted)
}

/// Where a pixel begins, if it lies in the picture.
fn pixel(picture: &Picture, x: u64, y: u64) -> Option<usize> {
    let width = u64::from(picture.width);
    let place = u128::from(y) * u128::from(width) + u128::from(x);
    let begin = usize::try_from(place * PIXEL_BYTES as u128).ok()?;
    let is_inside = x < width && begin.checked_add(PIXEL_BYTES)? <= picture.bytes.len();
    is_inside.then_some(begin)
}
