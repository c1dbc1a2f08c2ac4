//! The machine as ACPI's static tables describe it.
//!
//! Law: tables are bytes from a stranger. They are read through bounds-checked slices of RAM, never
//! through pointers of a table's type; lengths are capped, counts are capped, nothing is followed
//! twice. A table that is missing or wrong costs what it describes and becomes a [`AcpiComplaint`];
//! [`discover`] always answers a [`Platform`], at worst one CPU at the architectural addresses.
//!
//! Why not crate `acpi`: it needs a nightly compiler, and reads tables through typed pointers whose
//! lengths it takes on trust (a MADT entry of length 0 makes it loop for ever). AML is not
//! interpreted; the one object needed from it, `_S5_`, is found by its byte pattern ([`sleep`]).
//!
//! Source: ACPI Specification 6.5, chapter 5.2.

pub mod fadt;
pub mod madt;
pub mod sleep;
pub mod tables;

use alloc::vec::Vec;

pub use fadt::{PmControl, PmTimerInfo, ResetRegister};
pub use madt::{InterruptSourceOverride, IoApicInfo, Polarity, Processor, Trigger};
pub use sleep::SleepType;
pub use tables::{PhysicalMemory, TableError, TableName};

use contract_boot::{MemoryRange, memory_kind};

use crate::memory::direct_map;

/// Where local APICs sit unless somebody moved them (Intel SDM vol. 3, section 11.4.1).
const LOCAL_APIC_DEFAULT_ADDRESS: u64 = 0xfee0_0000;

/// What the tables say, checked for form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// The logical CPUs, in the MADT's order, each APIC id once. Empty if there is no MADT: then only
    /// the CPU that runs is known.
    pub processors: Vec<Processor>,
    /// Physical address of the local APICs' registers (xAPIC mode).
    pub local_apic_address: u64,
    /// The I/O APICs.
    pub io_apics: Vec<IoApicInfo>,
    /// ISA interrupts that are wired otherwise than one to one.
    pub interrupt_source_overrides: Vec<InterruptSourceOverride>,
    /// The machine also has the two 8259s.
    pub has_legacy_pics: bool,
    /// Physical address of the HPET's registers.
    pub hpet_address: Option<u64>,
    /// The power-management timer.
    pub pm_timer: Option<PmTimerInfo>,
    /// The register that resets the machine, and the value to write.
    pub reset: Option<(ResetRegister, u8)>,
    /// The system control interrupt, as a global system interrupt.
    pub sci: Option<u32>,
    /// The ports that put the machine to sleep.
    pub pm_control: Option<PmControl>,
    /// What to write there for S5, soft off.
    pub s5: Option<SleepType>,
    /// Index of the CMOS byte that holds the century.
    pub rtc_century_register: Option<u8>,
    /// There may be a keyboard controller at the PC's ports; false where firmware says that there is none.
    pub may_have_i8042: bool,
}

impl Platform {
    /// A PC of which nothing is known: no ACPI.
    pub fn unknown() -> Self {
        Self {
            processors: Vec::new(),
            local_apic_address: LOCAL_APIC_DEFAULT_ADDRESS,
            io_apics: Vec::new(),
            interrupt_source_overrides: Vec::new(),
            has_legacy_pics: true,
            hpet_address: None,
            pm_timer: None,
            reset: None,
            sci: None,
            pm_control: None,
            s5: None,
            rtc_century_register: None,
            may_have_i8042: true,
        }
    }

    /// How an ISA interrupt (0..=15) reaches the I/O APICs: as an override says, else one to one,
    /// edge-triggered, active high (ACPI 6.5, section 5.2.12.5).
    pub fn isa_interrupt(&self, isa_irq: u8) -> InterruptSourceOverride {
        self.interrupt_source_overrides
            .iter()
            .find(|route| route.isa_irq == isa_irq)
            .copied()
            .unwrap_or(InterruptSourceOverride {
                isa_irq,
                gsi: u32::from(isa_irq),
                polarity: Polarity::ActiveHigh,
                trigger: Trigger::Edge,
            })
    }
}

/// What was wrong with the tables: for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcpiComplaint {
    /// The loader found no root pointer.
    NoRootPointer,
    /// A table cannot be used; what it describes is taken as absent.
    Table(TableError),
    /// A table places a device's registers at this physical address, which is RAM; it is not used.
    DeviceInRam(u64),
    /// The DSDT holds no `_S5_` object: power-off falls back.
    NoS5,
}

impl core::fmt::Display for AcpiComplaint {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoRootPointer => out.write_str(
                "firmware gave no ACPI root pointer; going on with one CPU and legacy timers",
            ),
            Self::Table(error) => error.fmt(out),
            Self::DeviceInRam(at) => write!(
                out,
                "firmware's ACPI tables place a device at {at:#x}, which is RAM; it is not used"
            ),
            Self::NoS5 => out.write_str(
                "the firmware's DSDT names no S5 state; this machine may not power off by itself",
            ),
        }
    }
}

/// The platform, and what was wrong on the way.
#[derive(Clone, Debug)]
pub struct Discovery {
    /// Always usable.
    pub platform: Platform,
    /// What the log should say.
    pub complaints: Vec<AcpiComplaint>,
}

/// Reads the tables below the root pointer at physical address `rsdp` (0: none). `memory_map` is
/// the boot contract's: tables are believed only where it says that firmware keeps its RAM. Devices
/// that tables place into RAM are dropped, since their registers would be somebody's memory.
pub fn discover(rsdp: u64, memory_map: &[MemoryRange]) -> Discovery {
    let mut found = discover_in(&FirmwareRam { memory_map }, rsdp);
    drop_devices_in_ram(&mut found, memory_map);
    found
}

fn drop_devices_in_ram(found: &mut Discovery, memory_map: &[MemoryRange]) {
    let Discovery {
        platform,
        complaints,
    } = found;
    let mut is_device = |address| {
        let good = !is_ram(memory_map, address);
        if !good {
            complaints.push(AcpiComplaint::DeviceInRam(address));
        }
        good
    };
    platform.io_apics.retain(|info| is_device(info.address));
    platform.hpet_address = platform.hpet_address.filter(|at| is_device(*at));
    platform.reset = platform.reset.filter(|(register, _)| match register {
        ResetRegister::Memory(address) => is_device(*address),
        ResetRegister::Port(_) | ResetRegister::PciConfiguration { .. } => true,
    });
    if !is_device(platform.local_apic_address) {
        platform.local_apic_address = LOCAL_APIC_DEFAULT_ADDRESS;
    }
}

/// Whether the page of device registers at `address` holds any RAM.
fn is_ram(memory_map: &[MemoryRange], address: u64) -> bool {
    let page = address & !0xfff;
    memory_map
        .iter()
        .filter(|range| range.kind != memory_kind::RESERVED)
        .any(|range| page.wrapping_sub(range.start) < range.len_bytes)
}

/// The ranges that never become frames, so that a slice of them stays valid whatever a table points to.
struct FirmwareRam<'a> {
    memory_map: &'a [MemoryRange],
}

impl PhysicalMemory for FirmwareRam<'_> {
    fn bytes(&self, start: u64, len_bytes: usize) -> Option<&[u8]> {
        self.memory_map
            .iter()
            .any(|range| holds_tables(range, start, len_bytes))
            .then(|| direct_map::bytes(start, len_bytes))
            .flatten()
    }
}

fn holds_tables(range: &MemoryRange, start: u64, len_bytes: usize) -> bool {
    let is_firmware = [memory_kind::ACPI_TABLES, memory_kind::FIRMWARE].contains(&range.kind);
    let offset = start.checked_sub(range.start);
    let end = offset.and_then(|offset| offset.checked_add(len_bytes as u64));
    is_firmware && end.is_some_and(|end| end <= range.len_bytes)
}

fn discover_in(memory: &impl PhysicalMemory, rsdp: u64) -> Discovery {
    let mut found = Discovery {
        platform: Platform::unknown(),
        complaints: Vec::new(),
    };
    if rsdp == 0 {
        found.complaints.push(AcpiComplaint::NoRootPointer);
        return found;
    }
    match tables::find(memory, rsdp) {
        Ok(tables) => read_tables(memory, &tables, &mut found),
        Err(error) => found.complaints.push(AcpiComplaint::Table(error)),
    }
    found
}

fn read_tables(memory: &impl PhysicalMemory, tables: &tables::Found<'_>, found: &mut Discovery) {
    let Discovery {
        platform,
        complaints,
    } = found;
    let mut complain = |error| complaints.push(AcpiComplaint::Table(error));
    match tables.madt {
        Ok(table) => madt::read(table, platform),
        Err(error) => complain(error),
    }
    if let Ok(table) = tables.hpet {
        platform.hpet_address = hpet_address(table);
    }
    match tables.fadt {
        Ok(table) => read_power(memory, table, found),
        Err(error) => complain(error),
    }
}

/// The FADT, and the DSDT that it points to.
fn read_power(memory: &impl PhysicalMemory, fadt: &[u8], found: &mut Discovery) {
    fadt::read(fadt, &mut found.platform);
    let dsdt = fadt::dsdt_address(fadt)
        .ok_or(TableError::Missing(TableName::DSDT))
        .and_then(|at| tables::table(memory, at, TableName::DSDT));
    match dsdt {
        Ok(dsdt) => found.platform.s5 = sleep::find_s5(dsdt),
        Err(error) => found.complaints.push(AcpiComplaint::Table(error)),
    }
    if dsdt.is_ok() && found.platform.s5.is_none() {
        found.complaints.push(AcpiComplaint::NoS5);
    }
}

/// IA-PC HPET Specification 1.0a, section 3.2.4: a generic address at offset 40, in memory space.
fn hpet_address(table: &[u8]) -> Option<u64> {
    const MEMORY_SPACE: u8 = 0;
    (tables::u8_at(table, 40)? == MEMORY_SPACE)
        .then(|| tables::u64_at(table, 44))
        .flatten()
        .filter(|address| *address != 0)
}

#[cfg(test)]
mod tests;
