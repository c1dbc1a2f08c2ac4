//! A loader that lies.
//!
//! Law: what the kernel's checks let through is true: every range lies in the direct map and in memory that the map says is for it, the
//! map is in order, and nothing of it is free memory or the screen.

use contract_boot::{
    BootInfo, DIRECT_MAP_BASE, Framebuffer, KERNEL_BASE, MODULE_PIECES_MAX, MemoryRange, Module,
    PhysRange, memory_kind,
};
use kernel_core::boot;
use test_fuzz::{Input, Subject, Target, Verdict, holds};

pub const TARGET: Target = Target {
    name: "boot",
    cases: 40_000,
    len_bytes_max: 256,
    defect: "a kernel that does not hold the ranges against the memory map",
    try_input,
};

const LIMIT: u64 = 1 << 30;
const PAGE_BYTES: u64 = 4096;

fn try_input(subject: Subject, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let (mut info, mut ranges) = honest();
    for _ in 0..input.below(5) {
        lie(&mut input, &mut info, &mut ranges);
    }
    info.memory_map.len_bytes = (ranges.len() * size_of::<MemoryRange>()) as u64;
    let is_accepted = boot::check(&info).is_ok()
        && boot::check_memory_map(&ranges, info.direct_map_len_bytes).is_ok()
        && (subject == Subject::Spoiled || boot::check_placement(&info, &ranges).is_ok());
    if is_accepted {
        check(&info, &ranges)
    } else {
        Ok(())
    }
}

fn check(info: &BootInfo, ranges: &[MemoryRange]) -> Verdict {
    for (name, kind, range) in claims(info) {
        let end = u128::from(range.start) + u128::from(range.len_bytes);
        holds(end <= u128::from(info.direct_map_len_bytes), || {
            format!("{name} is not mapped")
        })?;
        for at in pages(range) {
            let is_of_kind = ranges
                .iter()
                .any(|entry| entry.kind == kind && contains(entry, at));
            holds(is_of_kind, || format!("{name} is not what lies at {at:#x}"))?;
        }
    }
    let screen = info.framebuffer.memory;
    for entry in ranges
        .iter()
        .filter(|entry| entry.kind == memory_kind::USABLE)
    {
        let is_apart = entry.start >= screen.start.saturating_add(screen.len_bytes)
            || entry.start + entry.len_bytes <= screen.start;
        holds(is_apart || screen.len_bytes == 0, || {
            "the screen is free memory".to_owned()
        })?;
    }
    let is_in_order = |pair: &[MemoryRange]| pair[0].start + pair[0].len_bytes <= pair[1].start;
    holds(ranges.windows(2).all(is_in_order), || {
        "the map is out of order".to_owned()
    })
}

fn contains(entry: &MemoryRange, at: u64) -> bool {
    (entry.start..entry.start + entry.len_bytes).contains(&at)
}

/// An address in each page of a range: its first byte there. Of long ranges, some pages and the last.
fn pages(range: PhysRange) -> impl Iterator<Item = u64> {
    let end = range.start + range.len_bytes;
    let later =
        (range.start / PAGE_BYTES + 1..end.div_ceil(PAGE_BYTES)).map(|page| page * PAGE_BYTES);
    [range.start].into_iter().chain(later)
}

fn claims(info: &BootInfo) -> Vec<(&'static str, u32, PhysRange)> {
    use memory_kind::{KERNEL, LOADER, MODULE};
    let mut claims = vec![
        ("the kernel", KERNEL, info.kernel),
        ("the boot stack", LOADER, info.boot_stack),
        ("the memory map", LOADER, info.memory_map),
        ("the start page", LOADER, info.trampoline),
        ("the command line", MODULE, info.command_line),
        ("the symbols", MODULE, info.symbols),
    ];
    let pieces = info.bundle.pieces.iter().chain(&info.job.pieces);
    claims.extend(pieces.map(|piece| ("a module", MODULE, *piece)));
    claims.retain(|(_, _, range)| range.len_bytes > 0);
    claims
}

fn range(start: u64, len_bytes: u64) -> PhysRange {
    PhysRange { start, len_bytes }
}

fn honest() -> (BootInfo, Vec<MemoryRange>) {
    use memory_kind::{KERNEL, LOADER, MODULE, RESERVED, USABLE};
    let entry = |start, end, kind| MemoryRange {
        start,
        len_bytes: end - start,
        kind,
        reserved: 0,
    };
    let ranges = vec![
        entry(0x1000, 0xa000, LOADER),
        entry(0x10_0000, 0x12_0000, LOADER),
        entry(0x20_0000, 0x30_0000, KERNEL),
        entry(0x30_0000, 0x40_0000, MODULE),
        entry(0x40_0000, 0x60_0000, MODULE),
        entry(0x100_0000, 0x1000_0000, USABLE),
        entry(0x1000_0000, 0x1100_0000, RESERVED),
        entry(0x2000_0000, 0x3000_0000, USABLE),
    ];
    let mut bundle = Module::default();
    bundle.pieces[0] = range(0x30_0000, 0x2000);
    bundle.pieces[1] = range(0x3f_f000, 0x1801);
    bundle.len_bytes = 0x3801;
    let info = BootInfo {
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
        memory_map: range(0x9000, 0),
        command_line: range(0x40_3000, 5),
        bundle,
        job: Module::default(),
        symbols: range(0x40_4000, 0x1234),
        acpi_rsdp: 0,
        framebuffer: Framebuffer {
            memory: range(0x1000_0000, 0x10_0000),
            ..Framebuffer::default()
        },
        entropy: [0; 64],
        build_id: [0; 32],
        tsc_loader_entry: 0,
        tsc_hand_over: 0,
    };
    (info, ranges)
}

/// Changes one number.
fn lie(input: &mut Input<'_>, info: &mut BootInfo, ranges: &mut Vec<MemoryRange>) {
    let number = match input.below(4) {
        0 => input.number(),
        1 => u64::from(input.u16()) * PAGE_BYTES,
        2 => input.number() & !(PAGE_BYTES - 1),
        _ => u64::from(input.byte()),
    };
    if input.one_in(3) {
        let entry = input.below(ranges.len());
        match input.below(4) {
            0 => ranges[entry].start = number,
            1 => ranges[entry].len_bytes = number,
            2 => ranges[entry].kind = (number % 9) as u32,
            _ => drop(ranges.drain(entry + 1..)),
        }
        return;
    }
    let is_length = input.one_in(2);
    let field = match input.below(12) {
        0 => return info.direct_map_len_bytes = number,
        1 => return info.page_table_root = number,
        2 => return info.bundle.len_bytes = number,
        3 => &mut info.kernel,
        4 => &mut info.boot_stack,
        5 => &mut info.trampoline,
        6 => &mut info.memory_map,
        7 => &mut info.command_line,
        8 => &mut info.symbols,
        9 => &mut info.framebuffer.memory,
        10 => &mut info.job.pieces[input.below(MODULE_PIECES_MAX)],
        _ => &mut info.bundle.pieces[input.below(MODULE_PIECES_MAX)],
    };
    if is_length {
        field.len_bytes = number;
    } else {
        field.start = number;
    }
}
