//! Finding tables: root pointer, root table, headers, checksums.
//!
//! Source: ACPI 6.5, sections 5.2.5 (root pointer), 5.2.6 (header), 5.2.7 and 5.2.8 (root tables).

use core::fmt;

/// Bytes before a table's own fields.
pub(super) const HEADER_LEN_BYTES: usize = 36;
/// Longest table that is read; real DSDTs stay below 1 MiB.
const TABLE_MAX_LEN_BYTES: usize = 16 << 20;
/// Most entries of the root table that are looked at.
const ROOT_ENTRIES_MAX: usize = 512;

const RSDP_V1_LEN_BYTES: usize = 20;
const RSDP_V2_LEN_BYTES: usize = 36;

/// RAM in which tables lie, by physical address.
pub trait PhysicalMemory {
    /// The bytes, or `None` if any of them is not RAM.
    fn bytes(&self, start: u64, len_bytes: usize) -> Option<&[u8]>;
}

/// A table's signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TableName([u8; 4]);

impl TableName {
    /// The root pointer, which is not a table but is named in errors.
    pub const RSDP: Self = Self(*b"RSDP");
    /// Root table with 32-bit addresses.
    pub const RSDT: Self = Self(*b"RSDT");
    /// Root table with 64-bit addresses.
    pub const XSDT: Self = Self(*b"XSDT");
    /// Interrupt controllers and processors: the MADT.
    pub const MADT: Self = Self(*b"APIC");
    /// Fixed hardware: the FADT.
    pub const FADT: Self = Self(*b"FACP");
    /// High-precision event timer.
    pub const HPET: Self = Self(*b"HPET");
    /// AML of the machine.
    pub const DSDT: Self = Self(*b"DSDT");
}

impl fmt::Display for TableName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for TableName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Why a table cannot be used. All of it is the firmware's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// The root table does not list it.
    Missing(TableName),
    /// It lies, in whole or in part, outside RAM.
    OutsideRam(TableName, u64),
    /// Another signature stands where it should be.
    WrongSignature(TableName, u64),
    /// Its length, in bytes, is impossible.
    BadLength(TableName, u32),
    /// Its bytes do not sum to zero.
    BadChecksum(TableName, u64),
}

impl fmt::Display for TableError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(out, "firmware has no ACPI table {name}"),
            Self::OutsideRam(name, at) => write!(
                out,
                "firmware says that ACPI table {name} is at {at:#x}, which is not RAM; it is ignored"
            ),
            Self::WrongSignature(name, at) => write!(
                out,
                "firmware says that ACPI table {name} is at {at:#x}, but it is not; it is ignored"
            ),
            Self::BadLength(name, len) => write!(
                out,
                "ACPI table {name} claims to be {len} bytes long; it is ignored"
            ),
            Self::BadChecksum(name, at) => write!(
                out,
                "ACPI table {name} at {at:#x} has a wrong checksum; it is ignored"
            ),
        }
    }
}

impl core::error::Error for TableError {}

/// The tables that this kernel reads, whole, header included.
pub(super) struct Found<'a> {
    pub madt: Result<&'a [u8], TableError>,
    pub fadt: Result<&'a [u8], TableError>,
    pub hpet: Result<&'a [u8], TableError>,
}

/// Walks from the root pointer to the tables.
pub(super) fn find(memory: &impl PhysicalMemory, rsdp: u64) -> Result<Found<'_>, TableError> {
    let root = Root::read(memory, rsdp)?;
    let find = |name| {
        root.addresses()
            .find(|at| signature(memory, *at) == Some(name))
            .ok_or(TableError::Missing(name))
            .and_then(|at| table(memory, at, name))
    };
    Ok(Found {
        madt: find(TableName::MADT),
        fadt: find(TableName::FADT),
        hpet: find(TableName::HPET),
    })
}

/// The table `name` at `at`, if header and checksum hold.
pub(super) fn table(
    memory: &impl PhysicalMemory,
    at: u64,
    name: TableName,
) -> Result<&[u8], TableError> {
    if signature(memory, at).ok_or(TableError::OutsideRam(name, at))? != name {
        return Err(TableError::WrongSignature(name, at));
    }
    let header = memory
        .bytes(at, HEADER_LEN_BYTES)
        .ok_or(TableError::OutsideRam(name, at))?;
    let claimed = u32_at(header, 4).unwrap_or(0);
    let len_bytes = claimed as usize;
    if !(HEADER_LEN_BYTES..=TABLE_MAX_LEN_BYTES).contains(&len_bytes) {
        return Err(TableError::BadLength(name, claimed));
    }
    let table = memory
        .bytes(at, len_bytes)
        .ok_or(TableError::OutsideRam(name, at))?;
    if !sums_to_zero(table) {
        return Err(TableError::BadChecksum(name, at));
    }
    Ok(table)
}

fn signature(memory: &impl PhysicalMemory, at: u64) -> Option<TableName> {
    let bytes = memory.bytes(at, 4)?;
    bytes.try_into().ok().map(TableName)
}

/// The root table and the width of its entries.
struct Root<'a> {
    entries: &'a [u8],
    entry_len_bytes: usize,
}

impl<'a> Root<'a> {
    /// The XSDT if there is a sound one, else the RSDT.
    fn read(memory: &'a impl PhysicalMemory, rsdp: u64) -> Result<Self, TableError> {
        let outside = TableError::OutsideRam(TableName::RSDP, rsdp);
        let pointer = memory.bytes(rsdp, RSDP_V1_LEN_BYTES).ok_or(outside)?;
        if !pointer.starts_with(b"RSD PTR ") {
            return Err(TableError::WrongSignature(TableName::RSDP, rsdp));
        }
        if !sums_to_zero(pointer) {
            return Err(TableError::BadChecksum(TableName::RSDP, rsdp));
        }
        let rsdt = u32_at(pointer, 16).map(u64::from);
        let xsdt = (u8_at(pointer, 15).unwrap_or(0) >= 2)
            .then(|| memory.bytes(rsdp, RSDP_V2_LEN_BYTES))
            .flatten()
            .filter(|extended| sums_to_zero(extended))
            .and_then(|extended| u64_at(extended, 24));
        let wide = Self::table(memory, xsdt, TableName::XSDT, 8);
        wide.or_else(|_| Self::table(memory, rsdt, TableName::RSDT, 4))
    }

    fn table(
        memory: &'a impl PhysicalMemory,
        at: Option<u64>,
        name: TableName,
        entry_len_bytes: usize,
    ) -> Result<Self, TableError> {
        let at = at.filter(|at| *at != 0).ok_or(TableError::Missing(name))?;
        Ok(Self {
            entries: &table(memory, at, name)?[HEADER_LEN_BYTES..],
            entry_len_bytes,
        })
    }

    fn addresses(&self) -> impl Iterator<Item = u64> {
        self.entries
            .chunks_exact(self.entry_len_bytes)
            .take(ROOT_ENTRIES_MAX)
            .map(|entry| {
                entry
                    .iter()
                    .rev()
                    .fold(0, |address, byte| address << 8 | u64::from(*byte))
            })
    }
}

fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

pub(super) fn u8_at(bytes: &[u8], offset: usize) -> Option<u8> {
    bytes.get(offset).copied()
}

pub(super) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_le_bytes)
}

pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_le_bytes)
}

fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}
