//! The program headers of a static ELF64 executable for x86-64: what it takes to load a kernel.
//!
//! Source: System V ABI, "Object Files" and "Program Loading", and its AMD64 supplement.
//!
//! Law:
//! - The bytes are hostile. Reading ends in an [`Executable`] or in an [`ElfError`] that names what is
//!   wrong: no panic, no allocation, work bounded by [`SEGMENTS_MAX`] and [`HEADERS_MAX`].
//! - Whoever holds an [`Executable`] may load it without a further check: its segments start on pages,
//!   lie inside the allowed range, are in ascending order, share no page with each other, are never
//!   writable and executable at once, and the entry is inside an executable one.
//! - Only what a loader needs is read. Sections, symbols and notes are ignored.
//!
//! Why not a general ELF crate: all of the above would remain to be written, and it is most of this.
#![no_std]

mod error;

use core::ops::Range;

pub use error::ElfError;

/// Length of a page: segments have rights of their own only by whole pages.
pub const PAGE_LEN_BYTES: u64 = 4096;
/// At most this many loadable segments.
pub const SEGMENTS_MAX: usize = 16;
/// At most this many program headers of any kind.
pub const HEADERS_MAX: u16 = 64;

const IDENT: [u8; 7] = [0x7f, b'E', b'L', b'F', 2, 1, 1];
const TYPE_EXECUTABLE: u16 = 2;
const MACHINE_X86_64: u16 = 62;
const PROGRAM_HEADER_LEN: u16 = 56;
const KIND_LOAD: u32 = 1;
const KIND_DYNAMIC: u32 = 2;
const KIND_INTERPRETER: u32 = 3;
const FLAG_EXECUTE: u32 = 1;
const FLAG_WRITE: u32 = 2;

/// A checked executable.
#[derive(Clone, Copy, Debug)]
pub struct Executable<'a> {
    entry: u64,
    segments: [Segment<'a>; SEGMENTS_MAX],
    segment_count: usize,
}

/// One loadable segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Virtual address of the first byte; page-aligned.
    pub virt_start: u64,
    /// Length in memory in bytes, not 0. What `contents` does not fill is zero.
    pub mem_len_bytes: u64,
    /// The bytes from the file: at most `mem_len_bytes`.
    pub contents: &'a [u8],
    /// May be written to.
    pub writable: bool,
    /// May be executed; then it is not writable.
    pub executable: bool,
}

/// Where a segment's bytes are in the file, and where they belong in the executable's pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Move {
    /// From the file's start, in bytes.
    pub from: usize,
    /// From the start of the first page, in bytes.
    pub to: usize,
    /// How many bytes.
    pub len_bytes: usize,
}

impl<'a> Executable<'a> {
    /// Reads `file` as an executable all of whose pages lie in `allowed`, which starts and ends on a
    /// page.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn parse(file: &'a [u8], allowed: Range<u64>) -> Result<Self, ElfError> {
        let entry = check_file_header(file)?;
        let mut executable = Self {
            entry,
            segments: Default::default(),
            segment_count: 0,
        };
        for number in 0..header_count(file)? {
            executable.add(file, number, &allowed)?;
        }
        executable.check_entry()?;
        Ok(executable)
    }

    /// Virtual address of the first instruction.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// The segments, ascending. At least one.
    pub fn segments(&self) -> &[Segment<'a>] {
        &self.segments[..self.segment_count]
    }

    /// The pages from the first segment's first to the last segment's last, gaps included.
    pub fn pages(&self) -> Range<u64> {
        let start = self
            .segments()
            .first()
            .map_or(0, |segment| segment.virt_start);
        start..self.end()
    }

    /// How the segments' bytes get to their places, one after the other, where `file`, of which this was read, lies at the start
    /// of the executable's own pages: every move is towards the start, and none reaches bytes that are still to be moved. `None` where
    /// that cannot be.
    pub fn moves(&self, file: &[u8]) -> Option<impl Iterator<Item = Move> + '_> {
        let file_start = file.as_ptr().addr();
        let first_page = self.pages().start;
        let moves = self.segments().iter().map(move |segment| Move {
            from: segment.contents.as_ptr().addr().wrapping_sub(file_start),
            to: (segment.virt_start - first_page) as usize,
            len_bytes: segment.contents.len(),
        });
        let mut moved_end = 0;
        let is_possible = moves.clone().all(|each| {
            let is_next = moved_end <= each.from && each.to <= each.from;
            moved_end = each.from.saturating_add(each.len_bytes);
            is_next && moved_end <= file.len()
        });
        is_possible.then_some(moves)
    }

    fn end(&self) -> u64 {
        self.segments()
            .last()
            .map_or(0, |segment| segment.pages().end)
    }

    fn add(&mut self, file: &'a [u8], number: u16, allowed: &Range<u64>) -> Result<(), ElfError> {
        let header = ProgramHeader::read(file, number)?;
        match header.kind {
            KIND_LOAD if header.mem_len > 0 => {}
            KIND_DYNAMIC | KIND_INTERPRETER => return Err(ElfError::NotStatic),
            _ => return Ok(()),
        }
        let segment = header
            .segment(file, allowed)
            .map_err(|fault| fault.at(number))?;
        if segment.virt_start < self.end() {
            return Err(ElfError::SegmentOverlaps { header: number });
        }
        let free = self.segments.get_mut(self.segment_count);
        *free.ok_or(ElfError::TooManySegments)? = segment;
        self.segment_count += 1;
        Ok(())
    }

    fn check_entry(&self) -> Result<(), ElfError> {
        let holds_entry = |segment: &Segment<'_>| {
            segment.executable
                && (segment.virt_start..segment.virt_start + segment.mem_len_bytes)
                    .contains(&self.entry)
        };
        if self.segments().iter().any(holds_entry) {
            Ok(())
        } else {
            Err(ElfError::EntryNotExecutable { entry: self.entry })
        }
    }
}

impl Segment<'_> {
    /// The pages that the segment touches. Cannot wrap: a segment lies inside the allowed range, which
    /// ends on a page.
    pub fn pages(&self) -> Range<u64> {
        let end = self.virt_start + self.mem_len_bytes;
        self.virt_start..end.div_ceil(PAGE_LEN_BYTES) * PAGE_LEN_BYTES
    }
}

/// Checks that this is an executable for this machine, and gives its entry.
fn check_file_header(file: &[u8]) -> Result<u64, ElfError> {
    if !file.starts_with(&IDENT[..4]) {
        return Err(ElfError::NotElf);
    }
    let machine = u16_at(file, 18)?;
    if !file.starts_with(&IDENT) || machine != MACHINE_X86_64 {
        return Err(ElfError::WrongMachine);
    }
    if u16_at(file, 16)? != TYPE_EXECUTABLE {
        return Err(ElfError::NotStatic);
    }
    u64_at(file, 24)
}

fn header_count(file: &[u8]) -> Result<u16, ElfError> {
    let (header_len, count) = (u16_at(file, 54)?, u16_at(file, 56)?);
    if header_len == PROGRAM_HEADER_LEN && count <= HEADERS_MAX {
        Ok(count)
    } else {
        Err(ElfError::WrongHeaderTable { header_len, count })
    }
}

/// The fields of a program header that count here, unchecked.
struct ProgramHeader {
    kind: u32,
    flags: u32,
    file_offset: u64,
    virt_start: u64,
    file_len: u64,
    mem_len: u64,
}

/// What is wrong with a segment, without which one it is.
enum SegmentFault {
    OutsideFile,
    LongerThanMemory,
    NotAligned,
    NotAllowed,
    WritableAndExecutable,
}

impl SegmentFault {
    fn at(self, header: u16) -> ElfError {
        match self {
            Self::OutsideFile => ElfError::SegmentOutsideFile { header },
            Self::LongerThanMemory => ElfError::SegmentLongerThanMemory { header },
            Self::NotAligned => ElfError::SegmentNotAligned { header },
            Self::NotAllowed => ElfError::SegmentNotAllowed { header },
            Self::WritableAndExecutable => ElfError::SegmentWritableAndExecutable { header },
        }
    }
}

impl ProgramHeader {
    fn read(file: &[u8], number: u16) -> Result<Self, ElfError> {
        let table = u64_at(file, 32)?;
        let offset = u64::from(number) * u64::from(PROGRAM_HEADER_LEN);
        let start = table.checked_add(offset).ok_or(ElfError::CutOff)?;
        let bytes = slice(file, start, PROGRAM_HEADER_LEN.into()).ok_or(ElfError::CutOff)?;
        Ok(Self {
            kind: u32_at(bytes, 0)?,
            flags: u32_at(bytes, 4)?,
            file_offset: u64_at(bytes, 8)?,
            virt_start: u64_at(bytes, 16)?,
            file_len: u64_at(bytes, 32)?,
            mem_len: u64_at(bytes, 40)?,
        })
    }

    fn segment<'a>(
        &self,
        file: &'a [u8],
        allowed: &Range<u64>,
    ) -> Result<Segment<'a>, SegmentFault> {
        let contents =
            slice(file, self.file_offset, self.file_len).ok_or(SegmentFault::OutsideFile)?;
        let end = self
            .virt_start
            .checked_add(self.mem_len)
            .ok_or(SegmentFault::NotAllowed)?;
        let (writable, executable) = (self.flags & FLAG_WRITE != 0, self.flags & FLAG_EXECUTE != 0);
        if self.file_len > self.mem_len {
            return Err(SegmentFault::LongerThanMemory);
        }
        if !self.virt_start.is_multiple_of(PAGE_LEN_BYTES) {
            return Err(SegmentFault::NotAligned);
        }
        if self.virt_start < allowed.start || end > allowed.end {
            return Err(SegmentFault::NotAllowed);
        }
        if writable && executable {
            return Err(SegmentFault::WritableAndExecutable);
        }
        let (virt_start, mem_len_bytes) = (self.virt_start, self.mem_len);
        Ok(Segment {
            virt_start,
            mem_len_bytes,
            contents,
            writable,
            executable,
        })
    }
}

/// `len` bytes at `offset`, if they are there.
fn slice(bytes: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = usize::try_from(offset.checked_add(len)?).ok()?;
    bytes.get(start..end)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], ElfError> {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .ok_or(ElfError::CutOff)
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, ElfError> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, ElfError> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, ElfError> {
    array(bytes, at).map(u64::from_le_bytes)
}
