//! Page tables, walked as the CPU walks them, against the list of what was mapped.

use boot_loader::page_tables::{MapError, PageTables, Rights, Table, tables_needed};
use proptest::prelude::*;

/// Where the tables pretend to lie.
const PHYS: u64 = 0x1234_5000;
const MIB: u64 = 1 << 20;

/// What the CPU finds for an address: physical address, writable, executable.
type Translation = Option<(u64, bool, bool)>;

/// Reads entry `slot` of the table at the physical address `table`.
fn entry(tables: &[Table], table: u64, slot: u64) -> u64 {
    let table = &tables[((table - PHYS) / 4096) as usize];
    table.entries()[slot as usize]
}

fn translate(tables: &[Table], virt: u64) -> Translation {
    let (mut table, mut writable, mut executable) = (PHYS, true, true);
    for shift in [39, 30, 21, 12] {
        let entry = entry(tables, table, virt >> shift & 511);
        if entry & 1 == 0 {
            return None;
        }
        (writable, executable) = (writable && entry & 2 != 0, executable && entry >> 63 == 0);
        table = entry & 0x000f_ffff_ffff_f000;
        if shift == 12 || entry & 1 << 7 != 0 {
            return Some((table + (virt & ((1 << shift) - 1)), writable, executable));
        }
    }
    None
}

/// The tables after `map` was done to an array of `count`.
fn after(
    count: usize,
    map: impl FnOnce(&mut PageTables<'_>) -> Result<(), MapError>,
) -> Result<Vec<Table>, MapError> {
    let mut tables = vec![Table::EMPTY; count];
    let mut builder = PageTables::new(&mut tables, PHYS)?;
    assert_eq!(builder.root(), PHYS);
    map(&mut builder)?;
    Ok(tables)
}

#[test]
fn a_kernel_a_direct_map_and_the_loader_fit_what_is_needed() {
    let (direct, kernel, image) = (0xffff_8000_0000_0000, 0xffff_ffff_8000_0000, 0x3e5_2000);
    let (ram_len, kernel_len, image_len) = (6 * 1024 * MIB, 33 * MIB, 0x20000);
    let needed = tables_needed(ram_len, &[kernel_len, image_len]);
    let tables = after(needed, |tables| {
        tables.map(kernel, 7 * MIB, 0x3000, Rights::Execute)?;
        tables.map(kernel + 0x3000, 7 * MIB + 0x3000, 0x1000, Rights::Read)?;
        tables.map(
            kernel + 0x4000,
            7 * MIB + 0x4000,
            kernel_len - 0x4000,
            Rights::Write,
        )?;
        tables.map_large(direct, 0, ram_len, Rights::Write)?;
        tables.map(image, image, image_len, Rights::Execute)
    })
    .expect("fits");
    assert_eq!(
        translate(&tables, kernel + 0x2345),
        Some((7 * MIB + 0x2345, false, true))
    );
    assert_eq!(
        translate(&tables, kernel + 0x3fff),
        Some((7 * MIB + 0x3fff, false, false))
    );
    assert_eq!(
        translate(&tables, kernel + kernel_len - 1),
        Some((40 * MIB - 1, true, false))
    );
    assert_eq!(translate(&tables, kernel + kernel_len), None);
    assert_eq!(translate(&tables, direct), Some((0, true, false)));
    assert_eq!(
        translate(&tables, direct + ram_len - 1),
        Some((ram_len - 1, true, false))
    );
    assert_eq!(translate(&tables, direct + ram_len), None);
    assert_eq!(translate(&tables, image), Some((image, false, true)));
    assert_eq!(translate(&tables, 0), None);
}

#[test]
fn what_cannot_be_mapped_is_refused() {
    let map = |virt, phys, len| after(9, |tables| tables.map(virt, phys, len, Rights::Read)).err();
    let large =
        |virt, phys, len| after(9, |tables| tables.map_large(virt, phys, len, Rights::Read)).err();
    assert_eq!(
        [map(1, 0, 4096), map(0, 1, 4096), map(0, 0, 1)],
        [Some(MapError::NotAligned); 3]
    );
    assert_eq!(
        [large(4096, 0, 2 * MIB), large(0, 0, 4096)],
        [Some(MapError::NotAligned); 2]
    );
    assert_eq!(map(0, 0, 1024 * MIB * 64), Some(MapError::OutOfTables));
    assert_eq!(after(0, |_| Ok(())).err(), Some(MapError::OutOfTables));
    let twice = after(9, |tables| {
        tables.map_large(2 * MIB, 0, 2 * MIB, Rights::Write)?;
        tables.map(3 * MIB, 0, 4096, Rights::Execute)
    });
    assert_eq!(twice.err(), Some(MapError::AlreadyMapped { virt: 3 * MIB }));
}

fn rights() -> impl Strategy<Value = Rights> {
    prop_oneof![
        Just(Rights::Read),
        Just(Rights::Write),
        Just(Rights::Execute)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_list(
        pieces in prop::collection::vec((0..2000_u64, 0..5000_u64, 1..700_u64, rights()), 1..5),
        probes in prop::collection::vec(0..3000 * 4096_u64, 50),
    ) {
        let lens: Vec<u64> = pieces.iter().map(|piece| piece.2 * 4096).collect();
        let mut mapped: Vec<(u64, u64, u64, Rights)> = Vec::new();
        let tables = after(tables_needed(0, &lens), |tables| {
            for (virt, phys, pages, rights) in &pieces {
                let piece = (virt * 4096, phys * 4096, pages * 4096, *rights);
                let free = mapped.iter().all(|(start, _, len, _)| piece.0 + piece.2 <= *start || start + len <= piece.0);
                if free {
                    tables.map(piece.0, piece.1, piece.2, piece.3)?;
                    mapped.push(piece);
                }
            }
            Ok(())
        }).expect("enough tables");
        for probe in probes {
            let holds = |piece: &&(u64, u64, u64, Rights)| (piece.0..piece.0 + piece.2).contains(&probe);
            let wanted = mapped.iter().find(holds).map(|(start, phys, _, rights)| {
                (phys + probe - start, *rights == Rights::Write, *rights == Rights::Execute)
            });
            prop_assert_eq!(translate(&tables, probe), wanted);
        }
    }
}
