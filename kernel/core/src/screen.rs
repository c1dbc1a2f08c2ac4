//! The screen as a terminal: what goes to the terminal line is seen on it too.
//!
//! Law: whoever writes puts bytes into a queue and goes on; one thread takes them out, keeps the terminal's state, which
//! is its own and under no lock, and draws. Drawing gives way to taking bytes out, line by line, and takes a quarter
//! of one CPU at most, so that a screen that is slow slows nobody down. A thread that writes waits only when the
//! queue is full; the log, which may come from anywhere, never waits, and what then has no room is lost to the
//! screen and kept in the log.
//!
//! Before there are threads, the log's lines are drawn where they are written, with interrupts off: the machine has
//! nothing else to do, and a start that hangs shows how far it came.
//!
//! Waking the thread takes a futex's lock. So where interrupts are off, and with them perhaps a lock held, the thread
//! is woken by an interrupt that this CPU sends itself.
//!
//! The screen can be handed out ([`hand_out`]): then cells that somebody else gives ([`draw`]) are seen in place of the
//! kernel's text, which goes on being kept, and is seen again as soon as the screen is taken back. Each line of those cells has a
//! lock of its own, taken alone.
//!
//! What a kernel that stops says is not shown by this module but over it, by [`fault`](crate::fault).

use alloc::boxed::Box;
use alloc::vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use contract_boot::BootInfo;
use kernel_machine::cpu::interrupts;
use kernel_machine::memory::PAGE_BYTES;
use kernel_machine::platform::framebuffer::PixelSurface;
use kernel_machine::sync::IrqLock;
use lib_terminal::{Cell, Terminal};
use lib_text_screen::{Geometry, PixelSink};
use spin::Once;

use crate::memory::frames;
use crate::thread::{self, SpawnRequest};
use crate::{futex, interrupt, time};

const QUEUE_BYTES: usize = 16 * 1024;
/// Bytes that change hands at once.
const STEP_BYTES: usize = 512;
/// With less room than this, bytes are taken out before more is drawn.
const ROOM_WANTED_BYTES: usize = QUEUE_BYTES / 2;
/// The screen is drawn no more often than this.
const FRAME_NS: u64 = 16_000_000;
/// For each moment of drawing, so many of rest.
const REST_FACTOR: u64 = 3;
/// A writer looks again after this long, whatever happens.
const PATIENCE_NS: u64 = 20_000_000;
/// Lines that have left the screen get this part of the machine's memory, within limits.
const HISTORY_DIVISOR: u64 = 1024;
const HISTORY_BYTES_MIN: u64 = 64 * 1024;
const HISTORY_BYTES_MAX: u64 = 4 << 20;
const STACK_BYTES: usize = 64 * 1024;
/// Cells that are copied at once.
const CELLS_PER_STEP: usize = 64;

struct Queue {
    bytes: [u8; QUEUE_BYTES],
    start: usize,
    len: usize,
    view: View,
}

/// What is to be looked at, as far as the thread has not seen to it.
#[derive(Clone, Copy)]
struct View {
    /// First, the newest lines.
    to_newest: bool,
    /// Then so many half screens back,
    half_screens: i32,
    /// and so many lines.
    lines: i32,
}

impl View {
    const UNCHANGED: Self = Self {
        to_newest: false,
        half_screens: 0,
        lines: 0,
    };
}

/// A line of cells that somebody else gives.
type OthersLine = IrqLock<Box<[Cell]>>;

/// The terminal and where it is drawn.
struct Painter {
    terminal: Terminal,
    surface: PixelSurface,
}

static QUEUE: IrqLock<Queue> = IrqLock::named(
    "screen queue",
    Queue {
        bytes: [0; QUEUE_BYTES],
        start: 0,
        len: 0,
        view: View::UNCHANGED,
    },
);
/// Changes when the thread has something to do.
static WORK: AtomicU32 = AtomicU32::new(0);
/// Changes when the queue gets room.
static ROOM: AtomicU32 = AtomicU32::new(0);
static IS_PRESENT: AtomicBool = AtomicBool::new(false);
static HAS_THREAD: AtomicBool = AtomicBool::new(false);
/// The thread rests between two frames, and wants to be woken only for a crowded queue.
static IS_RESTING: AtomicBool = AtomicBool::new(false);
/// Width and height in pixels.
static SIZE_PX: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
/// Columns and lines.
static SIZE_CELLS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
/// Lines of cells that are seen in place of the kernel's text.
static OTHERS: Once<Box<[OthersLine]>> = Once::new();
static IS_HANDED_OUT: AtomicBool = AtomicBool::new(false);
/// What is to be seen is not what the thread knows.
static IS_OTHERWISE: AtomicBool = AtomicBool::new(false);
/// The painter, until the thread has it.
static EARLY: IrqLock<Option<Painter>> = IrqLock::named("early screen", None);

impl Queue {
    /// Takes as much of `bytes` as fits; returns how much.
    fn push(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(QUEUE_BYTES - self.len);
        for byte in &bytes[..count] {
            self.bytes[(self.start + self.len) % QUEUE_BYTES] = *byte;
            self.len += 1;
        }
        count
    }

    fn pop_into(&mut self, output: &mut [u8]) -> usize {
        let count = output.len().min(self.len);
        for byte in &mut output[..count] {
            *byte = self.bytes[self.start];
            self.start = (self.start + 1) % QUEUE_BYTES;
        }
        self.len -= count;
        count
    }

    fn is_crowded(&self) -> bool {
        self.len > QUEUE_BYTES - ROOM_WANTED_BYTES
    }
}

/// Takes the screen. What was written before is shown now, as far as the queue held it.
pub(crate) fn init(info: &BootInfo) {
    let surface = match PixelSurface::map(&info.framebuffer) {
        Ok(surface) => surface,
        Err(error) => return log::info!("no screen: {error}"),
    };
    let geometry = Geometry::of(&surface);
    let memory_bytes = frames::statistics().total * PAGE_BYTES;
    let history_bytes =
        (memory_bytes / HISTORY_DIVISOR).clamp(HISTORY_BYTES_MIN, HISTORY_BYTES_MAX);
    let Ok(terminal) = Terminal::new(geometry, history_bytes as usize) else {
        return log::warn!("there is no memory for the text of the screen");
    };
    for (slot, size_px) in SIZE_PX
        .iter()
        .zip([surface.width_px(), surface.height_px()])
    {
        slot.store(size_px, Ordering::Relaxed);
    }
    for (slot, size) in SIZE_CELLS.iter().zip([geometry.columns, geometry.lines]) {
        slot.store(size as u32, Ordering::Relaxed);
    }
    *EARLY.lock() = Some(Painter { terminal, surface });
    IS_PRESENT.store(true, Ordering::Release);
    log::info!(
        "screen of {} columns, {} lines, {} KiB of lines kept",
        geometry.columns,
        geometry.lines,
        history_bytes >> 10
    );
}

/// Starts the thread that draws. Needs interrupts.
///
/// # Errors
/// As [`thread::spawn`].
pub(crate) fn start() -> Result<(), thread::SpawnError> {
    if !is_present() {
        return Ok(());
    }
    let drawer = thread::spawn(SpawnRequest {
        entry: draw_for_ever,
        argument: 0,
        stack_len_bytes: STACK_BYTES,
        name: "screen",
    })?;
    let _detached = thread::detach(drawer);
    Ok(())
}

/// Whether the machine has a screen that shows text.
pub fn is_present() -> bool {
    IS_PRESENT.load(Ordering::Acquire)
}

/// Width and height in pixels; 0 where there is no screen.
pub fn size_px() -> (u32, u32) {
    let [width_px, height_px] = SIZE_PX.each_ref().map(|size| size.load(Ordering::Relaxed));
    (width_px, height_px)
}

/// Columns and lines; 0 where there is no screen.
pub fn size_cells() -> (usize, usize) {
    let [columns, lines] = SIZE_CELLS
        .each_ref()
        .map(|size| size.load(Ordering::Relaxed) as usize);
    (columns, lines)
}

/// Has cells that [`draw`] gives be seen instead of the kernel's text: blank ones at first.
pub fn hand_out() {
    let (columns, lines) = size_cells();
    let blank_line = || IrqLock::named("screen cells", vec![Cell::BLANK; columns].into());
    let others = OTHERS.call_once(|| (0..lines).map(|_| blank_line()).collect());
    for line in others {
        line.lock().fill(Cell::BLANK);
    }
    IS_HANDED_OUT.store(true, Ordering::Release);
    see_otherwise();
}

/// Has the kernel's text be seen again.
pub fn take_back() {
    IS_HANDED_OUT.store(false, Ordering::Release);
    see_otherwise();
}

/// Whether somebody else's cells are seen.
pub fn is_handed_out() -> bool {
    IS_HANDED_OUT.load(Ordering::Acquire)
}

/// Puts cells at a place of a line, from where they are seen while the screen is handed out. What is beside the screen is
/// left out.
pub fn draw(line: usize, column: usize, cells: &[Cell]) {
    let Some(place) = OTHERS.get().and_then(|lines| lines.get(line)) else {
        return;
    };
    for (index, step) in cells.chunks(CELLS_PER_STEP).enumerate() {
        // The caller's memory may fault; under the lock nothing may.
        let mut copy = [Cell::BLANK; CELLS_PER_STEP];
        copy[..step.len()].copy_from_slice(step);
        let start = column.saturating_add(index * CELLS_PER_STEP);
        let mut row = place.lock();
        let start = start.min(row.len());
        for (cell, new) in row[start..].iter_mut().zip(&copy[..step.len()]) {
            *cell = *new;
        }
    }
    see_otherwise();
}

fn see_otherwise() {
    if is_present() && !IS_OTHERWISE.swap(true, Ordering::AcqRel) {
        announce_work();
    }
}

/// Shows all of `bytes`, waiting while the queue is full. False if there is no screen.
pub(crate) fn write(bytes: &[u8]) -> bool {
    if !is_present() {
        return false;
    }
    let mut rest = bytes;
    while !rest.is_empty() {
        let seen = ROOM.load(Ordering::Acquire);
        // The caller's memory may fault; under the lock nothing may.
        let mut step = [0; STEP_BYTES];
        let len = rest.len().min(STEP_BYTES);
        step[..len].copy_from_slice(&rest[..len]);
        let taken = push(&step[..len]);
        rest = &rest[taken..];
        if taken == 0 {
            let deadline_ns = time::monotonic_ns() + PATIENCE_NS;
            futex::wait(&ROOM, seen, Some(deadline_ns), u32::MAX);
        }
    }
    true
}

/// Shows `bytes` from anywhere, interrupt handlers too, as far as there is room.
pub(crate) fn write_now(bytes: &[u8]) {
    let _lost = bytes.len() - push(bytes);
    if !HAS_THREAD.load(Ordering::Acquire)
        && let Some(mut early) = EARLY.try_lock()
        && let Some(painter) = early.as_mut()
    {
        painter.take_queue();
        painter.paint(|| true);
    }
}

fn push(bytes: &[u8]) -> usize {
    let (taken, is_news) = {
        let mut queue = QUEUE.lock();
        let (was_empty, was_crowded) = (queue.len == 0, queue.is_crowded());
        let taken = queue.push(bytes);
        let is_crowded_now = !was_crowded && queue.is_crowded();
        let is_awaited = was_empty && !IS_RESTING.load(Ordering::Relaxed);
        (taken, taken > 0 && (is_awaited || is_crowded_now))
    };
    if is_news {
        announce_work();
    }
    taken
}

/// Looks so many lines farther back, or forward where negative.
pub fn scroll_lines(lines: i32) {
    change_view(|view| view.lines = view.lines.saturating_add(lines));
}

/// The same by halves of the screen.
pub fn scroll_half_screens(count: i32) {
    change_view(|view| view.half_screens = view.half_screens.saturating_add(count));
}

/// Looks at the newest lines.
pub fn show_newest() {
    change_view(|view| {
        *view = View {
            to_newest: true,
            ..View::UNCHANGED
        }
    });
}

fn change_view(change: impl FnOnce(&mut View)) {
    if is_present() {
        change(&mut QUEUE.lock().view);
        announce_work();
    }
}

fn announce_work() {
    if !HAS_THREAD.load(Ordering::Acquire) {
        return;
    }
    if interrupts::are_enabled() {
        wake();
    } else {
        interrupt::send_deferred();
    }
}

/// Wakes the thread; no lock is held.
pub(crate) fn wake() {
    WORK.fetch_add(1, Ordering::AcqRel);
    futex::wake(&WORK, 1, u32::MAX);
}

extern "C" fn draw_for_ever(_argument: usize) {
    let Some(mut painter) = EARLY.lock().take() else {
        return;
    };
    HAS_THREAD.store(true, Ordering::Release);
    let mut is_drawn = false;
    let mut next_frame_ns = 0;
    loop {
        let seen = WORK.load(Ordering::Acquire);
        is_drawn &= !painter.take_queue();
        let now_ns = time::monotonic_ns();
        if is_drawn {
            futex::wait(&WORK, seen, None, u32::MAX);
        } else if now_ns < next_frame_ns {
            rest_until(next_frame_ns);
        } else {
            is_drawn = painter.paint(|| !QUEUE.lock().is_crowded());
            let end_ns = time::monotonic_ns();
            next_frame_ns = end_ns + FRAME_NS.max((end_ns - now_ns) * REST_FACTOR);
        }
    }
}

/// Sleeps until it is time for the next frame, or the queue is crowded.
fn rest_until(deadline_ns: u64) {
    let seen = WORK.load(Ordering::Acquire);
    // Under the lock, so that whoever writes next knows.
    let is_crowded = {
        let queue = QUEUE.lock();
        IS_RESTING.store(true, Ordering::Relaxed);
        queue.is_crowded()
    };
    if !is_crowded {
        futex::wait(&WORK, seen, Some(deadline_ns), u32::MAX);
    }
    let _queue = QUEUE.lock();
    IS_RESTING.store(false, Ordering::Relaxed);
}

impl Painter {
    /// Does to the terminal what was asked; whether there was anything.
    fn take_queue(&mut self) -> bool {
        let mut is_changed = self.take_view();
        is_changed |= IS_OTHERWISE.swap(false, Ordering::AcqRel);
        loop {
            let mut step = [0; STEP_BYTES];
            let count = QUEUE.lock().pop_into(&mut step);
            if count == 0 {
                return is_changed;
            }
            is_changed = true;
            self.terminal.feed(&step[..count]);
            ROOM.fetch_add(1, Ordering::AcqRel);
            if HAS_THREAD.load(Ordering::Relaxed) {
                futex::wake(&ROOM, u32::MAX, u32::MAX);
            }
        }
    }

    fn take_view(&mut self) -> bool {
        let view = core::mem::replace(&mut QUEUE.lock().view, View::UNCHANGED);
        let half_screen = (self.terminal.lines() / 2).max(1) as isize;
        if view.to_newest {
            self.terminal.scroll_view(isize::MIN);
        }
        let back = view.half_screens as isize * half_screen + view.lines as isize;
        self.terminal.scroll_view(back);
        view.to_newest || back != 0
    }

    fn paint(&mut self, goes_on: impl FnMut() -> bool) -> bool {
        let others = OTHERS.get().filter(|_| is_handed_out());
        let Some(others) = others else {
            return self.terminal.paint(&mut self.surface, goes_on);
        };
        let look_at = |line: usize, cells: &mut [Cell]| {
            if let Some(line) = others.get(line) {
                cells.copy_from_slice(&line.lock());
            }
        };
        self.terminal
            .paint_over(&mut self.surface, look_at, goes_on)
    }
}
