//! The FADT: fixed power hardware.
//!
//! Law: ports are taken from the 64-bit generic addresses where those name the I/O space, else from
//! the old 32-bit fields; a port that does not fit 16 bits is no port.
//!
//! Source: ACPI 6.5, section 5.2.9; generic addresses: section 5.2.3.2.

use super::Platform;
use super::tables::{u8_at, u16_at, u32_at, u64_at};

const FLAG_TIMER_32_BIT: u32 = 1 << 8;
const FLAG_RESET_REGISTER: u32 = 1 << 10;
const FLAG_HARDWARE_REDUCED: u32 = 1 << 20;

/// Revision of the table since which the boot architecture flags mean something (ACPI 2.0).
const REVISION_WITH_BOOT_FLAGS: u8 = 3;
const BOOT_FLAG_8042: u16 = 1 << 1;

const SPACE_MEMORY: u8 = 0;
const SPACE_IO: u8 = 1;
const SPACE_PCI_CONFIGURATION: u8 = 2;

/// The power-management timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PmTimerInfo {
    /// Its port, read with 32 bits.
    pub port: u16,
    /// It counts 32 bits; else 24.
    pub is_32_bit: bool,
}

/// The ports of PM1 control, and how to take them over from the firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PmControl {
    /// PM1a control, 16 bits.
    pub pm1a: u16,
    /// PM1b control, where the hardware is split in two.
    pub pm1b: Option<u16>,
    /// Port, and the value that makes the firmware leave power management to us.
    pub acpi_enable: Option<(u16, u8)>,
}

/// The register that resets the machine (ACPI 6.5, section 4.8.3.6): one byte wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetRegister {
    /// A port.
    Port(u16),
    /// A physical address.
    Memory(u64),
    /// Configuration space of a device on bus 0.
    PciConfiguration {
        /// 0..=31.
        device: u8,
        /// 0..=7.
        function: u8,
        /// Offset of the byte.
        offset: u8,
    },
}

/// Adds what the table says to `platform`. Fields behind the end of an old, short table are absent.
pub(super) fn read(table: &[u8], platform: &mut Platform) {
    let flags = u32_at(table, 112).unwrap_or(0);
    platform.reset = reset(table, flags);
    platform.rtc_century_register = u8_at(table, 108).filter(|index| (14..128).contains(index));
    platform.may_have_i8042 = may_have_i8042(table);
    if flags & FLAG_HARDWARE_REDUCED == 0 {
        platform.sci = u16_at(table, 46).map(u32::from);
        platform.pm_timer = pm_timer(table, flags);
        platform.pm_control = pm_control(table);
    }
}

/// Older tables say nothing, and older machines have one.
fn may_have_i8042(table: &[u8]) -> bool {
    let revision = u8_at(table, 8).unwrap_or(0);
    match u16_at(table, 109) {
        Some(flags) if revision >= REVISION_WITH_BOOT_FLAGS => flags & BOOT_FLAG_8042 != 0,
        _ => true,
    }
}

/// Physical address of the DSDT.
pub(super) fn dsdt_address(table: &[u8]) -> Option<u64> {
    let wide = u64_at(table, 140);
    let narrow = u32_at(table, 40).map(u64::from);
    [wide, narrow]
        .into_iter()
        .flatten()
        .find(|address| *address != 0)
}

fn pm_timer(table: &[u8], flags: u32) -> Option<PmTimerInfo> {
    Some(PmTimerInfo {
        port: port(table, 208, 76)?,
        is_32_bit: flags & FLAG_TIMER_32_BIT != 0,
    })
}

fn pm_control(table: &[u8]) -> Option<PmControl> {
    let smi_command = u32_at(table, 48).and_then(port_number);
    let enable_value = u8_at(table, 52).filter(|value| *value != 0);
    Some(PmControl {
        pm1a: port(table, 172, 64)?,
        pm1b: port(table, 184, 68),
        acpi_enable: smi_command.zip(enable_value),
    })
}

/// The port in the generic address at `wide`, else in the 32-bit field at `narrow`.
fn port(table: &[u8], wide: usize, narrow: usize) -> Option<u16> {
    let from_wide = u8_at(table, wide)
        .filter(|space| *space == SPACE_IO)
        .and_then(|_| u64_at(table, wide + 4))
        .and_then(|address| u32::try_from(address).ok())
        .and_then(port_number);
    from_wide.or_else(|| u32_at(table, narrow).and_then(port_number))
}

fn port_number(address: u32) -> Option<u16> {
    u16::try_from(address).ok().filter(|port| *port != 0)
}

fn reset(table: &[u8], flags: u32) -> Option<(ResetRegister, u8)> {
    if flags & FLAG_RESET_REGISTER == 0 {
        return None;
    }
    let address = u64_at(table, 120).filter(|address| *address != 0)?;
    let value = u8_at(table, 128)?;
    let register = match u8_at(table, 116)? {
        SPACE_MEMORY => ResetRegister::Memory(address),
        SPACE_IO => ResetRegister::Port(u32::try_from(address).ok().and_then(port_number)?),
        SPACE_PCI_CONFIGURATION => pci_register(address)?,
        _ => return None,
    };
    Some((register, value))
}

/// Table 5.1: device, function and offset in 16 bits each; only bus 0 can be named.
fn pci_register(address: u64) -> Option<ResetRegister> {
    let field = |shift: u32| (address >> shift) as u16;
    Some(ResetRegister::PciConfiguration {
        device: u8::try_from(field(32)).ok().filter(|one| *one < 32)?,
        function: u8::try_from(field(16)).ok().filter(|one| *one < 8)?,
        offset: u8::try_from(field(0)).ok()?,
    })
}
