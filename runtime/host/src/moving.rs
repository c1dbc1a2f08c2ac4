//! What is moved between buffers, as numbers that others said: judged first, moved then.
//!
//! Law: nothing is moved unless all of it can be. No sum or product of what a process says can overflow unseen.

use std::ops::Range;

use crate::BufferError;

/// Bytes of a pixel.
const PIXEL_BYTES: usize = 4;

/// Bytes that lie somewhere.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Where the first is, in bytes.
    pub offset: u64,
    /// How many.
    pub len_bytes: u32,
}

/// A part of a picture, in pixels.
#[derive(Clone, Copy, Debug)]
pub struct Rectangle {
    /// Its leftmost column.
    pub x: u32,
    /// Its topmost row.
    pub y: u32,
    /// Its columns.
    pub width: u32,
    /// Its rows.
    pub height: u32,
}

/// Moves the extents of `source` to the beginning of `target`, one behind the other. How many bytes that is.
pub fn gather(source: &[u8], extents: &[Extent], target: &mut [u8]) -> Result<usize, BufferError> {
    let mut total = 0usize;
    for extent in extents {
        let range = range_of(extent, source)?;
        total = total
            .checked_add(range.len())
            .filter(|total| *total <= target.len())
            .ok_or_else(|| beyond(target))?;
    }
    let mut rest = target;
    for extent in extents {
        let range = range_of(extent, source)?;
        let (place, after) = rest.split_at_mut(range.len());
        place.copy_from_slice(&source[range]);
        rest = after;
    }
    Ok(total)
}

/// Moves a part of the picture `source` to the same place of `target`. The widths are those of the pictures.
pub fn blit(
    source: &[u8],
    source_width: u32,
    damage: &Rectangle,
    target: &mut [u8],
    target_width: u32,
) -> Result<(), BufferError> {
    check_inside(source, source_width, damage)?;
    check_inside(target, target_width, damage)?;
    if damage.width == 0 {
        // As many empty rows as somebody likes lie in a picture without a width.
        return Ok(());
    }
    for y in damage.y..damage.y + damage.height {
        let from = row(source_width, damage, y).ok_or_else(|| beyond(source))?;
        let to = row(target_width, damage, y).ok_or_else(|| beyond(target))?;
        target[to].copy_from_slice(&source[from]);
    }
    Ok(())
}

fn range_of(extent: &Extent, source: &[u8]) -> Result<Range<usize>, BufferError> {
    let start = usize::try_from(extent.offset).ok();
    let range = start.and_then(|start| Some(start..start.checked_add(extent.len_bytes as usize)?));
    range
        .filter(|range| range.end <= source.len())
        .ok_or_else(|| beyond(source))
}

/// Whether all rows of the part lie in the picture: no part is wider than it, and the last row ends where the bytes do, or before.
fn check_inside(picture: &[u8], width: u32, part: &Rectangle) -> Result<(), BufferError> {
    let right = part.x.checked_add(part.width);
    let bottom = part.y.checked_add(part.height);
    let (Some(right), Some(bottom)) = (right, bottom) else {
        return Err(beyond(picture));
    };
    let last = bottom.saturating_sub(1);
    let ends_inside = row(width, part, last).is_some_and(|row| row.end <= picture.len());
    match right <= width && ends_inside {
        true => Ok(()),
        false => Err(beyond(picture)),
    }
}

/// The bytes of one row of a part.
fn row(width: u32, part: &Rectangle, y: u32) -> Option<Range<usize>> {
    let first = (y as usize)
        .checked_mul(width as usize)?
        .checked_add(part.x as usize)?
        .checked_mul(PIXEL_BYTES)?;
    let len_bytes = (part.width as usize).checked_mul(PIXEL_BYTES)?;
    Some(first..first.checked_add(len_bytes)?)
}

fn beyond(bytes: &[u8]) -> BufferError {
    BufferError::OutOfBounds {
        len_bytes: bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(offset: u64, len_bytes: u32) -> Extent {
        Extent { offset, len_bytes }
    }

    fn rectangle(x: u32, y: u32, width: u32, height: u32) -> Rectangle {
        Rectangle {
            x,
            y,
            width,
            height,
        }
    }

    #[test]
    fn extents_are_moved_one_behind_the_other() {
        let mut target = [9; 5];
        let moved = gather(
            b"abcdefgh",
            &[extent(6, 2), extent(0, 1), extent(7, 0)],
            &mut target,
        );
        assert_eq!(moved, Ok(3));
        assert_eq!(target, *b"gha\x09\x09");
        assert_eq!(gather(b"ab", &[], &mut target), Ok(0));
    }

    #[test]
    fn hostile_extents_move_nothing() {
        for bad in [
            vec![extent(0, 1), extent(8, 1)],
            vec![extent(0, 1), extent(u64::MAX, 1)],
            vec![extent(0, 1), extent(1, u32::MAX)],
            vec![extent(u64::MAX - 1, u32::MAX)],
            vec![extent(0, 3), extent(0, 3)],
        ] {
            let mut target = [9; 5];
            let moved = gather(b"abcdefgh", &bad, &mut target);
            assert!(
                matches!(moved, Err(BufferError::OutOfBounds { .. })),
                "{bad:?}"
            );
            assert_eq!(target, [9; 5], "{bad:?}");
        }
    }

    /// A picture whose pixels are all different.
    fn picture(width: u32, height: u32) -> Vec<u8> {
        (0..width * height * 4).map(|byte| byte as u8).collect()
    }

    #[test]
    fn a_part_of_a_picture_comes_to_the_same_place() {
        let source = picture(3, 4);
        let damage = rectangle(1, 1, 2, 3);
        let mut target = vec![0xee; 5 * 4 * 4];
        assert_eq!(blit(&source, 3, &damage, &mut target, 5), Ok(()));
        for (place, pixel) in target.chunks(4).enumerate() {
            let (x, y) = (place % 5, place / 5);
            let is_damaged = (1..3).contains(&x) && (1..4).contains(&y);
            let expected = match is_damaged {
                true => &source[(y * 3 + x) * 4..][..4],
                false => &[0xee; 4],
            };
            assert_eq!(pixel, expected, "{x} {y}");
        }
    }

    #[test]
    fn damage_outside_of_a_picture_moves_nothing() {
        let source = picture(3, 4);
        for bad in [
            rectangle(2, 0, 2, 1),
            rectangle(0, 4, 1, 1),
            rectangle(0, 3, 3, 2),
            rectangle(u32::MAX, 0, 1, 1),
            rectangle(1, 0, u32::MAX, 1),
            rectangle(0, u32::MAX, 1, 1),
            rectangle(0, 1, 1, u32::MAX),
        ] {
            let mut target = vec![0xee; source.len()];
            let moved = blit(&source, 3, &bad, &mut target, 3);
            assert!(
                matches!(moved, Err(BufferError::OutOfBounds { .. })),
                "{bad:?}"
            );
            assert!(target.iter().all(|byte| *byte == 0xee), "{bad:?}");
        }
        // Widths that are not the pictures': whatever they say, nothing outside is touched.
        for width in [0, 1, 4, u32::MAX] {
            let mut target = vec![0xee; source.len()];
            let _judged = blit(&source, 3, &rectangle(0, 0, 3, 4), &mut target, width);
            assert!(blit(&source, width, &rectangle(0, 0, 3, 4), &mut target, 3).is_err());
        }
        let mut target = vec![0xee; source.len()];
        for nothing in [rectangle(1, 1, 0, 0), rectangle(1, 1, 0, 2)] {
            assert_eq!(blit(&source, 3, &nothing, &mut target, 3), Ok(()));
        }
        let endless = rectangle(0, 0, 0, u32::MAX);
        assert_eq!(blit(&source, 0, &endless, &mut target, 0), Ok(()));
        assert!(target.iter().all(|byte| *byte == 0xee));
    }
}
