//! The lines entered before.

use alloc::collections::VecDeque;
use alloc::string::String;

/// Lines, oldest first, and how far back the person has gone.
#[derive(Debug)]
pub(crate) struct History {
    lines: VecDeque<String>,
    limit: usize,
    /// The line shown; `lines.len()` for the one being written.
    position: usize,
    /// The line being written, while an older one is shown.
    draft: String,
}

impl History {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            limit,
            position: 0,
            draft: String::new(),
        }
    }

    /// Keeps an entered line, unless it is blank or the same as the last; goes back to the end.
    pub(crate) fn add(&mut self, line: &str) {
        let is_repeated = self.lines.back().is_some_and(|last| last == line);
        if !line.trim().is_empty() && !is_repeated {
            self.lines.push_back(line.into());
        }
        while self.lines.len() > self.limit {
            self.lines.pop_front();
        }
        self.leave();
    }

    /// Goes back to the line being written, which is a new one.
    pub(crate) fn leave(&mut self) {
        self.position = self.lines.len();
        self.draft.clear();
    }

    /// The line before the one shown, which is `current`.
    pub(crate) fn older(&mut self, current: &str) -> Option<&str> {
        let older = self.position.checked_sub(1)?;
        if self.position == self.lines.len() {
            self.draft = current.into();
        }
        self.position = older;
        self.shown()
    }

    /// The line after the one shown; at the end the one being written.
    pub(crate) fn newer(&mut self) -> Option<&str> {
        if self.position == self.lines.len() {
            return None;
        }
        self.position += 1;
        self.shown()
    }

    /// How many lines there are.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Where the newest line in front of `end` stands that contains `text` and is not `other`.
    pub(crate) fn find(&self, text: &str, end: usize, other: Option<&str>) -> Option<usize> {
        let is_meant = |line: &String| line.contains(text) && other != Some(line);
        self.lines.iter().take(end).rposition(is_meant)
    }

    /// The line that stands there.
    pub(crate) fn line(&self, position: usize) -> Option<&str> {
        self.lines.get(position).map(String::as_str)
    }

    /// Goes to the line that stands there; `typed` is kept where it is the one being written.
    pub(crate) fn go_to(&mut self, position: usize, typed: &str) {
        if self.position == self.lines.len() {
            self.draft = typed.into();
        }
        self.position = position;
    }

    fn shown(&self) -> Option<&str> {
        if self.position == self.lines.len() {
            return Some(&self.draft);
        }
        self.line(self.position)
    }
}
