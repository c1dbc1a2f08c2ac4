//! What a thread is entitled to: how much (priority) and how soon (class).
//!
//! Law: the two are independent. A priority is a weight, and time is shared in proportion to weights; each step
//! is a factor of 1.25, so a difference of 10 is about 9 : 1. A class is a slice, and the shorter the slice, the
//! earlier the deadline: an interactive thread is served sooner, not more. That is why a program that calls
//! itself interactive and computes cannot starve others.

/// How soon a thread wants the CPU once it can run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Computes at length; never takes the CPU from others before their slice ends.
    Batch,
    /// What a thread is unless somebody says otherwise.
    #[default]
    Normal,
    /// A person waits for it: takes the CPU from the other classes when it wakes.
    Interactive,
}

impl Class {
    /// All of them, the most patient first.
    pub const ALL: [Self; 3] = [Self::Batch, Self::Normal, Self::Interactive];

    /// How long a thread of the class runs in one go while others wait, in nanoseconds.
    #[inline]
    pub const fn slice_ns(self) -> u64 {
        match self {
            Self::Batch => 16_000_000,
            Self::Normal => 4_000_000,
            Self::Interactive => 1_000_000,
        }
    }

    /// Its name in lists.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Normal => "normal",
            Self::Interactive => "interactive",
        }
    }

    #[inline]
    const fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Batch,
            2 => Self::Interactive,
            _ => Self::Normal,
        }
    }
}

/// The weight of priority 0.
pub const UNIT: u32 = 1024;
/// Weights of the priorities from the lowest to the highest: `1024 · 1.25ⁿ`, rounded.
const WEIGHTS: [u32; 21] = [
    110, 137, 172, 215, 268, 336, 419, 524, 655, 819, UNIT, 1280, 1600, 2000, 2500, 3125, 3906,
    4883, 6104, 7629, 9537,
];

/// How much of the CPU a thread gets beside others: from −10 to 10.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(i8);

impl Priority {
    /// The least.
    pub const MIN: Self = Self(-10);
    /// The most.
    pub const MAX: Self = Self(10);

    /// A priority; what is out of range becomes the nearest.
    #[inline]
    pub const fn new(level: i8) -> Self {
        match level {
            ..=-10 => Self::MIN,
            10.. => Self::MAX,
            _ => Self(level),
        }
    }

    /// Its level, from −10 to 10.
    #[inline]
    pub const fn level(self) -> i8 {
        self.0
    }

    /// Its weight.
    #[inline]
    pub const fn weight(self) -> u32 {
        WEIGHTS[(self.0 + 10) as usize]
    }
}

/// Class and priority together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// How soon.
    pub class: Class,
    /// How much.
    pub priority: Priority,
}

impl Share {
    /// As one word, so that it can be changed while others read it.
    #[inline]
    pub const fn to_bits(self) -> u32 {
        (self.class as u32) << 8 | (self.priority.0 + 10) as u32
    }

    /// What [`Self::to_bits`] made; any other word is some valid share.
    #[inline]
    pub const fn from_bits(bits: u32) -> Self {
        let level = (bits & 0xff) as i8;
        Self {
            class: Class::from_number(bits >> 8),
            priority: Priority::new(level.saturating_sub(10)),
        }
    }

    /// The slice in virtual nanoseconds: what is added to a thread's virtual time for its deadline.
    #[inline]
    pub fn slice_virtual_ns(self) -> u64 {
        virtual_ns(self.class.slice_ns(), self.priority.weight())
    }
}

/// Real time of a thread of this weight as virtual time, rounded down. `ns` is below 2⁵³.
#[inline]
pub const fn virtual_ns(ns: u64, weight: u32) -> u64 {
    if weight == UNIT {
        return ns;
    }
    ns * UNIT as u64 / weight as u64
}

/// The other way round, rounded down. `virtual_ns` is below 2⁴⁹.
#[inline]
pub const fn real_ns(virtual_ns: u64, weight: u32) -> u64 {
    if weight == UNIT {
        return virtual_ns;
    }
    virtual_ns * weight as u64 / UNIT as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_of_priority_is_a_quarter_more() {
        for pair in WEIGHTS.windows(2) {
            let exact = f64::from(pair[0]) * 1.25;
            assert!((f64::from(pair[1]) - exact).abs() < 1.6, "{pair:?}");
        }
    }

    #[test]
    fn a_share_survives_as_a_word() {
        for class in Class::ALL {
            for level in -10..=10 {
                let share = Share {
                    class,
                    priority: Priority::new(level),
                };
                assert_eq!(Share::from_bits(share.to_bits()), share);
            }
        }
        for garbage in [u32::MAX, 0xff, 0x7fff_ff80, 0x300] {
            let weight = Share::from_bits(garbage).priority.weight();
            assert!((110..=9537).contains(&weight));
        }
    }

    #[test]
    fn out_of_range_is_the_nearest() {
        assert_eq!(Priority::new(i8::MIN), Priority::MIN);
        assert_eq!(Priority::new(i8::MAX), Priority::MAX);
    }
}
