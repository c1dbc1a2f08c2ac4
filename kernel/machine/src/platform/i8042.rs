//! The i8042: the controller behind which PS/2 keyboard and mouse sit.
//!
//! Law: nothing here waits. The controller takes a byte or is busy, has a byte or has none; how long to be patient is
//! the driver's business, and so is what the devices behind it mean. Ports are touched only where the caller
//! knows from the firmware that they may be ([`Platform::may_have_i8042`](super::acpi::Platform)).
//!
//! Source: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller".

use crate::port::Port;

const DATA_PORT: u16 = 0x60;
const STATUS_COMMAND_PORT: u16 = 0x64;

const STATUS_OUTPUT_FULL: u8 = 1;
const STATUS_INPUT_FULL: u8 = 1 << 1;
const STATUS_FROM_MOUSE: u8 = 1 << 5;
const STATUS_TIME_OUT: u8 = 1 << 6;
const STATUS_PARITY: u8 = 1 << 7;
/// What an absent device reads as.
const FLOATING: u8 = 0xff;

/// The devices behind the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// At the first port; ISA interrupt 1.
    Keyboard,
    /// At the second port; ISA interrupt 12.
    Mouse,
}

impl Device {
    /// The ISA interrupt.
    pub fn isa_irq(self) -> u8 {
        match self {
            Self::Keyboard => 1,
            Self::Mouse => 12,
        }
    }
}

/// A byte that the controller had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Whose port it came from; answers of the controller itself come as the keyboard's.
    pub device: Device,
    /// The byte.
    pub byte: u8,
    /// It was damaged on the wire.
    pub is_damaged: bool,
}

/// How the registers are reached: ports, or a model in a test.
pub trait Registers {
    /// Reads the status register.
    fn read_status(&mut self) -> u8;
    /// Reads the output buffer.
    fn read_data(&mut self) -> u8;
    /// Writes to the command register.
    fn write_command(&mut self, command: u8);
    /// Writes to the input buffer.
    fn write_data(&mut self, byte: u8);
}

/// The PC's own.
#[derive(Debug)]
pub struct Ports(());

impl Registers for Ports {
    fn read_status(&mut self) -> u8 {
        Port::<u8>::new(STATUS_COMMAND_PORT).read()
    }
    fn read_data(&mut self) -> u8 {
        Port::<u8>::new(DATA_PORT).read()
    }
    fn write_command(&mut self, command: u8) {
        Port::<u8>::new(STATUS_COMMAND_PORT).write(command);
    }
    fn write_data(&mut self, byte: u8) {
        Port::<u8>::new(DATA_PORT).write(byte);
    }
}

/// A controller that may answer.
#[derive(Debug)]
pub struct Controller<R = Ports> {
    registers: R,
}

impl Controller {
    /// The machine's controller; `None` where nothing is at its ports.
    pub fn probe() -> Option<Self> {
        Self::probe_registers(Ports(()))
    }
}

impl<R: Registers> Controller<R> {
    /// The same over other registers.
    pub fn probe_registers(mut registers: R) -> Option<Self> {
        (registers.read_status() != FLOATING).then_some(Self { registers })
    }

    /// The byte that the controller has, if any.
    pub fn take(&mut self) -> Option<Received> {
        let status = self.registers.read_status();
        if status == FLOATING || status & STATUS_OUTPUT_FULL == 0 {
            return None;
        }
        let device = if status & STATUS_FROM_MOUSE == 0 {
            Device::Keyboard
        } else {
            Device::Mouse
        };
        Some(Received {
            device,
            byte: self.registers.read_data(),
            is_damaged: status & (STATUS_TIME_OUT | STATUS_PARITY) != 0,
        })
    }

    /// Gives the controller a command; false if it is busy.
    pub fn try_command(&mut self, command: u8) -> bool {
        let is_ready = self.is_ready();
        if is_ready {
            self.registers.write_command(command);
        }
        is_ready
    }

    /// Gives the controller a byte, for the keyboard or for the command before; false if it is busy.
    pub fn try_data(&mut self, byte: u8) -> bool {
        let is_ready = self.is_ready();
        if is_ready {
            self.registers.write_data(byte);
        }
        is_ready
    }

    fn is_ready(&mut self) -> bool {
        let status = self.registers.read_status();
        status != FLOATING && status & STATUS_INPUT_FULL == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    struct Model {
        status: u8,
        data: u8,
        written: Vec<(char, u8)>,
    }

    impl Registers for Model {
        fn read_status(&mut self) -> u8 {
            self.status
        }
        fn read_data(&mut self) -> u8 {
            self.data
        }
        fn write_command(&mut self, command: u8) {
            self.written.push(('c', command));
        }
        fn write_data(&mut self, byte: u8) {
            self.written.push(('d', byte));
        }
    }

    fn controller(status: u8) -> Option<Controller<Model>> {
        Controller::probe_registers(Model {
            status,
            data: 0x1e,
            written: Vec::new(),
        })
    }

    #[test]
    fn bytes_come_from_whom_they_are() {
        let take = |status| controller(status).unwrap().take();
        let from = |device, is_damaged| {
            Some(Received {
                device,
                byte: 0x1e,
                is_damaged,
            })
        };
        assert_eq!(take(0x14), None);
        assert_eq!(take(0x15), from(Device::Keyboard, false));
        assert_eq!(take(0x35), from(Device::Mouse, false));
        assert_eq!(take(0x95), from(Device::Keyboard, true));
    }

    #[test]
    fn a_busy_controller_is_given_nothing() {
        let mut busy = controller(0x16).unwrap();
        assert!(!busy.try_command(0xaa) && !busy.try_data(1));
        assert!(busy.registers.written.is_empty());
        let mut ready = controller(0x14).unwrap();
        assert!(ready.try_command(0xaa) && ready.try_data(1));
        assert_eq!(ready.registers.written, [('c', 0xaa), ('d', 1)]);
    }

    #[test]
    fn nothing_there_is_no_controller() {
        assert!(controller(FLOATING).is_none());
        // One that goes away later has no bytes and takes none.
        let mut gone = controller(0x14).unwrap();
        gone.registers.status = FLOATING;
        assert_eq!(gone.take(), None);
        assert!(!gone.try_data(1));
    }
}
