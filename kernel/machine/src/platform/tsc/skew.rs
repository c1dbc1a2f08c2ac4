//! How far another CPU's time-stamp counter is from this one's.
//!
//! Law: in one exchange this CPU reads its counter, the other one reads its own, and this one reads its own again. At
//! the moment of the other's reading this counter stood between its two readings, so each exchange confines the
//! distance to an interval, whatever was delayed. All exchanges together confine it to what their intervals have
//! in common; a single quick one is enough for a narrow answer. Units: ticks, positive where the other is ahead.

/// The readings of one exchange, in the order in which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// This CPU's counter before.
    pub asked: u64,
    /// The other CPU's.
    pub answered: u64,
    /// This CPU's counter after.
    pub returned: u64,
}

/// What is known of the distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// The other counter is ahead by at least so much.
    pub at_least: i64,
    /// And at most by so much.
    pub at_most: i64,
}

impl Skew {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        at_least: i64::MIN,
        at_most: i64::MAX,
    };

    /// What is known after another exchange.
    #[must_use]
    pub fn after(self, exchange: Exchange) -> Self {
        let Exchange {
            asked,
            answered,
            returned,
        } = exchange;
        Self {
            at_least: self.at_least.max(distance(answered, returned)),
            at_most: self.at_most.min(distance(answered, asked)),
        }
    }

    /// Whether the counters may show the same: no exchange proves that they differ. Counters that run at different
    /// speeds leave nothing in common, and are not in step either.
    pub fn may_be_none(self) -> bool {
        self.at_least <= 0 && self.at_most >= 0
    }

    /// How wide the answer is, in ticks.
    pub fn width(self) -> u64 {
        self.at_most.abs_diff(self.at_least)
    }
}

/// `a - b`, limited to what an `i64` holds.
fn distance(a: u64, b: u64) -> i64 {
    let difference = i128::from(a) - i128::from(b);
    difference.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_true_distance_is_never_excluded(
            ahead in -1_000_000i64..1_000_000,
            start in 2_000_000u64..1 << 62,
            delays in proptest::collection::vec((0u64..50_000, 0u64..50_000), 1..40),
        ) {
            let mut skew = Skew::UNKNOWN;
            for (there, back) in &delays {
                skew = skew.after(Exchange {
                    asked: start,
                    answered: (start + there).checked_add_signed(ahead).unwrap(),
                    returned: start + there + back,
                });
            }
            prop_assert!(skew.at_least <= ahead && ahead <= skew.at_most);
            let quickest = delays.iter().map(|(there, back)| there + back).min().unwrap();
            prop_assert!(skew.width() <= quickest);
        }
    }

    #[test]
    fn a_difference_that_is_proved_is_said() {
        let late = Exchange {
            asked: 1000,
            answered: 400,
            returned: 1100,
        };
        let skew = Skew::UNKNOWN.after(late);
        assert_eq!((skew.at_least, skew.at_most), (-700, -600));
        assert!(!skew.may_be_none());
        assert!(Skew::UNKNOWN.may_be_none());
    }

    #[test]
    fn different_speeds_are_not_in_step() {
        let ahead = Exchange {
            asked: 0,
            answered: 50,
            returned: 10,
        };
        let behind = Exchange {
            asked: 100,
            answered: 60,
            returned: 110,
        };
        assert!(!Skew::UNKNOWN.after(ahead).after(behind).may_be_none());
    }
}
