//! What keys do on a terminal: the line discipline, and the step that it comes to.

use lib_line_editor::{CookedEvent, CookedInput};

use crate::{Control, Devices, Origin, Refusal, Step};

const BELL: u8 = 0x07;
/// Ctrl-\, and how often it is pressed in a row by somebody who means it: it ends the foreground even where that takes every
/// key.
const BREAK: u8 = 0x1c;
const BREAKS: u32 = 3;

/// What is typed on one terminal.
pub(crate) struct Typing {
    terminal: usize,
    discipline: CookedInput,
    breaks: u32,
    /// The step that the next keys are part of.
    step: Step,
}

impl Typing {
    /// With so much of a line typed.
    pub(crate) fn new(terminal: usize, line: &[u8]) -> Self {
        Self {
            terminal,
            discipline: CookedInput::with_line(line),
            breaks: 0,
            step: Step::default(),
        }
    }

    /// What was typed of a line.
    pub(crate) fn line(&self) -> &[u8] {
        self.discipline.line()
    }

    /// Takes keys up to the first that is a control key, and says how many that were. What they come to is done when
    /// [`finish`](Self::finish) is called. The end of the input is refused behind input, so it is never in one step with any: the
    /// line before it would be refused with it.
    pub(crate) fn take(&mut self, origin: Origin, keys: &[u8], is_raw: bool) -> usize {
        let mut taken = 0;
        for &key in keys {
            if self.is_end_behind_input(key, is_raw) {
                break;
            }
            self.key(key, is_raw);
            taken += 1;
            if self.step.control.is_some() {
                break;
            }
        }
        match origin {
            Origin::Keyboard => self.step.keyboard = taken,
            Origin::Serial => self.step.serial = taken,
        }
        taken
    }

    fn is_end_behind_input(&self, key: u8, is_raw: bool) -> bool {
        !is_raw && !self.step.input.is_empty() && self.discipline.ends_input(key)
    }

    fn key(&mut self, key: u8, is_raw: bool) {
        self.breaks = if key == BREAK { self.breaks + 1 } else { 0 };
        if self.breaks == BREAKS {
            self.step.control = Some(Control::Interrupt);
        } else if is_raw {
            self.step.input.append(&mut self.discipline.take_line());
            self.step.input.push(key);
        } else {
            self.cooked(key);
        }
    }

    fn cooked(&mut self, key: u8) {
        match self.discipline.feed(key, &mut self.step.echo) {
            None => {}
            Some(CookedEvent::Bytes(mut bytes)) => self.step.input.append(&mut bytes),
            Some(CookedEvent::Interrupt) => self.step.control = Some(Control::Interrupt),
            Some(CookedEvent::Suspend) => self.step.control = Some(Control::Suspend),
            Some(CookedEvent::EndOfInput) => self.step.control = Some(Control::EndInput),
        }
    }

    /// Does what the keys that were taken come to; what is to be shown for it. What is refused is answered by a bell.
    pub(crate) fn finish(
        &mut self,
        devices: &impl Devices,
        kept: Vec<u8>,
        is_on_serial_line: bool,
    ) -> Vec<u8> {
        let mut step = std::mem::take(&mut self.step);
        step.kept = Some(kept);
        let done = self.attempt(devices, &step, is_on_serial_line);
        if done == Err(Refusal::Full) {
            step.input.clear();
            // Who is to be ended or suspended is, however much is unread.
            step.control = step.control.filter(|control| *control != Control::EndInput);
            step.echo = vec![BELL];
            let _done = self.attempt(devices, &step, is_on_serial_line);
        }
        step.echo
    }

    fn attempt(
        &self,
        devices: &impl Devices,
        step: &Step,
        is_on_serial_line: bool,
    ) -> Result<(), Refusal> {
        let mut step = step.clone();
        if is_on_serial_line {
            step.to_serial.clone_from(&step.echo);
        }
        devices.step(self.terminal, step)
    }
}
