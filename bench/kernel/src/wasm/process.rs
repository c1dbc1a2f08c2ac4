//! A process from its start until it is reaped.

use bench_sampling::Meter;

use crate::bundle::Files;
use crate::programs::{self, Programs};

/// The program, and the figure's name.
const HELLO: &str = "hello";
const FIGURE: &str = "run.hello_process";

/// Takes the figure.
pub fn run(meter: &mut Meter<'_>, files: &Files) {
    if !meter.wants(FIGURE) || !files.has_program(HELLO) {
        return;
    }
    match Programs::new(files) {
        Ok(programs) => meter.long(FIGURE, || programs.run(HELLO, &[], programs::quiet())),
        Err(error) => meter.error(FIGURE, &error),
    }
}
