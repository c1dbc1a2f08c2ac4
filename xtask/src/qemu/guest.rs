//! A running guest that a test, or a run, talks to.
//!
//! Law: nothing here measures time; deadlines only guard against hanging, and are generous because hosts are
//! slow. What the guest says on its first serial port is kept whole: [`Guest::expect`] walks through it and never
//! misses what came early. Every failure shows the end of what was said.

use std::fs::File;
use std::io::{Read, Write, stdout};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::machine::quoted;
use super::{Machine, Process, Qmp, Screen};
use crate::failure::{Failure, Result};
use crate::paths;

/// Hang guard for one expectation.
const EXPECT_DEADLINE: Duration = Duration::from_secs(300);
/// How much of what was said a failure shows.
const TAIL_LEN_BYTES: usize = 3000;

/// How a guest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It powered the machine off.
    PowerOff,
    /// It reset the machine.
    Reset,
    /// It wrote this value to the debug-exit port.
    Verdict(u8),
    /// QEMU itself failed, or was ended.
    Broken(String),
}

/// A running guest.
#[derive(Debug)]
pub struct Guest {
    process: Process<Listeners>,
    console: UnixStream,
    qmp: Qmp,
    said: Arc<Said>,
    /// How far [`Guest::expect`] has walked.
    read_bytes: usize,
    /// Where the console is written to.
    log: PathBuf,
}

/// Where QEMU connects to.
#[derive(Debug)]
struct Listeners {
    console: UnixListener,
    link: UnixListener,
    monitor: UnixListener,
}

/// What came over the first serial port.
#[derive(Debug, Default)]
struct Said {
    state: Mutex<SaidState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct SaidState {
    bytes: Vec<u8>,
    /// Nothing more will come.
    ended: bool,
    /// It is written to stdout, too.
    mirrored: bool,
}

impl Said {
    fn lock(&self) -> MutexGuard<'_, SaidState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// Starts a machine. Its first serial port is the console that [`Guest::expect`] and [`Guest::send`]
    /// work on; all that comes over it is also written to the file `log`. What is sent to its second
    /// serial port is lost.
    pub fn boot(machine: &Machine, log: &Path) -> Result<Self> {
        let process = start(machine, |qemu, _| {
            qemu.args(["-serial", "null"]);
        })?;
        Self::connect(process, log)
    }

    /// Starts a machine, and gives its second serial port as well. It must be read from the start: firmware
    /// uses it as a console, and a guest stands still where a port takes nothing.
    pub fn boot_linked(machine: &Machine, log: &Path) -> Result<(Self, UnixStream)> {
        let mut process = start(machine, |qemu, folder| {
            qemu.args(socket("link", folder))
                .args(["-serial", "chardev:link"]);
        })?;
        let link = accept(&mut process, |listeners| &listeners.link)?;
        Ok((Self::connect(process, log)?, link))
    }

    fn connect(mut process: Process<Listeners>, log: &Path) -> Result<Self> {
        let console = accept(&mut process, |listeners| &listeners.console)?;
        let qmp = Qmp::new(accept(&mut process, |listeners| &listeners.monitor)?)?;
        let said = Arc::new(Said::default());
        listen(&console, &said, create(log)?)?;
        let log = log.to_path_buf();
        Ok(Self {
            process,
            console,
            qmp,
            said,
            read_bytes: 0,
            log,
        })
    }

    /// Waits until the guest says `text`; returns what it said before that, since the last expectation.
    pub fn expect(&mut self, text: &str) -> Result<String> {
        self.expect_any(&[text]).map(|(_, before)| before)
    }

    /// Waits until the guest says one of `texts`; returns which, and what came before it. Of two that
    /// were said, the one said first counts.
    pub fn expect_any(&mut self, texts: &[&str]) -> Result<(usize, String)> {
        let deadline = Instant::now() + EXPECT_DEADLINE;
        let mut state = self.said.lock();
        loop {
            let unread = &state.bytes[self.read_bytes..];
            if let Some((which, start)) = first_of(unread, texts) {
                let before = String::from_utf8_lossy(&unread[..start]).into_owned();
                self.read_bytes += start + texts[which].len();
                return Ok((which, before));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                let why = if state.ended { "ended" } else { "was silent" };
                return Err(self.failure(
                    &format!("expected {texts:?}, but the guest {why}"),
                    &state.bytes,
                ));
            }
            state = self
                .said
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// The first line on the console, from the start, that holds one of `texts`: from there to its end, as far
    /// as it was said.
    pub fn line_with(&self, texts: &[&str]) -> Option<String> {
        let state = self.said.lock();
        let (_, start) = first_of(&state.bytes, texts)?;
        let mut lines = state.bytes[start..].split(|byte| b"\r\n".contains(byte));
        lines
            .next()
            .map(|line| String::from_utf8_lossy(line).into_owned())
    }

    /// Types on the console. A line is ended by "\r", as terminals do.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.console
            .write_all(bytes.as_ref())
            .map_err(|e| Failure::io("type to", "the guest", e))
    }

    /// From now on, what the guest says on its console is also written to stdout.
    pub fn mirror_to_stdout(&self) {
        self.said.lock().mirrored = true;
    }

    /// The machine's monitor.
    pub fn qmp(&mut self) -> &mut Qmp {
        &mut self.qmp
    }

    /// What is on the screen now.
    pub fn screen(&mut self) -> Result<Screen> {
        let file = self.process.folder().join("screen.ppm");
        self.qmp
            .execute("screendump", json!({ "filename": file }))?;
        Screen::parse(&paths::read(&file)?)
    }

    /// The number of QEMU's process.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Whether the machine still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Waits until the machine ends by itself.
    pub fn wait(&mut self) -> Result<Ending> {
        let deadline = Instant::now() + EXPECT_DEADLINE;
        while self.process.is_running() {
            if Instant::now() >= deadline {
                return Err(self.failure("the guest does not end", &self.said.lock().bytes));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(self.ending())
    }

    fn ending(&mut self) -> Ending {
        let status = self.process.status();
        let code = status.and_then(|status| status.code());
        let reason = self.qmp.shutdown_reason();
        match (code, reason.as_deref()) {
            (Some(0), Some("guest-reset")) => Ending::Reset,
            (Some(0), _) => Ending::PowerOff,
            // QEMU exits with twice the value plus one.
            (Some(code), _) if code & 1 == 1 && code > 1 => Ending::Verdict((code >> 1) as u8),
            _ => Ending::Broken(format!("{status:?}: {}", self.process.messages())),
        }
    }

    fn failure(&self, what: &str, said: &[u8]) -> Failure {
        let start = said.len().saturating_sub(TAIL_LEN_BYTES);
        let tail = String::from_utf8_lossy(&said[start..]);
        let messages = self.process.messages();
        Failure::Guest(format!(
            "{what}; all it said is in {}, last this:\n{tail}\n{messages}",
            self.log.display()
        ))
    }
}

/// Starts QEMU with the console, what `more` adds (the second serial port), and the monitor.
fn start(machine: &Machine, more: impl FnOnce(&mut Command, &Path)) -> Result<Process<Listeners>> {
    Process::start_with(machine, |qemu, folder| {
        let listeners = Listeners::new(folder)?;
        qemu.args(socket("console", folder))
            .args(["-serial", "chardev:console"]);
        more(qemu, folder);
        qemu.args(socket("monitor", folder))
            .args(["-mon", "chardev=monitor,mode=control"]);
        Ok(listeners)
    })
}

impl Listeners {
    fn new(folder: &Path) -> Result<Self> {
        let bind = |name: &str| {
            let path = socket_path(name, folder);
            let listener =
                UnixListener::bind(&path).map_err(|e| Failure::io("listen at", &path, e))?;
            listener
                .set_nonblocking(true)
                .map_err(|e| Failure::io("listen at", &path, e))?;
            Ok(listener)
        };
        Ok(Self {
            console: bind("console")?,
            link: bind("link")?,
            monitor: bind("monitor")?,
        })
    }
}

fn socket_path(name: &str, folder: &Path) -> PathBuf {
    folder.join(name)
}

fn socket(name: &str, folder: &Path) -> [String; 2] {
    [
        "-chardev".into(),
        format!(
            "socket,id={name},path={}",
            quoted(&socket_path(name, folder))
        ),
    ]
}

/// Waits until QEMU connects, or ends instead.
fn accept(
    process: &mut Process<Listeners>,
    which: impl Fn(&Listeners) -> &UnixListener,
) -> Result<UnixStream> {
    loop {
        match which(&process.extra).accept() {
            Ok((stream, _)) => {
                stream
                    .set_nonblocking(false)
                    .map_err(|e| Failure::io("use", "a socket of QEMU", e))?;
                return Ok(stream);
            }
            Err(e) if e.kind() != std::io::ErrorKind::WouldBlock => {
                return Err(Failure::io("accept", "a connection of QEMU", e));
            }
            Err(_) if !process.is_running() => {
                return Err(Failure::Guest(format!(
                    "QEMU did not start:\n{}",
                    process.messages()
                )));
            }
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn create(log: &Path) -> Result<File> {
    paths::make_folder(log.parent().unwrap_or(log))?;
    File::create(log).map_err(|e| Failure::io("write", log, e))
}

/// Collects what comes over the console on a thread that ends with it.
fn listen(console: &UnixStream, said: &Arc<Said>, mut log: File) -> Result<()> {
    let mut console = console
        .try_clone()
        .map_err(|e| Failure::io("share", "the guest's console", e))?;
    let said = Arc::clone(said);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            let len = console.read(&mut buffer).unwrap_or(0);
            let mut state = said.lock();
            state.bytes.extend_from_slice(&buffer[..len]);
            if state.mirrored {
                mirror(&buffer[..len]);
            }
            state.ended |= len == 0;
            // The log is for people; a full disk must not end a test that passes.
            let _ = log.write_all(&buffer[..len]);
            said.changed.notify_all();
            if state.ended {
                return;
            }
        }
    });
    Ok(())
}

/// A stdout that went away is no reason to end the guest.
fn mirror(bytes: &[u8]) {
    let _ = stdout().write_all(bytes).and_then(|()| stdout().flush());
}

/// Which of `texts` comes first in `bytes`, and where.
fn first_of(bytes: &[u8], texts: &[&str]) -> Option<(usize, usize)> {
    let starts = texts
        .iter()
        .enumerate()
        .filter_map(|(which, text)| Some((which, find(bytes, text.as_bytes())?)));
    starts.min_by_key(|&(_, start)| start)
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes
        .windows(text.len().max(1))
        .position(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_said_first_counts() {
        assert_eq!(first_of(b"one two three", &["three", "two"]), Some((1, 4)));
        assert_eq!(first_of(b"one", &["two"]), None);
        assert_eq!(first_of(b"", &["two"]), None);
    }
}
