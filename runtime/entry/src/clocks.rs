//! The machine's clocks for the one process that sets them.

use std::time::Duration;

use kernel_core::time::{self, BatteryClockError, RtcError};
use runtime_host::{ClockHardware, ClockHardwareError};

type Result<T> = std::result::Result<T, ClockHardwareError>;

/// The kernel's.
pub struct KernelClocks;

impl ClockHardware for KernelClocks {
    fn battery_clock(&self) -> Result<Duration> {
        let seconds = time::read_battery_clock_s().map_err(error)?;
        let seconds = u64::try_from(seconds).map_err(|_| ClockHardwareError::OutOfRange)?;
        Ok(Duration::from_secs(seconds))
    }

    fn set_battery_clock(&self, to: Duration) -> Result<()> {
        let seconds = i64::try_from(to.as_secs()).map_err(|_| ClockHardwareError::OutOfRange)?;
        time::write_battery_clock_s(seconds).map_err(error)
    }

    fn set_system_clock(&self, to: Duration) -> Result<()> {
        let now_ns = u64::try_from(to.as_nanos()).map_err(|_| ClockHardwareError::OutOfRange)?;
        time::set_realtime_ns(now_ns);
        Ok(())
    }
}

fn error(error: BatteryClockError) -> ClockHardwareError {
    match error {
        BatteryClockError::Busy => ClockHardwareError::Busy,
        BatteryClockError::Clock(RtcError::OutOfRange(_)) => ClockHardwareError::OutOfRange,
        BatteryClockError::Clock(error) => ClockHardwareError::Broken(error.to_string()),
    }
}
