//! Checks what the loader says before anything believes it.
//!
//! Law: pure; a `BootInfo` that lies ends as a [`BootError`] with a sentence. What passes here is what
//! the rest of the kernel may rely on: ranges do not wrap, lie in the direct map where they must, and the
//! memory map is sorted and disjoint.

use core::fmt;

use contract_boot::{
    BootInfo, DIRECT_MAP_BASE, KERNEL_BASE, MEMORY_RANGES_MAX, MemoryRange, Module, PhysRange,
    memory_kind,
};

const PAGE_BYTES: u64 = 4096;
/// The least usable memory that the kernel starts with, in bytes.
pub const USABLE_BYTES_MIN: u64 = 16 << 20;

/// What is wrong with the boot information; the loader is the guilty party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootError {
    /// A named range is outside of mapped memory, wraps, or is not aligned.
    BadRange(&'static str),
    /// The pieces of a named file are not those of a file of its length.
    BadPieces(&'static str),
    /// An entry of the memory map (its index) is unaligned, wraps, overlaps or is out of order.
    BadMemoryMap(usize),
    /// The memory map has no entries, or more than the contract allows.
    MemoryMapLen(usize),
    /// Less usable memory than the kernel needs, in bytes.
    TooLittleMemory(u64),
    /// The memory map does not say of a named range that it holds what the loader says it does.
    Misplaced(&'static str),
    /// Direct map, kernel base or page tables are not where the contract says.
    BadLayout(&'static str),
}

impl fmt::Display for BootError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadRange(what) => write!(out, "the loader's range for {what} cannot be"),
            Self::BadPieces(what) => {
                write!(out, "the loader's pieces of {what} do not make up the file")
            }
            Self::Misplaced(what) => {
                write!(
                    out,
                    "the loader's memory map contradicts where it put {what}"
                )
            }
            Self::BadMemoryMap(entry) => {
                write!(
                    out,
                    "entry {entry} of the loader's memory map is unaligned, overlapping or out of order"
                )
            }
            Self::MemoryMapLen(len) => write!(out, "the loader's memory map has {len} entries"),
            Self::TooLittleMemory(bytes) => write!(
                out,
                "only {} MiB of memory are usable; KPIO needs {} MiB: give the machine more",
                bytes >> 20,
                USABLE_BYTES_MIN >> 20
            ),
            Self::BadLayout(what) => write!(out, "the loader put the {what} where it cannot be"),
        }
    }
}

/// Checks all of `info` that does not need the memory map.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(info: &BootInfo) -> Result<(), BootError> {
    check_layout(info)?;
    let limit = info.direct_map_len_bytes;
    let required = [
        ("the kernel", info.kernel),
        ("the boot stack", info.boot_stack),
        ("the memory map", info.memory_map),
    ];
    for (name, range) in required {
        check_range(name, range, limit, true)?;
    }
    let optional = [
        ("the command line", info.command_line),
        ("the symbols", info.symbols),
        ("the start page of other CPUs", info.trampoline),
    ];
    for (name, range) in optional {
        check_range(name, range, limit, false)?;
    }
    check_module("the bundle", &info.bundle, limit)?;
    check_module("the job", &info.job, limit)?;
    check_map_len(info.memory_map)
}

/// Checks the memory map: sorted, disjoint, page-aligned, RAM inside the direct map, enough usable memory.
///
/// # Errors
/// The first entry that is wrong, or too little memory.
pub fn check_memory_map(
    ranges: &[MemoryRange],
    direct_map_len_bytes: u64,
) -> Result<(), BootError> {
    let mut end = 0;
    let mut usable = 0;
    for (index, range) in ranges.iter().enumerate() {
        let range_end = range.start.checked_add(range.len_bytes);
        let range_end = range_end.ok_or(BootError::BadMemoryMap(index))?;
        let aligned =
            range.start.is_multiple_of(PAGE_BYTES) && range_end.is_multiple_of(PAGE_BYTES);
        let mapped = !is_ram(range.kind) || range_end <= direct_map_len_bytes;
        if !aligned || range.start < end || !mapped || range.len_bytes == 0 {
            return Err(BootError::BadMemoryMap(index));
        }
        if range.kind == memory_kind::USABLE {
            usable += range.len_bytes;
        }
        end = range_end;
    }
    if usable < USABLE_BYTES_MIN {
        return Err(BootError::TooLittleMemory(usable));
    }
    Ok(())
}

/// Checks every named range against the checked memory map: what holds something must not be handed out as
/// free memory, and the screen must not be memory at all.
///
/// # Errors
/// The first range that the map contradicts.
pub fn check_placement(info: &BootInfo, ranges: &[MemoryRange]) -> Result<(), BootError> {
    use memory_kind::{KERNEL, LOADER, MODULE};
    let root = PhysRange {
        start: info.page_table_root,
        len_bytes: PAGE_BYTES,
    };
    let single = [
        ("the kernel", info.kernel, KERNEL),
        ("the boot stack", info.boot_stack, LOADER),
        ("the memory map", info.memory_map, LOADER),
        ("the page tables", root, LOADER),
        ("the start page of other CPUs", info.trampoline, LOADER),
        ("the command line", info.command_line, MODULE),
        ("the symbols", info.symbols, MODULE),
    ];
    let bundle = info
        .bundle
        .pieces
        .map(|piece| ("the bundle", piece, MODULE));
    let job = info.job.pieces.map(|piece| ("the job", piece, MODULE));
    let all = single.iter().chain(&bundle).chain(&job);
    for (name, range, kind) in all.filter(|(_, range, _)| range.len_bytes > 0) {
        if !is_covered(*range, *kind, ranges) {
            return Err(BootError::Misplaced(name));
        }
    }
    let screen = info.framebuffer.memory;
    if ranges
        .iter()
        .any(|range| is_ram(range.kind) && overlaps(range, screen))
    {
        return Err(BootError::Misplaced("the screen"));
    }
    Ok(())
}

/// Whether entries of `kind`, which are sorted, cover the whole range.
fn is_covered(range: PhysRange, kind: u32, ranges: &[MemoryRange]) -> bool {
    let end = range.start + range.len_bytes;
    let covered_to =
        ranges
            .iter()
            .filter(|entry| entry.kind == kind)
            .fold(range.start, |at, entry| {
                let inside = entry.start <= at && at < entry.start + entry.len_bytes;
                if inside {
                    entry.start + entry.len_bytes
                } else {
                    at
                }
            });
    covered_to >= end
}

fn is_ram(kind: u32) -> bool {
    !matches!(kind, memory_kind::RESERVED | memory_kind::FIRMWARE)
}

fn overlaps(range: &MemoryRange, other: PhysRange) -> bool {
    let other_end = other.start.saturating_add(other.len_bytes);
    range.start < other_end && other.start < range.start + range.len_bytes
}

fn check_layout(info: &BootInfo) -> Result<(), BootError> {
    let limit = info.direct_map_len_bytes;
    if info.direct_map_base != DIRECT_MAP_BASE || limit == 0 || limit > 1 << 46 {
        return Err(BootError::BadLayout("direct map"));
    }
    let root = info.page_table_root;
    if root == 0 || !root.is_multiple_of(PAGE_BYTES) || root >= limit {
        return Err(BootError::BadLayout("page tables"));
    }
    if info.kernel_virt_start != KERNEL_BASE {
        return Err(BootError::BadLayout("kernel"));
    }
    Ok(())
}

fn check_range(
    name: &'static str,
    range: PhysRange,
    limit: u64,
    required: bool,
) -> Result<(), BootError> {
    if range.len_bytes == 0 {
        return if required {
            Err(BootError::BadRange(name))
        } else {
            Ok(())
        };
    }
    let end = range.start.checked_add(range.len_bytes);
    if range.start == 0 || end.is_none_or(|end| end > limit) || !range.start.is_multiple_of(8) {
        return Err(BootError::BadRange(name));
    }
    Ok(())
}

/// Used pieces come first, start on pages, are full but for the last, and are as long as the file together. That
/// no frame is in two of them shows when they are mapped.
fn check_module(name: &'static str, module: &Module, limit: u64) -> Result<(), BootError> {
    let is_used = |piece: &&PhysRange| piece.len_bytes != 0;
    let used = module.pieces.iter().take_while(is_used).count();
    let (pieces, unused) = module.pieces.split_at(used);
    let mut found_bytes = 0;
    for piece in pieces {
        check_range(name, *piece, limit, true)?;
        // What comes before this piece is whole pages, and it starts on one itself.
        if !(piece.start | found_bytes).is_multiple_of(PAGE_BYTES) {
            return Err(BootError::BadPieces(name));
        }
        // Each length is at most the direct map's, so that eight cannot wrap.
        found_bytes += piece.len_bytes;
    }
    if found_bytes != module.len_bytes || unused.iter().any(|piece| is_used(&piece)) {
        return Err(BootError::BadPieces(name));
    }
    Ok(())
}

fn check_map_len(map: PhysRange) -> Result<(), BootError> {
    let entry_bytes = size_of::<MemoryRange>() as u64;
    let count = (map.len_bytes / entry_bytes) as usize;
    if !map.len_bytes.is_multiple_of(entry_bytes) || count == 0 || count > MEMORY_RANGES_MAX {
        return Err(BootError::MemoryMapLen(count));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;
    use std::vec::Vec;

    const LIMIT: u64 = 1 << 30;

    fn honest() -> BootInfo {
        let range = |start, len_bytes| PhysRange { start, len_bytes };
        BootInfo {
            magic: contract_boot::MAGIC,
            version: contract_boot::VERSION,
            size_bytes: size_of::<BootInfo>() as u32,
            direct_map_base: DIRECT_MAP_BASE,
            direct_map_len_bytes: LIMIT,
            page_table_root: 0x1000,
            kernel: range(0x20_0000, 0x10_0000),
            kernel_virt_start: KERNEL_BASE,
            boot_stack: range(0x10_0000, 0x2_0000),
            trampoline: range(0x8000, 0x1000),
            memory_map: range(0x9000, 24),
            command_line: range(0, 0),
            bundle: in_pieces(&[
                range(0x100_0000, 0x2000),
                range(0x80_0000, 0x1000),
                range(0x200_0000, 0x801),
            ]),
            job: Module::default(),
            symbols: range(0, 0),
            acpi_rsdp: 0,
            framebuffer: contract_boot::Framebuffer::default(),
            entropy: [0; 64],
            build_id: [0; 32],
            tsc_loader_entry: 0,
            tsc_hand_over: 0,
        }
    }

    fn in_pieces(ranges: &[PhysRange]) -> Module {
        let mut pieces = [PhysRange::default(); contract_boot::MODULE_PIECES_MAX];
        pieces[..ranges.len()].copy_from_slice(ranges);
        Module {
            pieces,
            len_bytes: ranges.iter().map(|range| range.len_bytes).sum(),
        }
    }

    #[test]
    fn an_honest_loader_passes() {
        assert_eq!(check(&honest()), Ok(()));
    }

    #[test]
    fn every_lie_about_a_range_is_refused() {
        let lies: [PhysRange; 3] = [
            PhysRange {
                start: u64::MAX - 7,
                len_bytes: 16,
            },
            PhysRange {
                start: LIMIT - 8,
                len_bytes: 16,
            },
            PhysRange {
                start: 12,
                len_bytes: 16,
            },
        ];
        let fields: [fn(&mut BootInfo) -> &mut PhysRange; 8] = [
            |info| &mut info.kernel,
            |info| &mut info.boot_stack,
            |info| &mut info.memory_map,
            |info| &mut info.command_line,
            |info| &mut info.bundle.pieces[0],
            |info| &mut info.job.pieces[0],
            |info| &mut info.symbols,
            |info| &mut info.trampoline,
        ];
        for field in fields {
            for lie in lies {
                let mut info = honest();
                *field(&mut info) = lie;
                assert!(check(&info).is_err(), "{lie:?} passed");
            }
        }
    }

    #[test]
    fn a_file_may_take_every_piece() {
        let piece = |number: u64| PhysRange {
            start: number * 0x10_0000,
            len_bytes: 0x1000,
        };
        let mut info = honest();
        info.job = in_pieces(&[1, 2, 3, 4, 5, 6, 7, 8].map(piece));
        assert_eq!(check(&info), Ok(()));
    }

    #[test]
    fn lies_about_pieces_are_refused() {
        let lies: [fn(&mut Module); 9] = [
            // Longer and shorter than the pieces; absent with pieces.
            |module| module.len_bytes += 1,
            |module| module.len_bytes -= 1,
            |module| module.len_bytes = 0,
            // Not on a page, though aligned as other ranges must be.
            |module| module.pieces[1].start += 8,
            |module| module.pieces[0].start += 0x800,
            // A piece that is not full with another behind it; the sum is right.
            |module| {
                module.pieces[0].len_bytes -= 8;
                module.len_bytes -= 8;
            },
            // A hole in the list, and a piece that nobody counted.
            |module| {
                module.len_bytes -= module.pieces[1].len_bytes;
                module.pieces[1].len_bytes = 0;
            },
            |module| module.pieces[7] = module.pieces[1],
            // Present without pieces.
            |module| module.pieces = Module::default().pieces,
        ];
        for (number, lie) in lies.into_iter().enumerate() {
            let mut info = honest();
            lie(&mut info.bundle);
            let refused = Err(BootError::BadPieces("the bundle"));
            assert_eq!(check(&info), refused, "lie {number} passed");
            let mut info = honest();
            info.job = info.bundle;
            lie(&mut info.job);
            assert!(check(&info).is_err(), "lie {number} about the job passed");
        }
    }

    #[test]
    fn every_piece_must_be_mapped_memory() {
        for piece in 0..3 {
            for start in [0, LIMIT, !0xfff] {
                let mut info = honest();
                info.bundle.pieces[piece].start = start;
                assert_eq!(check(&info), Err(BootError::BadRange("the bundle")));
            }
        }
    }

    #[test]
    fn lies_about_the_layout_are_refused() {
        let lies: [fn(&mut BootInfo); 6] = [
            |info| info.direct_map_base = 0,
            |info| info.direct_map_len_bytes = 0,
            |info| info.direct_map_len_bytes = 1 << 60,
            |info| info.page_table_root = 0x1001,
            |info| info.kernel_virt_start = 0x1000,
            |info| info.memory_map.len_bytes = 25,
        ];
        for lie in lies {
            let mut info = honest();
            lie(&mut info);
            assert!(check(&info).is_err());
        }
    }

    #[test]
    fn a_memory_map_must_be_sorted_disjoint_aligned_and_big_enough() {
        let range = |start, len_bytes, kind| MemoryRange {
            start,
            len_bytes,
            kind,
            reserved: 0,
        };
        let usable = memory_kind::USABLE;
        let good = [
            range(0x1000, 0x1000, usable),
            range(0x10_0000, 64 << 20, usable),
        ];
        assert_eq!(check_memory_map(&good, LIMIT), Ok(()));
        let bad: [&[MemoryRange]; 6] = [
            &[
                range(0x10_0000, 64 << 20, usable),
                range(0x1000, 0x1000, usable),
            ],
            &[
                range(0x10_0000, 64 << 20, usable),
                range(0x20_0000, 0x1000, memory_kind::RESERVED),
            ],
            &[range(0x10_0001, 64 << 20, usable)],
            &[range(u64::MAX - 0xfff, 0x1000, usable)],
            &[range(LIMIT - 0x1000, 64 << 20, usable)],
            &[range(0x10_0000, 1 << 20, usable)],
        ];
        for map in bad {
            assert!(check_memory_map(map, LIMIT).is_err(), "{map:?} passed");
        }
    }

    /// A map in which everything that `honest` names is what it says it is.
    fn honest_map() -> Vec<MemoryRange> {
        use memory_kind::{KERNEL, LOADER, MODULE, USABLE};
        let range = |start, len_bytes, kind| MemoryRange {
            start,
            len_bytes,
            kind,
            reserved: 0,
        };
        vec![
            range(0x1000, 0xf_f000, LOADER),
            range(0x10_0000, 0x10_0000, LOADER),
            range(0x20_0000, 0x10_0000, KERNEL),
            range(0x30_0000, 0x50_0000, USABLE),
            range(0x80_0000, 0x1000, MODULE),
            range(0x80_1000, 0x7f_f000, USABLE),
            range(0x100_0000, 0x2000, MODULE),
            range(0x100_2000, 0xff_e000, USABLE),
            range(0x200_0000, 0x1000, MODULE),
            range(0x200_1000, 0x1000_0000, USABLE),
        ]
    }

    #[test]
    fn an_honest_map_contradicts_nothing() {
        assert_eq!(check_placement(&honest(), &honest_map()), Ok(()));
    }

    #[test]
    fn what_holds_something_is_never_free_memory() {
        let info = honest();
        for index in [0, 1, 2, 4, 6, 8] {
            let mut map = honest_map();
            map[index].kind = memory_kind::USABLE;
            assert!(
                check_placement(&info, &map).is_err(),
                "entry {index} passed"
            );
        }
    }

    #[test]
    fn a_range_may_not_reach_beyond_its_entry() {
        let mut info = honest();
        info.kernel.len_bytes += 1;
        let map = honest_map();
        assert_eq!(
            check_placement(&info, &map),
            Err(BootError::Misplaced("the kernel"))
        );
    }

    #[test]
    fn a_screen_over_memory_is_refused() {
        let mut info = honest();
        info.framebuffer.memory = PhysRange {
            start: 0x1f_f000,
            len_bytes: 0x2000,
        };
        let map = honest_map();
        assert_eq!(
            check_placement(&info, &map),
            Err(BootError::Misplaced("the screen"))
        );
        info.framebuffer.memory.start = 0x8000_0000;
        assert_eq!(check_placement(&info, &map), Ok(()));
    }
}
