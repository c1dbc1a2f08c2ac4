//! The editor behind a prompt: keys change the line, and the terminal is brought up to date.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::BELL;
use crate::history::History;
use crate::key::{Key, KeyDecoder};
use crate::line::{Line, columns, columns_of};

/// The width assumed of a terminal of which nothing is known, in columns.
const TERMINAL_COLUMNS: usize = 80;

/// The least that is left for the line beside a long prompt.
const LINE_COLUMNS_MIN: usize = 16;

/// What a person has done with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Entered it. The text is without its end.
    Line(String),
    /// Gave it up with Ctrl-C.
    Interrupt,
    /// Pressed Ctrl-D where there was none.
    EndOfInput,
    /// Pressed Tab, and wants the line completed. The line goes on.
    Complete,
}

/// An editor for one line after the other.
#[derive(Debug)]
pub struct LineEditor {
    keys: KeyDecoder,
    line: Line,
    history: History,
    prompt: String,
    columns: usize,
    completes: bool,
}

impl LineEditor {
    /// An editor that remembers up to `history_limit` lines.
    pub fn new(history_limit: usize) -> Self {
        Self {
            keys: KeyDecoder::default(),
            line: Line::default(),
            history: History::new(history_limit),
            prompt: String::new(),
            columns: TERMINAL_COLUMNS,
            completes: false,
        }
    }

    /// The same editor for somebody who answers [`Event::Complete`].
    pub fn completing(self) -> Self {
        Self {
            completes: true,
            ..self
        }
    }

    /// From now on the terminal is so wide, where that is known.
    pub fn set_columns(&mut self, columns: Option<usize>) {
        self.columns = columns.unwrap_or(TERMINAL_COLUMNS);
    }

    /// The part of the line in front of the cursor.
    pub fn before_cursor(&self) -> &str {
        self.line.before_cursor()
    }

    /// Inserts a text at the cursor, as far as it fits.
    pub fn insert_text(&mut self, text: &str, echo: &mut Vec<u8>) {
        text.chars()
            .filter(|c| !c.is_control())
            .for_each(|c| self.insert(c, echo));
    }

    /// Begins a line: shows `prompt`, which must not contain control characters. The cursor is
    /// expected at the start of a row.
    pub fn begin(&mut self, prompt: &str, echo: &mut Vec<u8>) {
        self.prompt = prompt.into();
        self.show(echo);
    }

    /// Shows the prompt and the line again, after something else was written on the terminal. The
    /// cursor is expected at the start of a row.
    pub fn show_again(&self, echo: &mut Vec<u8>) {
        self.show(echo);
    }

    /// Takes one byte from the terminal and appends what the terminal is to be sent for it to `echo`.
    /// After an event, [`begin`](Self::begin) starts the next line.
    pub fn feed(&mut self, byte: u8, echo: &mut Vec<u8>) -> Option<Event> {
        match self.keys.feed(byte)? {
            Key::Char(c) => self.insert(c, echo),
            Key::Enter => return Some(self.enter(echo)),
            Key::Control('C') => return Some(self.interrupt(echo)),
            Key::Control('D') if self.line.is_empty() => {
                echo.extend_from_slice(b"\r\n");
                return Some(Event::EndOfInput);
            }
            Key::Control('I') if self.completes => return Some(Event::Complete),
            Key::Control('L') => {
                echo.extend_from_slice(b"\x1b[H\x1b[2J");
                self.show(echo);
            }
            Key::Up | Key::Control('P') => self.recall(History::older, echo),
            Key::Down | Key::Control('N') => self.recall(|history, _| history.newer(), echo),
            key => self.edit(key, echo),
        }
        None
    }

    fn edit(&mut self, key: Key, echo: &mut Vec<u8>) {
        let line = &mut self.line;
        let changed = match key {
            Key::Left | Key::Control('B') => line.left(),
            Key::Right | Key::Control('F') => line.right(),
            Key::Home | Key::Control('A') => line.home(),
            Key::End | Key::Control('E') => line.end(),
            Key::Backspace => line.delete_before(),
            Key::Delete | Key::Control('D') => line.delete_after(),
            Key::Control('U') => line.delete_to_start(),
            Key::Control('K') => line.delete_to_end(),
            Key::Control('W') => line.delete_word_before(),
            _ => false,
        };
        if changed {
            self.show(echo);
        } else {
            echo.push(BELL);
        }
    }

    /// Typing at the end of a line that is not scrolled, which is nearly all typing, costs one
    /// character of echo.
    fn insert(&mut self, c: char, echo: &mut Vec<u8>) {
        if !self.line.insert(c) {
            echo.push(BELL);
        } else if self.line.after_cursor().is_empty()
            && columns(self.line.text()) < self.line_columns()
        {
            echo.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            self.show(echo);
        }
    }

    fn enter(&mut self, echo: &mut Vec<u8>) -> Event {
        echo.extend_from_slice(b"\r\n");
        let line = self.line.take();
        self.history.add(&line);
        Event::Line(line)
    }

    fn interrupt(&mut self, echo: &mut Vec<u8>) -> Event {
        echo.extend_from_slice(b"^C\r\n");
        self.line.take();
        self.history.leave();
        Event::Interrupt
    }

    fn recall(
        &mut self,
        step: impl for<'a> FnOnce(&'a mut History, &str) -> Option<&'a str>,
        echo: &mut Vec<u8>,
    ) {
        match step(&mut self.history, self.line.text()) {
            Some(recalled) => {
                self.line.set(recalled);
                self.show(echo);
            }
            None => echo.push(BELL),
        }
    }

    /// How many columns the line may take beside the prompt. The last column of the terminal stays
    /// free: terminals differ in what a character there does to the cursor.
    fn line_columns(&self) -> usize {
        self.columns
            .saturating_sub(1)
            .saturating_sub(columns(&self.prompt))
            .max(LINE_COLUMNS_MIN)
    }

    /// Draws the row anew: prompt, the part of the line around the cursor, nothing behind it.
    fn show(&self, echo: &mut Vec<u8>) {
        let width = self.line_columns();
        let before = last_columns(self.line.before_cursor(), width - 1);
        let before_columns = columns(before);
        let after = first_columns(self.line.after_cursor(), width - before_columns);
        let cursor_column = columns(&self.prompt) + before_columns;
        let row = format!("\r{}{before}{after}\x1b[K\r", self.prompt);
        echo.extend_from_slice(row.as_bytes());
        if cursor_column > 0 {
            echo.extend_from_slice(format!("\x1b[{cursor_column}C").as_bytes());
        }
    }
}

/// The longest start of `text` that fits in `width` columns.
fn first_columns(text: &str, width: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|&(_, c)| {
        used += columns_of(c);
        used > width
    });
    end.map_or(text, |(index, _)| &text[..index])
}

/// The longest end of `text` that fits in `width` columns.
fn last_columns(text: &str, width: usize) -> &str {
    let mut used = 0;
    let start = text.char_indices().rev().find(|&(_, c)| {
        used += columns_of(c);
        used > width
    });
    start.map_or(text, |(index, c)| &text[index + c.len_utf8()..])
}
