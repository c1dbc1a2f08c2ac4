//! The contract's memory map against a naive one: an array with one kind per page.

use boot_loader::memory_map::{self, Claim, FirmwareRange, TooManyRanges};
use contract_boot::{MemoryRange, PhysRange, memory_kind};
use proptest::prelude::*;

/// All ranges of the property test lie below this page.
const PAGES: u64 = 64;
const EMPTY: MemoryRange = MemoryRange {
    start: 0,
    len_bytes: 0,
    kind: 0,
    reserved: 0,
};

fn firmware(start_page: u64, page_count: u64, efi_type: u32) -> FirmwareRange {
    FirmwareRange {
        start: start_page * 4096,
        page_count,
        efi_type,
    }
}

fn claim(start_page: u64, len_bytes: u64, kind: u32) -> Claim {
    Claim {
        memory: PhysRange {
            start: start_page * 4096,
            len_bytes,
        },
        kind,
    }
}

fn range(start_page: u64, page_count: u64, kind: u32) -> MemoryRange {
    MemoryRange {
        start: start_page * 4096,
        len_bytes: page_count * 4096,
        kind,
        reserved: 0,
    }
}

fn write(firmware: &[FirmwareRange], claims: &[Claim]) -> Vec<MemoryRange> {
    let mut out = [EMPTY; 100];
    memory_map::write(firmware.iter().copied(), claims, &mut out)
        .expect("is long enough")
        .to_vec()
}

#[test]
fn kinds_are_the_contracts() {
    let wanted = [7, 1, 1, 1, 1, 6, 6, 1, 7, 5, 6, 7, 7, 7, 7, 7];
    for (efi_type, kind) in (0..).zip(wanted) {
        assert_eq!(
            write(&[firmware(1, 1, efi_type)], &[]),
            [range(1, 1, kind)],
            "type {efi_type}"
        );
    }
}

#[test]
fn claims_are_carved_out_exactly() {
    let claims = [
        claim(2, 1, memory_kind::MODULE),
        claim(4, 8192, memory_kind::KERNEL),
    ];
    let wanted = [
        range(0, 2, memory_kind::USABLE),
        range(2, 1, memory_kind::MODULE),
        range(3, 1, memory_kind::USABLE),
        range(4, 2, memory_kind::KERNEL),
        range(6, 4, memory_kind::USABLE),
    ];
    assert_eq!(
        write(&[firmware(5, 5, 2), firmware(0, 5, 7)], &claims),
        wanted
    );
}

#[test]
fn impossible_descriptors_are_left_out() {
    let unaligned = FirmwareRange {
        start: 5,
        page_count: 1,
        efi_type: 7,
    };
    let impossible = [
        unaligned,
        firmware(1, 0, 7),
        firmware(1, u64::MAX, 7),
        firmware(1, u64::MAX / 4096, 7),
    ];
    assert_eq!(write(&impossible, &[claim(0, 0, memory_kind::MODULE)]), []);
}

#[test]
fn an_array_that_is_too_short_is_refused() {
    let pieces = [0, 2, 4].map(|page| firmware(page, 1, 7));
    let refused = memory_map::write(pieces.into_iter(), &[], &mut [EMPTY; 2]).map(<[_]>::len);
    assert_eq!(refused, Err(TooManyRanges));
}

#[test]
fn reserved_memory_is_not_ram() {
    let map = write(
        &[firmware(0, 3, 7), firmware(8, 2, 9), firmware(90, 9, 11)],
        &[],
    );
    assert_eq!(memory_map::ram_end_bytes(&map), 10 * 4096);
    assert_eq!(memory_map::ram_end_bytes(&[]), 0);
}

/// What each page is, by the rule that the more careful kind wins and claims win over all.
fn model(firmware: &[FirmwareRange], claims: &[Claim]) -> Vec<u32> {
    let mut pages = vec![0; PAGES as usize];
    let care = |kind: u32| [0, 1, 5, 6, 7].iter().position(|known| *known == kind);
    for descriptor in firmware {
        let kind = match descriptor.efi_type {
            1..=4 | 7 => memory_kind::USABLE,
            9 => memory_kind::ACPI_TABLES,
            5 | 6 | 10 => memory_kind::FIRMWARE,
            _ => memory_kind::RESERVED,
        };
        let start = (descriptor.start / 4096) as usize;
        for page in &mut pages[start..start + descriptor.page_count as usize] {
            *page = if care(kind) > care(*page) {
                kind
            } else {
                *page
            };
        }
    }
    for claim in claims {
        let start = (claim.memory.start / 4096) as usize;
        pages[start..start + claim.memory.len_bytes.div_ceil(4096) as usize].fill(claim.kind);
    }
    pages
}

fn assert_law(map: &[MemoryRange]) {
    for pair in map.windows(2) {
        let end = pair[0].start + pair[0].len_bytes;
        assert!(end < pair[1].start || (end == pair[1].start && pair[0].kind != pair[1].kind));
    }
    assert!(
        map.iter()
            .all(|range| range.len_bytes > 0 && range.reserved == 0)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_one_kind_per_page(
        descriptors in prop::collection::vec((0..48_u64, 0..16_u64, 0..16_u32), 0..12),
        claims in prop::collection::vec((0..48_u64, 0..20_000_u64, 2..5_u32), 0..6),
    ) {
        let descriptors: Vec<_> = descriptors.into_iter().map(|(s, n, t)| firmware(s, n, t)).collect();
        let claims: Vec<_> = claims.into_iter().map(|(s, n, k)| claim(s, n, k)).collect();
        let map = write(&descriptors, &claims);
        assert_law(&map);
        for (page, kind) in (0..).zip(model(&descriptors, &claims)) {
            let address = page * 4096;
            let found = map.iter().find(|range| (range.start..range.start + range.len_bytes).contains(&address));
            prop_assert_eq!(found.map_or(0, |range| range.kind), kind, "page {}", page);
        }
    }
}
