//! `wasi:clocks`: what holds of every clock.

use std::time::Duration;

use wasip2::clocks::{monotonic_clock, wall_clock};

use crate::{Cases, ClocksMonotonicClock, ClocksWallClock, say};

const SHORT_NS: u64 = 2_000_000;

impl ClocksMonotonicClock for Cases {
    fn now() {
        let readings: Vec<u64> = (0..1000).map(|_| monotonic_clock::now()).collect();
        say!("never goes back", readings.is_sorted());
    }

    fn resolution() {
        let resolution = monotonic_clock::resolution();
        say!(
            "at most a second",
            (1..=1_000_000_000).contains(&resolution)
        );
        say!(
            "the same at each call",
            resolution == monotonic_clock::resolution()
        );
    }

    fn subscribe_instant() {
        let start = monotonic_clock::now();
        let past = monotonic_clock::subscribe_instant(0);
        past.block();
        say!("the past is ready", past.ready());
        let soon = monotonic_clock::subscribe_instant(start + SHORT_NS);
        soon.block();
        say!(
            "not before its time",
            monotonic_clock::now() >= start + SHORT_NS
        );
        say!("ready for good", soon.ready());
        say!(
            "the last instant",
            monotonic_clock::subscribe_instant(u64::MAX).ready()
        );
    }

    fn subscribe_duration() {
        let none = monotonic_clock::subscribe_duration(0);
        none.block();
        say!("nothing is ready", none.ready());
        let start = monotonic_clock::now();
        let short = monotonic_clock::subscribe_duration(SHORT_NS);
        short.block();
        say!(
            "not before its time",
            monotonic_clock::now() >= start + SHORT_NS
        );
        say!(
            "the longest",
            monotonic_clock::subscribe_duration(u64::MAX).ready()
        );
    }
}

impl ClocksWallClock for Cases {
    fn now() {
        let now = wall_clock::now();
        say!(
            "nanoseconds are a part of a second",
            now.nanoseconds < 1_000_000_000
        );
        let from_std = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default();
        let read = Duration::new(now.seconds, now.nanoseconds);
        say!(
            "that of std",
            from_std.abs_diff(read) < Duration::from_secs(60)
        );
    }

    fn resolution() {
        let resolution = wall_clock::resolution();
        let read = Duration::new(resolution.seconds, resolution.nanoseconds);
        say!(
            "at most a second",
            (Duration::from_nanos(1)..=Duration::from_secs(1)).contains(&read)
        );
    }
}
