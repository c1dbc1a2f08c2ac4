//! The terminal (COM1 and screen), the keyboard, and the link to the host (COM2).
//!
//! Law of the terminal: what is written goes to the line and to the screen, and whichever is missing is not missed. Who has
//! taken over the screen ([`screen`]) has the line for itself, too: it writes by [`write_line`].
//! What is typed at the keyboard is a line of its own, which is only read; whoever serves a person reads both.
//!
//! Law: a line's device and its ring of received bytes stand under one lock. The interrupt handler moves bytes
//! from the device to the ring and wakes the reader; a byte for which the ring has no room is lost and
//! counted. Readers and writers are threads; they wait on futex words, never under the lock.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use kernel_machine::platform::serial::{Com, Serial};
use kernel_machine::sync::IrqLock;

use crate::{futex, interrupt, screen, time};

/// Received bytes that a line keeps.
const RING_BYTES: usize = 64 * 1024;
/// A writer looks again after this long even if the transmitter's interrupt is lost.
const TRANSMIT_PATIENCE_NS: u64 = 20_000_000;
/// A line that takes nothing for this long is given up.
const STUCK_NS: u64 = 10_000_000_000;

/// Which line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// COM1 and the screen: the person's terminal, and the log.
    Terminal,
    /// COM2: frames to and from the host.
    HostLink,
    /// What a keyboard sends; nothing can be written to it.
    Keyboard,
}

struct Port {
    state: IrqLock<State>,
    received: AtomicU32,
    transmitted: AtomicU32,
    lost: AtomicU64,
    /// The line took nothing for [`STUCK_NS`], and nothing since.
    is_stuck: AtomicBool,
}

struct State {
    serial: Option<Serial>,
    ring: Ring,
}

struct Ring {
    bytes: [u8; RING_BYTES],
    start: usize,
    len: usize,
}

impl Ring {
    fn push(&mut self, byte: u8) -> bool {
        if self.len == RING_BYTES {
            return false;
        }
        self.bytes[(self.start + self.len) % RING_BYTES] = byte;
        self.len += 1;
        true
    }

    fn pop_into(&mut self, output: &mut [u8]) -> usize {
        let count = output.len().min(self.len);
        for byte in &mut output[..count] {
            *byte = self.bytes[self.start];
            self.start = (self.start + 1) % RING_BYTES;
        }
        self.len -= count;
        count
    }
}

static PORTS: [Port; 3] = [const {
    Port {
        state: IrqLock::named(
            "console line",
            State {
                serial: None,
                ring: Ring {
                    bytes: [0; RING_BYTES],
                    start: 0,
                    len: 0,
                },
            },
        ),
        received: AtomicU32::new(0),
        transmitted: AtomicU32::new(0),
        lost: AtomicU64::new(0),
        is_stuck: AtomicBool::new(false),
    }
}; 3];

/// How often a person has called for attention.
static ATTENTION: AtomicU32 = AtomicU32::new(0);

impl Line {
    fn port(self) -> &'static Port {
        &PORTS[self as usize]
    }
}

/// The lines that are serial ones.
const SERIAL_LINES: [(Line, Com, fn()); 2] = [
    (Line::Terminal, Com::Com1, || {
        handle_interrupt(Line::Terminal)
    }),
    (Line::HostLink, Com::Com2, || {
        handle_interrupt(Line::HostLink)
    }),
];

/// Finds the lines; from here on they can be written to.
pub(crate) fn init() {
    for (line, com, _) in SERIAL_LINES {
        line.port().state.lock().serial = Serial::probe(com);
    }
}

/// Lets the lines interrupt; from here on they can be read.
pub(crate) fn enable_interrupts() {
    for (line, com, handler) in SERIAL_LINES {
        if !is_present(line) {
            continue;
        }
        if !interrupt::register_isa(com.isa_irq(), handler) {
            log::warn!("{line:?} has no interrupt line: nothing can be read from it");
            continue;
        }
        if let Some(serial) = line.port().state.lock().serial.as_mut() {
            serial.set_receive_interrupt(true);
        }
        // What arrived before is not announced any more.
        handler();
    }
}

/// Whether the machine has the serial line.
pub fn is_present(line: Line) -> bool {
    line.port().state.lock().serial.is_some()
}

fn handle_interrupt(line: Line) {
    let port = line.port();
    let mut lost = 0;
    {
        let mut state = port.state.lock();
        let State { serial, ring } = &mut *state;
        let Some(serial) = serial.as_mut() else {
            return;
        };
        let events = serial.handle_interrupt(|byte| lost += u64::from(!ring.push(byte)));
        let _ = events;
        serial.set_transmit_interrupt(false);
    }
    port.lost.fetch_add(lost, Ordering::Relaxed);
    for word in [&port.received, &port.transmitted] {
        word.fetch_add(1, Ordering::AcqRel);
        futex::wake(word, u32::MAX, u32::MAX);
    }
}

/// Takes bytes that a keyboard sends.
pub fn type_in(bytes: &[u8]) {
    let port = Line::Keyboard.port();
    let lost = {
        let mut state = port.state.lock();
        bytes.iter().filter(|byte| !state.ring.push(**byte)).count()
    };
    port.lost.fetch_add(lost as u64, Ordering::Relaxed);
    port.received.fetch_add(1, Ordering::AcqRel);
    futex::wake(&port.received, u32::MAX, u32::MAX);
}

/// A person has pressed the keys that end whoever has taken over the screen.
pub fn call_attention() {
    ATTENTION.fetch_add(1, Ordering::AcqRel);
    futex::wake(&ATTENTION, u32::MAX, u32::MAX);
}

/// Waits until these keys have been pressed more often than `seen` times; how often that is, counted in a circle.
pub fn wait_for_attention(seen: u32) -> u32 {
    loop {
        let calls = ATTENTION.load(Ordering::Acquire);
        if calls != seen {
            return calls;
        }
        futex::wait(&ATTENTION, seen, None, u32::MAX);
    }
}

/// Bytes that a line lost because nobody read them in time.
pub fn lost_bytes(line: Line) -> u64 {
    line.port().lost.load(Ordering::Relaxed)
}

/// Reads what has arrived, at least one byte unless `deadline_ns` passes first. Returns the count.
pub fn read(line: Line, output: &mut [u8], deadline_ns: Option<u64>) -> usize {
    let port = line.port();
    loop {
        let seen = port.received.load(Ordering::Acquire);
        let count = take_received(port, output);
        let late = deadline_ns.is_some_and(|deadline| time::monotonic_ns() >= deadline);
        if count > 0 || late || output.is_empty() {
            return count;
        }
        futex::wait(&port.received, seen, deadline_ns, u32::MAX);
    }
}

fn take_received(port: &Port, output: &mut [u8]) -> usize {
    let mut total = 0;
    for step in output.chunks_mut(256) {
        // The caller's memory may fault; under the lock nothing may.
        let mut bytes = [0; 256];
        let count = port.state.lock().ring.pop_into(&mut bytes[..step.len()]);
        step[..count].copy_from_slice(&bytes[..count]);
        total += count;
        if count < step.len() {
            break;
        }
    }
    total
}

/// Writes all of `bytes`, sleeping while the device is busy. False if the line is absent or stuck, and the screen is no
/// part of it.
pub fn write(line: Line, bytes: &[u8]) -> bool {
    let is_shown = line == Line::Terminal && screen::write(bytes);
    send(line, bytes, is_shown)
}

/// As [`write`], to the serial line alone, by whoever shows it on the screen as well.
pub fn write_line(line: Line, bytes: &[u8]) -> bool {
    send(line, bytes, screen::is_present())
}

fn send(line: Line, bytes: &[u8], is_shown: bool) -> bool {
    let patience_ns = match line.port().is_stuck.load(Ordering::Relaxed) {
        true if is_shown => 0,
        _ => STUCK_NS,
    };
    let is_sent = write_serial(line, bytes, patience_ns);
    line.port().is_stuck.store(!is_sent, Ordering::Relaxed);
    is_sent || is_shown
}

fn write_serial(line: Line, bytes: &[u8], patience_ns: u64) -> bool {
    let port = line.port();
    let mut rest = bytes;
    let mut deadline_ns = time::monotonic_ns() + patience_ns;
    while !rest.is_empty() {
        let seen = port.transmitted.load(Ordering::Acquire);
        match write_some(port, rest) {
            None => return false,
            Some(0) if time::monotonic_ns() >= deadline_ns => return false,
            Some(0) => {
                let patience = time::monotonic_ns() + TRANSMIT_PATIENCE_NS;
                futex::wait(&port.transmitted, seen, Some(patience), u32::MAX);
            }
            Some(count) => {
                rest = &rest[count..];
                deadline_ns = time::monotonic_ns() + patience_ns;
            }
        }
    }
    true
}

fn write_some(port: &Port, bytes: &[u8]) -> Option<usize> {
    let mut step = [0; 64];
    let len = bytes.len().min(step.len());
    step[..len].copy_from_slice(&bytes[..len]);
    let mut state = port.state.lock();
    let serial = state.serial.as_mut()?;
    let mut sent = 0;
    while sent < len {
        let count = serial.write_some(&step[sent..len]);
        if count == 0 {
            break;
        }
        sent += count;
    }
    if sent == 0 {
        serial.set_transmit_interrupt(true);
    }
    Some(sent)
}

/// Writes from anywhere, interrupt handlers too, waiting for the device by polling.
pub(crate) fn write_polled(line: Line, bytes: &[u8]) {
    if line == Line::Terminal {
        screen::write_now(bytes);
    }
    // As much as the device takes at once under one hold of the lock, so that interrupts are not off
    // for long.
    for part in bytes.chunks(16) {
        if let Some(serial) = line.port().state.lock().serial.as_mut() {
            let _stuck = serial.write_all(part);
        }
    }
}
