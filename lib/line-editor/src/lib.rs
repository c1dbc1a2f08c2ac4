//! Lines from a terminal: what a person types, as bytes, becomes lines, and what the terminal is to
//! show for it becomes bytes too.
//!
//! Two disciplines, both state machines that take one byte at a time and append the echo to a
//! buffer of the caller's:
//! - [`LineEditor`] edits one line with arrow keys, history and a search through it, for a prompt.
//! - [`CookedInput`] is the plain line discipline of a program's standard input: erase and kill,
//!   and nothing else.
//!
//! Laws:
//! - Any byte may come at any time: halves of characters and of escape sequences wait for the rest,
//!   what is no UTF-8 and what no key sends is dropped. Nothing panics.
//! - A line is at most [`LINE_LEN_BYTES_MAX`] long; what does not fit is answered with a bell.
//! - The echo uses only what every terminal since the VT100 understands (ECMA-48: CUF, EL, ED, CUP).
//! - The terminal's width may be unknown, over a serial line for one, so the editor scrolls its line sideways within one
//!   row rather than guess where a long one wraps.
#![no_std]

extern crate alloc;

mod cooked;
mod editor;
mod history;
mod key;
mod line;
mod search;
#[cfg(test)]
mod tests;

pub use cooked::{CookedEvent, CookedInput};
pub use editor::{Event, LineEditor};

/// Longest line, in bytes of UTF-8, without its end.
pub const LINE_LEN_BYTES_MAX: usize = 4096;

/// The terminal's answer to what cannot be done.
const BELL: u8 = 0x07;
