//! The ring of lines.
//!
//! Invariants: `start..end` are positions, counted in bytes since the beginning of time; the bytes between
//! them are whole records, oldest first, at their positions modulo the capacity; `end - start` is never
//! more than the capacity. A record is a header of [`HEADER_BYTES`] and the text.

use log::Level;

use crate::area::Area;

/// Longest text of one record, in bytes; what is longer is cut.
pub const TEXT_BYTES_MAX: usize = 240;
/// Length of the text (2), level (1), area (1), time (8).
const HEADER_BYTES: usize = 12;

/// How a record's text is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderKind {
    /// A line of this level, without its end.
    Line(Level),
    /// Bytes as they were printed, lines' ends among them.
    Raw,
}

/// What is known of a record besides its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// How to read the text.
    pub kind: HeaderKind,
    /// What it is about.
    pub area: Area,
    /// When it was logged, in microseconds since boot.
    pub time_us: u64,
}

/// One record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// Its header.
    pub header: Header,
    /// Length of its text, which stands at the start of the reader's buffer.
    pub len_bytes: usize,
    /// Where the next record will be.
    pub next: u64,
    /// Bytes between the position asked for and this record, which are gone.
    pub lost_bytes: u64,
}

/// The newest records in `N` bytes.
pub struct LogRing<const N: usize> {
    bytes: [u8; N],
    start: u64,
    end: u64,
}

impl<const N: usize> LogRing<N> {
    /// An empty ring.
    pub const fn new() -> Self {
        assert!(
            N > HEADER_BYTES + TEXT_BYTES_MAX,
            "a ring holds a record at least"
        );
        Self {
            bytes: [0; N],
            start: 0,
            end: 0,
        }
    }

    /// Position of the oldest record.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Position of the next record to come.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Appends a record, cut to [`TEXT_BYTES_MAX`]; the oldest ones go as far as they must.
    pub fn push(&mut self, header: &Header, text: &[u8]) {
        let text = &text[..text.len().min(TEXT_BYTES_MAX)];
        let record_bytes = (HEADER_BYTES + text.len()) as u64;
        while self.end + record_bytes - self.start > N as u64 {
            self.start += (HEADER_BYTES + self.text_len(self.start)) as u64;
        }
        self.write(self.end, &header.to_bytes(text.len()));
        self.write(self.end + HEADER_BYTES as u64, text);
        self.end += record_bytes;
    }

    /// The record at `position`, or the oldest if that one is gone; `None` at the end. A position must come
    /// from [`Self::start`], [`Self::end`] or [`Read::next`]; any other gives nonsense, but no panic.
    pub fn read(&self, position: u64, text: &mut [u8; TEXT_BYTES_MAX]) -> Option<Read> {
        let at = position.max(self.start);
        if at >= self.end {
            return None;
        }
        let mut header = [0; HEADER_BYTES];
        self.copy(at, &mut header);
        let len_bytes = self.text_len(at).min(TEXT_BYTES_MAX);
        self.copy(at + HEADER_BYTES as u64, &mut text[..len_bytes]);
        Some(Read {
            header: Header::from_bytes(&header),
            len_bytes,
            next: at + (HEADER_BYTES + len_bytes) as u64,
            lost_bytes: at - position,
        })
    }

    fn text_len(&self, at: u64) -> usize {
        let mut len = [0; 2];
        self.copy(at, &mut len);
        usize::from(u16::from_le_bytes(len))
    }

    fn write(&mut self, position: u64, bytes: &[u8]) {
        let at = (position % N as u64) as usize;
        let first = bytes.len().min(N - at);
        self.bytes[at..at + first].copy_from_slice(&bytes[..first]);
        self.bytes[..bytes.len() - first].copy_from_slice(&bytes[first..]);
    }

    fn copy(&self, position: u64, output: &mut [u8]) {
        let at = (position % N as u64) as usize;
        let first = output.len().min(N - at);
        let (head, tail) = output.split_at_mut(first);
        head.copy_from_slice(&self.bytes[at..at + first]);
        tail.copy_from_slice(&self.bytes[..tail.len()]);
    }
}

impl<const N: usize> Default for LogRing<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl Header {
    fn to_bytes(self, len_bytes: usize) -> [u8; HEADER_BYTES] {
        let [l0, l1] = (len_bytes as u16).to_le_bytes();
        let level = match self.kind {
            HeaderKind::Line(level) => level as u8,
            HeaderKind::Raw => 0,
        };
        let [t0, t1, t2, t3, t4, t5, t6, t7] = self.time_us.to_le_bytes();
        [
            l0,
            l1,
            level,
            self.area as u8,
            t0,
            t1,
            t2,
            t3,
            t4,
            t5,
            t6,
            t7,
        ]
    }

    fn from_bytes(bytes: &[u8; HEADER_BYTES]) -> Self {
        let [_, _, level, area, time @ ..] = *bytes;
        Self {
            kind: Level::iter()
                .find(|known| *known as u8 == level)
                .map_or(HeaderKind::Raw, HeaderKind::Line),
            area: Area::by_number(area),
            time_us: u64::from_le_bytes(time),
        }
    }
}
