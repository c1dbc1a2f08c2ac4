//! What every suite that boots does at the guest's console.

use super::report::unmet;
use crate::failure::Result;
use crate::qemu::{Ending, Guest};
use crate::run::PROMPT;

/// What loader and kernel say when they give up. Waiting on would only meet the deadline.
const GIVEN_UP: [&str; 2] = ["KPIO cannot start", "*** end of report ***"];

/// Waits for the prompt; returns what was said before it.
pub fn prompt(guest: &mut Guest) -> Result<String> {
    expect(guest, PROMPT)
}

/// Waits for a text, unless the guest gives up first; returns what was said before it.
pub fn expect(guest: &mut Guest, text: &str) -> Result<String> {
    let [loader, kernel] = GIVEN_UP;
    match guest.expect_any(&[text, loader, kernel])? {
        (0, before) => Ok(before),
        (_, before) => Err(unmet(format!(
            "expected {text:?}, but the guest gave up:\n{before}"
        ))),
    }
}

/// Types a line at the prompt and waits for the next prompt; returns what was said in between.
pub fn command(guest: &mut Guest, line: &str) -> Result<String> {
    guest.send(format!("{line}\r"))?;
    prompt(guest)
}

/// Powers off from the prompt.
pub fn power_off(mut guest: Guest) -> Result<()> {
    guest.send("poweroff\r")?;
    match guest.wait()? {
        Ending::PowerOff => Ok(()),
        other => Err(unmet(format!(
            "the machine was to power off, but: {other:?}"
        ))),
    }
}
