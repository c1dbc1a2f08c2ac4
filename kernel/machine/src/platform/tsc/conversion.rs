//! Ticks to nanoseconds and back, exactly invertible, without overflow for as long as the counter
//! lasts.
//!
//! Law: `ns = ⌊ticks · multiplier / 2⁴⁸⌋` in 128-bit arithmetic, and the way back is its exact
//! inverse, rounded up: [`TickScale::ticks_from_ns`] answers the first tick at which `ns`
//! nanoseconds have passed, so a timer set to it never fires early. Results that do not fit
//! saturate.

const SHIFT: u32 = 48;
const NS_PER_SECOND: u128 = 1_000_000_000;
/// Frequencies for which the multiplier has enough bits and fits.
const USABLE_HZ: core::ops::RangeInclusive<u64> = 1_000_000..=1_000_000_000_000;

/// How ticks of one frequency relate to nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickScale {
    multiplier: u64,
}

impl TickScale {
    /// The scale of a counter that runs at `hz`; `None` outside 1 MHz to 1 THz.
    pub fn new(hz: u64) -> Option<Self> {
        if !USABLE_HZ.contains(&hz) {
            return None;
        }
        let multiplier = (NS_PER_SECOND << SHIFT) / u128::from(hz);
        u64::try_from(multiplier)
            .ok()
            .map(|multiplier| Self { multiplier })
    }

    /// Nanoseconds in `ticks`, rounded down.
    pub fn ns_from_ticks(self, ticks: u64) -> u64 {
        let ns = (u128::from(ticks) * u128::from(self.multiplier)) >> SHIFT;
        u64::try_from(ns).unwrap_or(u64::MAX)
    }

    /// The fewest ticks in which `ns` nanoseconds pass.
    pub fn ticks_from_ns(self, ns: u64) -> u64 {
        let ticks = (u128::from(ns) << SHIFT).div_ceil(u128::from(self.multiplier));
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }
}

/// Nanoseconds since a moment, read off the time-stamp counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonotonicClock {
    origin_tsc: u64,
    scale: TickScale,
}

impl MonotonicClock {
    /// A clock that showed 0 when the counter was `origin_tsc`.
    pub fn new(origin_tsc: u64, scale: TickScale) -> Self {
        Self { origin_tsc, scale }
    }

    /// The time now.
    pub fn now_ns(&self) -> u64 {
        self.ns_at(super::read())
    }

    /// The time at a count; 0 before the origin, since another CPU's counter may lag a little.
    pub fn ns_at(&self, tsc: u64) -> u64 {
        self.scale
            .ns_from_ticks(tsc.saturating_sub(self.origin_tsc))
    }

    /// The first count at which the clock shows `ns` or more.
    pub fn tsc_at(&self, ns: u64) -> u64 {
        self.origin_tsc.saturating_add(self.scale.ticks_from_ns(ns))
    }

    /// Spins for at least `ns` nanoseconds.
    pub fn spin_ns(&self, ns: u64) {
        let end = super::read().saturating_add(self.scale.ticks_from_ns(ns));
        while super::read() < end {
            core::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// At 5 GHz a 64-bit counter lasts 117 years.
    const CENTURY_NS: u64 = 100 * 365 * 86_400 * 1_000_000_000;

    proptest! {
        #[test]
        fn the_way_back_is_the_first_tick_that_is_late_enough(
            hz in 1_000_000u64..=5_000_000_000,
            ns in 0..CENTURY_NS,
        ) {
            let scale = TickScale::new(hz).unwrap();
            let ticks = scale.ticks_from_ns(ns);
            prop_assert!(scale.ns_from_ticks(ticks) >= ns);
            prop_assert!(ticks == 0 || scale.ns_from_ticks(ticks - 1) < ns);
        }

        #[test]
        fn the_scale_is_exact_to_a_part_in_a_thousand_million(
            hz in 1_000_000u64..=20_000_000_000,
            ticks in 0..u64::MAX / 4,
        ) {
            let exact = u128::from(ticks) * NS_PER_SECOND / u128::from(hz);
            prop_assume!(exact < u128::from(u64::MAX));
            let found = u128::from(TickScale::new(hz).unwrap().ns_from_ticks(ticks));
            prop_assert!(exact.abs_diff(found) <= exact / 1_000_000_000 + 1);
        }

        #[test]
        fn time_never_runs_backwards(hz in 1_000_000u64..=20_000_000_000, a: u64, b: u64) {
            let clock = MonotonicClock::new(1 << 40, TickScale::new(hz).unwrap());
            prop_assert!(clock.ns_at(a.min(b)) <= clock.ns_at(a.max(b)));
        }
    }

    #[test]
    fn a_gigahertz_is_the_identity() {
        let scale = TickScale::new(1_000_000_000).unwrap();
        for value in [0, 1, 999, CENTURY_NS, u64::MAX] {
            assert_eq!(scale.ns_from_ticks(value), value);
            assert_eq!(scale.ticks_from_ns(value), value);
        }
    }

    #[test]
    fn absurd_frequencies_are_refused() {
        for hz in [0, 999_999, 1_000_000_000_001, u64::MAX] {
            assert_eq!(TickScale::new(hz), None);
        }
    }
}
