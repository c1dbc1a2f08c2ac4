//! The editor behind a prompt: keys change the line, and the terminal is brought up to date.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::BELL;
use crate::history::History;
use crate::key::{Key, KeyDecoder};
use crate::line::{Line, columns, first_columns, last_columns};
use crate::search::Search;

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
    search: Option<Search>,
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
            search: None,
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
        if let Some(search) = self.search.take()
            && !search.is_escaped
        {
            self.take_found(search);
            self.show(echo);
        }
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
        let key = self.keys.feed(byte);
        match self.search.take() {
            Some(search) => self.go_on_searching(search, key, echo),
            None => self.press(key?, echo),
        }
    }

    fn press(&mut self, key: Key, echo: &mut Vec<u8>) -> Option<Event> {
        match key {
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
            Key::Control('R') => self.begin_search(echo),
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

    fn begin_search(&mut self, echo: &mut Vec<u8>) {
        let typed = core::mem::take(&mut self.line);
        self.line.set(typed.text());
        self.search = Some(Search::new(typed));
        self.show(echo);
    }

    /// What a key, or a part of one, does to a search: it goes on only where it is put back.
    fn go_on_searching(
        &mut self,
        mut search: Search,
        key: Option<Key>,
        echo: &mut Vec<u8>,
    ) -> Option<Event> {
        let Some(key) = key else {
            self.after_part_of_key(search, echo);
            return None;
        };
        if search.is_escaped {
            return self.press_after_escape(search, key, echo);
        }
        let history = &self.history;
        let is_found = match key {
            Key::Char(c) => search.extend(c, history),
            Key::Backspace => search.shorten(history),
            Key::Control('R') => search.older(history, self.line.text()),
            Key::Control('C' | 'G') => {
                self.line = search.typed;
                self.show(echo);
                return None;
            }
            key => {
                self.take_found(search);
                self.show(echo);
                return self.press(key, echo);
            }
        };
        self.show_found(search, is_found, echo);
        None
    }

    fn show_found(&mut self, search: Search, is_found: bool, echo: &mut Vec<u8>) {
        let found = search.found.and_then(|found| self.history.line(found));
        self.line.set(found.unwrap_or(search.typed.text()));
        self.search = Some(search);
        self.show(echo);
        if !is_found {
            echo.push(BELL);
        }
    }

    /// Escape leaves the search as far as can be seen; half a character does nothing.
    fn after_part_of_key(&mut self, mut search: Search, echo: &mut Vec<u8>) {
        let is_in_sequence = self.keys.is_in_sequence();
        if is_in_sequence && !search.is_escaped {
            core::mem::swap(&mut self.line, &mut search.typed);
            search.is_escaped = true;
            self.show(echo);
        }
        if is_in_sequence || !search.is_escaped {
            self.search = Some(search);
        }
    }

    /// An arrow key and its like take what was found; any other key comes after Escape alone.
    fn press_after_escape(
        &mut self,
        mut search: Search,
        key: Key,
        echo: &mut Vec<u8>,
    ) -> Option<Event> {
        if !matches!(key, Key::Enter | Key::Backspace | Key::Control(_)) {
            core::mem::swap(&mut self.line, &mut search.typed);
            self.take_found(search);
            self.show(echo);
        }
        self.press(key, echo)
    }

    /// The line found becomes the one that is edited, as if the person had gone back to it.
    fn take_found(&mut self, search: Search) {
        match search.found {
            Some(found) => self.history.go_to(found, search.typed.text()),
            None => self.line = search.typed,
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
        let searched = self.search.as_ref().filter(|search| !search.is_escaped);
        let row_columns = columns(&self.prompt) + self.line_columns();
        let prompt = searched.map_or(Cow::Borrowed(self.prompt.as_str()), |search| {
            Cow::Owned(search.prompt(row_columns))
        });
        let width = row_columns - columns(&prompt);
        let before = last_columns(self.line.before_cursor(), width - 1);
        let before_columns = columns(before);
        let after = first_columns(self.line.after_cursor(), width - before_columns);
        let cursor_column = columns(&prompt) + before_columns;
        let row = format!("\r{prompt}{before}{after}\x1b[K\r");
        echo.extend_from_slice(row.as_bytes());
        if cursor_column > 0 {
            echo.extend_from_slice(format!("\x1b[{cursor_column}C").as_bytes());
        }
    }
}
