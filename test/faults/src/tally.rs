//! What was injected, and what the system recovered from.

use std::fmt;

use crate::table::{KINDS, Kind, Pair, STATES, State, pairs};

/// Counts for each kind and state.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: [[Count; STATES.len()]; KINDS.len()],
    /// Services that were started.
    pub services: u64,
}

/// How often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Faults that were injected.
    pub injected: usize,
    /// Those after which everybody else was served.
    pub recovered: usize,
}

impl Tally {
    pub(crate) fn injected(&mut self, pair: &Pair) {
        self.count_mut(pair).injected += 1;
    }

    pub(crate) fn recovered(&mut self, pair: &Pair) {
        self.count_mut(pair).recovered += 1;
    }

    fn count_mut(&mut self, pair: &Pair) -> &mut Count {
        &mut self.counts[pair.kind as usize][pair.state as usize]
    }

    /// How often a kind was injected in a state.
    pub fn count(&self, kind: Kind, state: State) -> Count {
        self.counts[kind as usize][state as usize]
    }

    /// All of them together.
    pub fn total(&self) -> Count {
        let all = self.counts.iter().flatten();
        all.fold(Count::default(), |sum, count| Count {
            injected: sum.injected + count.injected,
            recovered: sum.recovered + count.recovered,
        })
    }
}

/// A line for each pair: kind, state, how often it was injected, how often the system recovered.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for pair in pairs() {
            let count = self.count(pair.kind, pair.state);
            writeln!(f, "{pair} {} {}", count.injected, count.recovered)?;
        }
        Ok(())
    }
}
