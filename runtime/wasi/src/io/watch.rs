//! Pollables that are watched on behalf of a process, which is told when one is ready.
//!
//! Law: what is watched is told of once, and then it is gone. Who is told first was watched for the longest, so what is
//! watched anew at each turn cannot keep the others from theirs; and of two kinds of events that both are there, the kind
//! that did not come last comes next ([`Turn`]). At most [`WATCHED_MAX`] are watched at a time. Each stays in the
//! process's table of handles, which bounds and charges it, and pays for its place in lists beside that.
//!
//! What lost: a set that stays ready until it is emptied, as `epoll` has it by level. A process that does not take what is
//! there would be told of it for ever.

use std::collections::VecDeque;

use runtime_host::{Notifier, Reservation, wait_until};
use wasmtime::component::Resource;

use super::Pollable;
use super::poll::POLLED_BYTES;
use crate::WasiContext;

/// How many pollables are watched for one process at a time.
pub const WATCHED_MAX: usize = 256;

/// Why a pollable is not watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchError {
    /// There are as many as may be, or nobody pays for one more.
    Quota,
    /// The process would not be told.
    Unheard,
}

/// Whose turn it is when both are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// What else is waited for.
    Others,
    /// What is watched.
    Watched,
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken<R> {
    /// What else was waited for.
    Answer(R),
    /// What is watched for this token is ready, and is not watched any more.
    Ready(u64),
}

/// All that is watched for a process, in the order in which it was named.
#[derive(Default)]
pub(crate) struct Watched {
    is_heard: bool,
    entries: VecDeque<Entry>,
}

struct Entry {
    token: u64,
    /// The handle's place in the process's table.
    handle: u32,
    paid: Reservation,
}

impl Entry {
    fn resource(&self) -> Resource<Pollable> {
        Resource::new_own(self.handle)
    }
}

impl WasiContext {
    /// From now on somebody waits by [`WasiContext::wait_watching`], and tells the process what came.
    pub fn hear_watched(&mut self) {
        self.watched.is_heard = true;
    }

    /// Watches a pollable in place of what was watched for the same token. The handle is gone, whatever the answer is.
    pub fn watch(
        &mut self,
        pollable: Resource<Pollable>,
        token: u64,
    ) -> wasmtime::Result<Result<(), WatchError>> {
        // What was paid for the one before pays for this one: who watches anew is not refused.
        let paid = match self.admit_watched(token)? {
            Ok(paid) => paid,
            Err(refused) => {
                self.delete(pollable)?;
                return Ok(Err(refused));
            }
        };
        self.watched.entries.push_back(Entry {
            token,
            handle: pollable.rep(),
            paid,
        });
        Ok(Ok(()))
    }

    fn admit_watched(&mut self, token: u64) -> wasmtime::Result<Result<Reservation, WatchError>> {
        if !self.watched.is_heard {
            return Ok(Err(WatchError::Unheard));
        }
        if let Some(paid) = self.stop_watching(token)? {
            return Ok(Ok(paid));
        }
        if self.watched.entries.len() >= WATCHED_MAX {
            return Ok(Err(WatchError::Quota));
        }
        let paid = self.budget.reserve(POLLED_BYTES);
        Ok(paid.map_err(|_over| WatchError::Quota))
    }

    /// Drops what is watched for this token.
    pub fn forget(&mut self, token: u64) -> wasmtime::Result<()> {
        self.stop_watching(token).map(drop)
    }

    fn stop_watching(&mut self, token: u64) -> wasmtime::Result<Option<Reservation>> {
        let mut entries = self.watched.entries.iter();
        let place = entries.position(|entry| entry.token == token);
        let Some(entry) = place.and_then(|place| self.watched.entries.remove(place)) else {
            return Ok(None);
        };
        self.delete(entry.resource())?;
        Ok(Some(entry.paid))
    }

    /// Blocks until `attempt` gives an answer, which something that `subscribe` named makes possible, or something that is
    /// watched is ready. If both are there, it is the turn of `first`.
    pub fn wait_watching<R>(
        &mut self,
        first: Turn,
        subscribe: impl Fn(&Notifier),
        mut attempt: impl FnMut() -> Option<R>,
    ) -> wasmtime::Result<Woken<R>> {
        let woken = loop {
            // Without one, the time has come for the first that waits for a time.
            if let Some(woken) = self.wait_until_due(first, &subscribe, &mut attempt)? {
                break woken;
            }
        };
        if let Woken::Ready(token) = woken {
            self.forget(token)?;
        }
        Ok(woken)
    }

    fn wait_until_due<R>(
        &self,
        first: Turn,
        subscribe: impl Fn(&Notifier),
        mut attempt: impl FnMut() -> Option<R>,
    ) -> wasmtime::Result<Option<Woken<R>>> {
        let watched = self.watched_pollables()?;
        let clock = self.clock.as_ref();
        let ready = || {
            let mut watched = watched.iter();
            let ready = watched.find(|(_, pollable)| pollable.is_ready(clock));
            ready.map(|(token, _)| Woken::Ready(*token))
        };
        let in_turn = || match first {
            Turn::Watched => ready().or_else(|| attempt().map(Woken::Answer)),
            Turn::Others => attempt().map(Woken::Answer).or_else(ready),
        };
        let subscribe = |notifier: &Notifier| {
            subscribe(notifier);
            for (_, pollable) in &watched {
                pollable.subscribe(notifier);
            }
        };
        let deadlines = watched.iter().filter_map(|(_, one)| one.deadline_ns());
        let deadline_ns = deadlines.min();
        Ok(wait_until(
            &self.cancellation,
            clock,
            deadline_ns,
            subscribe,
            in_turn,
        )?)
    }

    fn watched_pollables(&self) -> wasmtime::Result<Vec<(u64, &Pollable)>> {
        let entries = self.watched.entries.iter();
        entries
            .map(|entry| Ok((entry.token, self.get(&entry.resource())?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use runtime_host::{Budget, Cancellation};

    use super::*;

    fn context(budget: &Budget) -> WasiContext {
        let context = WasiContext::builder(budget.clone(), Cancellation::new());
        let mut context = context.build().expect("affordable");
        context.hear_watched();
        context
    }

    fn watch(context: &mut WasiContext, pollable: Pollable, token: u64) -> Result<(), WatchError> {
        let pollable = context.push(pollable).expect("there is room");
        context.watch(pollable, token).expect("the handle is there")
    }

    fn wait(context: &mut WasiContext, first: Turn, answer: Option<u64>) -> Woken<u64> {
        let woken = context.wait_watching(first, |_| (), || answer);
        woken.expect("not cancelled")
    }

    #[test]
    fn whose_turn_it_is_comes_first_and_who_was_watched_longest() {
        let mut context = context(&Budget::new(1 << 20));
        for token in [3, 1, 2] {
            assert_eq!(watch(&mut context, Pollable::Ready, token), Ok(()));
        }
        assert_eq!(wait(&mut context, Turn::Others, Some(9)), Woken::Answer(9));
        assert_eq!(wait(&mut context, Turn::Watched, Some(9)), Woken::Ready(3));
        assert_eq!(watch(&mut context, Pollable::Ready, 3), Ok(()));
        assert_eq!(wait(&mut context, Turn::Others, None), Woken::Ready(1));
        assert_eq!(wait(&mut context, Turn::Others, None), Woken::Ready(2));
        assert_eq!(wait(&mut context, Turn::Others, None), Woken::Ready(3));
        assert_eq!(wait(&mut context, Turn::Watched, Some(9)), Woken::Answer(9));
        assert_eq!(context.handle_count(), 0);
    }

    #[test]
    fn a_token_stands_for_one_pollable_and_a_time_comes() {
        let budget = Budget::new(1 << 20);
        let mut context = context(&budget);
        let never = Pollable::Deadline {
            deadline_ns: u64::MAX,
        };
        let soon_ns = context.clock.monotonic_ns() + 1_000_000;
        let soon = Pollable::Deadline {
            deadline_ns: soon_ns,
        };
        let before_bytes = budget.used_bytes();
        assert_eq!(watch(&mut context, Pollable::Ready, 1), Ok(()));
        assert_eq!(watch(&mut context, never, 1), Ok(()));
        assert_eq!(watch(&mut context, soon, 2), Ok(()));
        assert_eq!(context.handle_count(), 2);
        assert_eq!(wait(&mut context, Turn::Others, None), Woken::Ready(2));
        assert!(context.clock.monotonic_ns() >= soon_ns);
        context.forget(1).expect("the handle is there");
        assert_eq!(context.handle_count(), 0);
        // Places in the table of handles stay paid for.
        assert!(budget.used_bytes() - before_bytes <= 3 * 512);
    }

    #[test]
    fn who_may_not_watch_more_keeps_nothing() {
        let budget = Budget::new(1 << 20);
        let mut context = context(&budget);
        for token in 0..WATCHED_MAX as u64 {
            assert_eq!(watch(&mut context, Pollable::Ready, token), Ok(()));
        }
        let more = watch(&mut context, Pollable::Ready, u64::MAX);
        assert_eq!(more, Err(WatchError::Quota));
        assert_eq!(context.handle_count() as usize, WATCHED_MAX);
        // Another in the place of one takes nothing more.
        let used_bytes = budget.used_bytes();
        assert_eq!(watch(&mut context, Pollable::Ready, 0), Ok(()));
        assert_eq!(budget.used_bytes(), used_bytes);
        context.watched.is_heard = false;
        let unheard = watch(&mut context, Pollable::Ready, 0);
        assert_eq!(unheard, Err(WatchError::Unheard));
        assert_eq!(context.handle_count() as usize, WATCHED_MAX);
        drop(context);
        assert_eq!(budget.used_bytes(), 0);
    }
}
