//! What is said, on a terminal: whatever it is, it stays a line among others.

use lib_log_line::{Level, LogLine, plain};
use lib_terminal::{Cell, CellTerminal};
use proptest::prelude::*;

const COLUMNS: usize = 4096;
const LINES: usize = 3;

fn line(text: &str) -> LogLine<'_> {
    LogLine {
        at_ns: 1_234_567_890,
        level: Level::Warning,
        source: Some("web"),
        text,
    }
}

/// What a terminal shows of some bytes, line by line.
fn seen(bytes: &str) -> Vec<Vec<Cell>> {
    let mut terminal = CellTerminal::new(COLUMNS, LINES, 0).expect("memory");
    terminal.feed(bytes.as_bytes());
    let mut row = vec![Cell::BLANK; COLUMNS];
    let mut rows = Vec::new();
    for line in 0..LINES {
        terminal.look_at(line, &mut row);
        rows.push(row.clone());
    }
    rows
}

fn text_of(row: &[Cell]) -> String {
    let text: String = row.iter().map(|cell| cell.character).collect();
    text.trim_end().to_owned()
}

/// Bytes that want to be obeyed, among others.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let sequences = prop::sample::select(vec![
        "\x1b[2J",
        "\x1b[1A",
        "\x1b[31m",
        "\x1b]0;x\x07",
        "\r",
        "\n",
        "\t",
        "\x08",
        "\x7f",
        "\u{9b}5A",
        "\u{85}",
        "\u{2028}",
        "\u{202e}",
        "\u{2067}",
        "\u{200f}",
        "[    9.999] error   log: ",
        "\x0e",
        "\x00",
        "漢字",
        "é",
    ]);
    let part = prop_oneof![
        sequences.prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(part, 0..16).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn nothing_that_is_said_leaves_its_line(bytes in hostile()) {
        let text = plain(&String::from_utf8_lossy(&bytes));
        let shown = seen(&format!("{}\r\n{}", line(&text), line("of another")));
        let (own, another) = (text_of(&shown[0]), text_of(&shown[1]));
        prop_assert!(own.starts_with("[    1.234] warning web:"), "{own:?}");
        prop_assert_eq!(another, "[    1.234] warning web: of another");
        // The cursor is behind the second line, whose own look is as it was; nothing is in a colour.
        let expected = seen(&format!("\r\n{}", line("of another")));
        prop_assert!(shown[1] == expected[1] && shown[2] == expected[2]);
        let looks = |row: &[Cell]| row.iter().all(|cell| cell.style == Cell::BLANK.style);
        prop_assert!(looks(&shown[0]), "{own:?}");
    }

    #[test]
    fn a_text_that_is_plain_stays_as_it_is(text in "[ -~äöü漢\u{1f600}]{0,64}", other in any::<String>()) {
        prop_assert_eq!(plain(&text), text);
        let once = plain(&other);
        prop_assert_eq!(plain(&once), once);
    }
}

#[test]
fn lines_are_written_in_columns() {
    let without_source = LogLine {
        source: None,
        level: Level::Info,
        ..line("one\u{1b}")
    };
    assert_eq!(line("two").to_string(), "[    1.234] warning web: two");
    assert_eq!(
        without_source.to_string(),
        "[    1.234] info    one\u{1b}",
        "texts are made plain once, when they are said"
    );
    assert_eq!(plain("a\tb\x1b[31m\u{202e}"), "a b\\u{1b}[31m\\u{202e}");
}

#[test]
fn levels_are_known_by_their_names() {
    for level in Level::ALL {
        assert_eq!(Level::of_word(level.name()), Ok(level));
    }
    assert!(Level::ALL.is_sorted());
    let sentence = Level::of_word("lo\x1bud").expect_err("none").to_string();
    assert_eq!(
        sentence,
        "'lo\\u{1b}ud' is no level: those are error, warning, notice, info, debug, trace"
    );
}
