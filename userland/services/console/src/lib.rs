//! The console: four terminals with programs on them, shown to one person on the screen and at the serial line.
//!
//! Keyboard and screen belong to the terminal that is shown; Alt-F1 to Alt-F4 choose which. The serial line is the first
//! terminal, whichever is shown. Keys become lines, or go on as they are, as the programs on a terminal want.
//!
//! Laws:
//! - *Nothing that matters is here alone.* What was half typed is kept with every step, and so is which terminal is shown; what
//!   was shown is kept by the terminals. Whoever starts after this one is ended goes on where it was ([`Console::start`]).
//! - *A step is done before it is shown.* So what is shown has happened; what has happened and was not shown is in what the
//!   next one starts from.
//! - *Any bytes may come, from keys and programs.* Nothing panics, and memory is that of the screens and their histories.
//! - What the system has to tell is shown on the terminal that the person sees, above the line on which that is being typed, once.
//! - Lines that leave a screen are kept as far as there is room ([`HISTORY_BYTES`] for each terminal); of the terminals' own
//!   memory a new console has less.

mod console;
mod keys;
mod notice;
mod typing;
mod within;

use lib_terminal::Style;

pub use console::{Console, HISTORY_BYTES};

/// Terminals.
pub const TERMINALS: usize = 4;

/// Where bytes are typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// At the keyboard.
    Keyboard,
    /// At the other end of the serial line.
    Serial,
}

/// Why a step was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The program has not read what was typed before.
    Full,
    /// It cannot be done.
    Impossible,
}

/// What a control key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Ends the foreground; input where there is none.
    Interrupt,
    /// Suspends the foreground; input where there is none.
    Suspend,
    /// The next reader finds the end of the input; refused as full behind something typed.
    EndInput,
}

/// What happens at once, for one terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the keyboard's that have been dealt with.
    pub keyboard: usize,
    /// Bytes of the serial line's that have been dealt with.
    pub serial: usize,
    /// Bytes of the programs' that are shown.
    pub output: usize,
    /// What the program gets.
    pub input: Vec<u8>,
    /// What is done after that.
    pub control: Option<Control>,
    /// What is shown beside what programs write.
    pub echo: Vec<u8>,
    /// What goes over the serial line.
    pub to_serial: Vec<u8>,
    /// The notice of this number is told.
    pub notice: Option<u64>,
    /// What the next console starts from.
    pub kept: Option<Vec<u8>>,
}

/// What the console works with: `kpio:console/devices`, whose WIT says more. Terminals are counted from 0.
pub trait Devices {
    /// Columns and lines of the screen, if there is one.
    fn screen_size(&self) -> Option<(u16, u16)>;
    /// Draws characters of one look.
    fn draw(&self, line: usize, column: usize, text: &str, look: Style);
    /// What was typed and not dealt with.
    fn typed(&self, origin: Origin) -> Vec<u8>;
    /// What programs have written and is not shown.
    fn written(&self, terminal: usize) -> Vec<u8>;
    /// What is to be told to the person now, with its number: one line.
    fn notice(&self) -> Option<(u64, String)>;
    /// Does a step, or nothing.
    fn step(&self, terminal: usize, step: Step) -> Result<(), Refusal>;
    /// What was shown before.
    fn shown(&self, terminal: usize) -> Vec<u8>;
    /// What the console before this one has left.
    fn kept(&self, terminal: usize) -> Vec<u8>;
    /// Whether keys go on as they come.
    fn is_raw(&self, terminal: usize) -> bool;
    /// Says that a person sees this terminal.
    fn show(&self, terminal: usize);
    /// Says how large the terminal is.
    fn set_size(&self, terminal: usize, columns: u16, rows: u16);
}
