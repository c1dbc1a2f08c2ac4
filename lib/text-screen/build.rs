//! Packs the glyphs of the screen's font: one bit a pixel, 16 bytes a glyph.
//!
//! Law: the blocks in [`BLOCKS`] and nothing else. Spleen is drawn for screens and has strokes two pixels wide, but
//! only its Latin letters are all its own: elsewhere many characters share a glyph that looks a little like each.
//! All others are Unifont's. Its letters get strokes of two pixels as well, so that they stand beside Latin ones, its
//! lines and symbols stay as they are, and its wide glyphs are pressed into one cell, because a terminal gives
//! these characters one.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;

use unifont::Glyph;

const HEIGHT_PX: usize = 16;
const WIDTH_PX: usize = 8;

type Bitmap = [u8; HEIGHT_PX];

/// How a block is drawn.
#[derive(Clone, Copy, PartialEq)]
enum Hand {
    /// By Spleen, and where it has nothing as [`Thick`](Self::Thick).
    Spleen,
    /// By Unifont, with thick strokes.
    Thick,
    /// By Unifont.
    Thin,
}

use Hand::{Spleen, Thick, Thin};

/// First and last character of a block, and how it is drawn.
const BLOCKS: &[(u32, u32, Hand)] = &[
    (0x0020, 0x007e, Spleen), // ASCII
    (0x00a0, 0x017f, Spleen), // Latin-1, Latin Extended-A
    (0x0180, 0x02ff, Thick),  // Latin Extended-B, phonetics, modifiers
    (0x0370, 0x052f, Thick),  // Greek, Cyrillic
    (0x1e00, 0x1fff, Thick),  // Latin Extended Additional (Vietnamese), Greek Extended
    (0x2010, 0x2027, Thick),  // dashes, quotation marks, dots
    (0x2030, 0x205e, Thick),  // other punctuation
    (0x2070, 0x209c, Thin),   // superscripts and subscripts
    (0x20a0, 0x20c0, Thick),  // currencies
    (0x2100, 0x218b, Thin),   // letter-like symbols, fractions
    (0x2190, 0x21ff, Thick),  // arrows
    (0x2200, 0x22ff, Thick),  // mathematics
    (0x2300, 0x23ff, Thin),   // technical
    (0x2500, 0x259f, Thin),   // box drawing, blocks
    (0x25a0, 0x25ff, Thin),   // geometric shapes
    (0x2600, 0x27bf, Thin),   // symbols, dingbats
    (0x2800, 0x28ff, Thin),   // Braille
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let spleen = spleen();
    let mut ranges = String::new();
    let mut bitmaps: Vec<u8> = Vec::new();
    let mut run: Option<(u32, usize)> = None;
    let mut last = None;
    for (code, bitmap) in glyphs(&spleen) {
        let index = bitmaps.len() / HEIGHT_PX;
        if last.is_none_or(|last| last + 1 != code) {
            push_range(&mut ranges, run, index);
            run = Some((code, index));
        }
        last = Some(code);
        bitmaps.extend(bitmap);
    }
    push_range(&mut ranges, run, bitmaps.len() / HEIGHT_PX);
    let folder = env::var("OUT_DIR").expect("cargo names the output folder");
    let write = |name: &str, bytes: &[u8]| {
        fs::write(Path::new(&folder).join(name), bytes).expect("the output folder takes files");
    };
    write("bitmaps.bin", &bitmaps);
    write("ranges.rs", format!("&[{ranges}]").as_bytes());
}

fn push_range(ranges: &mut String, run: Option<(u32, usize)>, end: usize) {
    if let Some((code, index)) = run {
        *ranges += &format!("({code}, {}, {index}),", end - index);
    }
}

fn glyphs(spleen: &BTreeMap<u32, Bitmap>) -> BTreeMap<u32, Bitmap> {
    let mut glyphs = BTreeMap::new();
    for &(first, last, hand) in BLOCKS {
        for code in first..=last {
            let drawn = spleen.get(&code).filter(|_| hand == Spleen).copied();
            if let Some(bitmap) = drawn.or_else(|| from_unifont(code, hand)) {
                glyphs.insert(code, bitmap);
            }
        }
    }
    glyphs
}

fn from_unifont(code: u32, hand: Hand) -> Option<Bitmap> {
    let mut bitmap = [0; HEIGHT_PX];
    match unifont::get_glyph(char::from_u32(code)?)? {
        Glyph::Halfwidth(rows) if hand == Thin => bitmap = *rows,
        Glyph::Halfwidth(rows) => bitmap = raised(&thickened(rows)),
        Glyph::Fullwidth(rows) => {
            for (row, wide) in bitmap.iter_mut().zip(rows) {
                *row = pressed(*wide);
            }
        }
    }
    Some(bitmap)
}

/// Every pixel twice, side by side, if there is room on either side.
fn thickened(rows: &Bitmap) -> Bitmap {
    let used = rows.iter().fold(0, |used, row| used | row);
    match (used & 0x01, used & 0x80) {
        (0, _) => rows.map(|row| row | row >> 1),
        (_, 0) => rows.map(|row| row | row << 1),
        _ => *rows,
    }
}

/// The glyph on Spleen's base line, which is two rows higher, as far as there is room above it.
fn raised(rows: &Bitmap) -> Bitmap {
    const ROWS: usize = 2;
    let mut raised = *rows;
    let room = rows.iter().take_while(|row| **row == 0).count();
    raised.rotate_left(room.min(ROWS) % HEIGHT_PX);
    raised
}

/// Two pixels become one, which is set if either was.
fn pressed(wide: u16) -> u8 {
    (0..WIDTH_PX).fold(0, |row, column| {
        let pair = wide >> (2 * (WIDTH_PX - 1 - column)) & 0b11;
        row << 1 | u8::from(pair != 0)
    })
}

/// Spleen's glyphs by character. The file is a PC screen font, version 1: a header of 4 bytes (magic, mode, bytes a
/// glyph), bitmaps, then for each glyph its characters in 16 bits, ended by 0xffff; what follows 0xfffe are sequences.
fn spleen() -> BTreeMap<u32, Bitmap> {
    const HEADER_LEN_BYTES: usize = 4;
    const MODE_512_GLYPHS: u8 = 1;
    let file = spleen_font::FONT_8X16;
    assert_eq!(file[..2], [0x36, 0x04], "Spleen's file is no screen font");
    assert_eq!(usize::from(file[3]), HEIGHT_PX, "Spleen's height");
    let count = if file[2] & MODE_512_GLYPHS != 0 {
        512
    } else {
        256
    };
    let (bitmaps, table) = file[HEADER_LEN_BYTES..].split_at(count * HEIGHT_PX);
    let words: Vec<u16> = table
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let mut glyphs = BTreeMap::new();
    let of_glyphs = words.split(|word| *word == 0xffff);
    for (bitmap, characters) in bitmaps.chunks_exact(HEIGHT_PX).zip(of_glyphs) {
        let bitmap = Bitmap::try_from(bitmap).expect("a glyph has 16 rows");
        for code in characters.iter().take_while(|word| **word != 0xfffe) {
            glyphs.insert(u32::from(*code), bitmap);
        }
    }
    glyphs
}
