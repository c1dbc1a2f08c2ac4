//! `kpio:time/hardware`: the machine's clocks, for whom they were given to.

use std::sync::Arc;
use std::time::Duration;

use runtime_host::{ClockHardware, ClockHardwareError};

use super::bindings::kpio::time::hardware::{ClockError, Host, Instant};
use crate::context::Caller;

const NS_PER_SECOND: u32 = 1_000_000_000;

type Answer<T> = wasmtime::Result<Result<T, ClockError>>;

impl Caller<'_> {
    fn clocks(&self) -> wasmtime::Result<Arc<dyn ClockHardware>> {
        let clocks = self.devices().clocks.clone();
        // What was not granted does not link.
        clocks.ok_or_else(|| wasmtime::format_err!("it was given no clocks"))
    }
}

impl Host for Caller<'_> {
    fn read_battery_clock(&mut self) -> Answer<Instant> {
        let shown = self.clocks()?.battery_clock();
        let instant = |shown: Duration| Instant {
            seconds: shown.as_secs(),
            nanoseconds: shown.subsec_nanos(),
        };
        Ok(shown.map(instant).map_err(clock_error))
    }

    fn write_battery_clock(&mut self, to: Instant) -> Answer<()> {
        let clocks = self.clocks()?;
        let set = time(to).and_then(|to| clocks.set_battery_clock(to));
        Ok(set.map_err(clock_error))
    }

    fn set_system_clock(&mut self, to: Instant) -> Answer<()> {
        let clocks = self.clocks()?;
        let set = time(to).and_then(|to| clocks.set_system_clock(to));
        Ok(set.map_err(clock_error))
    }
}

fn time(instant: Instant) -> Result<Duration, ClockHardwareError> {
    let is_one = instant.nanoseconds < NS_PER_SECOND;
    let time = is_one.then(|| Duration::new(instant.seconds, instant.nanoseconds));
    time.ok_or(ClockHardwareError::OutOfRange)
}

fn clock_error(error: ClockHardwareError) -> ClockError {
    match error {
        ClockHardwareError::Busy => ClockError::Busy,
        ClockHardwareError::Absent => ClockError::Absent,
        ClockHardwareError::OutOfRange => ClockError::OutOfRange,
        ClockHardwareError::Broken(sentence) => ClockError::Broken(sentence),
    }
}
