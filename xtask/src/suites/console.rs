//! What every suite that boots does at the guest's console.

use std::thread;
use std::time::Duration;

use super::report::unmet;
use crate::failure::Result;
use crate::qemu::{Ending, Guest};
use crate::run::PROMPT;

/// The shell's prompt in the root folder, where it begins.
pub const SHELL_PROMPT: &str = "/ $ ";

/// So often something is asked for before it counts as never coming.
const LOOKS_MAX: u32 = 1000;
/// How long is waited before it is asked for again: a fast machine answers at once, and what it does still takes its time.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

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

/// Types a line at the prompt and waits for the next prompt; returns what was said in between, without
/// colours and movements of the cursor.
pub fn command(guest: &mut Guest, line: &str) -> Result<String> {
    guest.send(format!("{line}\r"))?;
    prompt(guest).map(|said| plain(&said))
}

/// For each time that something is asked for again: all but the first after a pause.
pub fn looks() -> impl Iterator<Item = ()> {
    (0..LOOKS_MAX).map(|look| {
        if look > 0 {
            thread::sleep(BETWEEN_LOOKS);
        }
    })
}

/// Text without control sequences (ECMA-48, section 5.4: CSI, parameters, one final byte).
pub fn plain(text: &str) -> String {
    let mut pieces = text.split("\x1b[");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |plain, piece| {
        let sequence_end = piece.find(|c| ('\x40'..='\x7e').contains(&c));
        plain + sequence_end.map_or("", |end| &piece[end + 1..])
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_are_removed() {
        assert_eq!(
            plain("\x1b[K\x1b[6Ca\x1b[0m\x1b[1m\x1b[31mTODO\x1b[0m b"),
            "aTODO b"
        );
        assert_eq!(plain("a\x1b["), "a");
    }
}
