//! Keys of the guest's own keyboard, by way of QEMU's monitor.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::failure::{Failure, Result};
use crate::qemu::Guest;

/// Types a text that an American keyboard has without Shift.
pub fn type_text(guest: &mut Guest, text: &str) -> Result<()> {
    for character in text.chars() {
        press(guest, &[key_name(character)?])?;
    }
    Ok(())
}

/// Presses keys together, and lets them go.
pub fn press(guest: &mut Guest, keys: &[&str]) -> Result<()> {
    let keys: Vec<_> = keys
        .iter()
        .map(|key| json!({ "type": "qcode", "data": key }))
        .collect();
    let qmp = guest.qmp();
    qmp.execute("send-key", json!({ "keys": keys, "hold-time": 20 }))?;
    // Keys of the next call must not be held together with these.
    thread::sleep(Duration::from_millis(60));
    Ok(())
}

/// QEMU's name for the key that has this character on an American keyboard.
fn key_name(character: char) -> Result<&'static str> {
    const LETTERS: [&str; 26] = [
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r",
        "s", "t", "u", "v", "w", "x", "y", "z",
    ];
    const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    Ok(match character {
        'a'..='z' => LETTERS[character as usize - 'a' as usize],
        '0'..='9' => DIGITS[character as usize - '0' as usize],
        ' ' => "spc",
        '\n' => "ret",
        '-' => "minus",
        '.' => "dot",
        '/' => "slash",
        ';' => "semicolon",
        '\'' => "apostrophe",
        '[' => "bracket_left",
        _ => return Err(Failure::Usage(format!("no key has {character:?}"))),
    })
}
