//! The lines that are kept.
//!
//! Law: lines are numbered as they come, from 0. The newest are kept, up to [`Journal::bytes_max`], counted with
//! [`LINE_OVERHEAD_BYTES`] each. A number is the first line that somebody has not seen: one that is gone stands for the oldest
//! that is left, and one that is yet to come for that one.

use std::collections::VecDeque;

use crate::exports::kpio::log::reader::Part;
use sdk::log::types::{Entry, Filter, Line};

/// What a line takes beside its texts.
const LINE_OVERHEAD_BYTES: usize = 96;
/// Texts of one part, about; a call's answer has an end.
pub const PART_BYTES_MAX: usize = 16 * 1024;
/// Lines of one part.
const PART_LINES_MAX: usize = 200;

/// The newest lines.
pub struct Journal {
    lines: VecDeque<Line>,
    /// The number of the oldest.
    first: u64,
    len_bytes: usize,
    bytes_max: usize,
}

impl Journal {
    /// An empty one that keeps about so much.
    pub fn new(bytes_max: usize) -> Journal {
        Journal {
            lines: VecDeque::new(),
            first: 0,
            len_bytes: 0,
            bytes_max,
        }
    }

    /// Keeps a line, and drops the oldest as far as it must.
    pub fn push(&mut self, line: Line) {
        self.len_bytes += bytes_of(&line);
        self.lines.push_back(line);
        while self.len_bytes > self.bytes_max && self.drop_oldest() {}
    }

    fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.lines.pop_front() else {
            return false;
        };
        self.len_bytes -= bytes_of(&oldest);
        self.first += 1;
        true
    }

    /// The number of the next line to come.
    pub fn end(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    /// How many lines from that number on are gone.
    pub fn lost(&self, from: u64) -> u64 {
        self.first.saturating_sub(from)
    }

    /// The first wanted line from that number on, with its own.
    pub fn next(&self, from: u64, filter: &Filter) -> Option<(u64, &Line)> {
        self.from(from).find(|(_, line)| is_wanted(line, filter))
    }

    fn from(&self, from: u64) -> impl DoubleEndedIterator<Item = (u64, &Line)> {
        let skipped = from.saturating_sub(self.first).min(self.lines.len() as u64);
        let lines = self.lines.range(skipped as usize..).enumerate();
        lines.map(move |(place, line)| (self.first + skipped + place as u64, line))
    }

    /// Wanted lines from that number on.
    pub fn part(&self, from: u64, filter: &Filter) -> Part {
        let mut part = Part {
            entries: Vec::new(),
            next: from.max(self.first).min(self.end()),
            lost: self.lost(from),
            has_more: false,
        };
        let mut len_bytes = 0;
        while let Some((number, line)) = self.next(part.next, filter) {
            len_bytes += line.text.len() + line.source.len();
            part.has_more = len_bytes > PART_BYTES_MAX || part.entries.len() >= PART_LINES_MAX;
            if part.has_more && !part.entries.is_empty() {
                return part;
            }
            part.next = number + 1;
            part.entries.push(Entry {
                number,
                line: line.clone(),
            });
        }
        part.next = self.end();
        part.has_more = false;
        part
    }

    /// Where the last so many wanted lines begin.
    pub fn tail(&self, lines: u32, filter: &Filter) -> u64 {
        let Some(before) = lines.checked_sub(1) else {
            return self.end();
        };
        let mut wanted = self.from(0).rev();
        let mut wanted = wanted.by_ref().filter(|(_, line)| is_wanted(line, filter));
        let found = wanted.nth(before as usize);
        found.map_or(self.first, |(number, _)| number)
    }
}

fn bytes_of(line: &Line) -> usize {
    LINE_OVERHEAD_BYTES + line.text.capacity() + line.source.capacity()
}

fn is_wanted(line: &Line, filter: &Filter) -> bool {
    let is_from = |source: &String| {
        let rest = line.source.strip_prefix(source.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let has = |text: &String| line.text.contains(text.as_str());
    line.level as u8 <= filter.up_to as u8
        && filter.source.as_ref().is_none_or(is_from)
        && filter.text.as_ref().is_none_or(has)
}

#[cfg(test)]
mod tests {
    use sdk::log::types::Level;

    use super::*;

    const ALL: Filter = Filter {
        up_to: Level::Trace,
        source: None,
        text: None,
    };

    fn line(number: u64) -> Line {
        Line {
            at_ns: number * 1_500_000,
            level: if number.is_multiple_of(2) {
                Level::Info
            } else {
                Level::Warning
            },
            source: if number.is_multiple_of(3) {
                "kernel/memory"
            } else {
                "web"
            }
            .to_owned(),
            text: format!("line {number}"),
        }
    }

    fn journal(lines: u64, bytes_max: usize) -> Journal {
        let mut journal = Journal::new(bytes_max);
        (0..lines).for_each(|number| journal.push(line(number)));
        journal
    }

    fn numbers(part: &Part) -> Vec<u64> {
        part.entries.iter().map(|entry| entry.number).collect()
    }

    #[test]
    fn parts_follow_one_another_without_a_gap() {
        let journal = journal(1000, usize::MAX);
        let mut read = Vec::new();
        let mut from = 0;
        loop {
            let part = journal.part(from, &ALL);
            assert!(!part.entries.is_empty() && part.lost == 0);
            read.extend(numbers(&part));
            from = part.next;
            if !part.has_more {
                break;
            }
        }
        assert_eq!(read, (0..1000).collect::<Vec<_>>());
        let end = journal.part(from, &ALL);
        assert!(end.entries.is_empty() && !end.has_more && end.next == 1000);
    }

    #[test]
    fn a_long_line_is_a_part_of_its_own() {
        let mut journal = journal(1, usize::MAX);
        let text = "x".repeat(2 * PART_BYTES_MAX);
        journal.push(Line { text, ..line(1) });
        journal.push(line(2));
        let mut from = 0;
        for (number, has_more) in [(0, true), (1, true), (2, false)] {
            let part = journal.part(from, &ALL);
            assert_eq!((numbers(&part), part.has_more), (vec![number], has_more));
            from = part.next;
        }
    }

    #[test]
    fn the_newest_are_kept_and_what_is_lost_is_counted() {
        let journal = journal(1000, 20_000);
        assert!(journal.len_bytes <= 20_000 && journal.lines.len() > 100);
        let part = journal.part(3, &ALL);
        assert_eq!(part.lost, journal.first - 3);
        assert_eq!(
            part.entries.first().map(|entry| entry.number),
            Some(journal.first)
        );
        assert_eq!(journal.part(u64::MAX, &ALL).next, 1000);
    }

    #[test]
    fn one_line_that_is_too_long_empties_the_journal() {
        let journal = journal(10, 50);
        assert!(journal.lines.is_empty() && journal.len_bytes == 0);
        assert_eq!((journal.end(), journal.lost(0)), (10, 10));
    }

    #[test]
    fn filters_let_through_what_all_their_parts_do() {
        let journal = journal(60, usize::MAX);
        let filter = |up_to, source: Option<&str>, text: Option<&str>| Filter {
            up_to,
            source: source.map(str::to_owned),
            text: text.map(str::to_owned),
        };
        let count = |filter| journal.part(0, &filter).entries.len();
        assert_eq!(count(filter(Level::Warning, None, None)), 30);
        assert_eq!(count(filter(Level::Trace, Some("kernel"), None)), 20);
        assert_eq!(count(filter(Level::Trace, Some("kernel/memory"), None)), 20);
        assert_eq!(count(filter(Level::Trace, Some("kern"), None)), 0);
        assert_eq!(count(filter(Level::Trace, None, Some("line 1"))), 11);
        assert_eq!(count(filter(Level::Error, None, None)), 0);
    }

    #[test]
    fn the_tail_is_of_wanted_lines() {
        let journal = journal(60, usize::MAX);
        let warnings = Filter {
            up_to: Level::Warning,
            ..ALL
        };
        assert_eq!(journal.tail(0, &warnings), 60);
        assert_eq!(journal.tail(1, &warnings), 59);
        assert_eq!(journal.tail(3, &warnings), 55);
        assert_eq!(journal.tail(u32::MAX, &warnings), 0);
    }
}
