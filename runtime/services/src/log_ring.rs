//! What one service has said, and what was done with it.
//!
//! Law: a log takes everything at once and keeps the newest of it, at most [`LOG_BYTES_MAX`](crate::LOG_BYTES_MAX). A line
//! longer than [`LINE_BYTES_MAX`] becomes several. Nothing of a service reaches a terminal as it is: what is no
//! text, and what a terminal obeys, is shown escaped. Its standard output is `info`, its standard error `warning`; `notice` is what
//! was done with it, and `error` that it has failed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lib_log_line::{Level, plain};
use runtime_host::{
    Awaited, Budget, ByteSink, Notifier, OverBudget, Reservation, StreamFailure, Subscribers,
};

use crate::LOG_BYTES_MAX;
use crate::said::Said;

/// Longest line, in bytes, before it is escaped.
const LINE_BYTES_MAX: usize = 256;
/// What one write takes, in bytes, at most, so that a flood is taken in steps that can be interrupted.
const WRITE_BYTES_MAX: usize = 4096;
/// What a line takes beside its text, in bytes.
const LINE_OVERHEAD_BYTES: usize = size_of::<LogLine>();

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it was ended, in nanoseconds of the system's clock.
    pub at_ns: u64,
    /// How much it matters.
    pub level: Level,
    /// What it says, fit to be shown.
    pub text: String,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = lib_log_line::LogLine {
            at_ns: self.at_ns,
            level: self.level,
            source: None,
            text: &self.text,
        };
        line.fmt(f)
    }
}

/// The log of one service. It outlives the service's processes.
pub struct ServiceLog {
    /// The service's name.
    name: String,
    now_ns: fn() -> u64,
    lines: Mutex<Lines>,
    /// Where all services' lines go.
    said: Said,
    /// The service is in the manifest no more.
    is_over: AtomicBool,
    grown: Subscribers,
    _memory: Reservation,
}

#[derive(Default)]
struct Lines {
    kept: VecDeque<LogLine>,
    len_bytes: usize,
    dropped: u64,
}

impl ServiceLog {
    /// An empty log of the service `name`, paid for by `budget` as if it were full.
    pub fn new(
        name: &str,
        now_ns: fn() -> u64,
        said: &Said,
        budget: &Budget,
    ) -> Result<Arc<Self>, OverBudget> {
        let memory = budget.child(u64::MAX).reserve(LOG_BYTES_MAX as u64)?;
        Ok(Arc::new(Self {
            name: name.to_owned(),
            now_ns,
            said: said.clone(),
            lines: Mutex::default(),
            is_over: AtomicBool::new(false),
            grown: Subscribers::new(),
            _memory: memory,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line.
    pub fn push(&self, level: Level, text: &str) {
        let line = LogLine {
            at_ns: (self.now_ns)(),
            level,
            text: plain(text),
        };
        self.said.push(&self.name, &line);
        self.lock().push(line);
        self.grown.notify_all();
    }

    /// Nothing comes any more: whoever waits for that does not go on waiting.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        self.grown.notify_all();
    }

    /// The lines that are left from a place on, of these levels. A place is how many lines there were before.
    pub fn part(&self, up_to: Level, place: u64) -> LogPart {
        let lines = self.lock();
        let known = place.saturating_sub(lines.dropped);
        let skipped = usize::try_from(known).unwrap_or(usize::MAX);
        let wanted = lines.kept.iter().skip(skipped);
        let wanted = wanted.filter(|line| line.level <= up_to);
        LogPart {
            text: LogText {
                dropped: lines.dropped.saturating_sub(place),
                lines: wanted.cloned().collect(),
            },
            next: lines.end(),
        }
    }

    /// The lines that are left, of these levels, and how many are not.
    pub fn text(&self, up_to: Level) -> LogText {
        let lines = self.lock();
        let wanted = lines.kept.iter().filter(|line| line.level <= up_to);
        LogText {
            dropped: lines.dropped,
            lines: wanted.cloned().collect(),
        }
    }

    /// Where a stream of the service leads.
    pub(crate) fn sink(self: &Arc<Self>, level: Level) -> Arc<dyn ByteSink> {
        Arc::new(LineSink {
            log: Arc::clone(self),
            level,
            begun: Mutex::default(),
        })
    }
}

impl Lines {
    /// How many lines there were in all.
    fn end(&self) -> u64 {
        self.dropped + self.kept.len() as u64
    }

    fn push(&mut self, line: LogLine) {
        self.len_bytes += bytes_of(&line);
        self.kept.push_back(line);
        while self.len_bytes > LOG_BYTES_MAX {
            let Some(oldest) = self.kept.pop_front() else {
                return;
            };
            self.len_bytes -= bytes_of(&oldest);
            self.dropped += 1;
        }
    }
}

fn bytes_of(line: &LogLine) -> usize {
    line.text.capacity() + LINE_OVERHEAD_BYTES
}

/// Lines of a log, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogText {
    /// Older lines that are gone.
    pub dropped: u64,
    /// Those that are left.
    pub lines: Vec<LogLine>,
}

impl fmt::Display for LogText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.dropped > 0 {
            writeln!(f, "({} older lines are gone)", self.dropped)?;
        }
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// A part of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPart {
    /// Its lines.
    pub text: LogText,
    /// Where the next part begins.
    pub next: u64,
}

/// What comes into a log from a place on: ready when there is something, or nothing will come.
pub(crate) struct MoreLog {
    pub log: Arc<ServiceLog>,
    pub place: u64,
}

impl Awaited for MoreLog {
    fn is_ready(&self) -> bool {
        self.log.lock().end() > self.place || self.log.is_over.load(Ordering::Acquire)
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.log.grown.add(notifier);
    }
}

/// A stream of a service that becomes lines.
struct LineSink {
    log: Arc<ServiceLog>,
    level: Level,
    /// The line that has not ended yet: shorter than [`LINE_BYTES_MAX`].
    begun: Mutex<Vec<u8>>,
}

impl LineSink {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, begun: &mut Vec<u8>, byte: u8) {
        if byte != b'\n' {
            begun.push(byte);
        }
        if byte == b'\n' || begun.len() >= LINE_BYTES_MAX {
            self.end_line(begun);
        }
    }

    fn end_line(&self, begun: &mut Vec<u8>) {
        let line = begun.strip_suffix(b"\r").unwrap_or(begun);
        self.log.push(self.level, &String::from_utf8_lossy(line));
        begun.clear();
    }
}

impl ByteSink for LineSink {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        Ok(WRITE_BYTES_MAX)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        let taken = &bytes[..bytes.len().min(WRITE_BYTES_MAX)];
        let mut begun = self.lock();
        for &byte in taken {
            self.take(&mut begun, byte);
        }
        Ok(taken.len())
    }

    fn subscribe(&self, _notifier: &Notifier) {}
}

impl Drop for LineSink {
    /// What a service says last need not end with a line feed.
    fn drop(&mut self) {
        let mut begun = std::mem::take(&mut *self.lock());
        if !begun.is_empty() {
            self.end_line(&mut begun);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Arc<ServiceLog> {
        log_in(&Budget::new(1 << 20)).expect("affordable")
    }

    fn log_in(budget: &Budget) -> Result<Arc<ServiceLog>, OverBudget> {
        let said = Said::new(&Budget::new(1 << 20)).expect("affordable");
        ServiceLog::new("a", || 1_234_567_890, &said, budget)
    }

    #[test]
    fn streams_become_lines_with_time_and_level() {
        let log = log();
        let (out, err) = (log.sink(Level::Info), log.sink(Level::Warning));
        out.write(b"one\r\ntw").expect("open");
        err.write(b"\x1b[31mred\xff\n").expect("open");
        out.write(b"o").expect("open");
        drop(out);
        let text = log.text(Level::Info).to_string();
        assert_eq!(
            text,
            "[    1.234] info    one\n[    1.234] warning \\u{1b}[31mred\u{fffd}\n[    1.234] info    two\n"
        );
        assert_eq!(log.text(Level::Warning).lines.len(), 1);
    }

    #[test]
    fn parts_follow_one_another_and_say_what_is_gone() {
        let log = log();
        let more = MoreLog {
            log: Arc::clone(&log),
            place: 1,
        };
        log.push(Level::Info, "one");
        let first = log.part(Level::Info, 0);
        assert_eq!((first.text.lines.len(), first.next), (1, 1));
        assert!(!more.is_ready());
        let notifier = Notifier::new();
        more.subscribe(&notifier);
        log.push(Level::Warning, "two");
        assert!(notifier.wait(None) && more.is_ready());
        let second = log.part(Level::Info, first.next);
        assert_eq!((second.text.lines.len(), second.next), (1, 2));
        assert_eq!(second.text.lines[0].text, "two");
        assert_eq!(log.part(Level::Error, 0).text.lines.len(), 0);
        assert_eq!(log.part(Level::Info, u64::MAX).text, LogText::default());
        for _ in 0..1000 {
            log.push(Level::Info, "flood");
        }
        let rest = log.part(Level::Info, second.next);
        assert_eq!(rest.next, 1002);
        assert!(rest.text.dropped > 0);
        assert_eq!(rest.text.dropped + rest.text.lines.len() as u64, 1000);
    }

    #[test]
    fn a_flood_keeps_its_end_and_the_bound() {
        let budget = Budget::new(1 << 20);
        let log = log_in(&budget).expect("affordable");
        assert_eq!(budget.used_bytes(), LOG_BYTES_MAX as u64);
        let sink = log.sink(Level::Info);
        let flood: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        let mut left = flood.as_slice();
        while !left.is_empty() {
            left = &left[sink.write(left).expect("open")..];
        }
        let lines = log.lock();
        let held: usize = lines.kept.iter().map(bytes_of).sum();
        assert!(held <= LOG_BYTES_MAX && held == lines.len_bytes);
        assert!(lines.dropped > 0 && !lines.kept.is_empty());
        drop(lines);
        drop((sink, log));
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn a_log_that_nobody_can_pay_for_is_refused() {
        assert!(log_in(&Budget::new(100)).is_err());
    }
}
