//! The kernel's log: a ring of lines, and the terminal line for what matters.
//!
//! Law: logging works from the first instruction and from anywhere, interrupt handlers too: a line is
//! formatted on the stack, put into the ring under its lock, and written to the terminal by polling if its level
//! says so. Lines longer than [`TEXT_BYTES_MAX`] are cut. The ring keeps the newest [`RING_BYTES`].
//!
//! Which lines count is said per area ([`Levels`]), by the command line's `log=info,memory=debug` or at run
//! time by [`set_levels`]. A line whose level is on in no area costs one relaxed load (that of
//! `log::max_level`); one that is on elsewhere also finds its area and loads that area's level. What the terminal
//! shows of what counts is said apart.
//!
//! Readers come by ([`read`]); one that follows sleeps meanwhile ([`wait_for_news`]). A line may be logged under any lock, those of
//! the futexes that wake it among them: then interrupts are off, and an interrupt that this CPU sends itself wakes it, as with the
//! screen. It is woken once until it waits again.
//!
//! Locks: the ring's is taken alone and last.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use contract_boot::BootInfo;
use kernel_machine::cpu::interrupts;
use kernel_machine::memory::direct_map;
use kernel_machine::sync::IrqLock;
use lib_kernel_log::{AREAS, Area, Header, HeaderKind, LogRing};
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::console::{self, Line};
use crate::{futex, interrupt, time};

pub use lib_kernel_log::{LevelError, Levels, Read, TEXT_BYTES_MAX};

const RING_BYTES: usize = 64 * 1024;
/// What counts unless somebody says otherwise.
const LEVEL_DEFAULT: LevelFilter = LevelFilter::Info;
/// Room for a line's time, area and level, and for its end.
const FRAME_BYTES: usize = 48;

static RING: IrqLock<LogRing<RING_BYTES>> = IrqLock::named("log ring", LogRing::new());
/// The least severe level that counts, by area.
static LEVELS: [AtomicU8; AREAS.len()] =
    [const { AtomicU8::new(LEVEL_DEFAULT as u8) }; AREAS.len()];
/// The least severe level that the terminal shows.
static TERMINAL_LEVEL: AtomicU8 = AtomicU8::new(LEVEL_DEFAULT as u8);
/// Whether a person chose the terminal's level.
static TERMINAL_IS_CHOSEN: AtomicBool = AtomicBool::new(false);

/// Changes when there is news for the one that follows.
static NEWS: AtomicU32 = AtomicU32::new(0);
/// Somebody waits, or is about to.
static IS_FOLLOWED: AtomicBool = AtomicBool::new(false);
/// Waking it is left to the interrupt.
static IS_WAKE_DUE: AtomicBool = AtomicBool::new(false);

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_logged(Area::of_target(metadata.target()), metadata.level())
    }

    fn log(&self, record: &Record<'_>) {
        let area = Area::of_target(record.target());
        if !is_logged(area, record.level()) {
            return;
        }
        let mut text = Text::<TEXT_BYTES_MAX>::new();
        let _cut = text.write_fmt(*record.args());
        let header = Header {
            kind: HeaderKind::Line(record.level()),
            area,
            time_us: time::monotonic_ns() / 1000,
        };
        keep(&header, text.as_bytes());
        if record.level() as u8 <= TERMINAL_LEVEL.load(Ordering::Relaxed) {
            let mut line = whole_line(&header, text.as_bytes());
            line.push_bytes(b"\r\n");
            console::write_polled(Line::Terminal, line.as_bytes());
        }
    }

    fn flush(&self) {}
}

fn is_logged(area: Area, level: Level) -> bool {
    level as u8 <= LEVELS[area as usize].load(Ordering::Relaxed)
}

/// Text on the stack; what does not fit is cut.
struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        let part = &bytes[..bytes.len().min(N - self.len)];
        self.bytes[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let part = &text[..text.floor_char_boundary(N - self.len)];
        self.push_bytes(part.as_bytes());
        if part.len() == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

/// What stands before a line's text: when, what about, and how severe if it is not mere information.
pub fn write_prefix(out: &mut dyn Write, header: &Header) -> fmt::Result {
    let HeaderKind::Line(level) = header.kind else {
        return Ok(());
    };
    let (seconds, micros) = (header.time_us / 1_000_000, header.time_us % 1_000_000);
    write!(out, "[{seconds:5}.{micros:06}] {}: ", header.area.name())?;
    match level {
        Level::Error => out.write_str("error: "),
        Level::Warn => out.write_str("warn: "),
        Level::Info => Ok(()),
        Level::Debug => out.write_str("debug: "),
        Level::Trace => out.write_str("trace: "),
    }
}

fn whole_line(header: &Header, text: &[u8]) -> Text<{ TEXT_BYTES_MAX + FRAME_BYTES }> {
    let mut line = Text::new();
    let _cut = write_prefix(&mut line, header);
    line.push_bytes(text);
    line
}

/// Makes the `log` crate's macros work.
pub(crate) fn init() {
    // Fails only if it was set before: then it works already.
    let _was_set = log::set_logger(&Logger);
    set_levels(&Levels::all(LEVEL_DEFAULT));
}

/// Obeys the command line's `log=LEVEL,AREA=LEVEL,…`; of a wrong one nothing counts.
pub(crate) fn configure(info: &BootInfo) {
    let Some(words) = command_line_value(info, "log=") else {
        return;
    };
    match levels().changed_by(words) {
        Ok(mut levels) => {
            // The terminal shows at boot what counts anywhere, unless it is told otherwise.
            TERMINAL_IS_CHOSEN.store(levels.terminal.is_some(), Ordering::Relaxed);
            levels.terminal = levels.terminal.or(Some(levels.loosest()));
            set_levels(&levels);
        }
        Err(error) => log::warn!("command line, log=: {error}"),
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

/// Which lines count, and what the terminal shows.
pub fn levels() -> Levels {
    let mut levels = Levels::all(LevelFilter::Off);
    for ((area, _), level) in AREAS.iter().zip(&LEVELS) {
        levels.set(*area, filter_of(level.load(Ordering::Relaxed)));
    }
    levels.terminal = Some(filter_of(TERMINAL_LEVEL.load(Ordering::Relaxed)));
    levels
}

/// Says which lines count from now on, and what the terminal shows of them where that is said.
pub fn set_levels(levels: &Levels) {
    for ((area, _), level) in AREAS.iter().zip(&LEVELS) {
        level.store(levels.of(*area) as u8, Ordering::Relaxed);
    }
    log::set_max_level(levels.loosest());
    if let Some(terminal) = levels.terminal {
        set_terminal_level(terminal);
    }
}

/// Says from which level on lines are shown on the terminal, besides being kept.
pub fn set_terminal_level(filter: LevelFilter) {
    TERMINAL_LEVEL.store(filter as u8, Ordering::Relaxed);
}

/// From here on the terminal is the person's: it shows warnings only, unless the command line chose.
pub fn quiet_terminal() {
    if !TERMINAL_IS_CHOSEN.load(Ordering::Relaxed) {
        set_terminal_level(LevelFilter::Warn);
    }
}

fn filter_of(number: u8) -> LevelFilter {
    let found = LevelFilter::iter().find(|filter| *filter as u8 == number);
    found.unwrap_or(LEVEL_DEFAULT)
}

/// What the runtime printed with `println!` and the like: goes to log and terminal as it is.
pub fn write_stdio(bytes: &[u8]) {
    for part in bytes.chunks(TEXT_BYTES_MAX) {
        // The caller's memory may fault; under the locks nothing may.
        let mut copy = Text::<TEXT_BYTES_MAX>::new();
        copy.push_bytes(part);
        let header = Header {
            kind: HeaderKind::Raw,
            area: Area::Stdio,
            time_us: time::monotonic_ns() / 1000,
        };
        keep(&header, copy.as_bytes());
        for line in copy.as_bytes().split_inclusive(|byte| *byte == b'\n') {
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

fn keep(header: &Header, text: &[u8]) {
    RING.lock().push(header, text);
    // The ring's lock comes between a follower's word that it waits and its look at the end.
    if !IS_FOLLOWED.swap(false, Ordering::AcqRel) {
        return;
    }
    NEWS.fetch_add(1, Ordering::AcqRel);
    if interrupts::are_enabled() {
        futex::wake(&NEWS, 1, u32::MAX);
    } else {
        IS_WAKE_DUE.store(true, Ordering::Release);
        interrupt::send_deferred();
    }
}

/// What the interrupt does that was sent where waking was not possible.
pub(crate) fn wake_deferred() {
    if IS_WAKE_DUE.swap(false, Ordering::AcqRel) {
        futex::wake(&NEWS, 1, u32::MAX);
    }
}

/// Sleeps until the log does not end at `end` any more. One thread at a time does.
pub fn wait_for_news(end: u64) {
    loop {
        let seen = NEWS.load(Ordering::Acquire);
        IS_FOLLOWED.store(true, Ordering::Release);
        if self::end() != end {
            return;
        }
        futex::wait(&NEWS, seen, None, u32::MAX);
    }
}

/// Where the log ends now: the position of the next record.
pub fn end() -> u64 {
    RING.lock().end()
}

/// The record at `position`, or the oldest that there is if that one is gone, with its text at the start of
/// `text`; `None` at the end. Positions come from [`end`] and [`Read::next`]; 0 is the oldest.
pub fn read(position: u64, text: &mut [u8; TEXT_BYTES_MAX]) -> Option<Read> {
    // The caller's memory may fault; under the lock nothing may.
    let mut copy = [0; TEXT_BYTES_MAX];
    let read = RING.lock().read(position, &mut copy)?;
    text[..read.len_bytes].copy_from_slice(&copy[..read.len_bytes]);
    Some(read)
}

/// Shows the last records of the log, about `len_bytes` of them, to `sink` without waiting for its lock: for a machine
/// that is stopping. False if the lock is held.
pub(crate) fn tail(len_bytes: usize, sink: &mut dyn FnMut(&[u8])) -> bool {
    let Some(ring) = RING.try_lock() else {
        return false;
    };
    let mut text = [0; TEXT_BYTES_MAX];
    let first = ring.end().saturating_sub(len_bytes as u64);
    let mut position = ring.start();
    while let Some(read) = ring.read(position, &mut text) {
        if position >= first {
            sink(whole_line(&read.header, &text[..read.len_bytes]).as_bytes());
            if read.header.kind != HeaderKind::Raw {
                sink(b"\n");
            }
        }
        position = read.next;
    }
    true
}
