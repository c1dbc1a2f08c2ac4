//! How long an idle CPU looks for work before it halts.
//!
//! Law: waking a halted CPU takes an interrupt and, in a virtual machine, often a reschedule of the host: many
//! microseconds. Looking costs power, and in a virtual machine the host's time. So a CPU looks for as long as
//! work recently took to come, at most [`POLL_NS_MAX`]; when that was in vain it looks half as long the next time,
//! down to nothing. An idle machine therefore does not poll.

/// The longest look, in nanoseconds: about what waking a halted virtual CPU costs.
pub const POLL_NS_MAX: u64 = 64_000;
/// The shortest that is worth starting, in nanoseconds.
const POLL_NS_MIN: u64 = 4_000;

/// How long the next look is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PollBudget {
    ns: u64,
}

impl PollBudget {
    /// A budget of `ns` nanoseconds: what [`Self::ns`] said, or 0 of a CPU that has not been idle.
    #[inline]
    pub const fn of_ns(ns: u64) -> Self {
        Self { ns }
    }

    /// The length of the next look, in nanoseconds; 0 for none.
    #[inline]
    pub fn ns(self) -> u64 {
        self.ns
    }

    /// Work came after the CPU had been idle for `idle_ns`, polling or halted.
    #[must_use]
    #[inline]
    pub fn after_work(self, idle_ns: u64) -> Self {
        if idle_ns > POLL_NS_MAX {
            return self.shorter();
        }
        let wanted = (2 * idle_ns).clamp(POLL_NS_MIN, POLL_NS_MAX);
        Self {
            ns: self.ns.max(wanted),
        }
    }

    #[inline]
    fn shorter(self) -> Self {
        let half = self.ns / 2;
        Self {
            ns: if half < POLL_NS_MIN { 0 } else { half },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_work_is_waited_for_and_slow_work_is_not() {
        let mut budget = PollBudget::default();
        assert_eq!(budget.ns(), 0);
        budget = budget.after_work(10_000);
        assert_eq!(budget.ns(), 20_000);
        budget = budget.after_work(60_000);
        assert_eq!(budget.ns(), POLL_NS_MAX);
        for _ in 0..5 {
            budget = budget.after_work(1_000_000);
        }
        assert_eq!(budget.ns(), 0);
    }
}
