//! Frequency of one counter measured against another, on a machine that may be busy elsewhere.
//!
//! Law: a reading of a slow counter counts only together with the two TSC readings around it; of
//! several tries the one with the tightest bracket is kept, because a host that took the CPU away
//! in between shows as a wide one. Several intervals are measured; the median rules unless all
//! agree, then the whole span does, which is more exact. Counters may wrap, stand still or jump;
//! every loop is bounded. Nothing here touches hardware: counters are parameters.

use super::FEMTOSECONDS_PER_SECOND;

/// A counter that counts up and wraps.
pub trait Counter {
    /// All ones in as many bits as the counter has.
    fn mask(&self) -> u64;
    /// The present count; bits outside the mask are ignored.
    fn read(&mut self) -> u64;
}

/// A counter of known frequency.
pub trait Reference: Counter {
    /// Femtoseconds from one tick to the next; not 0.
    fn period_fs(&self) -> u64;
}

/// A measured frequency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// Ticks per second.
    pub hz: u64,
    /// Distance between the samples without the lowest and the highest, in parts per million of the
    /// median.
    pub spread_ppm: u32,
}

/// One of the two counters does not advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck;

const INTERVALS: usize = 5;
/// Length of one interval.
const INTERVAL_NS: u64 = 8_000_000;
/// Readings of which the one with the tightest bracket is kept.
const BRACKET_TRIES: usize = 8;
/// Polls after which an interval is given up: over 80 ms even at 20 ns a poll.
const POLLS_MAX: u32 = 4_000_000;
/// TSC ticks, at least 0.2 s, in which a running counter moves.
const STUCK_TSC_TICKS: u64 = 1 << 32;
/// If all intervals lie this close to the median, the whole span is used.
const AGREEMENT_PPM: u64 = 1_000;

/// Ticks of both counters over one span of time.
#[derive(Clone, Copy, Debug, Default)]
struct Interval {
    tsc_ticks: u64,
    other_ticks: u64,
}

/// Measures the TSC, read by `tsc`, against `reference`.
pub fn measure_tsc(
    tsc: &mut impl FnMut() -> u64,
    reference: &mut impl Reference,
) -> Result<Measurement, Stuck> {
    let period_fs = reference.period_fs();
    let window_ticks = (INTERVAL_NS * 1_000_000 / period_fs).max(1);
    let intervals = intervals(tsc, reference, |done| done.other_ticks >= window_ticks)?;
    evaluate(&intervals, |interval| {
        let elapsed_fs = u128::from(interval.other_ticks) * u128::from(period_fs);
        rate(interval.tsc_ticks, FEMTOSECONDS_PER_SECOND, elapsed_fs)
    })
}

/// Measures `counter` against the TSC, read by `tsc`, which runs at `tsc_hz`.
pub fn measure_counter(
    tsc: &mut impl FnMut() -> u64,
    tsc_hz: u64,
    counter: &mut impl Counter,
) -> Result<Measurement, Stuck> {
    let window_ticks = (u128::from(tsc_hz) * u128::from(INTERVAL_NS) / 1_000_000_000) as u64;
    let intervals = intervals(tsc, counter, |done| done.tsc_ticks >= window_ticks)?;
    evaluate(&intervals, |interval| {
        rate(interval.other_ticks, tsc_hz, u128::from(interval.tsc_ticks))
    })
}

fn rate(ticks: u64, scale: u64, span: u128) -> Option<u64> {
    let hz = (u128::from(ticks) * u128::from(scale)).checked_div(span)?;
    u64::try_from(hz).ok().filter(|hz| *hz > 0)
}

fn intervals(
    tsc: &mut impl FnMut() -> u64,
    other: &mut impl Counter,
    is_done: impl Fn(Interval) -> bool,
) -> Result<[Interval; INTERVALS], Stuck> {
    let mut found = [Interval::default(); INTERVALS];
    for slot in &mut found {
        *slot = interval(tsc, other, &is_done)?;
    }
    Ok(found)
}

fn interval(
    tsc: &mut impl FnMut() -> u64,
    other: &mut impl Counter,
    is_done: impl Fn(Interval) -> bool,
) -> Result<Interval, Stuck> {
    let (start_tsc, mut last) = bracketed(tsc, other);
    let mut done = Interval::default();
    for _ in 0..POLLS_MAX {
        done.tsc_ticks = tsc().saturating_sub(start_tsc);
        done.other_ticks = advance(other, &mut last, done.other_ticks);
        if is_done(done) {
            let (end_tsc, end) = bracketed(tsc, other);
            done.tsc_ticks = end_tsc.saturating_sub(start_tsc);
            done.other_ticks = done
                .other_ticks
                .saturating_add(forward(last, end, other.mask()));
            return Ok(done);
        }
        if done.tsc_ticks > STUCK_TSC_TICKS && done.other_ticks == 0 {
            break;
        }
    }
    Err(Stuck)
}

fn advance(other: &mut impl Counter, last: &mut u64, ticks: u64) -> u64 {
    let now = other.read();
    let step = forward(*last, now, other.mask());
    *last = now;
    ticks.saturating_add(step)
}

/// Ticks from `last` to `now` on a counter that wraps at `mask`. More than half a turn means that
/// the counter was read a little backwards: no ticks.
fn forward(last: u64, now: u64, mask: u64) -> u64 {
    let step = now.wrapping_sub(last) & mask;
    if step > mask / 2 { 0 } else { step }
}

/// Reads both counters: the TSC in the middle of the tightest bracket, and the other's value there.
fn bracketed(tsc: &mut impl FnMut() -> u64, other: &mut impl Counter) -> (u64, u64) {
    let mut best = (u64::MAX, 0, 0);
    for _ in 0..BRACKET_TRIES {
        let before = tsc();
        let value = other.read();
        let width = tsc().saturating_sub(before);
        if width < best.0 {
            best = (width, before.saturating_add(width / 2), value);
        }
    }
    (best.1, best.2)
}

fn evaluate(
    intervals: &[Interval; INTERVALS],
    to_hz: impl Fn(Interval) -> Option<u64>,
) -> Result<Measurement, Stuck> {
    let mut rates = [0; INTERVALS];
    for (rate, interval) in rates.iter_mut().zip(intervals) {
        *rate = to_hz(*interval).ok_or(Stuck)?;
    }
    rates.sort_unstable();
    let median = rates[INTERVALS / 2];
    let agree = ppm(rates[INTERVALS - 1] - rates[0], median) <= AGREEMENT_PPM;
    let hz = if agree {
        to_hz(sum(intervals)).ok_or(Stuck)?
    } else {
        median
    };
    let spread = ppm(rates[INTERVALS - 2] - rates[1], median);
    Ok(Measurement {
        hz,
        spread_ppm: u32::try_from(spread).unwrap_or(u32::MAX),
    })
}

fn sum(intervals: &[Interval; INTERVALS]) -> Interval {
    intervals
        .iter()
        .fold(Interval::default(), |sum, next| Interval {
            tsc_ticks: sum.tsc_ticks.saturating_add(next.tsc_ticks),
            other_ticks: sum.other_ticks.saturating_add(next.other_ticks),
        })
}

fn ppm(distance: u64, of: u64) -> u64 {
    (u128::from(distance) * 1_000_000 / u128::from(of.max(1)))
        .try_into()
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use core::cell::{Cell, RefCell};

    /// A machine whose time moves with every reading, and jumps when the host takes the CPU away.
    struct Model {
        now_fs: Cell<u128>,
        random: RefCell<u64>,
        jumps: bool,
    }

    impl Model {
        fn new(seed: u64, jumps: bool) -> Self {
            Self {
                now_fs: Cell::new(0),
                random: RefCell::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
                jumps,
            }
        }
        fn step(&self) {
            let mut random = self.random.borrow_mut();
            *random ^= *random << 13;
            *random ^= *random >> 7;
            *random ^= *random << 17;
            let pause_ns = if self.jumps && random.is_multiple_of(300) {
                *random % 3_000_000
            } else {
                300 + *random % 200
            };
            self.now_fs
                .set(self.now_fs.get() + u128::from(pause_ns) * 1_000_000);
        }
        fn count(&self, hz: u64) -> u64 {
            self.step();
            (self.now_fs.get() * u128::from(hz) / u128::from(FEMTOSECONDS_PER_SECOND)) as u64
        }
    }

    struct ModelCounter<'a> {
        model: &'a Model,
        hz: u64,
        mask: u64,
    }

    impl Counter for ModelCounter<'_> {
        fn mask(&self) -> u64 {
            self.mask
        }
        fn read(&mut self) -> u64 {
            self.model.count(self.hz) & self.mask
        }
    }

    impl Reference for ModelCounter<'_> {
        fn period_fs(&self) -> u64 {
            FEMTOSECONDS_PER_SECOND / self.hz
        }
    }

    fn seeds() -> impl Iterator<Item = u64> {
        let replay = std::env::var("KPIO_SEED").ok();
        let replay = replay.and_then(|seed| seed.parse().ok());
        replay.map_or(1..40, |seed: u64| seed..seed + 1)
    }

    fn assert_close(hz: u64, true_hz: u64, tolerance_ppm: u64, seed: u64) {
        assert!(
            ppm(hz.abs_diff(true_hz), true_hz) <= tolerance_ppm,
            "KPIO_SEED={seed}: {hz} Hz measured, {true_hz} Hz true"
        );
    }

    #[test]
    fn every_reference_finds_the_frequency_on_a_quiet_and_a_busy_machine() {
        let references = [
            (100_000_000, u64::from(u32::MAX)),
            (3_579_545, 0xff_ffff),
            (1_193_182, 0xffff),
        ];
        for seed in seeds() {
            for (hz, mask) in references {
                for jumps in [false, true] {
                    let model = Model::new(seed, jumps);
                    let mut reference = ModelCounter {
                        model: &model,
                        hz,
                        mask,
                    };
                    let mut tsc = || model.count(2_893_202_000);
                    let found = measure_tsc(&mut tsc, &mut reference).unwrap();
                    assert_close(found.hz, 2_893_202_000, 300, seed);
                }
            }
        }
    }

    #[test]
    fn a_counter_is_measured_against_the_tsc() {
        for seed in seeds() {
            let model = Model::new(seed, true);
            let mut timer = ModelCounter {
                model: &model,
                hz: 62_500_000,
                mask: 0xffff_ffff,
            };
            let mut tsc = || model.count(1_000_000_000);
            let found = measure_counter(&mut tsc, 1_000_000_000, &mut timer).unwrap();
            assert_close(found.hz, 62_500_000, 300, seed);
        }
    }

    struct Constant(u64);

    impl Counter for Constant {
        fn mask(&self) -> u64 {
            u64::MAX
        }
        fn read(&mut self) -> u64 {
            self.0
        }
    }

    impl Reference for Constant {
        fn period_fs(&self) -> u64 {
            10_000_000
        }
    }

    #[test]
    fn a_dead_reference_and_a_dead_tsc_are_noticed() {
        let model = Model::new(1, false);
        let mut fast = || model.count(2_000_000_000_000);
        assert_eq!(measure_tsc(&mut fast, &mut Constant(u64::MAX)), Err(Stuck));
        let mut reference = ModelCounter {
            model: &model,
            hz: 100_000_000,
            mask: u64::MAX,
        };
        assert_eq!(measure_tsc(&mut || 7, &mut reference), Err(Stuck));
    }

    #[test]
    fn a_step_backwards_is_not_a_whole_turn() {
        assert_eq!(forward(10, 9, 0xffff), 0);
        assert_eq!(forward(0xfffe, 3, 0xffff), 5);
        assert_eq!(forward(5, 5, 0xffff), 0);
    }
}
