//! The ACPI power-management timer, as a counter.
//!
//! Source: ACPI 6.5, section 4.8.3.3: 3.579545 MHz, 24 or 32 bits, free-running.

use crate::port::Port;

use super::acpi::PmTimerInfo;
use super::tsc::{Counter, FEMTOSECONDS_PER_SECOND, Reference};

/// Ticks per second.
pub const FREQUENCY_HZ: u64 = 3_579_545;

/// The power-management timer.
#[derive(Debug)]
pub struct PmTimer {
    port: Port<u32>,
    mask: u64,
}

impl PmTimer {
    /// The timer that the FADT describes.
    pub fn new(info: PmTimerInfo) -> Self {
        let bits = if info.is_32_bit { 32 } else { 24 };
        Self {
            port: Port::new(info.port),
            mask: (1 << bits) - 1,
        }
    }
}

impl Reference for PmTimer {
    fn period_fs(&self) -> u64 {
        FEMTOSECONDS_PER_SECOND / FREQUENCY_HZ
    }
}

impl Counter for PmTimer {
    fn mask(&self) -> u64 {
        self.mask
    }
    fn read(&mut self) -> u64 {
        u64::from(self.port.read()) & self.mask
    }
}
