//! What the loader says: on screen by the firmware's console, and on the first serial port (COM1, 16550
//! at 3F8h) by itself, since a firmware need not copy its console there. One that does makes
//! sentences appear twice on serial.

use core::arch::asm;
use core::fmt::{Arguments, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use log::{LevelFilter, Log, Metadata, Record};
use uefi::boot::{self, EventType, TimerTrigger, Tpl};
use uefi::{system, table};

use super::cpu;

const COM1: u16 = 0x3f8;
const LINE_STATUS: u16 = COM1 + 5;
const TRANSMITTER_EMPTY: u8 = 1 << 5;
/// How often a transmitter that stays busy is asked before a byte is given up: there may be no port.
const POLLS_MAX: u32 = 100_000;
/// How long a sentence about a failure stays before the firmware goes on with other boot options.
const READING_TIME: Duration = Duration::from_secs(10);

/// Whether the firmware's console can be used: if there is one, until boot services are exited.
static SCREEN: AtomicBool = AtomicBool::new(false);

/// Sets the serial port to 115200 baud, 8 bits, no parity, without interrupts.
pub(super) fn start() {
    let settings = [(1, 0), (3, 0x80), (0, 1), (1, 0), (3, 3), (2, 1), (4, 3)];
    settings
        .iter()
        .for_each(|(register, value)| write_port(COM1 + register, *value));
    SCREEN.store(firmware_console_exists(), Ordering::Relaxed);
    // Fails only if a logger is set already, and this runs once.
    let _ = log::set_logger(&FirmwareLog);
    log::set_max_level(LevelFilter::Warn);
}

/// Whether the firmware has a screen and a keyboard, or what it takes for them: machines without do exist.
fn firmware_console_exists() -> bool {
    table::system_table_raw().is_some_and(|system| {
        // SAFETY: The firmware gave the table to this program, and it lasts as long as boot services.
        let system = unsafe { system.as_ref() };
        !system.stdin.is_null() && !system.stdout.is_null()
    })
}

/// What crate `uefi` reports by itself. It matters once: if the firmware refuses to exit boot services, it
/// says so and resets the machine.
struct FirmwareLog;

impl Log for FirmwareLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        progress(format_args!("firmware: {}", record.args()));
    }

    fn flush(&self) {}
}

/// Says a sentence on screen and on serial. Serial comes first, and the console counts as gone while it is
/// at work: should it panic, the panic is said on serial.
pub(super) fn say(sentence: Arguments<'_>) {
    progress(sentence);
    if SCREEN.swap(false, Ordering::Relaxed) {
        // A console that fails leaves the serial port.
        let _ = system::with_stdout(|stdout| write!(stdout, "{sentence}\r\n"));
        SCREEN.store(true, Ordering::Relaxed);
    }
}

/// Says what is being done, on serial only.
pub(super) fn progress(what: Arguments<'_>) {
    // Writing to the port cannot fail.
    let _ = write!(Serial, "{what}\r\n");
}

/// Stops using the firmware's console.
pub(super) fn leave_screen() {
    SCREEN.store(false, Ordering::Relaxed);
}

/// Waits until a key is pressed or [`READING_TIME`] is over.
pub(super) fn wait_for_key() {
    if !SCREEN.load(Ordering::Relaxed) {
        return;
    }
    let Ok(key) = system::with_stdin(|stdin| stdin.wait_for_key_event()) else {
        return;
    };
    // SAFETY: The event has no notification function, and nothing else uses it.
    let timer = unsafe { boot::create_event(EventType::TIMER, Tpl::APPLICATION, None, None) };
    let Ok(timer) = timer else { return };
    if boot::set_timer(&timer, TimerTrigger::Relative(READING_TIME)).is_ok() {
        // Whatever it answers, the wait is over.
        let _ = boot::wait_for_event(&[key, timer]);
    }
}

struct Serial;

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        text.bytes().for_each(write_serial);
        Ok(())
    }
}

fn write_serial(byte: u8) {
    let ready = (0..POLLS_MAX).any(|_| read_port(LINE_STATUS) & TRANSMITTER_EMPTY != 0);
    if ready {
        write_port(COM1, byte);
    }
}

fn read_port(port: u16) -> u8 {
    let value: u8;
    // SAFETY: All callers name registers of COM1; reading those touches no memory.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack)) };
    value
}

fn write_port(port: u16, value: u8) {
    // SAFETY: All callers name registers of COM1; writing those touches no memory.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack)) };
}

/// A panic here is a bug of the loader, or of firmware that breaks the UEFI specification.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    say(format_args!(
        "KPIO cannot start: the loader has a bug: {info}"
    ));
    cpu::stop()
}
