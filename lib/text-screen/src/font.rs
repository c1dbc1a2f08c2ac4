//! The font: bitmaps of 8 by 16 pixels, packed by `build.rs`.
//!
//! Law: every character has a bitmap. One that the font lacks gets a box, and U+FFFD, which stands for bytes that
//! are no text, a question mark in reverse: a person sees that there is something, and which of the two.

/// Pixels to a row of a glyph.
pub const GLYPH_WIDTH_PX: usize = 8;
/// Rows of a glyph.
pub const GLYPH_HEIGHT_PX: usize = 16;

/// A glyph's rows from the top; the leftmost pixel is the highest bit.
pub type Bitmap = [u8; GLYPH_HEIGHT_PX];

/// First character of a run, how many there are, and the number of its first bitmap. Sorted.
static RANGES: &[(u32, u32, u32)] = include!(concat!(env!("OUT_DIR"), "/ranges.rs"));
static BITMAPS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bitmaps.bin"));

/// The upper and lower edge of a box, in rows.
const BOX_ROWS: core::ops::RangeInclusive<usize> = 2..=13;

/// What stands for a character. A wide character takes two cells, and has two halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of a character that takes one cell.
    Whole,
    /// The left cell of a wide one.
    Left,
    /// The right cell of a wide one.
    Right,
}

/// The bitmap of a character that takes one cell, if the font has it.
pub fn find(character: char) -> Option<Bitmap> {
    let code = u32::from(character);
    let after = RANGES.partition_point(|(first, ..)| *first <= code);
    let (first, count, index) = RANGES.get(after.checked_sub(1)?)?;
    let in_run = code - first;
    if in_run >= *count {
        return None;
    }
    let start = (index + in_run) as usize * GLYPH_HEIGHT_PX;
    BITMAPS
        .get(start..start + GLYPH_HEIGHT_PX)
        .and_then(|rows| rows.try_into().ok())
}

/// What is shown for a part of a character. The font has no wide glyphs: they are boxes.
pub fn bitmap(character: char, part: Part) -> Bitmap {
    match part {
        Part::Whole if character == char::REPLACEMENT_CHARACTER => reversed(),
        Part::Whole => find(character).unwrap_or_else(|| boxed(0b0111_1110, 0b0100_0010)),
        Part::Left => boxed(0b0111_1111, 0b0100_0000),
        Part::Right => boxed(0b1111_1110, 0b0000_0010),
    }
}

fn boxed(edge: u8, side: u8) -> Bitmap {
    let mut rows = [0; GLYPH_HEIGHT_PX];
    for (number, row) in rows.iter_mut().enumerate() {
        if BOX_ROWS.contains(&number) {
            let is_edge = [BOX_ROWS.start(), BOX_ROWS.end()].contains(&&number);
            *row = if is_edge { edge } else { side };
        }
    }
    rows
}

fn reversed() -> Bitmap {
    find('?').unwrap_or_default().map(|row| !row)
}
