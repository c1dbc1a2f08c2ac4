//! The kernel's log: a ring of lines, and the terminal line for what matters.
//!
//! Law: logging works from the first instruction and from anywhere, interrupt handlers too: a line is
//! formatted on the stack, put into the ring under its lock, and written to the terminal by polling if its level
//! says so. Lines longer than [`LINE_BYTES`] are cut. The ring keeps the newest [`RING_BYTES`].

use alloc::string::String;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU8, Ordering};

use contract_boot::BootInfo;
use kernel_machine::memory::direct_map;
use kernel_machine::sync::IrqLock;
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::console::{self, Line};
use crate::time;

const RING_BYTES: usize = 64 * 1024;
const LINE_BYTES: usize = 240;

struct Ring {
    bytes: [u8; RING_BYTES],
    /// Bytes ever written; the newest stands before `written % RING_BYTES`.
    written: usize,
}

static RING: IrqLock<Ring> = IrqLock::named(
    "log ring",
    Ring {
        bytes: [0; RING_BYTES],
        written: 0,
    },
);
/// The least severe level that the terminal shows.
static TERMINAL_LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

struct Logger;

impl Log for Logger {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut line = TextLine::new();
        let now_us = time::monotonic_ns() / 1000;
        let _cut = write!(
            line,
            "[{:5}.{:06}] ",
            now_us / 1_000_000,
            now_us % 1_000_000
        );
        if record.level() <= Level::Warn {
            let _cut = write!(line, "{}: ", record.level().as_str().to_ascii_lowercase());
        }
        let _cut = line.write_fmt(*record.args());
        line.finish();
        append(line.as_bytes());
        if record.level() as u8 <= TERMINAL_LEVEL.load(Ordering::Relaxed) {
            console::write_polled(Line::Terminal, line.as_bytes());
        }
    }

    fn flush(&self) {}
}

struct TextLine {
    bytes: [u8; LINE_BYTES],
    len: usize,
}

impl TextLine {
    fn new() -> Self {
        Self {
            bytes: [0; LINE_BYTES],
            len: 0,
        }
    }

    fn finish(&mut self) {
        let end = self.len.min(LINE_BYTES - 2);
        self.bytes[end..end + 2].copy_from_slice(b"\r\n");
        self.len = end + 2;
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Write for TextLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LINE_BYTES - 2 - self.len.min(LINE_BYTES - 2);
        let part = &text[..text.floor_char_boundary(room)];
        self.bytes[self.len..self.len + part.len()].copy_from_slice(part.as_bytes());
        self.len += part.len();
        if part.len() == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

fn append(bytes: &[u8]) {
    let mut ring = RING.lock();
    for byte in bytes.iter().filter(|byte| **byte != b'\r') {
        let at = ring.written % RING_BYTES;
        ring.bytes[at] = *byte;
        ring.written += 1;
    }
}

/// Makes the `log` crate's macros work.
pub(crate) fn init() {
    // Fails only if it was set before: then it works already.
    let _was_set = log::set_logger(&Logger);
    log::set_max_level(LevelFilter::Info);
}

/// Obeys the command line's `log=LEVEL` (error, warn, info, debug, trace).
pub(crate) fn configure(info: &BootInfo) {
    let Some(level) = command_line_value(info, "log=") else {
        return;
    };
    if let Ok(filter) = level.parse::<LevelFilter>() {
        log::set_max_level(filter.max(LevelFilter::Info));
        set_terminal_level(filter);
    } else {
        log::warn!("command line: log={level} is none of error, warn, info, debug, trace");
    }
}

/// The value of a `key=` word of the command line.
pub(crate) fn command_line_value(info: &BootInfo, key: &str) -> Option<&'static str> {
    command_line(info)
        .split(' ')
        .find_map(|word| word.strip_prefix(key))
}

/// The command line that the loader read; empty if there is none or it is not UTF-8.
pub fn command_line(info: &BootInfo) -> &'static str {
    let range = info.command_line;
    let bytes = direct_map::bytes(range.start, range.len_bytes as usize).unwrap_or(&[]);
    core::str::from_utf8(bytes).unwrap_or("").trim_end()
}

/// Sets from which level on lines are shown on the terminal, besides being kept.
pub fn set_terminal_level(filter: LevelFilter) {
    TERMINAL_LEVEL.store(filter as u8, Ordering::Relaxed);
}

/// What the runtime printed with `println!` and the like: goes to log and terminal as it is.
pub fn write_stdio(bytes: &[u8]) {
    for part in bytes.chunks(LINE_BYTES) {
        // The caller's memory may fault; under the locks nothing may.
        let mut copy = [0; LINE_BYTES];
        copy[..part.len()].copy_from_slice(part);
        let part = &copy[..part.len()];
        append(part);
        for line in part.split_inclusive(|byte| *byte == b'\n') {
            let (text, newline) = match line.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (line, false),
            };
            console::write_polled(Line::Terminal, text);
            if newline {
                console::write_polled(Line::Terminal, b"\r\n");
            }
        }
    }
}

/// The log as it stands, oldest line first; bytes that are not UTF-8 are replaced.
pub fn snapshot() -> String {
    let mut bytes = alloc::vec![0; RING_BYTES];
    let mut len = 0;
    // Copied in steps, so that the lock is held shortly; lines written meanwhile may be missing.
    let (start, end) = {
        let ring = RING.lock();
        (ring.written.saturating_sub(RING_BYTES), ring.written)
    };
    for at in (start..end).step_by(1024) {
        let step = (end - at).min(1024);
        let mut part = [0; 1024];
        copy_from_ring(at, &mut part[..step]);
        bytes[len..len + step].copy_from_slice(&part[..step]);
        len += step;
    }
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}

fn copy_from_ring(at: usize, output: &mut [u8]) {
    let ring = RING.lock();
    for (offset, byte) in output.iter_mut().enumerate() {
        *byte = ring.bytes[(at + offset) % RING_BYTES];
    }
}

/// Shows the last `len_bytes` of the log to `sink` without waiting for its lock: for a machine that is
/// stopping. False if the lock is held.
pub(crate) fn tail(len_bytes: usize, sink: &mut dyn FnMut(&[u8])) -> bool {
    let Some(ring) = RING.try_lock() else {
        return false;
    };
    let start = ring.written.saturating_sub(len_bytes.min(RING_BYTES));
    for at in start..ring.written {
        sink(&ring.bytes[at % RING_BYTES..][..1]);
    }
    true
}
