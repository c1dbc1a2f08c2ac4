//! Keys in, events and a screen out. The screen is a model of one row of a terminal that knows what
//! the echo uses.

extern crate std;

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;

use crate::line::columns_of;
use crate::{CookedEvent, CookedInput, Event, LINE_LEN_BYTES_MAX, LineEditor};

/// The row that the cursor is on, for characters of one column.
#[derive(Debug, Default)]
struct Row {
    cells: Vec<char>,
    cursor: usize,
    bells: usize,
    escape: Option<String>,
}

impl Row {
    fn show(&mut self, echo: &[u8]) {
        for c in std::str::from_utf8(echo)
            .expect("the echo is UTF-8")
            .chars()
        {
            match self.escape.take() {
                Some(sequence) => self.in_escape(sequence, c),
                None => self.plain(c),
            }
        }
    }

    fn plain(&mut self, c: char) {
        match c {
            '\x1b' => self.escape = Some(String::new()),
            '\r' => self.cursor = 0,
            '\n' => self.cells.clear(),
            '\x08' => self.cursor -= 1,
            '\x07' => self.bells += 1,
            _ => {
                assert!(!c.is_control(), "{c:?}");
                self.cells
                    .resize(self.cells.len().max(self.cursor + 1), ' ');
                self.cells[self.cursor] = c;
                self.cursor += 1;
            }
        }
    }

    fn in_escape(&mut self, mut sequence: String, c: char) {
        sequence.push(c);
        match (sequence.as_str(), c) {
            ("[K", _) => self.cells.truncate(self.cursor),
            ("[H", _) => self.cursor = 0,
            ("[2J", _) => self.cells.clear(),
            (_, 'C') => {
                let count = sequence[1..sequence.len() - 1].parse::<usize>();
                self.cursor += count.expect("a number of columns");
            }
            _ => self.escape = Some(sequence),
        }
    }

    fn text(&self) -> String {
        self.cells.iter().collect::<String>().trim_end().to_string()
    }
}

/// Types at a prompt `> `; gives the events and the row as it is then.
fn type_at(editor: &mut LineEditor, bytes: &[u8]) -> (Vec<Event>, Row) {
    let mut row = Row::default();
    let mut echo = Vec::new();
    let mut events = Vec::new();
    editor.begin("> ", &mut echo);
    for &byte in bytes {
        if let Some(event) = editor.feed(byte, &mut echo) {
            events.push(event);
            editor.begin("> ", &mut echo);
        }
    }
    row.show(&echo);
    (events, row)
}

/// The line that remains after typing `bytes` and Enter.
fn line_of(bytes: &[u8]) -> String {
    let (events, _) = type_at(&mut LineEditor::new(10), &[bytes, b"\r"].concat());
    match events.as_slice() {
        [Event::Line(line)] => line.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn typing_is_echoed_and_entered() {
    let mut editor = LineEditor::new(10);
    let (events, row) = type_at(&mut editor, "ls -l é".as_bytes());
    assert_eq!(
        (events.len(), row.text().as_str(), row.cursor),
        (0, "> ls -l é", 9)
    );
    let (events, row) = type_at(&mut editor, b"\r");
    assert_eq!(events, [Event::Line("ls -l é".into())]);
    assert_eq!(row.text(), ">");
}

#[test]
fn every_line_end_ends_one_line() {
    let (events, _) = type_at(&mut LineEditor::new(0), b"a\r\nb\nc\r\r");
    let lines = ["a", "b", "c", ""].map(|line| Event::Line(line.into()));
    assert_eq!(events, lines);
}

#[test]
fn keys_edit() {
    for (bytes, line) in [
        (&b"abc\x1b[D\x1b[DX"[..], "aXbc"),
        (b"abc\x01X\x05Y", "XabcY"),
        (b"abc\x1b[HX\x1b[FY", "XabcY"),
        (b"abc\x1bOHX\x1bOFY", "XabcY"),
        (b"abc\x1b[1~X\x1b[4~Y", "XabcY"),
        (b"abc\x1b[7~X\x1b[8~Y", "XabcY"),
        (b"abc\x1b[D\x1b[D\x1b[CX", "abXc"),
        (b"abc\x02\x02\x06X", "abXc"),
        (b"abc\x7f\x08X", "aX"),
        (b"abc\x01\x1b[3~\x04X", "Xc"),
        (b"one two  \x17X", "one X"),
        (b"one\x17\x17X", "X"),
        (b"abcd\x1b[D\x1b[D\x15X", "Xcd"),
        (b"abcd\x1b[D\x1b[D\x0bX", "abX"),
        (b"abc\x1b[1;5DX", "abXc"),
        (b"a\x1b[Zb\x1bxc\x1b[200~d\x1b[99999~e", "abcde"),
        ("é\u{4e00}z\x7f\x7fx".as_bytes(), "éx"),
    ] {
        assert_eq!(
            line_of(bytes),
            line,
            "{:?}",
            bytes.escape_ascii().to_string()
        );
    }
}

#[test]
fn what_is_no_text_is_dropped() {
    assert_eq!(line_of(b"a\xff\xc3\xc3\xa9b\x80\xf0\x9fc"), "aébc");
    // C1 controls are characters in UTF-8 and none for a terminal.
    assert_eq!(line_of(b"a\xc2\x9bb"), "ab");
}

#[test]
fn interrupt_drops_the_line_even_inside_a_sequence() {
    let (events, row) = type_at(&mut LineEditor::new(10), b"abc\x1b[\x03d");
    assert_eq!(events, [Event::Interrupt]);
    assert_eq!(row.text(), "> d");
}

#[test]
fn end_of_input_only_on_an_empty_line() {
    let (events, row) = type_at(&mut LineEditor::new(10), b"a\x04\x7f\x04");
    assert_eq!(events, [Event::EndOfInput]);
    assert_eq!(row.bells, 1);
}

#[test]
fn history_goes_back_and_forth_and_keeps_the_draft() {
    let mut editor = LineEditor::new(2);
    type_at(&mut editor, b"one\rtwo\rtwo\r \rthree\r");
    let (_, row) = type_at(&mut editor, b"draft\x1b[A");
    assert_eq!(row.text(), "> three");
    let (_, row) = type_at(&mut editor, b"\x1b[A\x1b[A");
    assert_eq!(
        (row.text().as_str(), row.bells),
        ("> two", 1),
        "one is forgotten"
    );
    let (_, row) = type_at(&mut editor, b"\x1b[B\x0e\x1b[B");
    assert_eq!((row.text().as_str(), row.bells), ("> draft", 1));
    let (events, _) = type_at(&mut editor, b"\x10\x10X\r");
    assert_eq!(events, [Event::Line("twoX".into())]);
}

/// An editor that has seen these lines.
fn editor_with(lines: &[&str]) -> LineEditor {
    let mut editor = LineEditor::new(10);
    for line in lines {
        type_at(&mut editor, format!("{line}\r").as_bytes());
    }
    editor
}

#[test]
fn a_search_shows_the_newest_line_and_goes_back_with_every_press() {
    let mut editor = editor_with(&["cat one", "ls two", "cat three", "cat three ", "ls four"]);
    for (keys, row, bells) in [
        (&b"dra\x12"[..], "(search)'': dra", 0),
        (b"ca", "(search)'ca': cat three", 0),
        (b"\x12", "(search)'ca': cat three", 0),
        (b"\x12", "(search)'ca': cat one", 0),
        (b"\x12", "(no match)'ca': cat one", 1),
        (b"t", "(search)'cat': cat one", 0),
        (b"x", "(no match)'catx': cat one", 1),
        (b"\x7f", "(search)'cat': cat three", 0),
        (b"\x7f\x7f\x7f", "(search)'': dra", 0),
        (b"\x7f", "(search)'': dra", 1),
        ("é".as_bytes(), "(no match)'é': dra", 1),
    ] {
        let mut shown = Row::default();
        let mut echo = Vec::new();
        for &key in keys {
            assert_eq!(editor.feed(key, &mut echo), None);
        }
        editor.show_again(&mut echo);
        shown.show(&echo);
        assert_eq!((shown.text().as_str(), shown.bells), (row, bells));
    }
}

#[test]
fn enter_runs_what_a_search_has_found() {
    let mut editor = editor_with(&["cat one", "ls two"]);
    let (events, _) = type_at(&mut editor, b"dra\x12one\r");
    assert_eq!(events, [Event::Line("cat one".into())]);
    let (events, _) = type_at(&mut editor, b"dra\x12xyz\r");
    assert_eq!(events, [Event::Line("dra".into())]);
    let mut row = Row::default();
    let mut echo = Vec::new();
    editor.begin("> ", &mut echo);
    for &byte in b"\x12two\r" {
        editor.feed(byte, &mut echo);
    }
    row.show(echo.strip_suffix(b"\r\n").expect("the row's end"));
    assert_eq!(row.text(), "> ls two", "the row that stays says what runs");
}

#[test]
fn leaving_a_search_brings_back_what_was_typed_and_its_cursor() {
    for leave in ["\x03", "\x07", "\x1b", "\x1bx", "\x1b[99~"] {
        let mut editor = editor_with(&["cat one"]);
        let keys = format!("draft\x1b[D\x12cat{leave}");
        let (events, row) = type_at(&mut editor, keys.as_bytes());
        assert_eq!(events, [], "{leave:?}");
        assert_eq!((row.text().as_str(), row.cursor), ("> draft", 6));
        let (events, _) = type_at(&mut editor, b"\x05\r");
        assert_eq!(events, [Event::Line("draft".into())], "{leave:?}");
    }
}

#[test]
fn keys_that_edit_take_what_a_search_has_found() {
    for (keys, line) in [
        (&b"\x1b[DX"[..], "cat onXe"),
        (b"\x1bODX", "cat onXe"),
        (b"\x01X", "Xcat one"),
        (b"\x1b[HX", "Xcat one"),
        (b"\x17X", "cat X"),
        (b"\x1b[AX", "ls zeroX"),
        (b"\x1b[BX", "ls twoX"),
        (b"\x1b[B\x1b[BX", "draftX"),
    ] {
        let mut editor = editor_with(&["ls zero", "cat one", "ls two"]);
        let (events, _) = type_at(&mut editor, &[b"draft\x12cat", keys, b"\r"].concat());
        assert_eq!(
            events,
            [Event::Line(line.into())],
            "{}",
            keys.escape_ascii()
        );
    }
}

#[test]
fn a_search_stays_in_the_row() {
    let mut editor = editor_with(&[&"0123456789".repeat(30)]);
    for columns in [0, 20, 30, 80] {
        editor.set_columns(Some(columns));
        let text = "0123456789".repeat(9);
        let (_, row) = type_at(&mut editor, format!("\x12{text}").as_bytes());
        assert!(row.cells.len() < columns.max(19), "{:?}", row.text());
        assert!(row.text().starts_with("(search)'"));
        assert_eq!(row.bells, 50, "the text is bounded");
        type_at(&mut editor, b"\x03");
    }
}

#[test]
fn clearing_the_screen_keeps_the_line() {
    let (_, row) = type_at(&mut LineEditor::new(1), b"abc\x1b[D\x0c");
    assert_eq!((row.text().as_str(), row.cursor), ("> abc", 4));
}

#[test]
fn long_lines_scroll_within_the_row_and_end_somewhere() {
    let mut editor = LineEditor::new(1);
    let long = "0123456789".repeat(LINE_LEN_BYTES_MAX / 10 + 1);
    let (_, row) = type_at(&mut editor, long.as_bytes());
    assert!(row.cells.len() < 80 && row.cursor < 80);
    assert_eq!(row.bells, long.len() - LINE_LEN_BYTES_MAX);
    let (_, row) = type_at(&mut editor, b"\x01");
    assert!(row.text().starts_with("> 0123456789"));
    let (events, _) = type_at(&mut editor, b"\r");
    assert_eq!(events, [Event::Line(long[..LINE_LEN_BYTES_MAX].into())]);
}

/// What the line discipline says and shows.
fn cook(bytes: &[u8]) -> (Vec<CookedEvent>, Vec<u8>) {
    let mut input = CookedInput::new();
    let mut echo = Vec::new();
    let events = bytes
        .iter()
        .filter_map(|&byte| input.feed(byte, &mut echo))
        .collect();
    (events, echo)
}

fn bytes(text: &str) -> CookedEvent {
    CookedEvent::Bytes(text.into())
}

#[test]
fn cooked_lines_can_be_corrected() {
    let (events, echo) = cook("aé\x7fb\rone two \x17x\ngone\x15y\r".as_bytes());
    assert_eq!(events, [bytes("ab\n"), bytes("one x\n"), bytes("y\n")]);
    assert!(echo.starts_with("aé\x08 \x08b\r\n".as_bytes()));
}

#[test]
fn cooked_control_keys() {
    let (events, echo) = cook(b"\x04ab\x04\x04cd\x03\x7f");
    let end = CookedEvent::EndOfInput;
    assert_eq!(
        events,
        [end.clone(), bytes("ab"), end, CookedEvent::Interrupt]
    );
    assert_eq!(echo, b"abcd^C\r\n");
    let (events, echo) = cook(b"\x1b[A\x7f\x7f\x7f\r");
    assert_eq!(events, [bytes("\n")]);
    assert_eq!(
        echo,
        [
            &b"^[[A"[..],
            b"\x08 \x08",
            b"\x08 \x08",
            b"\x08 \x08\x08 \x08",
            b"\r\n"
        ]
        .concat()
    );
}

#[test]
fn a_cooked_line_goes_on_where_it_was_left() {
    let mut echo = Vec::new();
    let mut input = CookedInput::with_line("half é".as_bytes());
    assert_eq!(input.feed(0x7f, &mut echo), None);
    assert_eq!(input.line(), b"half ");
    assert_eq!(input.feed(b'\r', &mut echo), Some(bytes("half \n")));
    let long = CookedInput::with_line(&[b'x'; 2 * LINE_LEN_BYTES_MAX]);
    assert_eq!(long.line().len(), LINE_LEN_BYTES_MAX - 1);
}

#[test]
fn cooked_lines_are_bounded() {
    let (events, echo) = cook(&[&[b'x'; 2 * LINE_LEN_BYTES_MAX][..], b"\r"].concat());
    assert!(matches!(&events[..], [CookedEvent::Bytes(line)] if line.len() == LINE_LEN_BYTES_MAX));
    assert_eq!(
        echo.iter().filter(|&&byte| byte == 7).count(),
        LINE_LEN_BYTES_MAX + 1
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() })]

    /// After any keys, the row is what drawing it anew would make it.
    #[test]
    fn the_row_always_shows_the_line(
        keys in proptest::collection::vec(prop_oneof![
            "[a-z ]".prop_map(String::into_bytes),
            prop::sample::select(std::vec![&b"\x1b[D"[..], b"\x1b[C", b"\x1b[A", b"\x1b[B", b"\x01",
                b"\x05", b"\x7f", b"\x1b[3~", b"\x15", b"\x0b", b"\x17", b"\r", b"\x03", b"\x0c", b"\x12", b"\x07", b"\x1b"])
                .prop_map(Vec::from),
            "[a-z]{30}".prop_map(String::into_bytes),
        ], 0..60),
    ) {
        let mut editor = LineEditor::new(3);
        let (_, row) = type_at(&mut editor, &keys.concat());
        let mut echo = Vec::new();
        editor.show_again(&mut echo);
        let mut fresh = Row::default();
        fresh.show(&echo);
        prop_assert_eq!(row.text(), fresh.text());
        prop_assert_eq!(row.cursor, fresh.cursor);
    }

    #[test]
    fn any_bytes_are_survived(
        input in proptest::collection::vec(
            prop_oneof![any::<u8>(), Just(0x12), Just(0x1b), Just(b'['), Just(0xE4), Just(0xB8), Just(0x80)], 0..400),
    ) {
        let mut editor = LineEditor::new(3);
        let mut cooked = CookedInput::new();
        let mut echo = Vec::new();
        for byte in input {
            if let Some(Event::Line(line)) = editor.feed(byte, &mut echo) {
                prop_assert!(line.len() <= LINE_LEN_BYTES_MAX && !line.contains(char::is_control));
            }
            if let Some(CookedEvent::Bytes(line)) = cooked.feed(byte, &mut Vec::new()) {
                prop_assert!(line.len() <= LINE_LEN_BYTES_MAX);
            }
        }
        prop_assert!(std::str::from_utf8(&echo).is_ok());
    }

    #[test]
    fn wide_characters_never_overflow_the_row(text in "[a\u{4e00}\u{301}é]{0,200}", moves in 0_usize..100) {
        let mut editor = LineEditor::new(0);
        type_at(&mut editor, &[text.as_bytes(), &b"\x02".repeat(moves)].concat());
        let mut echo = Vec::new();
        editor.show_again(&mut echo);
        let row = String::from_utf8(echo).expect("UTF-8");
        let shown = row.split("\x1b[K").next().expect("a row");
        prop_assert!(shown.trim_start_matches('\r').chars().map(columns_of).sum::<usize>() < 80);
    }
}

#[test]
fn tab_asks_for_completion_only_where_somebody_completes() {
    let mut echo = Vec::new();
    let mut plain = LineEditor::new(4);
    plain.begin("> ", &mut echo);
    assert_eq!(plain.feed(b'\t', &mut echo), None);
    let mut completing = LineEditor::new(4).completing();
    completing.begin("> ", &mut echo);
    for byte in *b"ls fi" {
        assert_eq!(completing.feed(byte, &mut echo), None);
    }
    assert_eq!(completing.feed(b'\t', &mut echo), Some(Event::Complete));
    assert_eq!(completing.before_cursor(), "ls fi");
    completing.insert_text("le\n ", &mut echo);
    assert_eq!(
        completing.feed(b'\r', &mut echo),
        Some(Event::Line("ls file ".to_string()))
    );
}

#[test]
fn a_line_scrolls_within_the_width_that_is_told() {
    let mut editor = LineEditor::new(4);
    let mut row = Row::default();
    let mut echo = Vec::new();
    editor.set_columns(Some(30));
    editor.begin("> ", &mut echo);
    for byte in b'a'..=b'z' {
        editor.feed(byte, &mut echo);
        editor.feed(byte, &mut echo);
    }
    row.show(&echo);
    assert!(row.cells.len() < 30, "{:?}", row.cells);
    assert!(row.cells.iter().collect::<String>().ends_with("yyzz"));
}
