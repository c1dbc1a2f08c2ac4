//! The console's devices: what a person types and sees, and four terminals; who has them, and what happens at once.
//!
//! Law: one has the devices, a process ([`ConsoleHold`]) or the kernel's own prompt ([`Console::kernel_input`],
//! [`Console::kernel_output`]), or nobody, while a new process is awaited. A process that opens them takes them from the
//! prompt, and never from another process; when its hold is dropped, which its end does, they are free.
//!
//! Law: what is typed is looked at ([`ConsoleHold::typed`]) and taken by a step ([`ConsoleHold::step`]), and a step is done whole
//! or not at all: keys leave their device in the same moment in which they reach a program, are shown, and what is half typed is
//! kept. So a console that is killed anywhere loses no key and doubles none. Only the serial line is written to
//! before: a process is not ended within a call, so this comes to the same.
//!
//! Lock order: the state here, then a source's or the screen's, then subscribers'. Terminals and the line are written to, and notices are
//! looked at, with none held.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::{
    Awaited, Budget, ByteSink, ByteSource, Cancellation, Notice, Notices, Notifier, OverBudget,
    Read, StepRefusal, StreamFailure, Subscribers, TerminalStep, VirtualTerminal, wait_for,
    write_all_blocking,
};

/// Terminals of a console.
pub const TERMINALS: usize = 4;
/// Typed bytes that are looked at, at most.
const IN_HAND_BYTES_MAX: usize = 1024;

/// Where bytes are typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// The machine's keyboard.
    Keyboard,
    /// The other end of the serial line.
    Serial,
}

/// How a run of characters looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The characters' colour, `0xRRGGBB`; what is above it does not count.
    pub foreground: u32,
    /// The colour behind them.
    pub background: u32,
    /// Whether a line is below them.
    pub is_underlined: bool,
}

/// The machine's screen, which can be somebody else's for a while.
pub trait ConsoleScreen: Send + Sync {
    /// Columns and lines, if there is a screen.
    fn size(&self) -> Option<(u16, u16)>;
    /// Draws a run; what is beside the screen is left out.
    fn draw(&self, line: u16, column: u16, text: &str, look: Look);
    /// What is drawn is seen from now on, on a blank screen.
    fn hand_out(&self);
    /// The kernel's own text is seen again.
    fn take_back(&self);
}

/// What a console is made of.
pub struct ConsoleParts {
    /// What is typed at the keyboard.
    pub keyboard: Arc<dyn ByteSource>,
    /// What comes over the serial line.
    pub serial_input: Arc<dyn ByteSource>,
    /// Where bytes for the serial line go; it may wait for the line.
    pub serial_output: Arc<dyn ByteSink>,
    /// Where the kernel's own text goes: to the screen and the serial line.
    pub kernel_output: Arc<dyn ByteSink>,
    /// The screen.
    pub screen: Arc<dyn ConsoleScreen>,
}

/// The devices. Cloning gives another handle to the same ones.
#[derive(Clone)]
pub struct Console(Arc<Shared>);

struct Shared {
    parts: ConsoleParts,
    /// Made where a process is to show them.
    terminals: OnceLock<Vec<VirtualTerminal>>,
    /// What the system has to tell whoever looks at the devices.
    notices: Notices,
    state: Mutex<State>,
    changed: Subscribers,
}

struct State {
    is_held: bool,
    /// The terminals that a person has seen, each as the bit of its index.
    seen: u8,
    /// The index of the one that is seen now.
    shown: usize,
    /// The kernel's prompt has the devices whenever no process does.
    is_wanted_by_kernel: bool,
    /// What was looked at and not taken.
    keyboard: VecDeque<u8>,
    serial: VecDeque<u8>,
}

/// Another process has the devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken;

/// What one step sends over the serial line, at most: whoever is to be ended is not waited for longer than that takes.
pub const TO_SERIAL_BYTES_MAX: usize = 16 << 10;

/// What a console does at once, for one terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsoleStep<'a> {
    /// So many bytes of the keyboard's have been dealt with.
    pub keyboard_bytes: usize,
    /// The same of the serial line's.
    pub serial_bytes: usize,
    /// What is sent over the serial line.
    pub to_serial: &'a [u8],
    /// The notice of this number is told by this.
    pub notice: Option<u64>,
    /// What becomes of the terminal.
    pub terminal: TerminalStep<'a>,
}

impl Console {
    /// Devices that the kernel's prompt has.
    pub fn new(parts: ConsoleParts) -> Self {
        Self(Arc::new(Shared {
            parts,
            terminals: OnceLock::new(),
            notices: Notices::default(),
            state: Mutex::new(State {
                is_held: false,
                seen: 0,
                shown: 0,
                is_wanted_by_kernel: true,
                keyboard: VecDeque::new(),
                serial: VecDeque::new(),
            }),
            changed: Subscribers::new(),
        }))
    }

    /// Makes the terminals, if there are none.
    ///
    /// # Errors
    /// The budget does not allow their memory.
    pub fn make_terminals(&self, budget: &Budget) -> Result<(), OverBudget> {
        let terminals = (0..TERMINALS).map(|_| VirtualTerminal::new(budget));
        let terminals = terminals.collect::<Result<Vec<_>, _>>()?;
        // Whoever made some before has made them as these are.
        let _made = self.0.terminals.set(terminals);
        Ok(())
    }

    /// Takes the devices for a process.
    ///
    /// # Errors
    /// Another process has them.
    pub fn open(&self) -> Result<ConsoleHold, Taken> {
        let mut state = self.0.lock();
        if std::mem::replace(&mut state.is_held, true) {
            return Err(Taken);
        }
        self.0.parts.screen.hand_out();
        drop(state);
        Ok(ConsoleHold(self.clone()))
    }

    /// Waits until a person has seen another terminal than these, each as the bit of its index; all that were seen.
    pub fn wait_for_seen(&self, known: u8) -> u8 {
        let attempt = || Some(self.0.lock().seen).filter(|seen| *seen != known);
        // Never raised: whoever waits does so as long as the system runs.
        let never = Cancellation::new();
        let seen = wait_for(&never, |notifier| self.0.changed.add(notifier), attempt);
        seen.unwrap_or(known)
    }

    /// Says whether the kernel's prompt has the devices while no process does.
    pub fn give_to_kernel(&self, is_given: bool) {
        let mut state = self.0.lock();
        state.is_wanted_by_kernel = is_given;
        self.0.screen_to_kernel(&state);
        drop(state);
        self.0.changed.notify_all();
    }

    /// What is to be told to whoever looks at the devices.
    pub fn notices(&self) -> &Notices {
        &self.0.notices
    }

    /// Whether a process has the devices.
    pub fn is_held(&self) -> bool {
        self.0.lock().is_held
    }

    /// A terminal, counted from 0.
    pub fn terminal(&self, index: usize) -> Option<&VirtualTerminal> {
        self.0.terminals().get(index)
    }

    /// What is typed, for the kernel's prompt: nothing while it has not got the devices.
    pub fn kernel_input(&self) -> impl ByteSource + use<> {
        KernelInput(self.clone())
    }

    /// What the kernel's prompt shows: full while it has not got the devices.
    pub fn kernel_output(&self) -> impl ByteSink + use<> {
        KernelOutput(self.clone())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn terminals(&self) -> &[VirtualTerminal] {
        self.terminals.get().map_or(&[], Vec::as_slice)
    }

    fn source(&self, keys: Keys) -> &dyn ByteSource {
        match keys {
            Keys::Keyboard => &*self.parts.keyboard,
            Keys::Serial => &*self.parts.serial_input,
        }
    }

    /// Has the kernel's own text be seen, if it is the kernel's turn.
    fn screen_to_kernel(&self, state: &State) {
        if state.is_the_kernels() {
            self.parts.screen.take_back();
        }
    }

    fn notice(&self) -> Option<Notice> {
        let shown = self.lock().shown;
        let terminal = self.terminals().get(shown)?;
        self.notices
            .first()
            .filter(|_| !terminal.device().is_drawn_on())
    }

    fn is_readable(&self, state: &State) -> bool {
        let sources = [&self.parts.keyboard, &self.parts.serial_input];
        let is_in_hand = !state.keyboard.is_empty() || !state.serial.is_empty();
        is_in_hand || sources.iter().any(|source| source.is_readable())
    }
}

impl State {
    fn is_the_kernels(&self) -> bool {
        self.is_wanted_by_kernel && !self.is_held
    }

    fn in_hand(&mut self, keys: Keys) -> &mut VecDeque<u8> {
        match keys {
            Keys::Keyboard => &mut self.keyboard,
            Keys::Serial => &mut self.serial,
        }
    }

    /// Has as much in hand as may be looked at.
    fn fill(&mut self, keys: Keys, source: &dyn ByteSource) {
        let in_hand = self.in_hand(keys);
        let mut buffer = [0; IN_HAND_BYTES_MAX];
        let room = IN_HAND_BYTES_MAX.saturating_sub(in_hand.len());
        if let Ok(Read::Bytes(count)) = source.read(&mut buffer[..room]) {
            in_hand.extend(&buffer[..count]);
        }
    }
}

/// The devices as the process has them that shows them. Dropping it gives them back.
pub struct ConsoleHold(Console);

impl ConsoleHold {
    /// The size of the screen in columns and lines, if there is one.
    pub fn screen_size(&self) -> Option<(u16, u16)> {
        self.shared().parts.screen.size()
    }

    /// Draws a run of characters; what is beside the screen is left out.
    pub fn draw(&self, line: u16, column: u16, text: &str, look: Look) {
        self.shared().parts.screen.draw(line, column, text, look);
    }

    /// A terminal, counted from 0.
    pub fn terminal(&self, index: usize) -> Option<&VirtualTerminal> {
        self.0.terminal(index)
    }

    /// Says that a person sees the terminal of this index.
    pub fn show(&self, index: usize) {
        let shared = self.shared();
        let mut state = shared.lock();
        state.shown = index % TERMINALS;
        state.seen |= 1 << state.shown;
        drop(state);
        shared.changed.notify_all();
    }

    /// What a person is to be told now: nothing while a job draws on the terminal that is shown.
    pub fn notice(&self) -> Option<Notice> {
        self.shared().notice()
    }

    /// What was typed and no step has taken, as far as it may be looked at.
    pub fn typed(&self, keys: Keys) -> Vec<u8> {
        let shared = self.shared();
        let mut state = shared.lock();
        state.fill(keys, shared.source(keys));
        state.in_hand(keys).iter().copied().collect()
    }

    /// Does all of a step for a terminal, or nothing.
    ///
    /// # Errors
    /// Why nothing was done.
    pub fn step(
        &self,
        terminal: &VirtualTerminal,
        step: &ConsoleStep<'_>,
    ) -> Result<(), StepRefusal> {
        let shared = self.shared();
        terminal.check(&step.terminal)?;
        if step.to_serial.len() > TO_SERIAL_BYTES_MAX {
            return Err(StepRefusal::TooLong);
        }
        let state = shared.lock();
        let is_there =
            step.keyboard_bytes <= state.keyboard.len() && step.serial_bytes <= state.serial.len();
        drop(state);
        if !is_there {
            return Err(StepRefusal::NotThere);
        }
        if !step.to_serial.is_empty() {
            // A line that takes nothing is not missed: the screen may be there.
            let never = Cancellation::new();
            let _sent = write_all_blocking(&*shared.parts.serial_output, step.to_serial, &never);
        }
        // Only whoever has the devices takes anything from them or types, so what was checked still holds.
        terminal.step(&step.terminal)?;
        let mut state = shared.lock();
        state.keyboard.drain(..step.keyboard_bytes);
        state.serial.drain(..step.serial_bytes);
        drop(state);
        if let Some(number) = step.notice {
            shared.notices.told(number);
        }
        Ok(())
    }

    /// Ready while something was typed or written that no step has taken.
    pub fn news(&self) -> Arc<dyn Awaited> {
        Arc::new(News(self.0.clone()))
    }

    fn shared(&self) -> &Shared {
        &self.0.0
    }
}

impl Drop for ConsoleHold {
    fn drop(&mut self) {
        let shared = self.shared();
        let mut state = shared.lock();
        state.is_held = false;
        shared.screen_to_kernel(&state);
        drop(state);
        shared.changed.notify_all();
    }
}

/// Something that the console has not dealt with.
struct News(Console);

impl Awaited for News {
    fn is_ready(&self) -> bool {
        let shared = &self.0.0;
        let is_typed = shared.is_readable(&shared.lock());
        is_typed
            || shared.notice().is_some()
            || shared.terminals().iter().any(VirtualTerminal::has_written)
    }

    fn subscribe(&self, notifier: &Notifier) {
        let shared = &self.0.0;
        shared.parts.keyboard.subscribe(notifier);
        shared.parts.serial_input.subscribe(notifier);
        shared.notices.subscribe(notifier);
        for terminal in shared.terminals() {
            terminal.subscribe(notifier);
            // Whether a notice may be shown there.
            terminal.device().subscribe(notifier);
        }
    }
}

struct KernelInput(Console);

impl ByteSource for KernelInput {
    fn read(&self, buffer: &mut [u8]) -> Result<Read, StreamFailure> {
        let shared = &self.0.0;
        let mut state = shared.lock();
        if !state.is_the_kernels() || buffer.is_empty() {
            return Ok(Read::Empty);
        }
        let mut count = 0;
        for keys in [Keys::Keyboard, Keys::Serial] {
            state.fill(keys, shared.source(keys));
            let in_hand = state.in_hand(keys);
            let taken = in_hand.len().min(buffer.len() - count);
            for (place, byte) in buffer[count..].iter_mut().zip(in_hand.drain(..taken)) {
                *place = byte;
            }
            count += taken;
        }
        Ok(match count {
            0 => Read::Empty,
            _ => Read::Bytes(count),
        })
    }

    fn is_readable(&self) -> bool {
        let shared = &self.0.0;
        let state = shared.lock();
        state.is_the_kernels() && shared.is_readable(&state)
    }

    fn subscribe(&self, notifier: &Notifier) {
        let shared = &self.0.0;
        shared.changed.add(notifier);
        shared.parts.keyboard.subscribe(notifier);
        shared.parts.serial_input.subscribe(notifier);
    }
}

struct KernelOutput(Console);

impl KernelOutput {
    fn sink(&self) -> Option<&dyn ByteSink> {
        let shared = &self.0.0;
        let is_the_kernels = shared.lock().is_the_kernels();
        is_the_kernels.then_some(&*shared.parts.kernel_output)
    }
}

impl ByteSink for KernelOutput {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        self.sink().map_or(Ok(0), ByteSink::room_bytes)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        self.sink().map_or(Ok(0), |sink| sink.write(bytes))
    }

    fn subscribe(&self, notifier: &Notifier) {
        let shared = &self.0.0;
        shared.changed.add(notifier);
        shared.parts.kernel_output.subscribe(notifier);
    }
}
