//! What samples come to.
//!
//! Law: a round's value is its best sample, because whatever disturbs a measurement on a shared host makes it worse; a
//! figure is the median of its rounds, and its spread is from the least to the greatest of them.

/// The least, the middle and the greatest of some numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// The middle; of an even count the mean of the two in the middle.
    pub median: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of these numbers; `None` without any.
    pub fn of(numbers: &[f64]) -> Option<Self> {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            min: *sorted.first()?,
            median: median(&sorted),
            max: *sorted.last()?,
        })
    }
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    } else {
        sorted[middle]
    }
}

/// The best of a round's samples; `None` without any.
pub fn best(samples: &[f64], higher_is_better: bool) -> Option<f64> {
    let samples = samples.iter().copied();
    if higher_is_better {
        samples.max_by(f64::total_cmp)
    } else {
        samples.min_by(f64::total_cmp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_middle_of_odd_and_of_even_counts() {
        assert_eq!(
            Spread::of(&[3.0, 1.0, 2.0]),
            Some(Spread {
                min: 1.0,
                median: 2.0,
                max: 3.0
            })
        );
        assert_eq!(
            Spread::of(&[4.0, 1.0]).map(|spread| spread.median),
            Some(2.5)
        );
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn the_best_is_the_quickest_or_the_most() {
        assert_eq!(best(&[3.0, 1.0, 2.0], false), Some(1.0));
        assert_eq!(best(&[3.0, 1.0, 2.0], true), Some(3.0));
        assert_eq!(best(&[], true), None);
    }
}
