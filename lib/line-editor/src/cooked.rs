//! The line discipline of a program's standard input (POSIX.1-2024, 11.1.6 "canonical mode").
//!
//! Bytes are passed on as they are typed, without a judgement of their encoding; only erasing has to
//! know where a character begins. A carriage return, which is what the Enter key sends, becomes a
//! line feed.

use alloc::vec::Vec;

use crate::key::is_continuation;
use crate::line::columns;
use crate::{BELL, LINE_LEN_BYTES_MAX};

const INTERRUPT: u8 = 0x03;
const END_OF_INPUT: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const SUSPEND: u8 = 0x1A;
const KILL_LINE: u8 = 0x15;
const ERASE_WORD: u8 = 0x17;
const DELETE: u8 = 0x7F;

/// What the discipline passes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CookedEvent {
    /// Bytes for the program: a line with its line feed, or what Ctrl-D found on an unfinished line.
    Bytes(Vec<u8>),
    /// Ctrl-C. What was typed of the line is dropped.
    Interrupt,
    /// Ctrl-Z. What was typed of the line is dropped.
    Suspend,
    /// Ctrl-D at the start of a line.
    EndOfInput,
}

/// The line being typed.
#[derive(Debug, Default)]
pub struct CookedInput {
    line: Vec<u8>,
}

impl CookedInput {
    /// A discipline with nothing typed.
    pub fn new() -> Self {
        Self::default()
    }

    /// A discipline with this much of a line typed, as [`line`](Self::line) gave it. What is too long for a line is cut.
    pub fn with_line(line: &[u8]) -> Self {
        let len = line.len().min(LINE_LEN_BYTES_MAX - 1);
        Self {
            line: line[..len].to_vec(),
        }
    }

    /// What was typed of a line, for whoever goes on with it later.
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// What was typed of a line, for whoever takes keys as they come from now on.
    pub fn take_line(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.line)
    }

    /// Whether this byte, typed next, is the end of the input.
    pub fn ends_input(&self, byte: u8) -> bool {
        byte == END_OF_INPUT && self.line.is_empty()
    }

    /// Takes one byte from the terminal and appends what the terminal is to be sent for it to `echo`.
    pub fn feed(&mut self, byte: u8, echo: &mut Vec<u8>) -> Option<CookedEvent> {
        match byte {
            b'\r' | b'\n' => {
                echo.extend_from_slice(b"\r\n");
                self.line.push(b'\n');
                Some(CookedEvent::Bytes(core::mem::take(&mut self.line)))
            }
            INTERRUPT => {
                echo.extend_from_slice(b"^C\r\n");
                self.line.clear();
                Some(CookedEvent::Interrupt)
            }
            SUSPEND => {
                echo.extend_from_slice(b"^Z\r\n");
                self.line.clear();
                Some(CookedEvent::Suspend)
            }
            END_OF_INPUT if self.ends_input(byte) => Some(CookedEvent::EndOfInput),
            END_OF_INPUT => Some(CookedEvent::Bytes(core::mem::take(&mut self.line))),
            BACKSPACE | DELETE => self.erase_to(last_character(&self.line), echo),
            KILL_LINE => self.erase_to(0, echo),
            ERASE_WORD => self.erase_to(last_word(&self.line), echo),
            _ => self.append(byte, echo),
        }
    }

    fn append(&mut self, byte: u8, echo: &mut Vec<u8>) -> Option<CookedEvent> {
        // The line feed must still fit.
        if self.line.len() + 1 >= LINE_LEN_BYTES_MAX {
            echo.push(BELL);
            return None;
        }
        self.line.push(byte);
        match byte {
            0..0x20 => echo.extend_from_slice(&[b'^', byte + b'@']),
            _ => echo.push(byte),
        }
        None
    }

    /// Removes what comes after `start` from the line and from the terminal.
    fn erase_to(&mut self, start: usize, echo: &mut Vec<u8>) -> Option<CookedEvent> {
        for _ in 0..echoed_columns(&self.line[start..]) {
            echo.extend_from_slice(b"\x08 \x08");
        }
        self.line.truncate(start);
        None
    }
}

/// Where the last character of `line` begins.
fn last_character(line: &[u8]) -> usize {
    let begin = line.iter().rposition(|&byte| !is_continuation(byte));
    begin.unwrap_or(0)
}

/// Where the last word of `line` begins; blanks behind it belong to it.
fn last_word(line: &[u8]) -> usize {
    let word = line.trim_ascii_end();
    let blank = word.iter().rposition(u8::is_ascii_whitespace);
    blank.map_or(0, |blank| blank + 1)
}

/// How many columns the echo of `bytes` takes; a control character is echoed as two.
fn echoed_columns(bytes: &[u8]) -> usize {
    let controls = bytes.iter().filter(|&&byte| byte < 0x20).count();
    let text: usize = bytes
        .utf8_chunks()
        .map(|chunk| columns(chunk.valid()))
        .sum();
    text + 2 * controls
}
