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

/// An interface, and whether a process has what it is for.
pub type RestrictedDevice = (&'static str, fn(&Devices) -> bool);

/// Interfaces that a program links against only if it was given the device: by the start of their names.
pub const RESTRICTED_DEVICES: [RestrictedDevice; 3] = [
    ("kpio:console/devices", |devices| devices.console.is_some()),
    ("kpio:time/hardware", |devices| devices.clocks.is_some()),
    ("kpio:log/source", |devices| devices.log.is_some()),
];

impl Devices {
    /// Those of `self` whose interfaces are among `granted`.
    pub fn granted(&self, granted: impl Fn(&str) -> bool) -> Devices {
        let [console, clocks, log] = RESTRICTED_DEVICES.map(|(interface, _)| granted(interface));
        Devices {
            console: self.console.clone().filter(|_| console),
            clocks: self.clocks.clone().filter(|_| clocks),
            log: self.log.clone().filter(|_| log),
        }
    }
}
