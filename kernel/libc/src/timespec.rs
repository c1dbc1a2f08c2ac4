//! Arithmetic between C's `timespec` and the kernel's nanoseconds.
//!
//! The kernel counts nanoseconds in a `u64`, which lasts 584 years. Times beyond that saturate:
//! a deadline there means "never", which is what callers that pass `i64::MAX` seconds want.

use libc::timespec;

/// Nanoseconds in a second.
pub(crate) const NS_PER_SECOND: u64 = 1_000_000_000;

/// The nanoseconds in `time`; `None` where POSIX asks for `EINVAL` (a negative time, or a
/// nanosecond field outside `0..1_000_000_000`).
pub(crate) fn timespec_to_ns(time: &timespec) -> Option<u64> {
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let nanoseconds = u64::try_from(time.tv_nsec).ok()?;
    if nanoseconds >= NS_PER_SECOND {
        return None;
    }
    Some(
        seconds
            .saturating_mul(NS_PER_SECOND)
            .saturating_add(nanoseconds),
    )
}

/// The same point in time as a `timespec`. Exact: a `u64` of nanoseconds fits.
pub(crate) fn ns_to_timespec(time_ns: u64) -> timespec {
    timespec {
        tv_sec: (time_ns / NS_PER_SECOND).cast_signed(),
        tv_nsec: (time_ns % NS_PER_SECOND).cast_signed(),
    }
}

/// The monotonic deadline at which the wall clock will read `target_ns`, judged by both clocks
/// now. A target in the past gives `monotonic_now_ns`; later steps of the wall clock are not
/// followed.
pub(crate) fn realtime_to_monotonic_ns(
    target_ns: u64,
    realtime_now_ns: u64,
    monotonic_now_ns: u64,
) -> u64 {
    monotonic_now_ns.saturating_add(target_ns.saturating_sub(realtime_now_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timespec(tv_sec: i64, tv_nsec: i64) -> timespec {
        libc::timespec { tv_sec, tv_nsec }
    }

    #[test]
    fn conversion_round_trips() {
        for time_ns in [
            0,
            1,
            999_999_999,
            1_000_000_000,
            1_234_567_890_123,
            u64::MAX,
        ] {
            assert_eq!(timespec_to_ns(&ns_to_timespec(time_ns)), Some(time_ns));
        }
    }

    #[test]
    fn times_that_posix_calls_invalid_are_refused() {
        for (seconds, nanoseconds) in [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MIN, i64::MIN)] {
            assert_eq!(timespec_to_ns(&timespec(seconds, nanoseconds)), None);
        }
    }

    #[test]
    fn far_future_means_never() {
        assert_eq!(
            timespec_to_ns(&timespec(i64::MAX, 999_999_999)),
            Some(u64::MAX)
        );
    }

    #[test]
    fn wall_clock_deadlines_move_to_the_monotonic_clock() {
        assert_eq!(realtime_to_monotonic_ns(1_500, 1_000, 20), 520);
        assert_eq!(realtime_to_monotonic_ns(900, 1_000, 20), 20);
        assert_eq!(realtime_to_monotonic_ns(u64::MAX, 0, 20), u64::MAX);
    }
}
