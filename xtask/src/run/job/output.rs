//! What the guest sends: the program's output, its exit code, its tree.

use std::io::{ErrorKind, Read, Write, stderr, stdout};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use contract_host_link::VERSION;
use lib_host_link::{DecodeError, Decoder, Message};

use super::input::Sender;
use super::recording::Received;
use super::tree::Tree;
use crate::failure::{Failure, Result};
use crate::run::Options;

/// How often a guest that has said nothing yet is asked whether it gave up.
const PATIENCE: Duration = Duration::from_millis(500);

/// Receives until the exit code came (and returns it), or until the guest hung up. What stands still before the
/// kernel runs (firmware, the loader) does not hang up: until the first message, `has_given_up` says so.
pub fn receive(
    mut link: UnixStream,
    input: &Sender,
    options: &Options,
    has_given_up: impl Fn() -> bool,
) -> Result<Option<i32>> {
    let mut receiver = Receiver {
        input,
        tree: options.tree_out.as_deref().map(Tree::new).transpose()?,
        recording: options.recording.as_ref().map(Received::new),
        is_greeted: false,
        exit: None,
    };
    link.set_read_timeout(Some(PATIENCE))
        .map_err(|e| Failure::io("use", "the guest's second serial port", e))?;
    let mut decoder = Decoder::new();
    let mut buffer = vec![0; 32 << 10];
    loop {
        let len = match link.read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(len) => len,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                if !receiver.is_greeted && has_given_up() {
                    return Ok(None);
                }
                continue;
            }
            // QEMU ended in the middle of a transfer.
            Err(_) => return Ok(None),
        };
        let mut result = Ok(());
        decoder.feed(&buffer[..len], |message| {
            if result.is_ok() {
                result = receiver.take(message);
            }
        });
        result?;
        if let Some(code) = receiver.exit {
            return Ok(Some(code));
        }
    }
}

struct Receiver<'a> {
    input: &'a Sender,
    tree: Option<Tree>,
    recording: Option<Received<'a>>,
    /// The kernel runs and has said so.
    is_greeted: bool,
    exit: Option<i32>,
}

impl<'a> Receiver<'a> {
    fn take(&mut self, message: std::result::Result<Message<'_>, DecodeError>) -> Result<()> {
        match message.map_err(|e| Failure::Guest(format!("the host link is damaged: {e}")))? {
            Message::Hello { version } => {
                check_version(version)?;
                self.is_greeted = true;
            }
            Message::Stdout(bytes) => self.pass(stdout().lock(), bytes),
            Message::Stderr(bytes) => self.pass(stderr().lock(), bytes),
            Message::Text(text) => eprintln!("{}", text.trim_end()),
            Message::StdinCredit { len_bytes } => self.input.grant(len_bytes),
            Message::TreeEntry(entry) => self.tree()?.entry(&entry)?,
            Message::TreeData(bytes) => self.tree()?.data(bytes)?,
            Message::TreeEnd { entries } => self.tree()?.end(entries)?,
            Message::RecordingData(bytes) => self.recording()?.data(bytes)?,
            Message::RecordingEnd { len_bytes } => self.recording()?.end(len_bytes)?,
            Message::Exit { code } => self.exit = Some(code),
            Message::Stdin(_) | Message::StdinEnd | Message::Kill => {
                return Err(Failure::Guest(
                    "the guest sent what only a host sends".into(),
                ));
            }
        }
        Ok(())
    }

    /// Where nobody reads any more, the program is ended: it cannot be sent SIGPIPE.
    fn pass(&self, mut to: impl Write, bytes: &[u8]) {
        if to.write_all(bytes).and_then(|()| to.flush()).is_err() {
            self.input.kill();
        }
    }

    fn recording(&mut self) -> Result<&mut Received<'a>> {
        self.recording.as_mut().ok_or_else(|| {
            Failure::Guest("the guest sent a recording that nobody asked for".into())
        })
    }

    fn tree(&mut self) -> Result<&mut Tree> {
        self.tree
            .as_mut()
            .ok_or_else(|| Failure::Guest("the guest sent a tree that nobody asked for".into()))
    }
}

fn check_version(version: u32) -> Result<()> {
    if version == VERSION {
        return Ok(());
    }
    Err(Failure::Guest(format!(
        "the guest speaks version {version} of the host link, this tool {VERSION}"
    )))
}
