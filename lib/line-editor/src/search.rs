//! The search backwards through the history, which goes on with every key.
//!
//! Law: while it goes on, the editor shows the line found last, or what was typed where none was found. What was typed waits
//! here, so that leaving the search loses nothing. Which key Escape is shows only with the byte behind it: until then the
//! search counts as left, and an arrow key takes it up again.

use alloc::format;
use alloc::string::String;

use crate::history::History;
use crate::line::{Line, columns, last_columns};

/// The longest text that is searched for, in bytes: with it the row's start stays shorter than any line.
const TEXT_LEN_BYTES_MAX: usize = 40;
/// Quotes, colon and blank around the text.
const PUNCTUATION_COLUMNS: usize = 4;

#[derive(Debug)]
pub(crate) struct Search {
    /// What is searched for.
    text: String,
    /// Where the line that is shown stands in the history; none while it is what was typed.
    pub(crate) found: Option<usize>,
    /// What was typed before; while the search counts as left, the line found.
    pub(crate) typed: Line,
    has_failed: bool,
    /// Whether the search counts as left, because of an Escape.
    pub(crate) is_escaped: bool,
}

impl Search {
    pub(crate) fn new(typed: Line) -> Self {
        Self {
            text: String::new(),
            found: None,
            typed,
            has_failed: false,
            is_escaped: false,
        }
    }

    /// Searches for one more character, in the line shown and the older ones; `false` where there is none.
    pub(crate) fn extend(&mut self, c: char, history: &History) -> bool {
        if self.text.len() + c.len_utf8() > TEXT_LEN_BYTES_MAX {
            return false;
        }
        self.text.push(c);
        let end = self.found.map_or(history.len(), |found| found + 1);
        self.settle(history.find(&self.text, end, None))
    }

    /// Searches for one character less, from the newest line on.
    pub(crate) fn shorten(&mut self, history: &History) -> bool {
        let had_more = self.text.pop().is_some();
        if !self.text.is_empty() {
            return self.settle(history.find(&self.text, history.len(), None));
        }
        self.found = None;
        self.has_failed = false;
        had_more
    }

    /// Searches for an older line that is another one than `shown`.
    pub(crate) fn older(&mut self, history: &History, shown: &str) -> bool {
        let end = self.found.unwrap_or(history.len());
        !self.text.is_empty() && self.settle(history.find(&self.text, end, Some(shown)))
    }

    fn settle(&mut self, found: Option<usize>) -> bool {
        self.found = found.or(self.found);
        self.has_failed = found.is_none();
        found.is_some()
    }

    /// What stands in place of the prompt, in a row of so many columns, of which some are left for the line.
    pub(crate) fn prompt(&self, row_columns: usize) -> String {
        let label = if self.has_failed {
            "(no match)"
        } else {
            "(search)"
        };
        let rest = row_columns.saturating_sub(columns(label) + PUNCTUATION_COLUMNS);
        format!("{label}'{}': ", last_columns(&self.text, rest / 2))
    }
}
