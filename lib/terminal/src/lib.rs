//! A terminal on pixels: bytes in, changed cells out.
//!
//! What programs for a VT100 and its many heirs write (ECMA-48 and what xterm added: colours by number and by value) is
//! shown in cells of one character; lines that leave at the top are kept as far as there is room.
//!
//! Laws:
//! - Any byte may come at any time and nothing panics. What is no UTF-8 shows as a replacement; control
//!   sequences that are not known are swallowed whole and never shown; no count in a sequence makes the work larger
//!   than the screen.
//! - Memory is taken by [`Terminal::new`] and never again.
//! - Feeding touches no pixel. [`Terminal::paint`] compares what should be seen with what it has drawn before, cell
//!   by cell, and draws the difference; the sink is never read. So a screen that scrolled a hundred times
//!   between two paintings is drawn once.
//! - Who draws elsewhere takes the cells themselves: [`CellTerminal`], and [`each_run`] for what has changed of a line.
//! - There are no answers: a program that asks the terminal something (DSR, DA) hears nothing, because two
//!   terminals may be listening and both would answer.
//!
//! Characters of no width of their own (combining ones) are dropped. Wide ones take two cells.
#![no_std]

extern crate alloc;

mod cell;
mod control;
mod grid;
mod history;
mod painter;
mod palette;
mod run;
mod screen;
mod terminal;
#[cfg(test)]
mod tests;
mod utf8;

pub use cell::{Cell, Style};
pub use lib_text_screen::Rgb;
pub use run::{cells_of, each_run};
pub use terminal::{CellTerminal, Terminal};
