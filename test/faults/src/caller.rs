//! A client that is a program: `test/guest/faults/caller`, which does what it is told line by line.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runtime_host::{ByteSink, Notifier, PipeWriter, StreamFailure, Subscribers, pipe};
use runtime_link::{Grant, Route, WhileDown};
use runtime_supervisor::{Exit, LaunchError, Links, Process};

use crate::journal::Journal;
use crate::machine::{Machine, ended};
use crate::{patience, wire};

/// The pipe that tells it what to do, in bytes.
const INPUT_BYTES: usize = 256;

/// A client.
pub struct Caller {
    /// The process.
    pub process: Process,
    /// What it may call.
    pub grant: Grant,
    /// Its number in the journal.
    pub client: u32,
    input: PipeWriter,
    output: Arc<Lines>,
    calls: u64,
    /// The call that it has not said the end of.
    pending: Option<u64>,
}

/// What a client says.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// The call had this value.
    Value(u64),
    /// The call failed.
    Failed(String),
    /// Its process ended.
    Ended(Exit),
}

impl Caller {
    /// Starts one that calls whom `route` leads to, and waits when nobody is there.
    pub fn start(machine: &Machine, route: &Route, client: u32) -> Result<Caller, String> {
        let grant = Grant::new(route.clone(), WhileDown::Wait);
        Self::start_with(machine, grant, client).map_err(|error| error.to_string())
    }

    /// Starts one with this grant.
    pub fn start_with(machine: &Machine, grant: Grant, client: u32) -> Result<Caller, LaunchError> {
        let no_room = |error: runtime_host::OverBudget| LaunchError::Memory(error);
        let budget = machine.supervisor.budget();
        let (stdin, input) = match pipe(INPUT_BYTES, budget) {
            Ok(ends) => ends,
            Err(runtime_host::PipeError::OverBudget(over)) => return Err(no_room(over)),
            Err(error) => return Err(LaunchError::Thread(std::io::Error::other(error))),
        };
        let output = Arc::new(Lines::default());
        let links = Links {
            grants: vec![grant.clone()],
            service: None,
            ..Links::default()
        };
        let process = machine.supervisor.spawn(machine.launch(
            &machine.caller,
            vec![client.to_string()],
            Arc::new(stdin),
            Arc::clone(&output) as Arc<dyn ByteSink>,
            links,
        ))?;
        Ok(Caller {
            process,
            grant,
            client,
            input,
            output,
            calls: 0,
            pending: None,
        })
    }

    /// Tells it something.
    pub fn tell(&self, line: &str) -> Result<(), String> {
        let line = format!("{line}\n");
        match self.input.write(line.as_bytes()) {
            Ok(len) if len == line.len() => Ok(()),
            other => Err(format!("a client does not take {line:?}: {other:?}")),
        }
    }

    /// Waits until all that it was told has been read, by it or by whom it gave its input to.
    pub fn await_read(&self) -> Result<(), String> {
        patience::wait_until("what a client was told is read", || {
            self.input.room_bytes() == Ok(INPUT_BYTES)
        })
    }

    /// Has it call `enter`; the answer is the call's number.
    pub fn enter(&mut self) -> Result<u64, String> {
        self.call("enter")
    }

    /// Has it make a call of this name that will be entered.
    pub fn call(&mut self, name: &str) -> Result<u64, String> {
        self.calls += 1;
        self.pending = Some(self.calls);
        self.tell(&format!("{name} {}", self.calls))?;
        Ok(self.calls)
    }

    /// Whether it has been told to call and has not said what came of it.
    pub fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// What it says next.
    pub fn hear(&mut self) -> Result<Heard, String> {
        let heard = patience::wait_for(
            "a client to say something",
            |notifier| {
                self.output.changed.add(notifier);
                self.process.subscribe(notifier);
            },
            || self.output.take().map_or_else(|| self.end(), Some),
        );
        self.pending = None;
        heard
    }

    /// It ended, and has said nothing more before.
    fn end(&self) -> Option<Heard> {
        let exit = self.process.try_wait()?;
        Some(self.output.take().unwrap_or(Heard::Ended(exit)))
    }

    /// The call was served, and entered once.
    pub fn was_served(&mut self, journal: &Journal) -> Result<(), String> {
        let number = self.pending.unwrap_or(0);
        match self.hear()? {
            Heard::Value(value) => self.check(value, number, journal),
            other => Err(format!(
                "call {number} of client {} was not served: {other:?}",
                self.client
            )),
        }
    }

    fn check(&self, value: u64, number: u64, journal: &Journal) -> Result<(), String> {
        let client = self.client;
        if value != wire::check(client, number) {
            return Err(format!(
                "call {number} of client {client} got another's answer: {value}"
            ));
        }
        match journal.count(client, number) {
            1 => Ok(()),
            count => Err(format!(
                "call {number} of client {client} was acknowledged, and is entered {count} times"
            )),
        }
    }

    /// The call was served, or failed in one of these ways.
    pub fn was_served_or(&mut self, journal: &Journal, failures: &[&str]) -> Result<(), String> {
        let number = self.pending.unwrap_or(0);
        match self.hear()? {
            Heard::Value(value) => self.check(value, number, journal),
            Heard::Failed(name) if failures.contains(&name.as_str()) => Ok(()),
            other => Err(format!(
                "call {number} of client {} came to this: {other:?}",
                self.client
            )),
        }
    }

    /// The call failed in this way.
    pub fn failed(&mut self, name: &str) -> Result<(), String> {
        match self.hear()? {
            Heard::Failed(other) if other == name => Ok(()),
            other => Err(format!(
                "a call should fail by {name}, and came to {other:?}"
            )),
        }
    }

    /// What it was told worked.
    pub fn obeyed(&mut self) -> Result<(), String> {
        match self.hear()? {
            Heard::Value(_) => Ok(()),
            other => Err(format!("a client did not obey: {other:?}")),
        }
    }

    /// Kills it, and waits until it is gone.
    pub fn kill(self) -> Result<(), String> {
        self.process.kill();
        let killed = |exit: &Exit| matches!(exit, Exit::Killed);
        ended("client", &self.process.wait(), killed)
    }

    /// Ends its input, and waits until it has ended in one of the usual ways.
    pub fn finish(self) -> Result<(), String> {
        drop(self.input);
        let exit = self.process.wait();
        ended("client", &exit, |exit| *exit == Exit::Code(0))
    }

    /// Ends it, however it ends.
    pub fn dispose(self) -> Result<(), String> {
        self.process.kill();
        ended("client", &self.process.wait(), |_| true)
    }
}

/// Collects lines.
#[derive(Default)]
struct Lines {
    state: Mutex<(Vec<u8>, VecDeque<String>)>,
    changed: Subscribers,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, (Vec<u8>, VecDeque<String>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Heard> {
        let line = self.lock().1.pop_front()?;
        Some(match line.split_once(' ') {
            Some(("ok", value)) => match value.parse() {
                Ok(value) => Heard::Value(value),
                Err(_) => Heard::Failed(line),
            },
            Some(("failed", name)) => Heard::Failed(name.to_owned()),
            _ => Heard::Failed(line),
        })
    }
}

impl ByteSink for Lines {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        Ok(4096)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        let mut state = self.lock();
        let (rest, lines) = &mut *state;
        for byte in bytes {
            match byte {
                b'\n' => lines.push_back(String::from_utf8_lossy(&std::mem::take(rest)).into()),
                _ => rest.push(*byte),
            }
        }
        drop(state);
        self.changed.notify_all();
        Ok(bytes.len())
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.changed.add(notifier);
    }
}
