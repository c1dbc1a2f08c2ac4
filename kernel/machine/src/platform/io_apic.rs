//! An I/O APIC: which device interrupt becomes which vector on which CPU.
//!
//! Law: a pin is masked until it is routed, and masked while its route changes. The index and data
//! registers are a pair, so every method takes `&mut self`; core keeps the I/O APICs under a lock
//! that turns interrupts off.
//!
//! Source: Intel 82093AA datasheet (order 290566), section 3.2; I/O APIC in ICH9 and later is
//! compatible.

use core::ops::Range;

use crate::mmio::{Mmio, MmioError};

use super::acpi::{IoApicInfo, Polarity, Trigger};

const REGISTERS_LEN_BYTES: usize = 0x20;
const INDEX: usize = 0x00;
const DATA: usize = 0x10;
const VERSION: u8 = 0x01;
const FIRST_ENTRY: u8 = 0x10;
/// Entries take two of at most 240 indices.
const PINS_MAX: u32 = 120;

const ENTRY_ACTIVE_LOW: u32 = 1 << 13;
const ENTRY_LEVEL: u32 = 1 << 15;
const ENTRY_MASKED: u32 = 1 << 16;

/// Where an interrupt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The vector, 32..=255.
    pub vector: u8,
    /// APIC id of the CPU; without interrupt remapping only ids below 255 can be named.
    pub apic_id: u8,
    /// The line's polarity.
    pub polarity: Polarity,
    /// The line's trigger.
    pub trigger: Trigger,
}

/// The interrupt is not one of this controller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchPin {
    /// The global system interrupt that was asked for.
    pub gsi: u32,
}

impl core::fmt::Display for NoSuchPin {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            out,
            "interrupt {} belongs to no I/O APIC that firmware told of",
            self.gsi
        )
    }
}

impl core::error::Error for NoSuchPin {}

/// One controller.
#[derive(Debug)]
pub struct IoApic {
    registers: Mmio,
    gsi_base: u32,
    pins: u32,
}

impl IoApic {
    /// Maps the controller and masks all its pins.
    pub fn start(info: &IoApicInfo) -> Result<Self, MmioError> {
        let registers = Mmio::map(info.address, REGISTERS_LEN_BYTES)?;
        let mut io_apic = Self {
            registers,
            gsi_base: info.gsi_base,
            pins: 0,
        };
        io_apic.pins = pins(io_apic.read(VERSION));
        for pin in 0..io_apic.pins {
            io_apic.write_entry(pin, ENTRY_MASKED, 0);
        }
        Ok(io_apic)
    }

    /// The global system interrupts that arrive here.
    pub fn interrupts(&self) -> Range<u32> {
        self.gsi_base..self.gsi_base.saturating_add(self.pins)
    }

    /// Routes `gsi` and leaves it masked.
    pub fn route(&mut self, gsi: u32, route: Route) -> Result<(), NoSuchPin> {
        let pin = self.pin(gsi)?;
        let (low, high) = entry(route);
        self.write_entry(pin, low | ENTRY_MASKED, high);
        Ok(())
    }

    /// Lets `gsi` through.
    pub fn unmask(&mut self, gsi: u32) -> Result<(), NoSuchPin> {
        let pin = self.pin(gsi)?;
        let low = self.read(low_index(pin));
        self.write(low_index(pin), low & !ENTRY_MASKED);
        Ok(())
    }

    /// Holds `gsi` back.
    pub fn mask(&mut self, gsi: u32) -> Result<(), NoSuchPin> {
        let pin = self.pin(gsi)?;
        let low = self.read(low_index(pin));
        self.write(low_index(pin), low | ENTRY_MASKED);
        Ok(())
    }

    fn pin(&self, gsi: u32) -> Result<u32, NoSuchPin> {
        gsi.checked_sub(self.gsi_base)
            .filter(|pin| *pin < self.pins)
            .ok_or(NoSuchPin { gsi })
    }

    /// Masks the entry first, so that a half-written one never fires.
    fn write_entry(&mut self, pin: u32, low: u32, high: u32) {
        self.write(low_index(pin), ENTRY_MASKED);
        self.write(low_index(pin) + 1, high);
        self.write(low_index(pin), low);
    }

    fn read(&mut self, index: u8) -> u32 {
        self.registers.write32(INDEX, u32::from(index));
        self.registers.read32(DATA)
    }

    fn write(&mut self, index: u8, value: u32) {
        self.registers.write32(INDEX, u32::from(index));
        self.registers.write32(DATA, value);
    }
}

/// Bits 16..=23 of the version register hold the index of the last pin.
fn pins(version: u32) -> u32 {
    ((version >> 16 & 0xff) + 1).min(PINS_MAX)
}

/// `pin` is below [`PINS_MAX`], so the index fits.
fn low_index(pin: u32) -> u8 {
    FIRST_ENTRY + 2 * pin as u8
}

/// Both halves of a redirection entry: fixed delivery, physical destination, unmasked.
fn entry(route: Route) -> (u32, u32) {
    let polarity = match route.polarity {
        Polarity::ActiveHigh => 0,
        Polarity::ActiveLow => ENTRY_ACTIVE_LOW,
    };
    let trigger = match route.trigger {
        Trigger::Edge => 0,
        Trigger::Level => ENTRY_LEVEL,
    };
    let low = u32::from(route.vector) | polarity | trigger;
    (low, u32::from(route.apic_id) << 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_encoded_as_the_datasheet_shows() {
        let isa = Route {
            vector: 0x34,
            apic_id: 3,
            polarity: Polarity::ActiveHigh,
            trigger: Trigger::Edge,
        };
        let pci = Route {
            polarity: Polarity::ActiveLow,
            trigger: Trigger::Level,
            ..isa
        };
        assert_eq!(entry(isa), (0x34, 0x0300_0000));
        assert_eq!(entry(pci), (0xa034, 0x0300_0000));
    }

    #[test]
    fn the_number_of_pins_is_bounded() {
        assert_eq!(pins(0x0017_0020), 24);
        assert_eq!(pins(0), 1);
        assert_eq!(pins(u32::MAX), PINS_MAX);
        assert_eq!(low_index(PINS_MAX - 1), 0xfe);
    }
}
