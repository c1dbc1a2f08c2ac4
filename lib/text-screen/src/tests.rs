//! Screens rendered into a buffer and read back cell by cell.

extern crate std;

use super::*;
use crate::font::{GLYPH_HEIGHT_PX, GLYPH_WIDTH_PX};
use proptest::prelude::*;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

const BLACK: Rgb = Rgb {
    red: 0,
    green: 0,
    blue: 0,
};
const COLOURS: Colours = Colours {
    foreground: Rgb {
        red: 255,
        green: 200,
        blue: 100,
    },
    background: BLACK,
};
const NEVER_WRITTEN: Rgb = Rgb {
    red: 1,
    green: 2,
    blue: 3,
};

struct Buffer {
    width_px: u32,
    height_px: u32,
    pixels: Vec<Rgb>,
    rows_written: usize,
}

impl Buffer {
    fn new(width_px: u32, height_px: u32) -> Self {
        let pixels = vec![NEVER_WRITTEN; (width_px * height_px) as usize];
        Self {
            width_px,
            height_px,
            pixels,
            rows_written: 0,
        }
    }

    /// A buffer for so many characters, with a few pixels to spare.
    fn of_cells(columns: usize, lines: usize) -> Self {
        let (width, height) = (columns * GLYPH_WIDTH_PX + 3, lines * GLYPH_HEIGHT_PX + 5);
        Self::new(width as u32, height as u32)
    }
}

impl PixelSink for &mut Buffer {
    fn width_px(&self) -> u32 {
        self.width_px
    }
    fn height_px(&self) -> u32 {
        self.height_px
    }
    fn write_row(&mut self, x_px: u32, y_px: u32, row: &[Rgb]) {
        assert!(x_px as usize + row.len() <= self.width_px as usize);
        assert!(y_px < self.height_px);
        let start = (y_px * self.width_px + x_px) as usize;
        self.pixels[start..start + row.len()].copy_from_slice(row);
        self.rows_written += 1;
    }
}

/// What a cell's pixels show, found by comparing them with every glyph of the font.
fn read_cell(buffer: &Buffer, column: usize, line: usize, scale: usize) -> char {
    let pixel = |x: usize, y: usize| {
        let x = (column * GLYPH_WIDTH_PX + x) * scale;
        let y = (line * GLYPH_HEIGHT_PX + y) * scale;
        buffer.pixels[y * buffer.width_px as usize + x]
    };
    (' '..='~')
        .find(|candidate| {
            let bitmap = font::find(*candidate).unwrap();
            bitmap.iter().enumerate().all(|(y, row)| {
                (0..GLYPH_WIDTH_PX).all(|x| {
                    let is_set = row << x & 0x80 != 0;
                    (pixel(x, y) == COLOURS.foreground) == is_set
                })
            })
        })
        .expect("the cell shows a character")
}

fn read_lines(buffer: &Buffer, columns: usize, lines: usize) -> Vec<String> {
    let line = |line| {
        let text: String = (0..columns)
            .map(|column| read_cell(buffer, column, line, 1))
            .collect();
        text.trim_end().to_string()
    };
    (0..lines).map(line).collect()
}

/// The screen's lines after `text`, as they stand in the pixels.
fn show(columns: usize, lines: usize, text: &str) -> Vec<String> {
    let mut buffer = Buffer::of_cells(columns, lines);
    let mut cells = vec![0; columns * lines];
    let mut screen = TextScreen::new(&mut buffer, &mut cells, COLOURS);
    assert_eq!((screen.columns(), screen.lines()), (columns, lines));
    screen.write(text);
    assert!(!buffer.pixels.contains(&NEVER_WRITTEN));
    read_lines(&buffer, columns, lines)
}

#[test]
fn glyphs_stand_in_their_cells() {
    assert_eq!(show(8, 2, "Hi, ~@!\nx"), ["Hi, ~@!", "x"]);
}

#[test]
fn long_lines_wrap_only_when_something_follows() {
    assert_eq!(show(4, 3, "abcdefghij"), ["abcd", "efgh", "ij"]);
    assert_eq!(show(4, 3, "abcd\nef"), ["abcd", "ef", ""]);
}

#[test]
fn the_screen_scrolls() {
    assert_eq!(show(3, 2, "a\nb\nc\nd"), ["c", "d"]);
    assert_eq!(show(3, 2, "abc\n\n"), ["", ""]);
    assert_eq!(show(2, 1, "abcde"), ["e"]);
}

#[test]
fn the_cursor_moves_as_told() {
    assert_eq!(show(12, 1, "a\tb"), ["a       b"]);
    assert_eq!(show(12, 1, "abc\rx"), ["xbc"]);
    assert_eq!(show(12, 1, "abc\u{8}\u{8}x"), ["axc"]);
    assert_eq!(show(12, 1, "\u{8}\u{8}x"), ["x"]);
}

#[test]
fn what_the_font_lacks_is_replaced() {
    assert_eq!(show(8, 1, "\u{1b}[2J ö\u{0}漢"), ["?[2J ???"]);
}

#[test]
fn unchanged_cells_are_not_drawn_again() {
    let mut buffer = Buffer::of_cells(4, 4);
    let mut cells = [0; 16];
    let mut screen = TextScreen::new(&mut buffer, &mut cells, COLOURS);
    screen.write("aaaa\naaaa\naaaa\naaaa");
    let before = screen.sink.rows_written;
    screen.write("\n");
    assert_eq!(screen.sink.rows_written - before, 4 * GLYPH_HEIGHT_PX);
}

#[test]
fn large_screens_get_large_characters() {
    let mut buffer = Buffer::new(3840, 64);
    let mut cells = vec![0; cells_needed(&&mut buffer)];
    let mut screen = TextScreen::new(&mut buffer, &mut cells, COLOURS);
    assert_eq!(screen.lines(), 2);
    screen.write("ab");
    assert_eq!(read_cell(&buffer, 0, 0, 2), 'a');
    assert_eq!(read_cell(&buffer, 1, 0, 2), 'b');
}

#[test]
fn too_few_cells_cost_lines_only() {
    let mut buffer = Buffer::of_cells(4, 4);
    let mut cells = [0; 11];
    let mut screen = TextScreen::new(&mut buffer, &mut cells, COLOURS);
    assert_eq!(screen.lines(), 2);
    screen.write("a\nb\nc");
    assert_eq!(read_lines(&buffer, 4, 2), ["b", "c"]);
}

#[test]
fn clearing_starts_again_in_other_colours() {
    let mut buffer = Buffer::of_cells(4, 2);
    let mut cells = [0; 8];
    let mut screen = TextScreen::new(&mut buffer, &mut cells, COLOURS);
    screen.write("abcd");
    let swapped = Colours {
        foreground: BLACK,
        background: COLOURS.foreground,
    };
    screen.clear(swapped);
    assert!(
        buffer
            .pixels
            .iter()
            .all(|pixel| *pixel == COLOURS.foreground)
    );
}

/// What `show` must answer, by a list of lines.
fn model(columns: usize, lines: usize, text: &str) -> Vec<String> {
    let mut shown: Vec<Vec<char>> = vec![vec![]];
    let mut column = 0;
    for character in text.chars() {
        if character == '\n' {
            shown.push(vec![]);
            column = 0;
            continue;
        }
        if column == columns {
            shown.push(vec![]);
            column = 0;
        }
        let printable = (' '..='~').contains(&character);
        shown
            .last_mut()
            .unwrap()
            .push(if printable { character } else { REPLACEMENT });
        column += 1;
    }
    let mut visible = shown.split_off(shown.len().saturating_sub(lines));
    visible.resize(lines, vec![]);
    visible
        .into_iter()
        .map(|line| line.into_iter().collect::<String>().trim_end().to_string())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn text_without_cursor_movement_looks_as_modelled(
        columns in 1usize..12,
        lines in 1usize..6,
        text in "[ a-z\n€\u{7f}]{0,80}",
    ) {
        prop_assert_eq!(show(columns, lines, &text), model(columns, lines, &text));
    }

    #[test]
    fn any_text_on_any_screen_is_survived(
        width_px in 0u32..60,
        height_px in 0u32..60,
        cells in 0usize..40,
        text: String,
    ) {
        let mut buffer = Buffer::new(width_px, height_px);
        let mut cells = vec![0; cells];
        TextScreen::new(&mut buffer, &mut cells, COLOURS).write(&text);
    }
}

#[test]
fn the_font_has_what_people_write() {
    let text =
        "Ärger, çà, ñ, ł, ő, Ελλάδα, τὴν, Привет, Ђ, ễ, “–”…€№½²←↑→↓⇒≤≠∞√│┌┐└┘├╬═█▓▒░▀▄■●▲✓✗♥☺⠿";
    let missing: Vec<char> = text.chars().filter(|c| font::find(*c).is_none()).collect();
    assert_eq!(missing, []);
}

#[test]
fn no_two_letters_look_the_same() {
    let ascii: Vec<_> = ('!'..='~').map(|c| font::find(c).unwrap()).collect();
    for (number, bitmap) in ascii.iter().enumerate() {
        assert!(!ascii[..number].contains(bitmap), "glyph {number} of ASCII");
        assert_ne!(*bitmap, [0; GLYPH_HEIGHT_PX]);
    }
}

/// Letters that are drawn alike in Latin, Greek and Cyrillic are alike; these are not.
#[test]
fn no_two_characters_share_a_glyph_for_want_of_one() {
    let text = "тмдгпнилйцшщ mguhl“”„\"–-═─━║│┃╔┌╭▲↑▼↓●•✗x1";
    let bitmaps: Vec<_> = text.chars().map(|c| font::find(c).unwrap()).collect();
    for (number, character) in text.chars().enumerate() {
        let twin = bitmaps[..number]
            .iter()
            .position(|other| *other == bitmaps[number]);
        let twin = twin.and_then(|twin| text.chars().nth(twin));
        assert_eq!(twin, None, "{character} looks the same");
    }
}

#[test]
fn what_the_font_lacks_is_seen() {
    let blank = font::bitmap(' ', Part::Whole);
    let lacking = font::bitmap('漢', Part::Whole);
    let garbage = font::bitmap(char::REPLACEMENT_CHARACTER, Part::Whole);
    assert_eq!(font::bitmap('\u{10ffff}', Part::Whole), lacking);
    assert!(lacking != blank && garbage != blank && garbage != lacking);
    assert_ne!(
        font::bitmap('漢', Part::Left),
        font::bitmap('漢', Part::Right)
    );
}

#[test]
fn lines_of_boxes_touch() {
    let [line, corner] = ['─', '┼'].map(|c| font::find(c).unwrap());
    assert!(line.contains(&0xff) && corner.contains(&0xff));
    assert!(font::find('│').unwrap().iter().all(|row| *row != 0));
}
