//! From the firmware's memory map to the contract's.
//!
//! Law: the result is sorted, does not overlap, has no empty and no mergeable neighbours, and is
//! page-aligned, whatever the firmware says. Where two of its descriptors overlap, the more careful
//! kind wins; what the loader itself claims wins over all. Nothing is allocated: this runs after
//! the firmware's allocator is gone.
//!
//! Source: UEFI specification, section 7.2, `EFI_MEMORY_TYPE`.

use contract_boot::{MemoryRange, PhysRange, memory_kind};

const PAGE_LEN_BYTES: u64 = 4096;

/// One of the firmware's descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirmwareRange {
    /// Physical address of the first byte.
    pub start: u64,
    /// Length in pages.
    pub page_count: u64,
    /// `EFI_MEMORY_TYPE`.
    pub efi_type: u32,
}

/// Memory that the loader uses, and the kind under which the kernel shall see it. Rounded up to whole
/// pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Where it is; starts on a page. Absent if empty.
    pub memory: PhysRange,
    /// One of [`memory_kind`].
    pub kind: u32,
}

/// The map does not fit the array that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyRanges;

/// From the least to the most careful: later kinds overlay earlier ones.
const KINDS: [u32; 4] = [
    memory_kind::USABLE,
    memory_kind::ACPI_TABLES,
    memory_kind::FIRMWARE,
    memory_kind::RESERVED,
];

/// Writes the contract's memory map to `out`, and gives the part of it that is used.
///
/// # Errors
/// [`TooManyRanges`] if `out` is too short.
pub fn write<'m>(
    firmware: impl Iterator<Item = FirmwareRange> + Clone,
    claims: &[Claim],
    out: &'m mut [MemoryRange],
) -> Result<&'m [MemoryRange], TooManyRanges> {
    let mut map = Map {
        ranges: out,
        len: 0,
    };
    for kind in KINDS {
        for range in firmware
            .clone()
            .filter(|range| kind_of(range.efi_type) == kind)
        {
            map.overlay(range.start, range.page_count, kind)?;
        }
    }
    for claim in claims {
        let page_count = claim.memory.len_bytes.div_ceil(PAGE_LEN_BYTES);
        map.overlay(claim.memory.start, page_count, claim.kind)?;
    }
    Ok(&map.ranges[..map.len])
}

/// The end of the last range that is RAM: of every kind but reserved.
pub fn ram_end_bytes(map: &[MemoryRange]) -> u64 {
    let is_ram = |range: &&MemoryRange| range.kind != memory_kind::RESERVED;
    map.iter()
        .rev()
        .find(is_ram)
        .map_or(0, |range| range.start + range.len_bytes)
}

/// What becomes of memory of the firmware's type once boot services are exited. The loader's code and
/// data count as free: what must stay of them is claimed.
fn kind_of(efi_type: u32) -> u32 {
    match efi_type {
        // Loader code and data, boot-services code and data, conventional memory.
        1..=4 | 7 => memory_kind::USABLE,
        9 => memory_kind::ACPI_TABLES,
        // Run-time services code and data, ACPI non-volatile storage.
        5 | 6 | 10 => memory_kind::FIRMWARE,
        _ => memory_kind::RESERVED,
    }
}

/// A sorted, non-overlapping, merged list in borrowed memory.
struct Map<'m> {
    ranges: &'m mut [MemoryRange],
    len: usize,
}

impl Map<'_> {
    /// Makes `page_count` pages at `start` be of `kind`, whatever they were. A descriptor that no memory
    /// can have, unaligned or behind the end of the address space, is left out.
    fn overlay(&mut self, start: u64, page_count: u64, kind: u32) -> Result<(), TooManyRanges> {
        let end = page_count
            .checked_mul(PAGE_LEN_BYTES)
            .and_then(|len| start.checked_add(len));
        let Some(end) = end.filter(|end| start.is_multiple_of(PAGE_LEN_BYTES) && *end > start)
        else {
            return Ok(());
        };
        self.split_at(start)?;
        self.split_at(end)?;
        let first = self.position(start);
        let last = self.position(end);
        self.remove(first, last);
        let range = MemoryRange {
            start,
            len_bytes: end - start,
            kind,
            reserved: 0,
        };
        self.insert(first, range)?;
        self.merge_with_next(first);
        if let Some(before) = first.checked_sub(1) {
            self.merge_with_next(before);
        }
        Ok(())
    }

    /// Number of the first range that starts at or after `address`.
    fn position(&self, address: u64) -> usize {
        self.ranges[..self.len].partition_point(|range| range.start < address)
    }

    /// Cuts the range that has `address` inside it in two.
    fn split_at(&mut self, address: u64) -> Result<(), TooManyRanges> {
        let Some(number) = self.position(address).checked_sub(1) else {
            return Ok(());
        };
        let before = self.ranges[number];
        let len_bytes = address - before.start;
        if len_bytes >= before.len_bytes {
            return Ok(());
        }
        self.ranges[number].len_bytes = len_bytes;
        let rest = MemoryRange {
            start: address,
            len_bytes: before.len_bytes - len_bytes,
            ..before
        };
        self.insert(number + 1, rest)
    }

    fn insert(&mut self, at: usize, range: MemoryRange) -> Result<(), TooManyRanges> {
        if self.len == self.ranges.len() {
            return Err(TooManyRanges);
        }
        self.ranges.copy_within(at..self.len, at + 1);
        self.ranges[at] = range;
        self.len += 1;
        Ok(())
    }

    fn remove(&mut self, first: usize, last: usize) {
        self.ranges.copy_within(last..self.len, first);
        self.len -= last - first;
    }

    fn merge_with_next(&mut self, at: usize) {
        let [Some(left), Some(right)] =
            [at, at + 1].map(|n| self.ranges[..self.len].get(n).copied())
        else {
            return;
        };
        if left.start + left.len_bytes == right.start && left.kind == right.kind {
            self.ranges[at].len_bytes += right.len_bytes;
            self.remove(at + 1, at + 2);
        }
    }
}
