//! The screen against a naive one, painting against painting anew, and hostile bytes.
//!
//! Proptest prints what it found and how it began; `PROPTEST_RNG_SEED` replays a run.

extern crate std;

use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use lib_text_screen::font::Part;
use lib_text_screen::{Geometry, PixelSink, Rgb};
use proptest::prelude::*;

use crate::Terminal;
use crate::cell::Cell;
use crate::palette::{BACKGROUND, BRIGHT_FOREGROUND, FOREGROUND, indexed};

const HISTORY_BYTES: usize = 4096;

fn terminal(columns: usize, lines: usize) -> Terminal {
    let geometry = Geometry {
        columns,
        lines,
        scale: 1,
    };
    Terminal::new(geometry, HISTORY_BYTES).expect("there is memory")
}

fn shown(columns: usize, lines: usize, bytes: impl AsRef<[u8]>) -> Terminal {
    let mut terminal = terminal(columns, lines);
    terminal.feed(bytes.as_ref());
    terminal
}

/// What is to be seen, without the cursor, each line without the blanks at its end.
fn text(terminal: &Terminal) -> Vec<String> {
    let screen = terminal.screen();
    let line = |line| {
        let cells = (0..screen.grid.columns()).map(|column| screen.seen(line, column));
        let text: String = cells
            .filter(|cell| cell.part != Part::Right)
            .map(|cell| cell.character)
            .collect();
        text.trim_end().to_string()
    };
    (0..screen.grid.lines()).map(line).collect()
}

fn cursor(terminal: &Terminal) -> (usize, usize) {
    let cursor = terminal.screen().cursor;
    (cursor.line, cursor.column)
}

fn cell(terminal: &Terminal, line: usize, column: usize) -> Cell {
    terminal.screen().grid.row(line)[column]
}

#[test]
fn text_stands_where_it_was_written() {
    assert_eq!(
        text(&shown(8, 3, "ab\r\ncd\te\x08f")),
        ["ab", "cd    fe", ""]
    );
    assert_eq!(text(&shown(4, 3, "abcdef")), ["abcd", "ef", ""]);
    assert_eq!(text(&shown(4, 2, "abcd\r\nef")), ["abcd", "ef"]);
    assert_eq!(text(&shown(4, 2, "1\r\n2\r\n3\r\n4")), ["3", "4"]);
    assert_eq!(text(&shown(4, 2, "a\nb")), ["a", " b"]);
}

#[test]
fn sequences_move_and_erase() {
    assert_eq!(text(&shown(6, 2, "abc\x1b[2Dx")), ["axc", ""]);
    assert_eq!(text(&shown(6, 2, "\x1b[2;3Hx\x1b[Hy")), ["y", "  x"]);
    assert_eq!(text(&shown(6, 2, "abcdef\x1b[3G\x1b[K")), ["ab", ""]);
    assert_eq!(text(&shown(6, 2, "abcdef\x1b[3G\x1b[1K")), ["   def", ""]);
    assert_eq!(text(&shown(6, 2, "ab\r\ncd\x1b[H\x1b[2J")), ["", ""]);
    assert_eq!(text(&shown(6, 2, "ab\r\ncd\x1b[1;2H\x1b[J")), ["a", ""]);
    assert_eq!(text(&shown(6, 2, "abcd\x1b[2G\x1b[2P")), ["ad", ""]);
    assert_eq!(text(&shown(6, 2, "abcd\x1b[2G\x1b[2@")), ["a  bcd", ""]);
    assert_eq!(text(&shown(6, 2, "abcd\x1b[2G\x1b[2X")), ["a  d", ""]);
    assert_eq!(text(&shown(6, 2, "ab\x1b7cd\x1b8x")), ["abxd", ""]);
    assert_eq!(cursor(&shown(6, 2, "\x1b[99;99H")), (1, 5));
    assert_eq!(cursor(&shown(6, 2, "\x1b[99A\x1b[99D")), (0, 0));
}

#[test]
fn a_region_scrolls_alone() {
    let text = |bytes: &str| text(&shown(3, 4, ["a\r\nb\r\nc\r\nd\x1b[2;3r", bytes].concat()));
    assert_eq!(text("\x1b[3;1H\nx"), ["a", "c", "x", "d"]);
    assert_eq!(text("\x1b[2;1H\x1bMx"), ["a", "x", "b", "d"]);
    assert_eq!(text("\x1b[2;1H\x1b[L"), ["a", "", "b", "d"]);
    assert_eq!(text("\x1b[2;1H\x1b[M"), ["a", "c", "", "d"]);
    assert_eq!(text("\x1b[S"), ["a", "c", "", "d"]);
    assert_eq!(text("\x1b[9T"), ["a", "", "", "d"]);
    assert_eq!(text("\x1b[4;1H\n\nx"), ["a", "b", "c", "x"]);
}

#[test]
fn colours_are_chosen_in_every_way() {
    let foreground = |sequence: &str| {
        let terminal = shown(4, 1, [sequence, "x"].concat());
        cell(&terminal, 0, 0).style.colours.foreground
    };
    assert_eq!(foreground(""), FOREGROUND);
    assert_eq!(foreground("\x1b[31m"), indexed(1));
    assert_eq!(foreground("\x1b[1;31m"), indexed(9));
    assert_eq!(foreground("\x1b[0m\x1b[1m\x1b[31m"), indexed(9));
    assert_eq!(foreground("\x1b[95m"), indexed(13));
    assert_eq!(foreground("\x1b[1m"), BRIGHT_FOREGROUND);
    assert_eq!(foreground("\x1b[38;5;208m"), Rgb::new(0xff8700));
    assert_eq!(foreground("\x1b[38:5:208m"), Rgb::new(0xff8700));
    assert_eq!(foreground("\x1b[38;5;244m"), Rgb::new(0x808080));
    assert_eq!(foreground("\x1b[38;2;1;2;3m"), Rgb::new(0x010203));
    assert_eq!(foreground("\x1b[38:2::1:2:3m"), Rgb::new(0x010203));
    assert_eq!(foreground("\x1b[38;2;1;2;999m"), FOREGROUND);
    assert_eq!(foreground("\x1b[7m"), BACKGROUND);
    assert_eq!(foreground("\x1b[8m"), BACKGROUND);
    assert_eq!(foreground("\x1b[31;39m"), FOREGROUND);
    assert_eq!(foreground("\x1b[31m\x1b[m"), FOREGROUND);
    let erased = shown(4, 1, "\x1b[44m\x1b[K");
    assert_eq!(cell(&erased, 0, 3).style.colours.background, indexed(4));
    assert!(cell(&shown(4, 1, "\x1b[4mx"), 0, 0).style.is_underlined);
}

#[test]
fn what_is_not_known_is_swallowed() {
    for sequence in [
        "\x1b]0;a title\x07",
        "\x1b]8;;http://x\x1b\\",
        "\x1bPq#0;2\x1b\\",
        "\x1b[?2004h",
        "\x1b[>4;2m",
        "\x1b[!p",
        "\x1b(0",
        "\x1b[1;2;3;4;5y",
        "\x1b[6n",
        "\x1b_x\x1b\\",
        "\x07\x00\x0e\x7f\u{85}\u{9b}",
    ] {
        let bytes = ["a", sequence, "b"].concat();
        assert_eq!(text(&shown(9, 1, &bytes)), ["ab"], "{sequence:?}");
    }
}

#[test]
fn wide_characters_take_two_cells_and_lose_both() {
    assert_eq!(text(&shown(4, 2, "漢字x")), ["漢字", "x"]);
    assert_eq!(text(&shown(3, 2, "漢字")), ["漢", "字"]);
    assert_eq!(text(&shown(4, 1, "漢\rx")), ["x"]);
    assert_eq!(text(&shown(4, 1, "漢\x1b[2Gx")), [" x"]);
    assert_eq!(text(&shown(4, 1, "a漢\x1b[2G\x1b[P")), ["a"]);
    assert_eq!(text(&shown(1, 2, "漢x")), ["漢", "x"]);
    assert_eq!(text(&shown(4, 1, "e\u{301}f")), ["ef"]);
}

#[test]
fn garbage_is_seen_as_such() {
    assert_eq!(
        text(&shown(8, 1, b"a\xffb\xe2\x82c\xc3".as_slice())),
        ["a\u{fffd}b\u{fffd}c"]
    );
}

#[test]
fn history_is_looked_at_and_left() {
    let mut terminal = shown(4, 2, "1\r\n2\r\n3\r\n4");
    terminal.scroll_view(1);
    assert_eq!(text(&terminal), ["2", "3"]);
    terminal.scroll_view(100);
    assert_eq!(text(&terminal), ["1", "2"]);
    // What is looked at stays while more is written.
    terminal.feed(b"\r\n5");
    assert_eq!(text(&terminal), ["1", "2"]);
    terminal.scroll_view(-1);
    assert_eq!(text(&terminal), ["2", "3"]);
    terminal.scroll_view(isize::MIN);
    assert_eq!(text(&terminal), ["4", "5"]);
    terminal.feed(b"\x1b[3J");
    terminal.scroll_view(isize::MAX);
    assert_eq!(text(&terminal), ["4", "5"]);
}

#[test]
fn history_keeps_to_its_room() {
    let mut terminal = terminal(20, 2);
    for number in 0..10_000 {
        terminal.feed(std::format!("line {number}\r\n").as_bytes());
    }
    let kept = terminal.screen().history.len();
    assert!(
        (20..HISTORY_BYTES / size_of::<Cell>()).contains(&kept),
        "{kept}"
    );
    terminal.scroll_view(isize::MAX);
    assert_eq!(text(&terminal)[0], std::format!("line {}", 9_999 - kept));
    (0..10_000).for_each(|_| terminal.feed(b"\n"));
    assert!(terminal.screen().history.len() <= HISTORY_BYTES / size_of::<Cell>());
}

struct Picture {
    width_px: usize,
    height_px: usize,
    pixels: Vec<Rgb>,
    rows_written: usize,
}

impl Picture {
    fn for_terminal(terminal: &Terminal) -> Self {
        let screen = terminal.screen();
        let (width_px, height_px) = (screen.grid.columns() * 8 + 3, screen.grid.lines() * 16 + 5);
        Self {
            width_px,
            height_px,
            pixels: vec![Rgb::new(0x010203); width_px * height_px],
            rows_written: 0,
        }
    }
}

impl PixelSink for Picture {
    fn width_px(&self) -> u32 {
        self.width_px as u32
    }
    fn height_px(&self) -> u32 {
        self.height_px as u32
    }
    fn write_row(&mut self, x_px: u32, y_px: u32, row: &[Rgb]) {
        let start = y_px as usize * self.width_px + x_px as usize;
        assert!(x_px as usize + row.len() <= self.width_px);
        self.pixels[start..start + row.len()].copy_from_slice(row);
        self.rows_written += 1;
    }
}

#[test]
fn only_what_changed_is_drawn() {
    let mut terminal = shown(10, 4, "abc\r\n");
    let mut picture = Picture::for_terminal(&terminal);
    assert!(terminal.paint(&mut picture, || true));
    picture.rows_written = 0;
    assert!(terminal.paint(&mut picture, || true));
    assert_eq!(picture.rows_written, 0);
    terminal.feed(b"x");
    terminal.paint(&mut picture, || true);
    // The letter, and the cursor behind it.
    assert_eq!(picture.rows_written, 2 * 16);
}

#[test]
fn painting_stops_when_told_and_goes_on() {
    let mut terminal = shown(4, 4, "a\r\nb\r\nc\r\nd");
    let mut whole = Picture::for_terminal(&terminal);
    let mut other = shown(4, 4, "a\r\nb\r\nc\r\nd");
    other.paint(&mut whole, || true);
    let mut picture = Picture::for_terminal(&terminal);
    let mut rounds = 0;
    loop {
        rounds += 1;
        let mut lines = 0;
        let is_done = terminal.paint(&mut picture, || {
            lines += 1;
            lines <= 1
        });
        assert!(!is_done);
        if picture.pixels == whole.pixels {
            break;
        }
        assert!(rounds < 10, "a line is never reached");
    }
}

#[test]
fn the_cursor_is_seen_unless_hidden() {
    let style = |bytes: &str| shown(4, 1, bytes).screen().seen(0, 1).style;
    assert_eq!(style("a").colours.background, FOREGROUND);
    assert_eq!(style("a\x1b[?25l").colours.background, BACKGROUND);
    assert_eq!(style("a\x1b[?25l\x1b[?25h").colours.background, FOREGROUND);
}

#[test]
fn a_sink_without_room_shows_nothing() {
    for (columns, lines) in [(0, 5), (5, 0), (0, 0)] {
        let geometry = Geometry {
            columns,
            lines,
            scale: 1,
        };
        let mut terminal = Terminal::new(geometry, 0).expect("there is memory");
        terminal.feed(b"text\x1b[2J");
        terminal.scroll_view(5);
        let mut picture = Picture {
            width_px: 7,
            height_px: 7,
            pixels: vec![Rgb::new(0x010203); 49],
            rows_written: 0,
        };
        assert!(terminal.paint(&mut picture, || true));
        assert!(picture.pixels.iter().all(|pixel| *pixel == BACKGROUND));
    }
}

/// A screen as one would write it first: a list of lines, of which the last are seen.
struct Naive {
    columns: usize,
    lines: usize,
    all: Vec<Vec<char>>,
    line: usize,
    column: usize,
}

impl Naive {
    fn put(&mut self, character: char) {
        match character {
            '\n' => self.line += 1,
            '\r' => self.column = 0,
            '\x08' => self.column = self.column.min(self.columns - 1).saturating_sub(1),
            _ => {
                if self.column == self.columns {
                    (self.line, self.column) = (self.line + 1, 0);
                }
                self.make_line();
                self.all[self.line][self.column] = character;
                self.column += 1;
                return;
            }
        }
        // A move takes back that the line was full.
        if character == '\n' {
            self.column = self.column.min(self.columns - 1);
        }
        self.make_line();
    }

    fn make_line(&mut self) {
        while self.all.len() <= self.line {
            self.all.push(vec![' '; self.columns]);
        }
    }

    /// The lines seen when looking back.
    fn seen(&self, back: usize) -> Vec<String> {
        let top = self.all.len().saturating_sub(self.lines);
        let start = top - back.min(top);
        (start..start + self.lines)
            .map(|line| {
                let text: String = self.all.get(line).into_iter().flatten().collect();
                text.trim_end().to_string()
            })
            .collect()
    }
}

/// Bytes that a terminal may be sent: text, halves of characters, sequences whole, broken and hostile.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        "[ a-zé漢€\r\n\t\u{8}]{0,12}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..6),
        "\x1b\\[[?>!]?[0-9;:]{0,9}[@-~]".prop_map(String::into_bytes),
        "\x1b\\[(65535|4294967296);(0|65535)[@-~]".prop_map(String::into_bytes),
        "\x1b[ -~]{1,2}".prop_map(String::into_bytes),
        "\x1b[\\]P_X^][ -~]{0,40}".prop_map(String::into_bytes),
        Just(b"\x1b[2J\x1b[H".to_vec()),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn plain_text_looks_as_modelled(
        columns in 1usize..9,
        lines in 1usize..6,
        written in "[a-c \r\n\u{8}]{0,80}",
        back in 0usize..30,
    ) {
        let mut naive = Naive { columns, lines, all: vec![vec![' '; columns]], line: 0, column: 0 };
        written.chars().for_each(|character| naive.put(character));
        let mut terminal = shown(columns, lines, &written);
        prop_assert_eq!(text(&terminal), naive.seen(0));
        terminal.scroll_view(back as isize);
        prop_assert_eq!(text(&terminal), naive.seen(back));
    }

    #[test]
    fn anything_is_survived_and_pieces_are_the_whole(
        columns in 1usize..20,
        lines in 1usize..6,
        bytes in hostile(),
        cuts in proptest::collection::vec(1usize..7, 1..9),
    ) {
        let whole = shown(columns, lines, &bytes);
        let mut pieces = terminal(columns, lines);
        let (mut rest, mut cuts) = (bytes.as_slice(), cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            pieces.feed(piece);
            rest = tail;
        }
        prop_assert_eq!(text(&whole), text(&pieces));
        prop_assert_eq!(cursor(&whole), cursor(&pieces));
    }

    #[test]
    fn painting_changes_shows_what_painting_anew_shows(
        columns in 1usize..12,
        lines in 1usize..5,
        steps in proptest::collection::vec((hostile(), -3isize..4, 0usize..6), 1..6),
    ) {
        let mut terminal = terminal(columns, lines);
        let mut picture = Picture::for_terminal(&terminal);
        let mut replay = Vec::new();
        for (bytes, scroll, painted_lines) in steps {
            terminal.feed(&bytes);
            terminal.scroll_view(scroll);
            replay.push((bytes, scroll));
            let mut left = painted_lines;
            terminal.paint(&mut picture, || { left = left.wrapping_sub(1); left < 100 });
        }
        while !terminal.paint(&mut picture, || true) {}
        let mut anew = shown(columns, lines, "");
        for (bytes, scroll) in replay {
            anew.feed(&bytes);
            anew.scroll_view(scroll);
        }
        let mut whole = Picture::for_terminal(&anew);
        anew.paint(&mut whole, || true);
        prop_assert!(picture.pixels == whole.pixels);
    }

    #[test]
    fn halves_of_wide_characters_never_part(bytes in hostile(), columns in 1usize..12) {
        let terminal = shown(columns, 3, &bytes);
        for line in 0..3 {
            let row = terminal.screen().grid.row(line);
            for (column, cell) in row.iter().enumerate() {
                match cell.part {
                    Part::Left => prop_assert_eq!(row[column + 1].part, Part::Right),
                    Part::Right => prop_assert_eq!(row[column - 1].part, Part::Left),
                    Part::Whole => {}
                }
            }
        }
    }
}
