//! What the system has to tell a person, until somebody has told it.
//!
//! Law: each notice is told once, by whoever shows what the person looks at: the console, or the kernel's prompt. It is looked at
//! first and removed when it was told, so that one who ends in between loses none. At most [`NOTICES_MAX`] wait; of more the
//! oldest go, and how many they were is told in the place of the oldest that is left.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Notifier, Subscribers};

/// Notices that wait, at most.
pub const NOTICES_MAX: usize = 16;

/// A line for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Which it is, counted from 0.
    pub number: u64,
    /// What it says: one line, without its end.
    pub text: String,
}

/// Notices that wait. Clones are the same.
#[derive(Clone, Default)]
pub struct Notices(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Subscribers,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<String>,
    /// The number of the first that waits.
    first: u64,
    /// How many have gone untold since the last that was told.
    lost: u64,
}

impl Notices {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a person be told this.
    pub fn push(&self, text: String) {
        let mut state = self.lock();
        if state.waiting.len() >= NOTICES_MAX {
            state.waiting.pop_front();
            state.first += 1;
            state.lost += 1;
        }
        state.waiting.push_back(text);
        drop(state);
        self.0.changed.notify_all();
    }

    /// The oldest that waits.
    pub fn first(&self) -> Option<Notice> {
        let state = self.lock();
        let oldest = state.waiting.front()?;
        let text = match state.lost {
            0 => oldest.clone(),
            lost => format!("{oldest} ({lost} notices before this one were not shown.)"),
        };
        Some(Notice {
            number: state.first,
            text,
        })
    }

    /// The one of this number was told; one that waits no more was lost, or told before.
    pub fn told(&self, number: u64) {
        let mut state = self.lock();
        if state.first == number && state.waiting.pop_front().is_some() {
            state.first += 1;
            state.lost = 0;
        }
    }

    /// All that wait, as told.
    pub fn take_all(&self) -> Vec<String> {
        let next = || {
            let notice = self.first()?;
            self.told(notice.number);
            Some(notice.text)
        };
        // No more than there can be at a time, however fast others come.
        std::iter::from_fn(next).take(NOTICES_MAX).collect()
    }

    /// Has `notifier` notified whenever there is another.
    pub fn subscribe(&self, notifier: &Notifier) {
        self.0.changed.add(notifier);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_gone_and_nothing_else() {
        let notices = Notices::default();
        let notifier = Notifier::new();
        notices.subscribe(&notifier);
        assert!(notices.first().is_none());
        notices.push("one".to_owned());
        notices.push("two".to_owned());
        assert!(notifier.wait(None));
        let first = notices.first().expect("it waits");
        assert_eq!((first.number, first.text.as_str()), (0, "one"));
        assert_eq!(
            notices.first(),
            Some(first.clone()),
            "it was only looked at"
        );
        notices.told(7);
        notices.told(first.number);
        notices.told(first.number);
        assert_eq!(notices.take_all(), ["two"]);
        assert!(notices.take_all().is_empty());
    }

    #[test]
    fn a_flood_keeps_its_end_and_says_what_is_missing() {
        let notices = Notices::default();
        (0..NOTICES_MAX + 3).for_each(|number| notices.push(number.to_string()));
        let looked_at = notices.first().expect("it waits");
        notices.push("last".to_owned());
        // It went while it was being told.
        notices.told(looked_at.number);
        let told = notices.take_all();
        assert_eq!(told.len(), NOTICES_MAX);
        assert_eq!(told[0], "4 (4 notices before this one were not shown.)");
        assert_eq!((told[1].as_str(), told[15].as_str()), ("5", "last"));
    }
}
