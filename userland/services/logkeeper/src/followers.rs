//! Who follows the log.
//!
//! Law: the journal is what a follower reads from, so each costs its place and one line. Whose stream is full is waited for
//! by the reactor; what the journal drops meanwhile it is told of. Who does not read any more is forgotten at the next line, or when
//! there is no place left. Then also the one goes whose stream has been full for longest, or, where none is full, that was told nothing for
//! longest: nobody keeps others out by not reading, or by asking for what never comes.

use wasip2::io::streams::{OutputStream, StreamError};

use crate::exports::kpio::log::reader::InputStream;
use crate::journal::Journal;
use crate::kpio::process::pipes;
use crate::kpio::service::reactor;
use sdk::log::shown;
use sdk::log::types::{Filter, LogError};

const FOLLOWERS_MAX: usize = 16;

/// Those who follow.
#[derive(Default)]
pub struct Followers {
    all: Vec<Follower>,
    /// The token of the one that came last; 0 is nobody's.
    last_token: u64,
    /// How often one of them was found with a full stream that had room before, was told something, or came.
    moments: u64,
}

struct Follower {
    token: u64,
    to: OutputStream,
    filter: Filter,
    /// The first line that it was not told of.
    next: u64,
    /// What is still to be written of what it is told.
    begun: Vec<u8>,
    state: State,
}

/// How it stands with one, since which moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// Its stream is full.
    Blocked(u64),
    /// It has all that there was for it.
    Told(u64),
}

impl Followers {
    /// One more.
    pub fn add(
        &mut self,
        from: u64,
        filter: Filter,
        journal: &Journal,
    ) -> Result<InputStream, LogError> {
        if self.all.len() >= FOLLOWERS_MAX {
            self.all
                .retain(|follower| follower.to.check_write().is_ok());
        }
        if self.all.len() >= FOLLOWERS_MAX {
            let states = self.all.iter().map(|follower| follower.state);
            let least_served = least_served(states).ok_or(LogError::Quota)?;
            self.all.swap_remove(least_served);
        }
        let (input, to) = pipes::pipe().map_err(|_| LogError::Quota)?;
        self.last_token += 1;
        self.moments += 1;
        let mut follower = Follower {
            token: self.last_token,
            to,
            filter,
            // Who begins at the beginning has not missed what was before that.
            next: if from == 0 { journal.lost(0) } else { from },
            begun: Vec::new(),
            state: State::Told(self.moments),
        };
        if follower.feed(journal, &mut self.moments).is_ok() {
            self.all.push(follower);
        }
        Ok(input)
    }

    /// Tells all of them what is new.
    pub fn feed(&mut self, journal: &Journal) {
        self.all
            .retain_mut(|follower| follower.feed(journal, &mut self.moments).is_ok());
    }

    /// The same for the one of this token, whose stream has room.
    pub fn feed_one(&mut self, token: u64, journal: &Journal) {
        self.all.retain_mut(|follower| {
            follower.token != token || follower.feed(journal, &mut self.moments).is_ok()
        });
    }
}

/// Who makes room: the one that has been blocked for longest, or else that was told something longest ago.
fn least_served(states: impl Iterator<Item = State>) -> Option<usize> {
    let states = states.enumerate().map(|(index, state)| (state, index));
    states.min().map(|(_, index)| index)
}

/// A follower that does not read any more.
struct Gone;

impl Follower {
    /// Writes as much as there is and fits.
    fn feed(&mut self, journal: &Journal, moments: &mut u64) -> Result<(), Gone> {
        loop {
            self.write_begun(moments)?;
            if !self.begun.is_empty() {
                return self.wait(moments);
            }
            if !self.begin_next(journal) {
                return Ok(());
            }
        }
    }

    fn write_begun(&mut self, moments: &mut u64) -> Result<(), Gone> {
        while !self.begun.is_empty() {
            let room = self.to.check_write().map_err(gone)?;
            if room == 0 {
                return Ok(());
            }
            let count = self
                .begun
                .len()
                .min(usize::try_from(room).unwrap_or(usize::MAX));
            *moments += 1;
            self.state = State::Told(*moments);
            self.to.write(&self.begun[..count]).map_err(gone)?;
            self.begun.drain(..count);
        }
        Ok(())
    }

    /// Has the reactor say when there is room. Where it cannot, the next line tries again.
    fn wait(&mut self, moments: &mut u64) -> Result<(), Gone> {
        if let State::Told(_) = self.state {
            *moments += 1;
            self.state = State::Blocked(*moments);
        }
        let _refused = reactor::watch(self.to.subscribe(), self.token);
        Ok(())
    }

    /// Takes the next line that it wants; whether there is one.
    fn begin_next(&mut self, journal: &Journal) -> bool {
        let lost = journal.lost(self.next);
        if lost > 0 {
            self.next += lost;
            self.begun = format!("({lost} lines were lost)\n").into_bytes();
            return true;
        }
        let Some((number, line)) = journal.next(self.next, &self.filter) else {
            self.next = self.next.max(journal.end());
            return false;
        };
        self.next = number + 1;
        self.begun = shown(line).into_bytes();
        true
    }
}

fn gone(_error: StreamError) -> Gone {
    Gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_been_blocked_for_longest_makes_room() {
        use State::{Blocked, Told};
        let chosen = |states: &[State]| least_served(states.iter().copied());
        assert_eq!(
            chosen(&[Blocked(7), Told(1), Blocked(3), Blocked(5)]),
            Some(2)
        );
        assert_eq!(
            chosen(&[Told(4), Told(2), Told(9)]),
            Some(1),
            "all of them read"
        );
        assert_eq!(chosen(&[]), None);
    }
}
