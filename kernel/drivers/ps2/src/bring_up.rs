//! Getting controller, keyboard and mouse to work.
//!
//! Law: every wait is bounded, every repetition counted; a controller that never answers, answers nonsense, or asks
//! for everything again and again ends in an error or in a device that counts as absent. Interrupts of the controller
//! are off meanwhile, and bytes of the other device are dropped.
//!
//! Source: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller", "Keyboard",
//! "Mouse"; Microsoft for the wheel.

use kernel_machine::platform::i8042::{Device, Received};

mod command {
    pub const READ_CONFIGURATION: u8 = 0x20;
    pub const WRITE_CONFIGURATION: u8 = 0x60;
    pub const DISABLE_MOUSE: u8 = 0xa7;
    pub const ENABLE_MOUSE: u8 = 0xa8;
    pub const SELF_TEST: u8 = 0xaa;
    pub const DISABLE_KEYBOARD: u8 = 0xad;
    pub const ENABLE_KEYBOARD: u8 = 0xae;
    pub const TO_MOUSE: u8 = 0xd4;
}

mod configuration {
    pub const KEYBOARD_INTERRUPT: u8 = 1;
    pub const MOUSE_INTERRUPT: u8 = 1 << 1;
    pub const KEYBOARD_OFF: u8 = 1 << 4;
    pub const MOUSE_OFF: u8 = 1 << 5;
    pub const TRANSLATION: u8 = 1 << 6;
}

mod request {
    pub const GET_ID: u8 = 0xf2;
    pub const SET_RATE: u8 = 0xf3;
    pub const ENABLE: u8 = 0xf4;
    pub const RESET: u8 = 0xff;
}

const ACKNOWLEDGED: u8 = 0xfa;
const SEND_AGAIN: u8 = 0xfe;
const SELF_TEST_PASSED: u8 = 0x55;
const DEVICE_PASSED: u8 = 0xaa;
/// Rates that, set one after the other, make a mouse show its wheel.
const KNOCK: [u8; 3] = [200, 100, 80];
const ID_WITH_WHEEL: u8 = 3;

/// How often something is sent when the device asks for it again.
const ATTEMPTS: usize = 3;
/// Bytes of others that are dropped while one answer is awaited, and bytes that wait at the start.
const DROPPED_MAX: usize = 64;
const ANSWER_NS: u64 = 250_000_000;
/// A device tests itself for so long after a reset.
const RESET_NS: u64 = 1_000_000_000;

/// The controller, and time to wait for it.
pub trait Wire {
    /// The byte that the controller has, if any.
    fn take(&mut self) -> Option<Received>;
    /// Gives it a command; false if it is busy.
    fn try_command(&mut self, command: u8) -> bool;
    /// Gives it a byte; false if it is busy.
    fn try_data(&mut self, byte: u8) -> bool;
    /// Time, in nanoseconds.
    fn now_ns(&mut self) -> u64;
    /// Lets some time pass, about a millisecond.
    fn pause(&mut self);
}

/// What answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// A keyboard.
    pub has_keyboard: bool,
    /// A mouse.
    pub mouse: Option<Mouse>,
}

/// A mouse that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mouse {
    /// It has a wheel, and its packets are of four bytes.
    pub has_wheel: bool,
}

/// Why there is no keyboard and no mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BringUpError {
    /// The controller takes no bytes.
    Busy,
    /// The controller does not answer.
    Silent,
    /// The controller's self-test answered this.
    SelfTest(u8),
}

impl core::fmt::Display for BringUpError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Busy => out.write_str("the keyboard controller takes no commands"),
            Self::Silent => out.write_str("the keyboard controller does not answer"),
            Self::SelfTest(answer) => {
                write!(
                    out,
                    "the keyboard controller's self-test failed with {answer:#04x}"
                )
            }
        }
    }
}

impl core::error::Error for BringUpError {}

/// Sets everything up, with interrupts off.
///
/// # Errors
/// See [`BringUpError`].
pub fn bring_up(wire: &mut impl Wire) -> Result<Found, BringUpError> {
    send_command(wire, command::DISABLE_KEYBOARD)?;
    send_command(wire, command::DISABLE_MOUSE)?;
    for _ in 0..DROPPED_MAX {
        wire.take();
    }
    configure(wire, 0)?;
    send_command(wire, command::SELF_TEST)?;
    match answer(wire, Device::Keyboard, RESET_NS) {
        Some(SELF_TEST_PASSED) => {}
        Some(other) => return Err(BringUpError::SelfTest(other)),
        None => return Err(BringUpError::Silent),
    }
    // The self-test may have reset it.
    configure(wire, 0)?;
    send_command(wire, command::ENABLE_KEYBOARD)?;
    let has_keyboard =
        reset(wire, Device::Keyboard) && ask(wire, Device::Keyboard, request::ENABLE);
    send_command(wire, command::ENABLE_MOUSE)?;
    Ok(Found {
        has_keyboard,
        mouse: start_mouse(wire),
    })
}

/// Lets the controller interrupt for what was found.
///
/// # Errors
/// See [`BringUpError`].
pub fn enable_interrupts(wire: &mut impl Wire, found: Found) -> Result<(), BringUpError> {
    let mouse = match found.mouse {
        Some(_) => configuration::MOUSE_INTERRUPT,
        None => configuration::MOUSE_OFF,
    };
    configure(wire, configuration::KEYBOARD_INTERRUPT | mouse)
}

/// Writes the controller's configuration: as it is, with translation, and of interrupts and switched-off ports those
/// in `bits`.
fn configure(wire: &mut impl Wire, bits: u8) -> Result<(), BringUpError> {
    const OWN: u8 = configuration::KEYBOARD_INTERRUPT
        | configuration::MOUSE_INTERRUPT
        | configuration::KEYBOARD_OFF
        | configuration::MOUSE_OFF;
    send_command(wire, command::READ_CONFIGURATION)?;
    let old = answer(wire, Device::Keyboard, ANSWER_NS).ok_or(BringUpError::Silent)?;
    send_command(wire, command::WRITE_CONFIGURATION)?;
    send_data(wire, old & !OWN | configuration::TRANSLATION | bits)
}

fn start_mouse(wire: &mut impl Wire) -> Option<Mouse> {
    let device = Device::Mouse;
    if !reset(wire, device) {
        return None;
    }
    // The number that follows its self-test.
    answer(wire, device, ANSWER_NS);
    let knocked = KNOCK
        .iter()
        .all(|rate| ask(wire, device, request::SET_RATE) && ask(wire, device, *rate));
    let id = (knocked && ask(wire, device, request::GET_ID))
        .then(|| answer(wire, device, ANSWER_NS))
        .flatten();
    let has_wheel = id == Some(ID_WITH_WHEEL);
    ask(wire, device, request::ENABLE).then_some(Mouse { has_wheel })
}

/// Whether the device is there and has passed its self-test.
fn reset(wire: &mut impl Wire, device: Device) -> bool {
    ask(wire, device, request::RESET) && answer(wire, device, RESET_NS) == Some(DEVICE_PASSED)
}

/// Sends a byte to a device; whether it was acknowledged.
fn ask(wire: &mut impl Wire, device: Device, byte: u8) -> bool {
    for _ in 0..ATTEMPTS {
        let addressed = device == Device::Keyboard || send_command(wire, command::TO_MOUSE).is_ok();
        if !addressed || send_data(wire, byte).is_err() {
            return false;
        }
        match answer(wire, device, ANSWER_NS) {
            Some(ACKNOWLEDGED) => return true,
            Some(SEND_AGAIN) => {}
            _ => return false,
        }
    }
    false
}

/// The next byte from there; others are dropped.
fn answer(wire: &mut impl Wire, device: Device, patience_ns: u64) -> Option<u8> {
    let mut dropped = 0;
    let taken = wait(wire, patience_ns, |wire| {
        let received = wire.take()?;
        let is_it = received.device == device;
        dropped += usize::from(!is_it);
        (is_it || dropped > DROPPED_MAX).then_some(is_it.then_some(received.byte))
    });
    taken.flatten()
}

fn send_command(wire: &mut impl Wire, command: u8) -> Result<(), BringUpError> {
    wait(wire, ANSWER_NS, |wire| {
        wire.try_command(command).then_some(())
    })
    .ok_or(BringUpError::Busy)
}

fn send_data(wire: &mut impl Wire, byte: u8) -> Result<(), BringUpError> {
    wait(wire, ANSWER_NS, |wire| wire.try_data(byte).then_some(())).ok_or(BringUpError::Busy)
}

fn wait<W: Wire, T>(
    wire: &mut W,
    patience_ns: u64,
    mut attempt: impl FnMut(&mut W) -> Option<T>,
) -> Option<T> {
    let deadline_ns = wire.now_ns().saturating_add(patience_ns);
    loop {
        if let Some(result) = attempt(wire) {
            return Some(result);
        }
        if wire.now_ns() >= deadline_ns {
            return None;
        }
        wire.pause();
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    use super::*;

    /// A controller with a keyboard and a mouse.
    struct Model {
        now_ns: u64,
        operations: usize,
        output: VecDeque<(Device, u8)>,
        configuration: u8,
        /// The command whose byte is awaited.
        command: Option<u8>,
        has_mouse: bool,
        has_wheel: bool,
        rates: Vec<u8>,
        sets_rate: bool,
        /// Requests that are answered with a wish to hear them again.
        resends: usize,
        is_enabled: [bool; 2],
    }

    impl Model {
        fn new() -> Self {
            Self {
                now_ns: 0,
                operations: 0,
                output: VecDeque::from([(Device::Keyboard, 0x1e), (Device::Mouse, 0x08)]),
                configuration: 0x33,
                command: None,
                has_mouse: true,
                has_wheel: true,
                rates: Vec::new(),
                sets_rate: false,
                resends: 0,
                is_enabled: [false; 2],
            }
        }

        fn say(&mut self, device: Device, bytes: &[u8]) {
            self.output.extend(bytes.iter().map(|byte| (device, *byte)));
        }

        fn device(&mut self, device: Device, byte: u8) {
            if self.resends > 0 {
                self.resends -= 1;
                return self.say(device, &[SEND_AGAIN]);
            }
            if core::mem::take(&mut self.sets_rate) {
                self.rates.push(byte);
                return self.say(device, &[ACKNOWLEDGED]);
            }
            match (byte, device) {
                (request::RESET, Device::Keyboard) => self.say(device, &[0xfa, 0xaa]),
                (request::RESET, Device::Mouse) => self.say(device, &[0xfa, 0xaa, 0]),
                (request::ENABLE, _) => {
                    self.is_enabled[device as usize] = true;
                    self.say(device, &[0xfa]);
                }
                (request::SET_RATE, Device::Mouse) => {
                    self.sets_rate = true;
                    self.say(device, &[0xfa]);
                }
                (request::GET_ID, Device::Mouse) => {
                    let knocked = self.has_wheel && self.rates.ends_with(&KNOCK);
                    self.say(device, &[0xfa, if knocked { 3 } else { 0 }]);
                }
                _ => panic!("{device:?} was sent {byte:#x}"),
            }
        }
    }

    impl Wire for Model {
        fn take(&mut self) -> Option<Received> {
            self.operations += 1;
            let (device, byte) = self.output.pop_front()?;
            Some(Received {
                device,
                byte,
                is_damaged: false,
            })
        }
        fn try_command(&mut self, command: u8) -> bool {
            self.operations += 1;
            match command {
                command::READ_CONFIGURATION => {
                    self.output
                        .push_back((Device::Keyboard, self.configuration));
                }
                command::SELF_TEST => {
                    self.configuration = 0x34;
                    self.output.push_back((Device::Keyboard, SELF_TEST_PASSED));
                }
                command::WRITE_CONFIGURATION | command::TO_MOUSE => self.command = Some(command),
                _ => {}
            }
            true
        }
        fn try_data(&mut self, byte: u8) -> bool {
            match self.command.take() {
                Some(command::WRITE_CONFIGURATION) => self.configuration = byte,
                Some(_) if self.has_mouse => self.device(Device::Mouse, byte),
                Some(_) => {}
                None => self.device(Device::Keyboard, byte),
            }
            true
        }
        fn now_ns(&mut self) -> u64 {
            self.now_ns
        }
        fn pause(&mut self) {
            self.now_ns += 1_000_000;
        }
    }

    #[test]
    fn a_usual_pc_has_keyboard_and_wheel() {
        let mut model = Model::new();
        let found = bring_up(&mut model).unwrap();
        assert!(found.has_keyboard);
        assert_eq!(found.mouse, Some(Mouse { has_wheel: true }));
        assert_eq!(model.is_enabled, [true, true]);
        assert_eq!(model.configuration & 0b11, 0);
        enable_interrupts(&mut model, found).unwrap();
        assert_eq!(model.configuration, 0x47);
    }

    #[test]
    fn less_than_that_is_found_too() {
        let mut without_wheel = Model::new();
        without_wheel.has_wheel = false;
        let found = bring_up(&mut without_wheel).unwrap();
        assert_eq!(found.mouse, Some(Mouse { has_wheel: false }));
        let mut without_mouse = Model::new();
        without_mouse.has_mouse = false;
        let found = bring_up(&mut without_mouse).unwrap();
        assert_eq!((found.has_keyboard, found.mouse), (true, None));
        enable_interrupts(&mut without_mouse, found).unwrap();
        assert_eq!(without_mouse.configuration, 0x65);
    }

    #[test]
    fn requests_are_repeated_and_not_for_ever() {
        let mut model = Model::new();
        model.resends = ATTEMPTS - 1;
        assert!(bring_up(&mut model).unwrap().has_keyboard);
        let mut storm = Model::new();
        storm.resends = usize::MAX;
        let found = bring_up(&mut storm).unwrap();
        assert_eq!((found.has_keyboard, found.mouse), (false, None));
    }

    /// Answers as told, whatever it is asked, and never ends.
    struct Hostile {
        now_ns: u64,
        operations: usize,
        script: Vec<u16>,
    }

    impl Hostile {
        fn next(&mut self) -> u16 {
            self.operations += 1;
            assert!(self.operations < 1_000_000, "the driver does not give up");
            self.script[self.operations % self.script.len()]
        }
    }

    impl Wire for Hostile {
        fn take(&mut self) -> Option<Received> {
            let [kind, byte] = self.next().to_be_bytes();
            (kind & 1 != 0).then_some(Received {
                device: if kind & 2 == 0 {
                    Device::Keyboard
                } else {
                    Device::Mouse
                },
                byte,
                is_damaged: kind & 4 != 0,
            })
        }
        fn try_command(&mut self, _: u8) -> bool {
            self.next() & 8 != 0
        }
        fn try_data(&mut self, _: u8) -> bool {
            self.next() & 16 != 0
        }
        fn now_ns(&mut self) -> u64 {
            self.now_ns
        }
        fn pause(&mut self) {
            self.now_ns += 1_000_000;
        }
    }

    #[test]
    fn dead_controllers_are_given_up() {
        let bring_up = |script| {
            bring_up(&mut Hostile {
                now_ns: 0,
                operations: 0,
                script,
            })
        };
        assert_eq!(bring_up(std::vec![0]), Err(BringUpError::Busy));
        assert_eq!(bring_up(std::vec![0x00ff]), Err(BringUpError::Silent));
        assert_eq!(
            bring_up(std::vec![0x01ff]),
            Err(BringUpError::SelfTest(0xff))
        );
    }

    proptest! {
        #[test]
        fn any_controller_is_done_with(
            script in proptest::collection::vec(
                prop_oneof![any::<u16>(), Just(0x01fa), Just(0x01fe), Just(0x0155), Just(0x03fa)],
                1..40,
            ),
        ) {
            let mut hostile = Hostile { now_ns: 0, operations: 0, script };
            if let Ok(found) = bring_up(&mut hostile) {
                let _ = enable_interrupts(&mut hostile, found);
            }
            // Every wait together: some seconds.
            prop_assert!(hostile.now_ns < 60_000_000_000);
        }
    }
}
