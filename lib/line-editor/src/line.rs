//! One line of text with a cursor between its characters. No terminal here.

use alloc::string::String;

use unicode_width::UnicodeWidthChar;

use crate::LINE_LEN_BYTES_MAX;

/// How many columns a character takes on a terminal.
pub(crate) fn columns_of(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// How many columns a text takes.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// The longest start of `text` that fits in `width` columns.
pub(crate) fn first_columns(text: &str, width: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|&(_, c)| {
        used += columns_of(c);
        used > width
    });
    end.map_or(text, |(index, _)| &text[..index])
}

/// The longest end of `text` that fits in `width` columns.
pub(crate) fn last_columns(text: &str, width: usize) -> &str {
    let mut used = 0;
    let start = text.char_indices().rev().find(|&(_, c)| {
        used += columns_of(c);
        used > width
    });
    start.map_or(text, |(index, c)| &text[index + c.len_utf8()..])
}

/// The text; the cursor is a byte index that always lies between characters.
#[derive(Debug, Default)]
pub(crate) struct Line {
    text: String,
    cursor: usize,
}

impl Line {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn before_cursor(&self) -> &str {
        &self.text[..self.cursor]
    }

    pub(crate) fn after_cursor(&self) -> &str {
        &self.text[self.cursor..]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Replaces everything; the cursor goes to the end.
    pub(crate) fn set(&mut self, text: &str) {
        self.text.clear();
        self.text.push_str(text);
        self.cursor = self.text.len();
    }

    /// Takes the text out and leaves an empty line.
    pub(crate) fn take(&mut self) -> String {
        self.cursor = 0;
        core::mem::take(&mut self.text)
    }

    /// Inserts at the cursor; `false` where the line is full.
    pub(crate) fn insert(&mut self, c: char) -> bool {
        let fits = self.text.len() + c.len_utf8() <= LINE_LEN_BYTES_MAX;
        if fits {
            self.text.insert(self.cursor, c);
            self.cursor += c.len_utf8();
        }
        fits
    }

    /// Each movement and deletion says whether it did anything.
    pub(crate) fn left(&mut self) -> bool {
        self.move_to(previous(self.before_cursor()))
    }

    pub(crate) fn right(&mut self) -> bool {
        let next = self.after_cursor().chars().next().map_or(0, char::len_utf8);
        self.move_to(self.cursor + next)
    }

    pub(crate) fn home(&mut self) -> bool {
        self.move_to(0)
    }

    pub(crate) fn end(&mut self) -> bool {
        self.move_to(self.text.len())
    }

    fn move_to(&mut self, cursor: usize) -> bool {
        core::mem::replace(&mut self.cursor, cursor) != cursor
    }

    pub(crate) fn delete_before(&mut self) -> bool {
        self.delete_back_to(previous(self.before_cursor()))
    }

    pub(crate) fn delete_after(&mut self) -> bool {
        let has_next = self.cursor < self.text.len();
        if has_next {
            self.text.remove(self.cursor);
        }
        has_next
    }

    pub(crate) fn delete_to_start(&mut self) -> bool {
        self.delete_back_to(0)
    }

    pub(crate) fn delete_to_end(&mut self) -> bool {
        let had_more = self.cursor < self.text.len();
        self.text.truncate(self.cursor);
        had_more
    }

    /// The word before the cursor and the blanks behind it.
    pub(crate) fn delete_word_before(&mut self) -> bool {
        let word = self.before_cursor().trim_end_matches(' ');
        let start = word.rfind(' ').map_or(0, |blank| blank + 1);
        self.delete_back_to(start)
    }

    fn delete_back_to(&mut self, start: usize) -> bool {
        self.text.drain(start..self.cursor);
        self.move_to(start)
    }
}

/// Where the last character of `text` begins.
fn previous(text: &str) -> usize {
    text.char_indices()
        .next_back()
        .map_or(0, |(index, _)| index)
}
