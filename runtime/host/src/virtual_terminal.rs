//! A terminal whose screen and keys are somebody's work: programs read and write at one side, whoever shows it and takes its
//! keys (the console) stands at the other, and may come and go.
//!
//! Law: everything that must outlive the console is kept here. Bytes that programs write wait until they are *taken*, and
//! what was taken is kept as *shown*, the newest [`SHOWN_BYTES_MAX`] of it. So a new console finds what the one before it had on
//! its screen, and what that one had not got round to. Nothing is lost: writers wait while [`OUTPUT_BYTES_MAX`] wait, and a
//! step whose keys have no room is refused whole.
//!
//! All memory is paid for and taken when the terminal is made. One console at a time makes steps. Lock order: the state, then subscribers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    Budget, ByteSink, ByteSource, KeyMeaning, Notifier, OverBudget, Read, Reservation,
    StreamFailure, Subscribers, TerminalDevice, TerminalSize,
};

/// Typed bytes that wait for a program, at most.
pub const INPUT_BYTES_MAX: usize = 16 << 10;
/// Written bytes that wait for the console, at most.
pub const OUTPUT_BYTES_MAX: usize = 16 << 10;
/// Bytes that are kept of what was shown.
pub const SHOWN_BYTES_MAX: usize = 64 << 10;
/// Bytes that the console may leave for the one after it.
pub const KEPT_BYTES_MAX: usize = 8 << 10;

/// Ctrl-C and Ctrl-Z.
const INTERRUPT: u8 = 0x03;
const SUSPEND: u8 = 0x1a;

/// A terminal. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct VirtualTerminal(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Programs that read or write.
    programs: Subscribers,
    /// Whoever shows it.
    masters: Subscribers,
    device: TerminalDevice,
    _paid: Reservation,
}

struct State {
    input: VecDeque<u8>,
    /// The next reader who finds no input finds its end, once.
    is_at_end: bool,
    output: VecDeque<u8>,
    shown: VecDeque<u8>,
    kept: Vec<u8>,
}

/// What the console does at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TerminalStep<'a> {
    /// So many of the bytes that programs have written are shown by now.
    pub output_bytes: usize,
    /// Bytes for the program that reads.
    pub input: &'a [u8],
    /// What is done after that.
    pub control: Option<Control>,
    /// What is shown beside what programs write: the echo of keys.
    pub echo: &'a [u8],
    /// What is left for the next console, in place of what was left before.
    pub kept: Option<&'a [u8]>,
}

/// What a control key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Ends the foreground; input where there is none.
    Interrupt,
    /// Suspends the foreground; input where there is none.
    Suspend,
    /// The next reader finds the end of the input, once.
    EndInput,
}

/// Why a step was not made. Nothing of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepRefusal {
    /// The program has not read what was typed before, and there is no room, or the end of the input would be behind it.
    Full,
    /// More is to be kept, or sent over the serial line, than may be.
    TooLong,
    /// More is to be taken than there is.
    NotThere,
}

impl VirtualTerminal {
    /// A terminal on which nothing was typed or shown.
    ///
    /// # Errors
    /// The budget does not allow its memory.
    pub fn new(budget: &Budget) -> Result<Self, OverBudget> {
        let paid = budget.reserve(
            (INPUT_BYTES_MAX + OUTPUT_BYTES_MAX + SHOWN_BYTES_MAX + KEPT_BYTES_MAX) as u64,
        )?;
        Ok(Self(Arc::new(Shared {
            state: Mutex::new(State {
                input: VecDeque::with_capacity(INPUT_BYTES_MAX),
                is_at_end: false,
                output: VecDeque::with_capacity(OUTPUT_BYTES_MAX),
                shown: VecDeque::with_capacity(SHOWN_BYTES_MAX),
                kept: Vec::with_capacity(KEPT_BYTES_MAX),
            }),
            programs: Subscribers::new(),
            masters: Subscribers::new(),
            device: TerminalDevice::new(TerminalSize::USUAL),
            _paid: paid,
        })))
    }

    /// What programs ask of it.
    pub fn device(&self) -> &TerminalDevice {
        &self.0.device
    }

    /// The standard input of programs on it.
    pub fn input(&self) -> impl ByteSource + use<> {
        TerminalInput(Arc::clone(&self.0))
    }

    /// The standard output of programs on it.
    pub fn output(&self) -> impl ByteSink + use<> {
        TerminalOutput(Arc::clone(&self.0))
    }

    /// The oldest of what programs have written and no step has taken.
    pub fn written(&self, len_bytes_max: usize) -> Vec<u8> {
        let state = self.0.lock();
        state.output.iter().take(len_bytes_max).copied().collect()
    }

    /// Whether programs have written something that no step has taken.
    pub fn has_written(&self) -> bool {
        !self.0.lock().output.is_empty()
    }

    /// The newest of what was shown, as it was written: programs' output and echo.
    pub fn shown(&self) -> Vec<u8> {
        self.0.lock().shown.iter().copied().collect()
    }

    /// What the last step left.
    pub fn kept(&self) -> Vec<u8> {
        self.0.lock().kept.clone()
    }

    /// Whether [`step`](Self::step) would be made.
    ///
    /// # Errors
    /// Why it would not.
    pub fn check(&self, step: &TerminalStep<'_>) -> Result<(), StepRefusal> {
        self.0.lock().check(step)
    }

    /// Does all of a step, or nothing.
    ///
    /// # Errors
    /// Why nothing was done.
    pub fn step(&self, step: &TerminalStep<'_>) -> Result<(), StepRefusal> {
        self.check(step)?;
        self.0.lock().apply(step);
        // Members of the foreground are told without the lock, after what was typed before. Programs only make room meanwhile.
        let as_input = step.control.and_then(|control| self.obey(control));
        let mut state = self.0.lock();
        if state.input.len() < INPUT_BYTES_MAX {
            state.input.extend(as_input);
        }
        state.is_at_end |= step.control == Some(Control::EndInput);
        drop(state);
        // A job may have got the terminal since whoever takes the keys asked what they are, or since it was asked here whom this one is for.
        let is_unread = step.input.contains(&INTERRUPT) || as_input == Some(INTERRUPT);
        if is_unread && self.device().is_jobs() && self.0.take_interrupt() {
            self.device().interrupt();
        }
        self.0.programs.notify_all();
        Ok(())
    }

    /// Tells the foreground; the key as input, where it is that.
    fn obey(&self, control: Control) -> Option<u8> {
        let (meaning, key) = match control {
            Control::Interrupt => (self.device().interrupt(), INTERRUPT),
            Control::Suspend => (self.device().suspend(), SUSPEND),
            Control::EndInput => return None,
        };
        (meaning != KeyMeaning::Obeyed).then_some(key)
    }

    /// Has `notifier` notified whenever programs have written.
    pub fn subscribe(&self, notifier: &Notifier) {
        self.0.masters.add(notifier);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`ByteSource::take_interrupt`].
    fn take_interrupt(&self) -> bool {
        let input = &mut self.lock().input;
        let last = input.iter().rposition(|&byte| byte == INTERRUPT);
        drop(last.map(|last| input.drain(..=last)));
        last.is_some()
    }
}

impl State {
    fn check(&self, step: &TerminalStep<'_>) -> Result<(), StepRefusal> {
        // A key that is obeyed needs no room.
        let wanted_bytes = step.input.len();
        let is_behind = !self.input.is_empty() || !step.input.is_empty();
        let is_late_end = step.control == Some(Control::EndInput) && is_behind;
        if is_late_end || wanted_bytes > INPUT_BYTES_MAX - self.input.len() {
            return Err(StepRefusal::Full);
        }
        if step.kept.is_some_and(|kept| kept.len() > KEPT_BYTES_MAX) {
            return Err(StepRefusal::TooLong);
        }
        if step.output_bytes > self.output.len() {
            return Err(StepRefusal::NotThere);
        }
        Ok(())
    }

    /// The step has been checked.
    fn apply(&mut self, step: &TerminalStep<'_>) {
        for _ in 0..step.output_bytes {
            if let Some(byte) = self.output.pop_front() {
                self.show(byte);
            }
        }
        step.echo.iter().for_each(|byte| self.show(*byte));
        self.input.extend(step.input);
        // Whoever types on has not meant the end.
        self.is_at_end &= step.input.is_empty();
        if let Some(kept) = step.kept {
            self.kept.clear();
            self.kept.extend_from_slice(kept);
        }
    }

    fn show(&mut self, byte: u8) {
        if self.shown.len() == SHOWN_BYTES_MAX {
            self.shown.pop_front();
        }
        self.shown.push_back(byte);
    }

    fn read(&mut self, buffer: &mut [u8]) -> Read {
        if buffer.is_empty() {
            return Read::Bytes(0);
        }
        let count = buffer.len().min(self.input.len());
        for (place, byte) in buffer.iter_mut().zip(self.input.drain(..count)) {
            *place = byte;
        }
        match count {
            0 if std::mem::take(&mut self.is_at_end) => Read::End,
            0 => Read::Empty,
            _ => Read::Bytes(count),
        }
    }
}

struct TerminalInput(Arc<Shared>);

impl ByteSource for TerminalInput {
    fn read(&self, buffer: &mut [u8]) -> Result<Read, StreamFailure> {
        Ok(self.0.lock().read(buffer))
    }

    fn is_readable(&self) -> bool {
        let state = self.0.lock();
        !state.input.is_empty() || state.is_at_end
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.0.programs.add(notifier);
    }

    fn take_interrupt(&self) -> bool {
        self.0.take_interrupt()
    }
}

struct TerminalOutput(Arc<Shared>);

impl ByteSink for TerminalOutput {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        Ok(OUTPUT_BYTES_MAX - self.0.lock().output.len())
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        let mut state = self.0.lock();
        let count = bytes.len().min(OUTPUT_BYTES_MAX - state.output.len());
        state.output.extend(&bytes[..count]);
        drop(state);
        if count > 0 {
            self.0.masters.notify_all();
        }
        Ok(count)
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.0.programs.add(notifier);
    }
}
