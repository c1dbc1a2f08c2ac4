//! What all services said, in the order in which they did.
//!
//! Law: it takes everything at once and keeps the newest, at most [`SAID_BYTES_MAX`], for whoever keeps a log of the whole system and
//! comes by soon. Lines are numbered from 0; a place is the number of the first line that was not read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runtime_host::{Budget, Notifier, OverBudget, Reservation, SaidLine, Subscribers};

use crate::log_ring::LogLine;

/// What is kept, with what each line takes beside its texts, in bytes.
pub const SAID_BYTES_MAX: usize = 64 << 10;

/// What all services said. Clones are the same.
#[derive(Clone)]
pub struct Said(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Subscribers,
    _memory: Reservation,
}

#[derive(Default)]
struct State {
    lines: VecDeque<SaidLine>,
    /// The number of the oldest.
    first: u64,
    len_bytes: usize,
}

impl Said {
    /// Nothing yet, paid for by `budget` as if it were full.
    pub fn new(budget: &Budget) -> Result<Said, OverBudget> {
        let memory = budget.child(u64::MAX).reserve(SAID_BYTES_MAX as u64)?;
        Ok(Said(Arc::new(Shared {
            state: Mutex::default(),
            changed: Subscribers::new(),
            _memory: memory,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The service `name` said this.
    pub(crate) fn push(&self, name: &str, line: &LogLine) {
        self.lock().push(SaidLine {
            at_ns: line.at_ns,
            level: line.level,
            source: name.to_owned(),
            text: line.text.clone(),
        });
        self.0.changed.notify_all();
    }

    /// The line at a place, or the oldest if that one is gone, with its number.
    pub fn line(&self, place: u64) -> Option<(u64, SaidLine)> {
        let state = self.lock();
        let number = place.max(state.first);
        let index = usize::try_from(number - state.first).ok()?;
        Some((number, state.lines.get(index)?.clone()))
    }

    /// The number of the next line to come.
    pub fn end(&self) -> u64 {
        let state = self.lock();
        state.first + state.lines.len() as u64
    }

    /// Has the notifier be told of what is said from now on.
    pub fn subscribe(&self, notifier: &Notifier) {
        self.0.changed.add(notifier);
    }
}

impl State {
    fn push(&mut self, line: SaidLine) {
        self.len_bytes += bytes_of(&line);
        self.lines.push_back(line);
        while self.len_bytes > SAID_BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else {
                return;
            };
            self.len_bytes -= bytes_of(&oldest);
            self.first += 1;
        }
    }
}

fn bytes_of(line: &SaidLine) -> usize {
    size_of::<SaidLine>() + line.text.capacity() + line.source.capacity()
}

#[cfg(test)]
mod tests {
    use lib_log_line::Level;

    use super::*;

    fn line(text: &str) -> LogLine {
        LogLine {
            at_ns: 7,
            level: Level::Warning,
            text: text.to_owned(),
        }
    }

    #[test]
    fn lines_of_all_come_in_their_order() {
        let said = Said::new(&Budget::new(1 << 20)).expect("affordable");
        let notifier = Notifier::new();
        said.subscribe(&notifier);
        said.push("a", &line("one"));
        said.push("b", &line("two"));
        assert!(notifier.wait(None));
        let read = |place| {
            said.line(place)
                .map(|(number, line)| (number, line.source, line.text))
        };
        assert_eq!(read(0), Some((0, "a".to_owned(), "one".to_owned())));
        assert_eq!(read(1), Some((1, "b".to_owned(), "two".to_owned())));
        assert_eq!((read(2), read(u64::MAX), said.end()), (None, None, 2));
    }

    #[test]
    fn a_flood_keeps_its_end_and_the_bound() {
        let budget = Budget::new(1 << 20);
        let said = Said::new(&budget).expect("affordable");
        assert_eq!(budget.used_bytes(), SAID_BYTES_MAX as u64);
        (0..10_000).for_each(|number| said.push("a", &line(&number.to_string())));
        let (first, oldest) = said.line(0).expect("lines are left");
        assert!(first > 0 && oldest.text == first.to_string());
        assert!(said.lock().len_bytes <= SAID_BYTES_MAX);
        assert_eq!(
            said.line(9_999).map(|(_, line)| line.text),
            Some("9999".to_owned())
        );
        drop(said);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn what_nobody_can_pay_for_is_refused() {
        assert!(Said::new(&Budget::new(100)).is_err());
    }
}
