//! The PC's serial ports: 16550 and its descendants.
//!
//! Law: a port exists only if a byte comes back through its own loop-back; a port that stops
//! answering never hangs the kernel, because every wait is bounded. A [`Serial`] takes no lock:
//! core wraps it in one. Only [`emergency_write`] goes past that lock, for the last words of a
//! kernel that stops. The line is 115 200 baud, 8 data bits, no parity, one stop bit, no flow
//! control.
//!
//! Source: National Semiconductor PC16550D datasheet, section 8 (registers).

use crate::port::Port;

/// Bytes that the transmitter takes at once when it is empty.
const FIFO_LEN_BYTES: usize = 16;
/// Most bytes taken from the receiver per call: a port whose data-ready bit is stuck must not hold us.
const DRAIN_MAX_BYTES: usize = 1024;
/// Causes handled per interrupt before the line is given back.
const CAUSES_MAX: usize = 64;
/// Polls for the transmitter: a byte takes 87 µs, a poll about one, a FIFO 1.4 ms. This is over 100 ms.
const TRANSMIT_POLLS_MAX: u32 = 100_000;

const DIVISOR_115200: u8 = 1;
const LINE_8N1: u8 = 0b011;
const LINE_DIVISOR_ACCESS: u8 = 1 << 7;
const FIFO_ENABLE_CLEAR_TRIGGER_8: u8 = 0b1000_0111;
const MODEM_DTR_RTS_OUT2: u8 = 0b0_1011;
const MODEM_LOOPBACK: u8 = 0b1_0010;
const INTERRUPT_RECEIVED: u8 = 1;
const INTERRUPT_TRANSMITTER_EMPTY: u8 = 1 << 1;
const CAUSE_NONE: u8 = 1;
const CAUSE_MASK: u8 = 0b1111;
const CAUSE_TRANSMITTER_EMPTY: u8 = 0b0010;
const CAUSE_RECEIVED: u8 = 0b0100;
const CAUSE_RECEIVE_TIMEOUT: u8 = 0b1100;
const CAUSE_LINE_STATUS: u8 = 0b0110;
const STATUS_DATA_READY: u8 = 1;
const STATUS_OVERRUN: u8 = 1 << 1;
const STATUS_TRANSMITTER_EMPTY: u8 = 1 << 5;
/// What an absent device reads as.
const FLOATING: u8 = 0xff;

/// Where the PC has its serial ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Com {
    /// Port 0x3f8, ISA interrupt 4.
    Com1,
    /// Port 0x2f8, ISA interrupt 3.
    Com2,
    /// Port 0x3e8, ISA interrupt 4.
    Com3,
    /// Port 0x2e8, ISA interrupt 3.
    Com4,
}

impl Com {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Com1, Self::Com2, Self::Com3, Self::Com4];

    /// The ISA interrupt.
    pub fn isa_irq(self) -> u8 {
        match self {
            Self::Com1 | Self::Com3 => 4,
            Self::Com2 | Self::Com4 => 3,
        }
    }

    fn base(self) -> u16 {
        match self {
            Self::Com1 => 0x3f8,
            Self::Com2 => 0x2f8,
            Self::Com3 => 0x3e8,
            Self::Com4 => 0x2e8,
        }
    }
}

/// A register, by its offset from the base port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// Received byte, byte to send, or low half of the divisor.
    Data = 0,
    /// Interrupt enable, or high half of the divisor.
    InterruptEnable = 1,
    /// Cause of the interrupt (read), FIFO control (write).
    CauseOrFifo = 2,
    /// Line control.
    LineControl = 3,
    /// Modem control.
    ModemControl = 4,
    /// Line status.
    LineStatus = 5,
    /// Modem status.
    ModemStatus = 6,
    /// A byte for nobody.
    Scratch = 7,
}

/// How the registers are reached: ports, or a model in a test.
pub trait Registers {
    /// Reads `register`.
    fn read(&mut self, register: Register) -> u8;
    /// Writes `register`.
    fn write(&mut self, register: Register, value: u8);
}

impl Registers for Com {
    fn read(&mut self, register: Register) -> u8 {
        Port::<u8>::new(self.base() + register as u16).read()
    }
    fn write(&mut self, register: Register, value: u8) {
        Port::<u8>::new(self.base() + register as u16).write(value);
    }
}

/// What an interrupt was about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SerialEvents {
    /// Bytes were handed to the receiver.
    pub received_bytes: usize,
    /// The transmitter has room for more.
    pub transmitter_empty: bool,
    /// Bytes were lost, because nobody took them in time.
    pub overrun: bool,
}

/// The transmitter stopped taking bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SerialStuck {
    /// Bytes that it took before.
    pub written_bytes: usize,
}

impl core::fmt::Display for SerialStuck {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            out,
            "the serial port stopped sending after {} bytes; is anybody listening?",
            self.written_bytes
        )
    }
}

impl core::error::Error for SerialStuck {}

/// A serial port that answered.
#[derive(Debug)]
pub struct Serial<R = Com> {
    registers: R,
    interrupt_enable: u8,
}

impl Serial {
    /// The port `com`, set up, with its interrupts off; `None` if there is none.
    pub fn probe(com: Com) -> Option<Self> {
        Self::probe_registers(com)
    }

    /// Which port this is.
    pub fn com(&self) -> Com {
        self.registers
    }
}

impl<R: Registers> Serial<R> {
    fn probe_registers(registers: R) -> Option<Self> {
        let mut serial = Self {
            registers,
            interrupt_enable: 0,
        };
        (serial.has_scratch() && serial.loops_back()).then(|| {
            serial.start();
            serial
        })
    }

    fn has_scratch(&mut self) -> bool {
        [0x5a, 0xa5].into_iter().all(|pattern| {
            self.registers.write(Register::Scratch, pattern);
            self.registers.read(Register::Scratch) == pattern
        })
    }

    /// Sends bytes to itself without letting them out.
    fn loops_back(&mut self) -> bool {
        self.configure_line();
        self.registers.write(Register::ModemControl, MODEM_LOOPBACK);
        [0x6b, 0x94].into_iter().all(|pattern| {
            self.registers.write(Register::Data, pattern);
            self.wait_for(STATUS_DATA_READY) && self.registers.read(Register::Data) == pattern
        })
    }

    fn start(&mut self) {
        self.configure_line();
        self.registers
            .write(Register::ModemControl, MODEM_DTR_RTS_OUT2);
    }

    fn configure_line(&mut self) {
        let sequence = [
            (Register::InterruptEnable, 0),
            (Register::LineControl, LINE_DIVISOR_ACCESS),
            (Register::Data, DIVISOR_115200),
            (Register::InterruptEnable, 0),
            (Register::LineControl, LINE_8N1),
            (Register::CauseOrFifo, FIFO_ENABLE_CLEAR_TRIGGER_8),
        ];
        for (register, value) in sequence {
            self.registers.write(register, value);
        }
    }

    fn wait_for(&mut self, bit: u8) -> bool {
        wait_for(&mut self.registers, bit)
    }

    /// Sends all of `bytes`, waiting for the line; gives up when the port takes nothing for over
    /// 100 ms.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), SerialStuck> {
        write_all(&mut self.registers, bytes)
    }

    /// Sends as much of `bytes` as fits at once; returns how many bytes that was, 0 if the
    /// transmitter is busy.
    pub fn write_some(&mut self, bytes: &[u8]) -> usize {
        let status = self.registers.read(Register::LineStatus);
        if status == FLOATING || status & STATUS_TRANSMITTER_EMPTY == 0 {
            return 0;
        }
        fill_fifo(&mut self.registers, bytes)
    }

    /// Asks for an interrupt when bytes arrive.
    pub fn set_receive_interrupt(&mut self, on: bool) {
        self.set_interrupt(INTERRUPT_RECEIVED, on);
    }

    /// Asks for an interrupt when the transmitter is empty; at once if it is.
    pub fn set_transmit_interrupt(&mut self, on: bool) {
        self.set_interrupt(INTERRUPT_TRANSMITTER_EMPTY, on);
    }

    fn set_interrupt(&mut self, bit: u8, on: bool) {
        let enable = if on {
            self.interrupt_enable | bit
        } else {
            self.interrupt_enable & !bit
        };
        if enable != self.interrupt_enable {
            self.interrupt_enable = enable;
            self.registers.write(Register::InterruptEnable, enable);
        }
    }

    /// Handles the port's interrupt until it has no more causes, because the line is
    /// edge-triggered. Every byte that arrived goes to `receive`.
    pub fn handle_interrupt(&mut self, mut receive: impl FnMut(u8)) -> SerialEvents {
        let mut events = SerialEvents::default();
        for _ in 0..CAUSES_MAX {
            match self.registers.read(Register::CauseOrFifo) & CAUSE_MASK {
                cause if cause & CAUSE_NONE != 0 => break,
                CAUSE_RECEIVED | CAUSE_RECEIVE_TIMEOUT | CAUSE_LINE_STATUS => {
                    let (count, overrun) = self.drain(&mut receive);
                    events.received_bytes += count;
                    events.overrun |= overrun;
                }
                CAUSE_TRANSMITTER_EMPTY => events.transmitter_empty = true,
                _ => {
                    self.registers.read(Register::ModemStatus);
                }
            }
        }
        events
    }

    /// Takes what has arrived, without an interrupt; returns how many bytes that was.
    pub fn poll_received(&mut self, mut receive: impl FnMut(u8)) -> usize {
        self.drain(&mut receive).0
    }

    fn drain(&mut self, receive: &mut impl FnMut(u8)) -> (usize, bool) {
        let mut overrun = false;
        for count in 0..DRAIN_MAX_BYTES {
            let status = self.registers.read(Register::LineStatus);
            if status == FLOATING || status & STATUS_DATA_READY == 0 {
                return (count, overrun);
            }
            overrun |= status & STATUS_OVERRUN != 0;
            receive(self.registers.read(Register::Data));
        }
        (DRAIN_MAX_BYTES, overrun)
    }
}

/// Writes `bytes` to `com` without any lock, whatever state it is in; bytes that it does not take
/// are lost. Only for a kernel that is about to stop: it may tear what somebody else is sending.
pub fn emergency_write(com: Com, bytes: &[u8]) {
    let mut registers = com;
    registers.write(Register::InterruptEnable, 0);
    // There is nobody left to tell that the port is dead.
    let _ = write_all(&mut registers, bytes);
}

fn write_all(registers: &mut impl Registers, bytes: &[u8]) -> Result<(), SerialStuck> {
    let mut written_bytes = 0;
    while let Some(rest @ [_, ..]) = bytes.get(written_bytes..) {
        if !wait_for(registers, STATUS_TRANSMITTER_EMPTY) {
            return Err(SerialStuck { written_bytes });
        }
        written_bytes += fill_fifo(registers, rest);
    }
    Ok(())
}

fn fill_fifo(registers: &mut impl Registers, bytes: &[u8]) -> usize {
    let count = bytes.len().min(FIFO_LEN_BYTES);
    for byte in &bytes[..count] {
        registers.write(Register::Data, *byte);
    }
    count
}

fn wait_for(registers: &mut impl Registers, bit: u8) -> bool {
    for _ in 0..TRANSMIT_POLLS_MAX {
        match registers.read(Register::LineStatus) {
            FLOATING => return false,
            status if status & bit != 0 => return true,
            _ => core::hint::spin_loop(),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::VecDeque;
    use alloc::vec::Vec;

    /// A 16550 that sends a byte every few polls.
    #[derive(Default)]
    struct Model {
        scratch: u8,
        line_control: u8,
        modem_control: u8,
        interrupt_enable: u8,
        divisor: u8,
        receiver: VecDeque<u8>,
        transmitter: VecDeque<u8>,
        transmit_cause: bool,
        wire: Vec<u8>,
        polls: usize,
        is_wedged: bool,
    }

    impl Model {
        fn status(&mut self) -> u8 {
            self.polls += 1;
            if self.polls.is_multiple_of(3) && !self.is_wedged {
                self.wire.extend(self.transmitter.pop_front());
            }
            let ready = if self.receiver.is_empty() {
                0
            } else {
                STATUS_DATA_READY
            };
            let empty = if self.transmitter.is_empty() {
                STATUS_TRANSMITTER_EMPTY
            } else {
                0
            };
            ready | empty
        }
        fn cause(&mut self) -> u8 {
            if !self.receiver.is_empty() && self.interrupt_enable & INTERRUPT_RECEIVED != 0 {
                return 0xc0 | CAUSE_RECEIVED;
            }
            if core::mem::take(&mut self.transmit_cause) {
                return 0xc0 | CAUSE_TRANSMITTER_EMPTY;
            }
            0xc0 | CAUSE_NONE
        }
        fn send(&mut self, byte: u8) {
            if self.line_control & LINE_DIVISOR_ACCESS != 0 {
                self.divisor = byte;
            } else if self.modem_control & 1 << 4 != 0 {
                self.receiver.push_back(byte);
            } else {
                assert!(
                    self.transmitter.len() < FIFO_LEN_BYTES,
                    "transmitter overrun"
                );
                self.transmitter.push_back(byte);
            }
        }
    }

    impl Registers for Model {
        fn read(&mut self, register: Register) -> u8 {
            match register {
                Register::Data => self.receiver.pop_front().unwrap_or(0),
                Register::CauseOrFifo => self.cause(),
                Register::LineStatus => self.status(),
                Register::Scratch => self.scratch,
                _ => 0,
            }
        }
        fn write(&mut self, register: Register, value: u8) {
            match register {
                Register::Data => self.send(value),
                Register::InterruptEnable if self.line_control & LINE_DIVISOR_ACCESS == 0 => {
                    self.interrupt_enable = value;
                    self.transmit_cause = value & INTERRUPT_TRANSMITTER_EMPTY != 0;
                }
                Register::CauseOrFifo => self.receiver.clear(),
                Register::LineControl => self.line_control = value,
                Register::ModemControl => self.modem_control = value,
                Register::Scratch => self.scratch = value,
                _ => {}
            }
        }
    }

    /// A port at which every register reads as one value.
    struct Stuck(u8);

    impl Registers for Stuck {
        fn read(&mut self, _: Register) -> u8 {
            self.0
        }
        fn write(&mut self, _: Register, _: u8) {}
    }

    fn serial() -> Serial<Model> {
        Serial::probe_registers(Model::default()).expect("the model is a 16550")
    }

    #[test]
    fn a_working_port_is_found_and_set_up() {
        let serial = serial();
        assert_eq!(serial.registers.divisor, DIVISOR_115200);
        assert_eq!(serial.registers.line_control, LINE_8N1);
        assert_eq!(serial.registers.modem_control, MODEM_DTR_RTS_OUT2);
        assert_eq!(serial.registers.interrupt_enable, 0);
        assert!(serial.registers.wire.is_empty());
    }

    #[test]
    fn dead_ports_are_no_ports() {
        for value in [0, FLOATING, 0x60, 0x5a] {
            assert!(Serial::probe_registers(Stuck(value)).is_none());
        }
    }

    #[test]
    fn everything_written_reaches_the_wire_in_order() {
        let mut serial = serial();
        let bytes: Vec<u8> = (0..1000u32).map(|value| value as u8).collect();
        serial.write_all(&bytes).unwrap();
        while !serial.registers.transmitter.is_empty() {
            serial.registers.status();
        }
        assert_eq!(serial.registers.wire, bytes);
    }

    #[test]
    fn a_transmitter_that_stops_never_hangs() {
        let mut serial = serial();
        serial.registers.is_wedged = true;
        let stuck = serial.write_all(&[7; 100]).unwrap_err();
        assert_eq!(stuck.written_bytes, FIFO_LEN_BYTES);
        assert_eq!(serial.write_some(b"more"), 0);
    }

    #[test]
    fn interrupts_hand_over_what_arrived_and_say_when_there_is_room() {
        let mut serial = serial();
        serial.set_receive_interrupt(true);
        serial.set_transmit_interrupt(true);
        serial.registers.receiver.extend(b"hello");
        let mut received = Vec::new();
        let events = serial.handle_interrupt(|byte| received.push(byte));
        assert_eq!(received, b"hello");
        assert_eq!(events.received_bytes, 5);
        assert!(events.transmitter_empty && !events.overrun);
        assert_eq!(serial.handle_interrupt(|_| ()), SerialEvents::default());
    }

    #[test]
    fn stuck_status_bits_do_not_hold_the_cpu() {
        for value in 0..=FLOATING {
            let mut serial = Serial {
                registers: Stuck(value),
                interrupt_enable: 0,
            };
            let mut received = 0;
            serial.handle_interrupt(|_| received += 1);
            assert!(received <= CAUSES_MAX * DRAIN_MAX_BYTES);
            assert!(serial.poll_received(|_| ()) <= DRAIN_MAX_BYTES);
        }
    }
}
