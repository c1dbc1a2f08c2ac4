//! Reading the time.

use std::hint::black_box;
use std::time::Instant;

use bench_sampling::Meter;

/// Takes the figures.
pub fn run(meter: &mut Meter<'_>) {
    meter.each("clock.gettime_user", || {
        black_box(Instant::now());
    });
}
