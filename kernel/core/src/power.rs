//! Switching the machine off and on again.

use kernel_machine::cpu;
use kernel_machine::platform::power as machine_power;

use crate::{checks, platform};

/// Switches the machine off. Where it will not go off, says so and stops.
pub fn power_off() -> ! {
    checks::summarize();
    machine_power::power_off(platform::platform());
    log::error!("this machine does not switch off by itself: it is safe to do so by hand");
    cpu::halt_forever()
}

/// Starts the machine again.
pub fn reboot() -> ! {
    machine_power::reboot(platform::platform())
}
