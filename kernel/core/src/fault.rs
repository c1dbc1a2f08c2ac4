//! The end: what happens when the kernel itself has failed.
//!
//! Law: one CPU reports, all others are stopped first by an interrupt that cannot be masked. The report runs on a
//! landing pad of its own with interrupts off, waits for no lock, reads memory only where that cannot fault and
//! allocates nothing. It goes to the terminal line and to the screen: what happened, registers, a backtrace
//! with names, the last log lines, the build's id; the screen shows as much of it as fits, the
//! sentence first. A fault while reporting ends the report. With `fault=exit` on the command line the virtual
//! machine ends with [`EXIT_CODE`]; otherwise the machine stays as it is, for the person to read.
//!
//! Before [`init`] there is neither screen nor names, before there is memory no backtrace beyond the first
//! place; the sentence is on the terminal line always.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use contract_boot::BootInfo;
use kernel_machine::cpu;
use kernel_machine::cpu::mailbox;
use kernel_machine::cpu::trap::{self, Frame, Trap};
use kernel_machine::memory::direct_map;
use kernel_machine::platform::framebuffer::PixelSurface;
use kernel_machine::platform::power;
use kernel_machine::platform::serial::{Com, emergency_write};
use kernel_machine::sync::IrqLock;
use lib_symbols::SymbolTable;
use lib_text_screen::{Colours, Rgb, TextScreen};
use spin::Once;

use crate::backtrace::{self, Place};
use crate::{checks, interrupt, mishap, thread};

/// What the debug-exit device is told when the kernel has failed.
pub const EXIT_CODE: u32 = 0x33;
/// How much of everything goes to the terminal line.
const WHOLE: Extent = Extent {
    frames: backtrace::FRAMES_MAX,
    log_bytes: 1200,
};
/// Lines of a report that are neither backtrace nor log, with one to spare.
const OTHER_LINES: usize = 14;
/// Bytes of the log that make about one line on the screen.
const LOG_LINE_BYTES: usize = 80;
const COLOURS: Colours = Colours {
    foreground: Rgb {
        red: 0xff,
        green: 0xff,
        blue: 0xff,
    },
    background: Rgb {
        red: 0x10,
        green: 0x20,
        blue: 0x60,
    },
};
const NOBODY: u32 = u32::MAX;
/// How long the report waits for the other CPUs to stop, in ticks of the time-stamp counter: a fraction of a
/// second.
const STOP_PATIENCE_TICKS: u64 = 1 << 29;

static REPORTER: AtomicU32 = AtomicU32::new(NOBODY);
/// Other CPUs that have stopped for the report.
static STOPPED: AtomicU32 = AtomicU32::new(0);
static EXITS: AtomicBool = AtomicBool::new(false);
static CONTEXT: Once<Context> = Once::new();

/// Characters that the screen of the report holds at most.
const SCREEN_CELLS: usize = 32 * 1024;

struct Screen {
    surface: Option<PixelSurface>,
    cells: [u8; SCREEN_CELLS],
}

static SCREEN: IrqLock<Screen> = IrqLock::new(Screen {
    surface: None,
    cells: [0; SCREEN_CELLS],
});

struct Context {
    build_id: [u8; 32],
    symbols: Option<SymbolTable<'static>>,
}

/// How much of what has no natural end a report shows.
#[derive(Clone, Copy)]
struct Extent {
    frames: usize,
    log_bytes: usize,
}

/// What has failed.
struct Failure<'a> {
    sentence: fmt::Arguments<'a>,
    frame: &'a Frame,
    stopped_cpus: u32,
}

/// Remembers what a report needs; works before there is memory, as far as the loader's words can be read.
pub(crate) fn learn(info: &BootInfo) {
    let bytes = direct_map::bytes(info.symbols.start, info.symbols.len_bytes as usize);
    let symbols = bytes.and_then(|bytes| SymbolTable::open(bytes).ok());
    CONTEXT.call_once(|| Context {
        build_id: info.build_id,
        symbols,
    });
    let exits = crate::log::command_line_value(info, "fault=") == Some("exit");
    EXITS.store(exits, Ordering::Relaxed);
}

/// Takes the screen for the report.
pub(crate) fn init(info: &BootInfo) {
    learn(info);
    match PixelSurface::map(&info.framebuffer) {
        Ok(surface) => SCREEN.lock().surface = Some(surface),
        Err(error) => log::info!("screen: {error}"),
    }
}

/// The kernel's function that `address` lies in, with the names that a report uses.
pub fn function_at(address: u64) -> Option<&'static str> {
    let symbols = CONTEXT.get()?.symbols.as_ref()?;
    symbols.lookup(address).map(|symbol| symbol.name)
}

/// Whether some CPU is reporting the kernel's failure.
pub(crate) fn is_stopping() -> bool {
    REPORTER.load(Ordering::Acquire) != NOBODY
}

/// Stops this CPU because another one is reporting.
pub(crate) fn stop_for_report() -> ! {
    STOPPED.fetch_add(1, Ordering::AcqRel);
    cpu::halt_forever()
}

/// Ends everything with a sentence.
pub fn stop(sentence: &str) -> ! {
    stop_with(format_args!("{sentence}"))
}

/// Ends everything with a sentence that is put together only now.
pub fn stop_with(sentence: fmt::Arguments<'_>) -> ! {
    stop_everything(sentence, None)
}

/// Ends everything because of a trap.
pub(crate) fn stop_at(trap: &Trap<'_>, sentence: fmt::Arguments<'_>) -> ! {
    let address = trap.fault_address();
    let (vector, code) = (trap.vector(), trap.error_code());
    stop_everything(
        format_args!("{sentence} (vector {vector}, code {code:#x}, address {address:#x})"),
        Some(trap.frame()),
    )
}

/// Ends everything because of what some CPU did that had these registers; without them, it is this one.
#[cfg(feature = "checks")]
pub(crate) fn stop_at_frame(sentence: fmt::Arguments<'_>, frame: Option<&Frame>) -> ! {
    stop_everything(sentence, frame)
}

/// Ends everything because a landing pad was entered while it was in use.
pub(crate) fn stop_at_lost_pad(frame: &Frame, slot: u8) -> ! {
    let vector = frame.vector();
    stop_everything(
        format_args!("trap {vector} came on landing pad {slot} while it was in use"),
        Some(frame),
    )
}

fn stop_everything(sentence: fmt::Arguments<'_>, frame: Option<&Frame>) -> ! {
    mishap::end_attempt(sentence, frame);
    checks::finish();
    let _interrupts = cpu::interrupts::Disabled::enter();
    let me = cpu::index();
    let claimed = REPORTER.compare_exchange(NOBODY, me, Ordering::AcqRel, Ordering::Acquire);
    if let Err(reporter) = claimed {
        if reporter == me {
            emergency_write(Com::Com1, b"\r\n(the report itself failed)\r\n");
            end();
        }
        stop_for_report();
    }
    let stopped_cpus = stop_other_cpus();
    trap::report(&mut |own| {
        report(&Failure {
            sentence,
            frame: frame.unwrap_or(own),
            stopped_cpus,
        });
        end()
    })
}

/// Stops the others and waits, not for ever, until they have; returns how many did.
fn stop_other_cpus() -> u32 {
    interrupt::stop_other_cpus();
    let others = mailbox::online_mask().count_ones() - 1;
    let start = cpu::time_stamp();
    while STOPPED.load(Ordering::Acquire) < others
        && cpu::time_stamp().wrapping_sub(start) < STOP_PATIENCE_TICKS
    {
        core::hint::spin_loop();
    }
    STOPPED.load(Ordering::Acquire)
}

fn end() -> ! {
    if EXITS.load(Ordering::Relaxed) {
        power::debug_exit(EXIT_CODE);
    }
    cpu::halt_forever()
}

fn report(failure: &Failure<'_>) {
    // A sink that fails leaves the rest of the report unsaid; there is nobody to tell.
    let _ = write_report(&mut SerialSink, failure, WHOLE);
    let Some(mut screen) = SCREEN.try_lock() else {
        return;
    };
    let Screen { surface, cells } = &mut *screen;
    if let Some(surface) = surface.take() {
        let mut screen = ScreenSink::new(TextScreen::new(surface, cells, COLOURS));
        let extent = screen.extent();
        let _ = write_report(&mut screen, failure, extent);
    }
}

fn write_report(out: &mut dyn Write, failure: &Failure<'_>, extent: Extent) -> fmt::Result {
    writeln!(
        out,
        "\n*** KPIO has stopped: the kernel performed an illegal operation ***"
    )?;
    writeln!(out, "{}", failure.sentence)?;
    write_where(out, failure.stopped_cpus)?;
    checks::write_state(out)?;
    write_registers(out, failure.frame)?;
    write_backtrace(out, failure.frame, extent.frames)?;
    write_log(out, extent.log_bytes)?;
    write_build_id(out)?;
    writeln!(out, "*** end of report ***")
}

fn write_where(out: &mut dyn Write, stopped_cpus: u32) -> fmt::Result {
    write!(out, "on cpu {}, ", cpu::index())?;
    match thread::current_row_now() {
        Some(row) => {
            let name = core::str::from_utf8(&row.name[..row.name_len_bytes]).unwrap_or("?");
            write!(out, "thread {} ({name})", row.id.as_u32())?;
        }
        None => write!(out, "before the first thread")?,
    }
    writeln!(out, "; {stopped_cpus} other cpus were stopped")
}

fn write_registers(out: &mut dyn Write, frame: &Frame) -> fmt::Result {
    writeln!(out, "registers:")?;
    for (index, (name, value)) in frame.named().iter().enumerate() {
        let end = if index % 3 == 2 { '\n' } else { ' ' };
        write!(out, "  {name:>6} {value:016x}{end}")?;
    }
    Ok(())
}

fn write_backtrace(out: &mut dyn Write, frame: &Frame, frames_max: usize) -> fmt::Result {
    writeln!(out, "backtrace:")?;
    let symbols = CONTEXT.get().and_then(|context| context.symbols.as_ref());
    let mut result = Ok(());
    let mut count = 0;
    backtrace::walk(frame, backtrace::FRAMES_MAX, &mut |place| {
        count += 1;
        if count <= frames_max && result.is_ok() {
            result = write_place(out, symbols, place);
        }
    });
    result?;
    if count > frames_max || count == backtrace::FRAMES_MAX {
        writeln!(out, "  (and so on)")?;
    }
    Ok(())
}

fn write_place(
    out: &mut dyn Write,
    symbols: Option<&SymbolTable<'_>>,
    place: Place,
) -> fmt::Result {
    let Place {
        address,
        lookup_address,
    } = place;
    match symbols.and_then(|symbols| symbols.lookup(lookup_address)) {
        Some(symbol) => writeln!(out, "  {address:016x} {}+{:#x}", symbol.name, symbol.offset),
        None if crate::memory::code::contains(lookup_address as usize) => {
            writeln!(out, "  {address:016x} (code of a program)")
        }
        None => writeln!(out, "  {address:016x} ?"),
    }
}

/// An address of code with the name of its function.
#[cfg(feature = "checks")]
pub(crate) struct Named(pub u64);

#[cfg(feature = "checks")]
impl fmt::Display for Named {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let symbols = CONTEXT.get().and_then(|context| context.symbols.as_ref());
        match symbols.and_then(|symbols| symbols.lookup(self.0)) {
            Some(symbol) => write!(out, "{:#x} ({})", self.0, symbol.name),
            None => write!(out, "{:#x}", self.0),
        }
    }
}

fn write_log(out: &mut dyn Write, len_bytes: usize) -> fmt::Result {
    writeln!(out, "log:")?;
    let mut result = Ok(());
    let mut at_line_start = true;
    let shown = crate::log::tail(len_bytes, &mut |bytes| {
        let text = core::str::from_utf8(bytes).unwrap_or("?");
        at_line_start = text.ends_with('\n');
        result = result.and_then(|()| out.write_str(text));
    });
    result?;
    if !at_line_start {
        writeln!(out)?;
    }
    if shown {
        Ok(())
    } else {
        writeln!(out, "  (in use by a CPU that was stopped)")
    }
}

fn write_build_id(out: &mut dyn Write) -> fmt::Result {
    write!(out, "build: ")?;
    let Some(context) = CONTEXT.get() else {
        return writeln!(out, "unknown");
    };
    for byte in &context.build_id {
        write!(out, "{byte:02x}")?;
    }
    writeln!(out)
}

struct SerialSink;

impl Write for SerialSink {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for line in text.split_inclusive('\n') {
            match line.strip_suffix('\n') {
                Some(line) => {
                    emergency_write(Com::Com1, line.as_bytes());
                    emergency_write(Com::Com1, b"\r\n");
                }
                None => emergency_write(Com::Com1, line.as_bytes()),
            }
        }
        Ok(())
    }
}

/// A screen on which every line of the report takes one line: what is too long is cut, so that what comes
/// first never scrolls away.
struct ScreenSink<'a> {
    screen: TextScreen<'a, PixelSurface>,
    column: usize,
}

impl<'a> ScreenSink<'a> {
    fn new(screen: TextScreen<'a, PixelSurface>) -> Self {
        Self { screen, column: 0 }
    }

    /// Half of the lines that are left for the backtrace, half for the log.
    fn extent(&self) -> Extent {
        let lines = self.screen.lines().saturating_sub(OTHER_LINES);
        Extent {
            frames: lines / 2,
            log_bytes: lines / 2 * LOG_LINE_BYTES,
        }
    }
}

impl Write for ScreenSink<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if character == '\n' {
                self.column = 0;
            } else if self.column < self.screen.columns() {
                self.column += 1;
            } else {
                continue;
            }
            self.screen.write(character.encode_utf8(&mut [0; 4]));
        }
        Ok(())
    }
}
