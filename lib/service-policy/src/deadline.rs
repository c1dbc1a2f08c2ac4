//! Until when something has to have happened.
//!
//! Law: what was to happen by then, and did not, has failed. But a machine may stand still: its virtual CPUs are not run, or whoever
//! looks at the time is not. Then nobody could do anything, and the time that is seen next says nothing of who had to. So a
//! deadline whose end is first seen more than [`SEEN_LATE_NS`] late begins again from there, once. What lost: not to count the time
//! in which the machine stood still, which nothing here could measure.

use crate::entry::NS_PER_MS;

/// Later than this after a deadline nobody looks at it for the first time on a machine that runs.
const SEEN_LATE_NS: u64 = 1_000 * NS_PER_MS;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at_ns: u64,
    patience_ns: u64,
    is_prolonged: bool,
}

impl Deadline {
    /// So long after `from_ns`.
    pub fn after(from_ns: u64, patience_ms: u64) -> Self {
        let patience_ns = patience_ms.saturating_mul(NS_PER_MS);
        Self {
            at_ns: from_ns.saturating_add(patience_ns),
            patience_ns,
            is_prolonged: false,
        }
    }

    /// Whether it is over now. It begins again if that is seen too late to mean anything.
    pub fn is_over(&mut self, now_ns: u64) -> bool {
        let Some(late_ns) = now_ns.checked_sub(self.at_ns) else {
            return false;
        };
        if late_ns <= SEEN_LATE_NS || self.is_prolonged {
            return true;
        }
        self.is_prolonged = true;
        self.at_ns = now_ns.saturating_add(self.patience_ns);
        false
    }

    pub fn at_ns(&self) -> u64 {
        self.at_ns
    }
}
