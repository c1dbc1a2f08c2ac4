//! A tracepoint, switched off and on. The peer has no such figures.

use std::hint::black_box;

use bench_sampling::Meter;
use kernel_core::trace::{self, Category, Kind};

/// Takes the figures.
pub fn run(meter: &mut Meter<'_>) {
    let point = || trace::point(Kind::Wake, 0, black_box(1), black_box(2));
    meter.each("trace.point_off", point);
    // Without memory for the rings there is no figure.
    if trace::start(Category::Wake.bit()).is_ok() {
        meter.each("trace.point_on", point);
        trace::stop();
    }
}
