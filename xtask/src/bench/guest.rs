//! The benchmark kernel: booted with words that say what to measure, read line by line.

use std::path::Path;

use super::host::Watch;
use super::record::Record;
use crate::failure::{Failure, Result};
use crate::qemu::{Ending, Guest, Machine};

/// What begins the last line, and the one with the engine's settings.
const END: &str = "bench: end ";
const SETTINGS: &str = "bench: settings ";
/// What loader and kernel say when they give up.
const GIVEN_UP: [&str; 2] = ["KPIO cannot start", "*** end of report ***"];

/// Boots the machine and shows each result to `visit`, with what the host did meanwhile.
///
/// The engine's settings, where the guest says them, are a result of the suite "settings". The guest counts its results;
/// an error if some were lost, or if it did not come to its end.
pub fn follow(machine: &Machine, log: &Path, mut visit: impl FnMut(Record)) -> Result<()> {
    let mut guest = Guest::boot(machine, log)?;
    let mut watch = Watch::start(guest.process_id());
    let mut seen = 0;
    loop {
        let line = next_line(&mut guest)?;
        if let Some(mut record) = Record::parse(&line) {
            record.host = watch.lap();
            seen += 1;
            visit(record);
        } else if let Some((_, count)) = line.split_once(END) {
            return end(&mut guest, count, seen);
        } else if let Some((_, text)) = line.split_once(SETTINGS) {
            visit(Record::said("settings", text.trim()));
        }
    }
}

fn next_line(guest: &mut Guest) -> Result<String> {
    let [loader, kernel] = GIVEN_UP;
    match guest.expect_any(&["\r\n", loader, kernel])? {
        (0, line) => Ok(line),
        (_, before) => Err(Failure::Guest(format!("the guest gave up:\n{before}"))),
    }
}

fn end(guest: &mut Guest, counted: &str, seen: usize) -> Result<()> {
    if counted.trim().parse() != Ok(seen) {
        return Err(Failure::Guest(format!(
            "the guest counted {} results, and {seen} arrived",
            counted.trim()
        )));
    }
    match guest.wait()? {
        Ending::PowerOff => Ok(()),
        other => Err(Failure::Guest(format!(
            "the machine ended otherwise: {other:?}"
        ))),
    }
}
