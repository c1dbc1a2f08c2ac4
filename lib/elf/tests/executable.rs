//! Executables made by hand: the good one loads, each defect has its error, random ones never panic.

use std::ops::Range;

use lib_elf::{ElfError, Executable, HEADERS_MAX, SEGMENTS_MAX};
use proptest::prelude::*;

const BASE: u64 = 0xffff_ffff_8000_0000;
const ALLOWED: Range<u64> = BASE..BASE + (512 << 20);
const R: u32 = 4;
const W: u32 = 2;
const X: u32 = 1;

#[derive(Clone, Copy, Debug)]
struct Header {
    kind: u32,
    flags: u32,
    offset: u64,
    virt: u64,
    file_len: u64,
    mem_len: u64,
}

fn load(flags: u32, virt: u64, file_len: u64, mem_len: u64) -> Header {
    Header {
        kind: 1,
        flags,
        offset: 0,
        virt,
        file_len,
        mem_len,
    }
}

/// Text, constants and data with a tail of zeros, as a kernel has.
fn good() -> Vec<Header> {
    vec![
        load(R | X, BASE, 0x1234, 0x1234),
        load(R, BASE + 0x2000, 0x10, 0x10),
        load(R | W, BASE + 0x3000, 0x800, 0x5001),
        Header {
            kind: 7,
            ..load(R, BASE + 0x3000, 0x100, 0x180)
        },
    ]
}

fn file(entry: u64, headers: &[Header]) -> Vec<u8> {
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    bytes.extend(entry.to_le_bytes());
    bytes.extend(64_u64.to_le_bytes());
    bytes.extend([0; 12]);
    bytes.extend([64, 0, 56, 0, headers.len() as u8, 0, 0, 0, 0, 0, 0, 0]);
    for header in headers {
        bytes.extend(header.kind.to_le_bytes());
        bytes.extend(header.flags.to_le_bytes());
        for field in [
            header.offset,
            header.virt,
            header.virt,
            header.file_len,
            header.mem_len,
            4096,
        ] {
            bytes.extend(field.to_le_bytes());
        }
    }
    bytes.resize(bytes.len().max(0x1234), 0xcc);
    bytes
}

fn error(headers: &[Header]) -> ElfError {
    Executable::parse(&file(BASE, headers), ALLOWED).expect_err("the defect is noticed")
}

fn with(number: usize, header: Header) -> ElfError {
    let mut headers = good();
    headers[number] = header;
    error(&headers)
}

#[test]
fn a_good_executable_loads() {
    let bytes = file(BASE + 0x10, &good());
    let executable = Executable::parse(&bytes, ALLOWED).expect("nothing is wrong");
    assert_eq!(
        (executable.entry(), executable.pages()),
        (BASE + 0x10, BASE..BASE + 0x9000)
    );
    let [text, constants, data] = executable.segments() else {
        panic!("three segments")
    };
    assert_eq!(
        (text.executable, text.writable, text.contents.len()),
        (true, false, 0x1234)
    );
    assert_eq!((constants.executable, constants.writable), (false, false));
    assert_eq!((data.executable, data.writable), (false, true));
    assert_eq!((data.contents.len(), data.mem_len_bytes), (0x800, 0x5001));
    assert_eq!(data.pages(), BASE + 0x3000..BASE + 0x9000);
}

#[test]
fn each_defect_has_its_error() {
    use ElfError as E;
    assert_eq!(
        with(1, load(R, BASE + 0x1000, 0, 1)),
        E::SegmentOverlaps { header: 1 }
    );
    assert_eq!(
        with(2, load(R, BASE + 0x1000, 0, 1)),
        E::SegmentOverlaps { header: 2 }
    );
    assert_eq!(
        with(1, load(R, BASE + 0x2010, 0, 1)),
        E::SegmentNotAligned { header: 1 }
    );
    assert_eq!(
        with(1, load(R, BASE + 0x2000, 2, 1)),
        E::SegmentLongerThanMemory { header: 1 }
    );
    assert_eq!(
        with(1, load(R, BASE + 0x2000, 0x1300, 0x1300)),
        E::SegmentOutsideFile { header: 1 }
    );
    assert_eq!(
        with(1, load(R, BASE + 0x2000, u64::MAX, 1)),
        E::SegmentOutsideFile { header: 1 }
    );
    assert_eq!(
        with(0, load(R | W | X, BASE, 1, 1)),
        E::SegmentWritableAndExecutable { header: 0 }
    );
    assert_eq!(
        with(0, load(R | X, BASE - 4096, 0, 8192)),
        E::SegmentNotAllowed { header: 0 }
    );
    assert_eq!(
        with(2, load(R, ALLOWED.end - 4096, 0, 4097)),
        E::SegmentNotAllowed { header: 2 }
    );
    assert_eq!(
        with(2, load(R, BASE + 0x3000, 0, u64::MAX)),
        E::SegmentNotAllowed { header: 2 }
    );
    assert_eq!(
        with(0, load(R, BASE, 1, 1)),
        E::EntryNotExecutable { entry: BASE }
    );
    assert_eq!(
        with(0, load(R | X, BASE, 0, 0)),
        E::EntryNotExecutable { entry: BASE }
    );
    assert_eq!(error(&[]), E::EntryNotExecutable { entry: BASE });
    for kind in [2, 3] {
        assert_eq!(with(3, Header { kind, ..good()[3] }), E::NotStatic);
    }
    let many: Vec<Header> = (0..=SEGMENTS_MAX as u64)
        .map(|n| load(R, BASE + n * 4096, 0, 1))
        .collect();
    assert_eq!(error(&many), E::TooManySegments);
}

#[test]
fn a_wrong_file_header_has_its_error() {
    let changed = |at: usize, value: u8| {
        let mut bytes = file(BASE, &good());
        bytes[at] = value;
        Executable::parse(&bytes, ALLOWED).expect_err("the defect is noticed")
    };
    assert_eq!(changed(0, 0), ElfError::NotElf);
    assert_eq!(changed(4, 1), ElfError::WrongMachine);
    assert_eq!(changed(18, 3), ElfError::WrongMachine);
    assert_eq!(changed(16, 3), ElfError::NotStatic);
    assert_eq!(
        changed(54, 32),
        ElfError::WrongHeaderTable {
            header_len: 32,
            count: 4
        }
    );
    let count = HEADERS_MAX + 1;
    assert_eq!(
        changed(56, count as u8),
        ElfError::WrongHeaderTable {
            header_len: 56,
            count
        }
    );
    assert_eq!(changed(39, 0xff), ElfError::CutOff);
}

#[test]
fn every_cut_of_the_headers_is_noticed() {
    let bytes = file(BASE, &good());
    for len in 0..0x1234 {
        assert!(
            Executable::parse(&bytes[..len], ALLOWED).is_err(),
            "cut to {len} bytes"
        );
    }
}

/// What holding an [`Executable`] promises.
fn assert_law(executable: &Executable<'_>) {
    let mut end = ALLOWED.start;
    for segment in executable.segments() {
        assert!(segment.virt_start % 4096 == 0 && segment.virt_start >= end);
        assert!(segment.contents.len() as u64 <= segment.mem_len_bytes);
        assert!(!(segment.writable && segment.executable));
        end = segment.pages().end;
    }
    assert!(end <= ALLOWED.end && executable.pages().contains(&executable.entry()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn random_changes_never_panic_nor_break_the_law(
        changes in prop::collection::vec((0..64 + 4 * 56_usize, any::<u8>()), 1..6),
        len in 0..0x1400_usize,
    ) {
        let mut bytes = file(BASE, &good());
        for (at, value) in changes {
            bytes[at] = value;
        }
        for cut in [&bytes[..], &bytes[..len.min(bytes.len())]] {
            if let Ok(executable) = Executable::parse(cut, ALLOWED) {
                assert_law(&executable);
            }
        }
    }
}

/// The good executable with its segments' bytes one behind the other from the second page on, as a linker lays them out.
fn laid_out() -> Vec<u8> {
    let headers: Vec<Header> = good()
        .into_iter()
        .map(|header| Header {
            offset: 0x1000 + (header.virt - BASE),
            ..header
        })
        .collect();
    let mut bytes = file(BASE, &headers);
    bytes.truncate(0x1000);
    bytes.resize(0x1000 + 0x3800, 0);
    for (number, byte) in bytes.iter_mut().enumerate().skip(0x1000) {
        *byte = (number % 251) as u8;
    }
    bytes
}

#[test]
fn segments_get_to_their_places_inside_the_files_own_memory() {
    let bytes = laid_out();
    let executable = Executable::parse(&bytes, ALLOWED).unwrap();
    let moves: Vec<_> = executable.moves(&bytes).unwrap().collect();
    assert_eq!(moves.len(), executable.segments().len());
    let mut block = bytes.clone();
    for each in &moves {
        block.copy_within(each.from..each.from + each.len_bytes, each.to);
    }
    for (each, segment) in moves.iter().zip(executable.segments()) {
        assert_eq!(&block[each.to..each.to + each.len_bytes], segment.contents);
        assert_eq!(each.to as u64, segment.virt_start - BASE);
    }
}

#[test]
fn segments_that_would_overwrite_each_other_are_not_moved() {
    // All of them begin with the file's first byte.
    let shared = file(BASE, &good());
    let executable = Executable::parse(&shared, ALLOWED).unwrap();
    assert!(executable.moves(&shared).is_none());
    // It is no file of which the segments are parts.
    let bytes = laid_out();
    let executable = Executable::parse(&bytes, ALLOWED).unwrap();
    assert!(executable.moves(&bytes[0x1800..]).is_none());
}
