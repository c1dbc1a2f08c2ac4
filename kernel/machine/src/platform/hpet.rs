//! The high-precision event timer, as a counter only.
//!
//! Law: its main counter is a reference for calibration; its comparators stay off.
//!
//! Source: IA-PC HPET Specification 1.0a, section 2.3 (registers).

use crate::mmio::{Mmio, MmioError};

use super::tsc::{Counter, FEMTOSECONDS_PER_SECOND, Reference};

const REGISTERS_LEN_BYTES: usize = 0x400;
const CAPABILITIES: usize = 0x00;
const CONFIGURATION: usize = 0x10;
const MAIN_COUNTER: usize = 0xf0;

const CONFIGURATION_ENABLE: u32 = 1;
const CONFIGURATION_LEGACY_ROUTES: u32 = 1 << 1;
/// The longest tick that the specification admits, in femtoseconds (100 ns).
const PERIOD_MAX_FS: u32 = 0x05f5_e100;
/// No real part ticks faster than 1 GHz; a smaller period is garbage.
const PERIOD_MIN_FS: u32 = 1_000_000;

/// A running HPET.
#[derive(Debug)]
pub struct Hpet {
    registers: Mmio,
    period_fs: u64,
}

/// Why there is no usable HPET where firmware said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HpetError {
    /// Its registers could not be mapped.
    Map(MmioError),
    /// It claims this tick, in femtoseconds, which no HPET has.
    Period(u32),
}

impl core::fmt::Display for HpetError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Map(error) => write!(out, "the HPET that ACPI names cannot be used: {error}"),
            Self::Period(fs) => write!(
                out,
                "the HPET claims an impossible tick of {fs} fs; it is not used"
            ),
        }
    }
}

impl core::error::Error for HpetError {}

impl Hpet {
    /// Maps the HPET at `physical_start` and starts its main counter.
    pub fn start(physical_start: u64) -> Result<Self, HpetError> {
        let registers = Mmio::map(physical_start, REGISTERS_LEN_BYTES).map_err(HpetError::Map)?;
        let period_fs = checked_period(registers.read32(CAPABILITIES + 4))?;
        let configuration = registers.read32(CONFIGURATION);
        registers.write32(
            CONFIGURATION,
            configuration & !CONFIGURATION_LEGACY_ROUTES | CONFIGURATION_ENABLE,
        );
        Ok(Self {
            registers,
            period_fs,
        })
    }

    /// Ticks per second.
    pub fn frequency_hz(&self) -> u64 {
        FEMTOSECONDS_PER_SECOND / self.period_fs
    }
}

impl Reference for Hpet {
    fn period_fs(&self) -> u64 {
        self.period_fs
    }
}

impl Counter for Hpet {
    /// Only the low half is read: some counters have no more, and a 32-bit read cannot tear.
    fn mask(&self) -> u64 {
        u64::from(u32::MAX)
    }
    fn read(&mut self) -> u64 {
        u64::from(self.registers.read32(MAIN_COUNTER))
    }
}

fn checked_period(period_fs: u32) -> Result<u64, HpetError> {
    if (PERIOD_MIN_FS..=PERIOD_MAX_FS).contains(&period_fs) {
        Ok(u64::from(period_fs))
    } else {
        Err(HpetError::Period(period_fs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_periods_are_refused() {
        assert_eq!(checked_period(10_000_000), Ok(10_000_000));
        assert_eq!(checked_period(PERIOD_MAX_FS), Ok(100_000_000));
        for bad in [0, 1, PERIOD_MIN_FS - 1, PERIOD_MAX_FS + 1, u32::MAX] {
            assert_eq!(checked_period(bad), Err(HpetError::Period(bad)));
        }
    }
}
