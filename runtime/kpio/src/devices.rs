//! What of the machine a process may have been given.
//!
//! Law: a device is a value that somebody hands out, not a name. An interface to one links only for a program whose process has
//! that value.

use std::sync::Arc;

use runtime_host::{ClockHardware, Console, LogSource};

/// The devices of a process.
#[derive(Clone, Default)]
pub struct Devices {
    /// `kpio:console/devices`: the console's.
    pub console: Option<Console>,
    /// `kpio:time/hardware`: the machine's clocks.
    pub clocks: Option<Arc<dyn ClockHardware>>,
    /// `kpio:log/source`: what is said in the system.
    pub log: Option<Arc<dyn LogSource>>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// [`Devices::console`].
    Console,
    /// [`Devices::clocks`].
    Clocks,
    /// [`Devices::log`].
    Log,
}

impl Device {
    /// The interface to it, without a version.
    pub const fn interface(self) -> &'static str {
        match self {
            Device::Console => "kpio:console/devices",
            Device::Clocks => "kpio:time/hardware",
            Device::Log => "kpio:log/source",
        }
    }
}

impl Devices {
    /// Whether this one is among them.
    pub fn has(&self, device: Device) -> bool {
        match device {
            Device::Console => self.console.is_some(),
            Device::Clocks => self.clocks.is_some(),
            Device::Log => self.log.is_some(),
        }
    }

    /// Those of them whose interfaces are granted.
    pub fn granted(&self, is_granted: impl Fn(&str) -> bool) -> Devices {
        let is_granted = |device: Device| is_granted(device.interface());
        Devices {
            console: self.console.clone().filter(|_| is_granted(Device::Console)),
            clocks: self.clocks.clone().filter(|_| is_granted(Device::Clocks)),
            log: self.log.clone().filter(|_| is_granted(Device::Log)),
        }
    }
}
