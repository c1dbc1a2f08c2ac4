//! Standard input for the guest.
//!
//! Law: never more than the guest granted (`contract/host-link`). Reading blocks, so it has a thread of its own; the thread is
//! left behind when the run ends.

use std::fs::File;
use std::io::{IsTerminal, Read, Write, stdin};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use lib_host_link::{Message, Stream, encode_bytes};

use crate::failure::{Failure, Result};
use crate::run::Options;

const CHUNK_LEN_BYTES: usize = 16 << 10;

/// Sends standard input as it is granted.
#[derive(Clone, Debug)]
pub struct Sender {
    credit: Arc<Credit>,
    link: Arc<Mutex<UnixStream>>,
}

#[derive(Debug, Default)]
struct Credit {
    len_bytes: Mutex<usize>,
    granted: Condvar,
}

impl Sender {
    /// Begins to read the file that the options name, or this command's stdin where that is no
    /// terminal. A terminal would wait for a person who does not know.
    pub fn start(options: &Options, link: UnixStream) -> Result<Self> {
        let sender = Self {
            credit: Arc::default(),
            link: Arc::new(Mutex::new(link)),
        };
        let source: Box<dyn Read + Send> = match &options.stdin {
            Some(file) => Box::new(File::open(file).map_err(|e| Failure::io("read", file, e))?),
            None if stdin().is_terminal() => Box::new(std::io::empty()),
            None => Box::new(stdin()),
        };
        let worker = sender.clone();
        thread::spawn(move || worker.pump(source));
        Ok(sender)
    }

    /// The guest has room for so many more bytes.
    pub fn grant(&self, len_bytes: u32) {
        let mut credit = self
            .credit
            .len_bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *credit = credit.saturating_add(len_bytes as usize);
        self.credit.granted.notify_all();
    }

    /// Asks the guest to end the program.
    pub fn kill(&self) {
        self.send_message(Message::Kill);
    }

    fn pump(&self, mut source: Box<dyn Read + Send>) {
        let mut buffer = vec![0; CHUNK_LEN_BYTES];
        loop {
            let room = self.take_credit(buffer.len());
            // An input that cannot be read further is at its end.
            let len = source.read(&mut buffer[..room]).unwrap_or(0);
            if len == 0 {
                return self.send_message(Message::StdinEnd);
            }
            self.return_credit(room - len);
            let mut frames = Vec::new();
            encode_bytes(Stream::Stdin, &buffer[..len], &mut frames);
            self.send(&frames);
        }
    }

    /// Waits for credit and takes up to `most` of it.
    fn take_credit(&self, most: usize) -> usize {
        let credit = self
            .credit
            .len_bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .credit
            .granted
            .wait_while(credit, |credit| *credit == 0);
        let mut credit = waited.unwrap_or_else(PoisonError::into_inner);
        let taken = most.min(*credit);
        *credit -= taken;
        taken
    }

    fn return_credit(&self, len_bytes: usize) {
        let mut credit = self
            .credit
            .len_bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *credit += len_bytes;
    }

    fn send_message(&self, message: Message<'_>) {
        let mut frames = Vec::new();
        if message.encode(&mut frames).is_ok() {
            self.send(&frames);
        }
    }

    /// A guest that is gone is noticed by whoever receives.
    fn send(&self, frames: &[u8]) {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = link.write_all(frames);
    }
}
