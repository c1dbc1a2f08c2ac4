//! The MADT: processors and interrupt controllers.
//!
//! Source: ACPI 6.5, section 5.2.12.

use super::Platform;
use super::tables::{HEADER_LEN_BYTES, u8_at, u16_at, u32_at, u64_at};

/// Most processors that are listed; more are ignored.
const PROCESSORS_MAX: usize = 1024;
/// Most I/O APICs that are listed.
const IO_APICS_MAX: usize = 64;
const ISA_IRQS: u8 = 16;
/// An APIC id that addresses everybody is no processor's.
const XAPIC_BROADCAST: u32 = 0xff;
const X2APIC_BROADCAST: u32 = u32::MAX;

const FLAG_PCAT_COMPAT: u32 = 1;
const PROCESSOR_ENABLED: u32 = 1;

const LOCAL_APIC: u8 = 0;
const IO_APIC: u8 = 1;
const SOURCE_OVERRIDE: u8 = 2;
const LOCAL_APIC_ADDRESS: u8 = 5;
const LOCAL_X2APIC: u8 = 9;

/// A logical CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processor {
    /// Its local APIC's id.
    pub apic_id: u32,
    /// Its name in the ACPI namespace.
    pub acpi_uid: u32,
    /// It may be started. If not, the socket is empty or the firmware switched it off.
    pub enabled: bool,
}

/// An I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApicInfo {
    /// Its id.
    pub id: u8,
    /// Physical address of its registers.
    pub address: u64,
    /// The global system interrupt of its first pin.
    pub gsi_base: u32,
}

/// Which level of a line means "asserted".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// High.
    ActiveHigh,
    /// Low.
    ActiveLow,
}

/// What of a line raises the interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The change to the active level.
    Edge,
    /// The active level as long as it lasts.
    Level,
}

/// How an ISA interrupt is wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterruptSourceOverride {
    /// The ISA interrupt, 0..=15.
    pub isa_irq: u8,
    /// The global system interrupt that it arrives as.
    pub gsi: u32,
    /// The line's polarity.
    pub polarity: Polarity,
    /// The line's trigger.
    pub trigger: Trigger,
}

/// Adds what the table says to `platform`. An entry that is cut short ends the reading; one that
/// makes no sense is skipped.
pub(super) fn read(table: &[u8], platform: &mut Platform) {
    if let Some(address) = u32_at(table, 36).filter(|address| *address != 0) {
        platform.local_apic_address = u64::from(address);
    }
    platform.has_legacy_pics = u32_at(table, 40).unwrap_or(0) & FLAG_PCAT_COMPAT != 0;
    let mut rest = table.get(HEADER_LEN_BYTES + 8..).unwrap_or(&[]);
    while let Some((entry, after)) = split_entry(rest) {
        // `None` from an entry means that it is too short for its type: nothing was added.
        let _ = read_entry(entry, platform);
        rest = after;
    }
}

/// The first entry, type and length included, and what follows it.
fn split_entry(entries: &[u8]) -> Option<(&[u8], &[u8])> {
    let len_bytes = usize::from(u8_at(entries, 1)?);
    (len_bytes >= 2)
        .then(|| entries.split_at_checked(len_bytes))
        .flatten()
}

fn read_entry(entry: &[u8], platform: &mut Platform) -> Option<()> {
    match u8_at(entry, 0)? {
        LOCAL_APIC => add_processor(platform, local_apic(entry)?, XAPIC_BROADCAST),
        LOCAL_X2APIC => add_processor(platform, local_x2apic(entry)?, X2APIC_BROADCAST),
        IO_APIC => add_io_apic(platform, io_apic(entry)?),
        SOURCE_OVERRIDE => add_override(platform, source_override(entry)?),
        LOCAL_APIC_ADDRESS => {
            let address = u64_at(entry, 4)?;
            if address != 0 {
                platform.local_apic_address = address;
            }
        }
        _ => {}
    }
    Some(())
}

fn local_apic(entry: &[u8]) -> Option<Processor> {
    Some(Processor {
        acpi_uid: u32::from(u8_at(entry, 2)?),
        apic_id: u32::from(u8_at(entry, 3)?),
        enabled: u32_at(entry, 4)? & PROCESSOR_ENABLED != 0,
    })
}

fn local_x2apic(entry: &[u8]) -> Option<Processor> {
    Some(Processor {
        apic_id: u32_at(entry, 4)?,
        enabled: u32_at(entry, 8)? & PROCESSOR_ENABLED != 0,
        acpi_uid: u32_at(entry, 12)?,
    })
}

fn io_apic(entry: &[u8]) -> Option<IoApicInfo> {
    Some(IoApicInfo {
        id: u8_at(entry, 2)?,
        address: u64::from(u32_at(entry, 4)?),
        gsi_base: u32_at(entry, 8)?,
    })
}

fn source_override(entry: &[u8]) -> Option<InterruptSourceOverride> {
    const ISA_BUS: u8 = 0;
    let flags = u16_at(entry, 8)?;
    let isa_irq = u8_at(entry, 3)?;
    (u8_at(entry, 2)? == ISA_BUS && isa_irq < ISA_IRQS).then_some(InterruptSourceOverride {
        isa_irq,
        gsi: u32_at(entry, 4)?,
        polarity: polarity(flags),
        trigger: trigger(flags),
    })
}

/// Table 5.26, MPS INTI flags: 3 is active low; "as the bus" is active high on ISA.
fn polarity(flags: u16) -> Polarity {
    match flags & 0b11 {
        0b11 => Polarity::ActiveLow,
        _ => Polarity::ActiveHigh,
    }
}

/// Table 5.26, MPS INTI flags: 3 is level; "as the bus" is edge on ISA.
fn trigger(flags: u16) -> Trigger {
    match flags >> 2 & 0b11 {
        0b11 => Trigger::Level,
        _ => Trigger::Edge,
    }
}

fn add_processor(platform: &mut Platform, processor: Processor, broadcast: u32) {
    let known = &mut platform.processors;
    let is_new = known.iter().all(|one| one.apic_id != processor.apic_id);
    if processor.apic_id != broadcast && is_new && known.len() < PROCESSORS_MAX {
        known.push(processor);
    }
}

fn add_io_apic(platform: &mut Platform, io_apic: IoApicInfo) {
    let known = &mut platform.io_apics;
    let is_new = known.iter().all(|one| one.address != io_apic.address);
    if io_apic.address != 0 && is_new && known.len() < IO_APICS_MAX {
        known.push(io_apic);
    }
}

fn add_override(platform: &mut Platform, route: InterruptSourceOverride) {
    let known = &mut platform.interrupt_source_overrides;
    if known.iter().all(|one| one.isa_irq != route.isa_irq) {
        known.push(route);
    }
}
