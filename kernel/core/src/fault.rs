//! The end: what happens when the kernel itself has failed.
//!
//! Law: one CPU reports, all others are stopped first by an interrupt that cannot be masked. The report takes
//! no lock that it cannot do without and allocates nothing; it goes to the terminal line and the screen:
//! what happened, registers, a backtrace with names, the last log lines, the build's id. A fault while
//! reporting ends the report. With `fault=exit` on the command line the virtual machine ends with
//! [`EXIT_CODE`]; otherwise the machine stays as it is, for the person to read.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use contract_boot::BootInfo;
use kernel_machine::cpu;
use kernel_machine::cpu::trap::{Frame, Trap};
use kernel_machine::memory::direct_map;
use kernel_machine::platform::framebuffer::PixelSurface;
use kernel_machine::platform::power;
use kernel_machine::platform::serial::{Com, emergency_write};
use kernel_machine::sync::IrqLock;
use lib_symbols::SymbolTable;
use lib_text_screen::{Colours, Rgb, TextScreen};
use spin::Once;

use crate::backtrace::{self, Place};
use crate::{interrupt, thread};

/// What the debug-exit device is told when the kernel has failed.
pub const EXIT_CODE: u32 = 0x33;
/// Bytes of the log that the report repeats.
const LOG_TAIL_BYTES: usize = 1200;
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

static REPORTER: AtomicU32 = AtomicU32::new(NOBODY);
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

/// Remembers what a report needs.
pub(crate) fn init(info: &BootInfo) {
    let bytes = direct_map::bytes(info.symbols.start, info.symbols.len_bytes as usize);
    let symbols = bytes.and_then(|bytes| SymbolTable::open(bytes).ok());
    CONTEXT.call_once(|| Context {
        build_id: info.build_id,
        symbols,
    });
    match PixelSurface::map(&info.framebuffer) {
        Ok(surface) => SCREEN.lock().surface = Some(surface),
        Err(error) => log::info!("screen: {error}"),
    }
    EXITS.store(
        crate::log::command_line_value(info, "fault=") == Some("exit"),
        Ordering::Relaxed,
    );
}

/// Whether some CPU is reporting the kernel's failure.
pub(crate) fn is_stopping() -> bool {
    REPORTER.load(Ordering::Acquire) != NOBODY
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

fn stop_everything(sentence: fmt::Arguments<'_>, frame: Option<&Frame>) -> ! {
    let _interrupts = cpu::interrupts::Disabled::enter();
    let me = cpu::index();
    let claimed = REPORTER.compare_exchange(NOBODY, me, Ordering::AcqRel, Ordering::Acquire);
    if let Err(reporter) = claimed {
        if reporter == me {
            emergency_write(Com::Com1, b"\r\n(the report itself failed)\r\n");
            end();
        }
        cpu::halt_forever();
    }
    interrupt::stop_other_cpus();
    report(sentence, frame);
    end()
}

fn end() -> ! {
    if EXITS.load(Ordering::Relaxed) {
        power::debug_exit(EXIT_CODE);
    }
    cpu::halt_forever()
}

fn report(sentence: fmt::Arguments<'_>, frame: Option<&Frame>) {
    let mut serial = SerialSink;
    write_report(&mut serial, sentence, frame);
    let Some(mut screen) = SCREEN.try_lock() else {
        return;
    };
    let Screen { surface, cells } = &mut *screen;
    if let Some(surface) = surface.take() {
        let mut screen = TextScreen::new(surface, cells, COLOURS);
        screen.clear(COLOURS);
        write_report(&mut screen, sentence, frame);
    }
}

fn write_report(out: &mut dyn Write, sentence: fmt::Arguments<'_>, frame: Option<&Frame>) {
    // A sink that fails leaves the rest of the report unsaid; there is nobody to tell.
    let _ = write_all(out, sentence, frame);
}

fn write_all(
    out: &mut dyn Write,
    sentence: fmt::Arguments<'_>,
    frame: Option<&Frame>,
) -> fmt::Result {
    writeln!(
        out,
        "\n*** KPIO has stopped: the kernel performed an illegal operation ***"
    )?;
    writeln!(out, "{sentence}")?;
    write_where(out)?;
    if let Some(frame) = frame {
        write_registers(out, frame)?;
    }
    write_backtrace(out, frame)?;
    write_log(out)?;
    write_build_id(out)?;
    writeln!(out, "*** end of report ***")
}

fn write_where(out: &mut dyn Write) -> fmt::Result {
    let cpu = cpu::index();
    let row = thread::current_thread().row();
    let name = core::str::from_utf8(&row.name[..row.name_len_bytes]).unwrap_or("?");
    writeln!(out, "on cpu {cpu}, thread {} ({name})", row.id.as_u32())
}

fn write_registers(out: &mut dyn Write, frame: &Frame) -> fmt::Result {
    writeln!(out, "registers:")?;
    for (index, (name, value)) in frame.named().iter().enumerate() {
        let end = if index % 3 == 2 { '\n' } else { ' ' };
        write!(out, "  {name:>6} {value:016x}{end}")?;
    }
    Ok(())
}

fn write_backtrace(out: &mut dyn Write, frame: Option<&Frame>) -> fmt::Result {
    writeln!(out, "backtrace:")?;
    let symbols = CONTEXT.get().and_then(|context| context.symbols.as_ref());
    let mut result = Ok(());
    backtrace::walk(frame, &mut |place| {
        result = result.and_then(|()| write_place(out, symbols, place));
    });
    result
}

fn write_place(
    out: &mut dyn Write,
    symbols: Option<&SymbolTable<'_>>,
    place: Place,
) -> fmt::Result {
    let address = place.lookup_address();
    match symbols.and_then(|symbols| symbols.lookup(address as u64)) {
        Some(symbol) => writeln!(
            out,
            "  {:016x} {}+{:#x}",
            place.address, symbol.name, symbol.offset
        ),
        None if crate::memory::code::contains(address) => {
            writeln!(out, "  {:016x} (WebAssembly)", place.address)
        }
        None => writeln!(out, "  {:016x} ?", place.address),
    }
}

fn write_log(out: &mut dyn Write) -> fmt::Result {
    writeln!(out, "log:")?;
    let mut result = Ok(());
    let shown = crate::log::tail(LOG_TAIL_BYTES, &mut |bytes| {
        let text = core::str::from_utf8(bytes).unwrap_or("?");
        result = result.and_then(|()| out.write_str(text));
    });
    result?;
    if shown {
        Ok(())
    } else {
        writeln!(out, "  (in use by a CPU that was stopped)")
    }
}

fn write_build_id(out: &mut dyn Write) -> fmt::Result {
    write!(out, "build: ")?;
    let id = CONTEXT.get().map_or([0; 32], |context| context.build_id);
    for byte in &id[..16] {
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
