//! This terminal, and how it is given back.
//!
//! Law: while a guest has the terminal it is raw (QEMU makes it so: keys, Ctrl-C too, go to the guest). However this
//! tool ends, save by SIGKILL, it is as it was before.

use std::io::{IsTerminal, Write, stdin, stdout};
use std::process::ExitCode;
use std::thread;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::{Failure, Result};

/// Puts the terminal back when dropped, and when a signal ends this process.
#[derive(Debug)]
pub struct Guard {
    before: Option<Termios>,
}

impl Guard {
    /// Remembers how the terminal is now; with a stdin that is none, there is nothing to put back.
    pub fn new() -> Result<Self> {
        let before = stdin()
            .is_terminal()
            .then(|| tcgetattr(stdin()).ok())
            .flatten();
        restore_on_signals(before.clone())?;
        Ok(Self { before })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore(self.before.as_ref());
    }
}

fn restore(before: Option<&Termios>) {
    let Some(termios) = before else { return };
    // The terminal may be gone; then nobody misses its settings.
    let _ = tcsetattr(stdin(), OptionalActions::Now, termios);
    // Firmware and guests leave colours, a hidden cursor, and no line wrap behind.
    let _ = stdout().write_all(b"\x1b[0m\x1b[?25h\x1b[?7h");
    let _ = stdout().flush();
}

/// QEMU ends by itself when this process does: it is tied to it.
fn restore_on_signals(before: Option<Termios>) -> Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])
        .map_err(|e| Failure::io("watch", "signals", e))?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            restore(before.as_ref());
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// The exit code of this tool for one of a guest's.
pub fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(u8::MAX))
}
