//! Executables with impossible headers.
//!
//! Law: what is accepted can be loaded as `lib-elf` promises: segments on pages, inside the allowed range, in order, without a
//! common page, never writable and executable, with bytes of the file; the entry in an executable one; and the moves towards the
//! start lose nothing.

use std::ops::Range;

use lib_elf::{Executable, PAGE_LEN_BYTES, Segment};
use test_fuzz::{Input, Subject, Target, Verdict, holds, same};

pub const TARGET: Target = Target {
    name: "elf",
    cases: 40_000,
    len_bytes_max: 512,
    defect: "a reader that allows any address",
    try_input,
};

const BASE: u64 = 0xffff_ffff_8000_0000;
const ALLOWED: Range<u64> = BASE..BASE + 0x10_0000;
const ANYWHERE: Range<u64> = 0..u64::MAX - (PAGE_LEN_BYTES - 1);
const HEADERS_MAX: usize = 6;

fn try_input(subject: Subject, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let mut file = file(&mut input);
    for _ in 0..input.below(4) {
        let at = input.below(file.len().min(512));
        file[at] = input.byte();
    }
    let allowed = match subject {
        Subject::Real => ALLOWED,
        Subject::Spoiled => ANYWHERE,
    };
    match Executable::parse(&file, allowed) {
        Err(_) => Ok(()),
        Ok(executable) => check(&executable, &file),
    }
}

fn check(executable: &Executable<'_>, file: &[u8]) -> Verdict {
    let mut end = 0;
    for segment in executable.segments() {
        let pages = segment.pages();
        holds(is_sound(segment, end), || format!("{segment:?}"))?;
        end = pages.end;
    }
    let holds_entry =
        |segment: &Segment<'_>| segment.executable && segment.pages().contains(&executable.entry());
    holds(executable.segments().iter().any(holds_entry), || {
        format!("the entry is {:#x}", executable.entry())
    })?;
    check_moves(executable, file)
}

fn is_sound(segment: &Segment<'_>, end_before: u64) -> bool {
    let pages = segment.pages();
    pages.start.is_multiple_of(PAGE_LEN_BYTES)
        && segment.mem_len_bytes > 0
        && pages.start >= end_before.max(ALLOWED.start)
        && pages.end <= ALLOWED.end
        && segment.contents.len() as u64 <= segment.mem_len_bytes
        && !(segment.writable && segment.executable)
}

/// The moves are made in a copy of the file; afterwards each segment's bytes are in their place.
fn check_moves(executable: &Executable<'_>, file: &[u8]) -> Verdict {
    let Some(moves) = executable.moves(file) else {
        return Ok(());
    };
    let mut moved = file.to_vec();
    for each in moves {
        moved.copy_within(each.from..each.from + each.len_bytes, each.to);
    }
    for segment in executable.segments() {
        let at = (segment.virt_start - executable.pages().start) as usize;
        let there = moved.get(at..at + segment.contents.len());
        same("the bytes moved", there, Some(segment.contents))?;
    }
    Ok(())
}

fn file(input: &mut Input<'_>) -> Vec<u8> {
    let count = 1 + input.below(HEADERS_MAX);
    // One in four lies elsewhere as a whole.
    let base = match input.below(4) {
        0 => input.number() / PAGE_LEN_BYTES * PAGE_LEN_BYTES,
        _ => BASE,
    };
    let entry = address(input, base);
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    bytes.extend(entry.to_le_bytes());
    bytes.extend(64_u64.to_le_bytes());
    bytes.extend([0; 12]);
    bytes.extend([64, 0, 56, 0, count as u8, 0, 0, 0, 0, 0, 0, 0]);
    for _ in 0..count {
        bytes.extend(input.one_of(&[1_u32, 1, 1, 1, 0, 2, 3, 7]).to_le_bytes());
        bytes.extend((input.below(8) as u32).to_le_bytes());
        let len = length(input);
        for field in [
            length(input),
            address(input, base),
            0,
            len,
            len + length(input),
        ] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(PAGE_LEN_BYTES.to_le_bytes());
    }
    let body = (0..=255).cycle().take(input.below(0x4000));
    bytes.extend(body);
    bytes
}

fn address(input: &mut Input<'_>, base: u64) -> u64 {
    let offset = input.number();
    match input.below(8) {
        0 => offset,
        1 => base.wrapping_add(offset),
        _ => base.wrapping_add(u64::from(input.byte()) * PAGE_LEN_BYTES),
    }
}

fn length(input: &mut Input<'_>) -> u64 {
    match input.below(8) {
        0 => input.number() >> 1,
        _ => u64::from(input.u16()) >> 2,
    }
}
