//! What time it is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const NS_PER_SECOND: u64 = 1_000_000_000;

/// Two clocks: one that never goes back, and one that says the date.
pub trait Clock: Send + Sync {
    /// Nanoseconds since some moment before the system's first process; never decreases.
    fn monotonic_ns(&self) -> u64;
    /// The smallest step of the monotonic clock, in nanoseconds.
    fn monotonic_resolution_ns(&self) -> u64;
    /// Time since 1970-01-01T00:00:00Z.
    fn wall(&self) -> Duration;
    /// The smallest step of the wall clock.
    fn wall_resolution(&self) -> Duration;
}

/// The clocks of `std`.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// Clocks of which the monotonic one counts from now.
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn monotonic_ns(&self) -> u64 {
        // 584 years pass before this saturates.
        let elapsed = self.origin.elapsed();
        elapsed
            .as_secs()
            .saturating_mul(NS_PER_SECOND)
            .saturating_add(u64::from(elapsed.subsec_nanos()))
    }

    fn monotonic_resolution_ns(&self) -> u64 {
        1
    }

    fn wall(&self) -> Duration {
        // A clock set before 1970 reads as 1970.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn wall_resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }
}
