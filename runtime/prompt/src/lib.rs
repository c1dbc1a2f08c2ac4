//! The rescue prompt: what a person gets on a terminal when nothing else runs.
//!
//! It needs no program and no file of the system image: its own commands are part of it, and everything
//! else is started by name. What it shows and starts comes through [`System`], so that a host test
//! can be the system.
//!
//! Laws:
//! - **One thread, one owner.** Whoever calls [`Prompt::run`] owns the terminal's input. While a line is
//!   being edited no program has it; while a program runs, the prompt passes lines on to it.
//! - **It always answers.** It never waits for a program alone: Ctrl-C is read while a program runs, and
//!   a program that reads nothing cannot fill it up.
//! - **Nothing typed ends it**: whatever the bytes are, the answer is a sentence.
//! - No lock of the prompt is held while it waits.

mod command;
mod end_mark;
mod foreground;
mod limits;
mod output;
mod prompt;
mod report;
mod system;
#[cfg(test)]
mod tests;
mod words;

pub use output::TerminalOutput;
pub use prompt::{Parting, Prompt};
pub use system::{Job, Limits, MemoryUse, ProcessRow, StartError, System};
