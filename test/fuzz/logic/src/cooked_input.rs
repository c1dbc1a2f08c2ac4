//! The line discipline of standard input with any bytes at all, against a naive model.
//!
//! Law: discipline and model agree on every event, and on what is left at the end; no line is longer than a line may be.

use lib_line_editor::{CookedEvent, CookedInput, LINE_LEN_BYTES_MAX};
use test_fuzz::{Input, Subject, Target, Verdict, same};

pub const TARGET: Target = Target {
    name: "cooked-input",
    cases: 30_000,
    len_bytes_max: 512,
    defect: "a discipline that erases one byte instead of one character",
    try_input,
};

fn try_input(subject: Subject, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let mut cooked = CookedInput::new();
    let mut line = Vec::new();
    let mut echo = Vec::new();
    while !input.is_empty() {
        let byte = input.byte();
        // Now and then a byte comes very often, so that lines become full.
        let count = if input.one_in(64) {
            usize::from(input.u16()) % (LINE_LEN_BYTES_MAX + 2)
        } else {
            1
        };
        for _ in 0..count {
            echo.clear();
            let event = cooked.feed(byte, &mut echo);
            same(
                &format!("the event of {byte:#04x}"),
                event,
                step(subject, &mut line, byte),
            )?;
        }
    }
    same("what is left", cooked.take_line(), line)
}

/// The model; where the subject is spoiled it is this that is.
fn step(subject: Subject, line: &mut Vec<u8>, byte: u8) -> Option<CookedEvent> {
    match byte {
        b'\r' | b'\n' => {
            line.push(b'\n');
            return Some(CookedEvent::Bytes(std::mem::take(line)));
        }
        0x03 => {
            line.clear();
            return Some(CookedEvent::Interrupt);
        }
        0x1a => {
            line.clear();
            return Some(CookedEvent::Suspend);
        }
        0x04 if line.is_empty() => return Some(CookedEvent::EndOfInput),
        0x04 => return Some(CookedEvent::Bytes(std::mem::take(line))),
        0x08 | 0x7f => erase_character(subject, line),
        0x15 => line.clear(),
        0x17 => erase_word(line),
        _ if line.len() + 1 < LINE_LEN_BYTES_MAX => line.push(byte),
        _ => {}
    }
    None
}

fn erase_character(subject: Subject, line: &mut Vec<u8>) {
    while let Some(byte) = line.pop() {
        let continues = (0x80..0xc0).contains(&byte);
        if !continues || subject == Subject::Spoiled {
            break;
        }
    }
}

fn erase_word(line: &mut Vec<u8>) {
    while line.pop_if(|byte| byte.is_ascii_whitespace()).is_some() {}
    while line.pop_if(|byte| !byte.is_ascii_whitespace()).is_some() {}
}
