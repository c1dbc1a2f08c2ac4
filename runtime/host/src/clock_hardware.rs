//! The machine's clocks, for the one that sets them.

use std::time::Duration;

/// Why a clock was not read or set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClockHardwareError {
    /// Somebody else is at it.
    Busy,
    /// The machine has none.
    Absent,
    /// It cannot hold this.
    OutOfRange,
    /// What is wrong with it; a sentence.
    Broken(String),
}

/// The clocks. Times are since 1970-01-01T00:00:00Z.
pub trait ClockHardware: Send + Sync {
    /// What the battery-backed clock shows.
    fn battery_clock(&self) -> Result<Duration, ClockHardwareError>;
    /// Sets it, to whole seconds.
    fn set_battery_clock(&self, to: Duration) -> Result<(), ClockHardwareError>;
    /// Sets the clock that every process reads.
    fn set_system_clock(&self, to: Duration) -> Result<(), ClockHardwareError>;
}
