//! The line editor with any bytes at all.
//!
//! Law: the line before the cursor and an entered line are text without control characters and no longer than a line may be;
//! the echo is text, no longer than prompt and line together, and moves the cursor inside the editor's columns only.

use lib_line_editor::{Event, LINE_LEN_BYTES_MAX, LineEditor};
use test_fuzz::{Input, Subject, Target, Verdict, holds};
use unicode_width::UnicodeWidthChar;

pub const TARGET: Target = Target {
    name: "line-editor",
    cases: 30_000,
    len_bytes_max: 512,
    defect: "an echo that ends in the middle of a character",
    try_input,
};

const PROMPT: &str = "/한> ";
/// The prompt's columns, the least that the editor takes for a line beside it, and the last column, which stays free.
const COLUMNS_MIN: usize = 5 + 16 + 1;
/// What an echo may hold besides prompt and line: sequences that erase and place the cursor.
const ECHO_SURPLUS_BYTES: usize = 64;

fn try_input(subject: Subject, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let columns = input.below(120);
    let mut editor = LineEditor::new(input.below(4));
    editor.set_columns(Some(columns));
    let mut screen = Row::new(columns.max(COLUMNS_MIN));
    screen.show(subject, &echo_of(|echo| editor.begin(PROMPT, echo)))?;
    for &byte in input.rest() {
        let mut event = None;
        let echo = echo_of(|echo| event = editor.feed(byte, echo));
        // What is shown for Ctrl-C stands where the line ends, and may leave the row.
        let echo = echo.strip_prefix(b"^C").unwrap_or(&echo);
        screen.show(subject, echo)?;
        check_text(editor.before_cursor())?;
        if let Some(event) = event {
            if let Event::Line(line) = event {
                check_text(&line)?;
            }
            screen.show(subject, &echo_of(|echo| editor.begin(PROMPT, echo)))?;
        }
    }
    Ok(())
}

fn echo_of(act: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut echo = Vec::new();
    act(&mut echo);
    echo
}

fn check_text(text: &str) -> Verdict {
    holds(text.len() <= LINE_LEN_BYTES_MAX, || {
        format!("a line of {} bytes", text.len())
    })?;
    holds(!text.chars().any(char::is_control), || {
        format!("a control character in {text:?}")
    })
}

/// One row of a terminal, of which only the cursor counts.
struct Row {
    columns: usize,
    cursor: usize,
}

impl Row {
    fn new(columns: usize) -> Self {
        Self { columns, cursor: 0 }
    }

    fn show(&mut self, subject: Subject, echo: &[u8]) -> Verdict {
        let echo = match subject {
            Subject::Real => echo,
            Subject::Spoiled => &echo[..echo.len().saturating_sub(1)],
        };
        let most = PROMPT.len() + LINE_LEN_BYTES_MAX + ECHO_SURPLUS_BYTES;
        holds(echo.len() <= most, || {
            format!("{} bytes of echo", echo.len())
        })?;
        let text = std::str::from_utf8(echo).map_err(|_| format!("no text: {echo:02x?}"))?;
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\r' => self.cursor = 0,
                '\n' | '\u{7}' => {}
                '\u{1b}' => self.sequence(&mut chars)?,
                c => self.cursor += c.width().unwrap_or(0),
            }
            holds(self.cursor < self.columns, || {
                format!("the cursor in column {} of {}", self.cursor, self.columns)
            })?;
        }
        Ok(())
    }

    fn sequence(&mut self, chars: &mut std::str::Chars<'_>) -> Verdict {
        let rest = chars.as_str();
        let end = rest.find(|c: char| c.is_ascii_alphabetic());
        let (parameter, rest) = rest.split_at(end.ok_or("an unfinished sequence")?);
        let number = parameter.strip_prefix('[').ok_or("an unknown sequence")?;
        let number = number.parse().unwrap_or(0);
        match rest.chars().next() {
            Some('C') => self.cursor += number,
            Some('H') => self.cursor = 0,
            Some('J' | 'K') => {}
            other => return Err(format!("a sequence that ends in {other:?}")),
        }
        *chars = rest[1..].chars();
        Ok(())
    }
}
