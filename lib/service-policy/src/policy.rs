//! All services together.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use lib_service_manifest::{Manifest, Ready, Service};

use crate::entry::{Entry, State, Successor};
use crate::{StateKind, Status};

/// Names one run of one service; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With code 0.
    Clean,
    /// With another code, by a trap, a limit or a kill, or it never began.
    Failed,
}

/// What whoever drives a policy is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a process. It is told by [`Policy::started`], or by [`Policy::ended`] if there is none.
    Start {
        /// As what.
        service: Arc<Service>,
        /// Its number from now on.
        run: RunId,
    },
    /// From now on this run answers the calls of the service's clients.
    Bind {
        /// Whose clients.
        service: String,
        /// The run.
        run: RunId,
    },
    /// From now on nobody answers the calls of the service's clients.
    Unbind {
        /// Whose clients.
        service: String,
    },
    /// Ask a run to end by itself.
    AskToEnd {
        /// The run.
        run: RunId,
    },
    /// End a run at once.
    Kill {
        /// The run.
        run: RunId,
    },
    /// Ask a run whether it is well. What it says is told by [`Policy::felt`].
    Check {
        /// The run.
        run: RunId,
    },
    /// Drop what is kept for the service while it does not run: it is given up, or has left the manifest.
    EmptyEscrow {
        /// Whose.
        service: String,
    },
    /// Write this into the service's log: the rest of a sentence that begins with its name.
    Note {
        /// Whose log.
        service: String,
        /// What to write.
        text: String,
        /// Whether a person has to know: the service has failed.
        is_grave: bool,
    },
}

/// What a person, or a program on behalf of one, wants of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Run, as soon as it can. What it was given up for is forgotten.
    Start,
    /// Stop, after those that import from it.
    Stop,
    /// Stop and start again; its clients run on.
    Restart,
    /// End its processes at once; what follows is as when they end by themselves.
    Kill,
    /// Run this program instead: the new one is started, then takes over, then the old one stops.
    Replace {
        /// A program of the image.
        program: String,
    },
}

/// Why a command does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// There is no service of this name.
    Unknown(String),
    /// It has no process.
    NotRunning(String),
    /// It is starting, stopping or being replaced, and has to come to an end with that first.
    Busy(String),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(
                f,
                "There is no service '{}'; 'svc' lists those there are.",
                name.escape_debug()
            ),
            Self::NotRunning(name) => write!(f, "Service '{name}' has no process."),
            Self::Busy(name) => write!(
                f,
                "Service '{name}' is starting, stopping or being replaced; try again when it is ready."
            ),
        }
    }
}

impl core::error::Error for CommandError {}

/// Decides what is done with all services.
#[derive(Debug, Default)]
pub struct Policy {
    entries: BTreeMap<String, Entry>,
    runs: u64,
}

impl Policy {
    /// The services of a manifest, of which none has started. Those in `left_out` are not to be.
    pub fn new(manifest: &Manifest, left_out: &[String]) -> Self {
        let mut policy = Self::default();
        for service in manifest.services() {
            let mut entry = Entry::new(Arc::new(service.clone()));
            if left_out.contains(&service.name) {
                entry.state = State::Failed("it was left out when the machine was started".into());
            }
            policy.entries.insert(service.name.clone(), entry);
        }
        policy
    }

    /// Time has passed, up to now. Also how everything begins.
    pub fn tick(&mut self, now_ns: u64) -> Vec<Action> {
        let mut actions = Vec::new();
        for entry in self.entries.values_mut() {
            entry.tick(now_ns, &mut actions);
        }
        self.settled(now_ns, actions)
    }

    /// When [`Policy::tick`] is due, if it is.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        let deadlines = self.entries.values().filter_map(Entry::next_deadline_ns);
        deadlines.min()
    }

    /// The process of a run exists.
    pub fn started(&mut self, now_ns: u64, run: RunId) -> Vec<Action> {
        self.reached(now_ns, run, Ready::Started)
    }

    /// A run serves what it provides.
    pub fn serves(&mut self, now_ns: u64, run: RunId) -> Vec<Action> {
        self.reached(now_ns, run, Ready::Serving)
    }

    /// A run has said by itself, then, that it is well. Nothing follows from that but when the next sign is due.
    pub fn alive(&mut self, run: RunId, at_ns: u64) {
        let mut entries = self.entries.values_mut();
        if let Some(entry) = entries.find(|entry| entry.runs().any(|own| own == run)) {
            entry.alive(run, at_ns);
        }
    }

    /// A run that was asked says how it is: well, or why it is not, as the end of a sentence.
    pub fn felt(&mut self, now_ns: u64, run: RunId, health: Result<(), String>) -> Vec<Action> {
        self.of_run(now_ns, run, |entry, actions| {
            entry.felt(run, health, now_ns, actions);
        })
    }

    fn reached(&mut self, now_ns: u64, run: RunId, reached: Ready) -> Vec<Action> {
        self.of_run(now_ns, run, |entry, actions| {
            entry.reached(run, reached, now_ns, actions);
        })
    }

    /// A run has ended, or could not begin.
    pub fn ended(&mut self, now_ns: u64, run: RunId, ending: Ending) -> Vec<Action> {
        self.of_run(now_ns, run, |entry, actions| {
            entry.ended(run, ending, now_ns, actions);
        })
    }

    fn of_run(
        &mut self,
        now_ns: u64,
        run: RunId,
        tell: impl FnOnce(&mut Entry, &mut Vec<Action>),
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut entries = self.entries.values_mut();
        if let Some(entry) = entries.find(|entry| entry.runs().any(|own| own == run)) {
            tell(entry, &mut actions);
        }
        self.settled(now_ns, actions)
    }

    /// Does what a person wants.
    ///
    /// # Errors
    /// Where it can do nothing; then nothing has changed.
    pub fn command(
        &mut self,
        now_ns: u64,
        name: &str,
        command: Command,
    ) -> Result<Vec<Action>, CommandError> {
        let mut actions = Vec::new();
        let entry = self.entries.get_mut(name);
        let entry = entry.ok_or_else(|| CommandError::Unknown(name.to_owned()))?;
        match command {
            Command::Start => start(entry),
            Command::Stop => entry.is_wanted = false,
            Command::Restart => {
                start(entry);
                entry.begin_stop(now_ns, &mut actions);
            }
            Command::Kill if !entry.is_alive() => {
                return Err(CommandError::NotRunning(name.to_owned()));
            }
            Command::Kill => actions = entry.kill_all(),
            Command::Replace { program } => actions = self.replace(now_ns, name, program)?,
        }
        Ok(self.settled(now_ns, actions))
    }

    fn replace(
        &mut self,
        now_ns: u64,
        name: &str,
        program: String,
    ) -> Result<Vec<Action>, CommandError> {
        let run = self.next_run();
        let entry = self.entries.get_mut(name);
        let entry = entry.ok_or_else(|| CommandError::Unknown(name.to_owned()))?;
        let spec = Arc::new(Service {
            program,
            ..(*entry.spec).clone()
        });
        if !entry.is_alive() {
            entry.set_program(spec);
            return Ok(Vec::new());
        }
        if !entry.is_ready() || entry.is_being_replaced() {
            return Err(CommandError::Busy(name.to_owned()));
        }
        let mut actions = Vec::new();
        entry.start_successor(run, &spec, now_ns, &mut actions);
        Ok(actions)
    }

    /// The manifest is another one from now on: who has left it stops, who is new starts, who has changed restarts, and the
    /// others notice nothing.
    pub fn reload(&mut self, now_ns: u64, manifest: &Manifest) -> Vec<Action> {
        let mut actions = Vec::new();
        for entry in self.entries.values_mut() {
            entry.is_removed = manifest.get(entry.name()).is_none();
        }
        for service in manifest.services() {
            let spec = Arc::new(service.clone());
            match self.entries.get_mut(&service.name) {
                Some(entry) => entry.describe(&spec, now_ns, &mut actions),
                None => drop(self.entries.insert(service.name.clone(), Entry::new(spec))),
            }
        }
        self.settled(now_ns, actions)
    }

    /// All services are to stop, those that import first.
    pub fn shut_down(&mut self, now_ns: u64) -> Vec<Action> {
        for entry in self.entries.values_mut() {
            entry.is_wanted = false;
        }
        self.settled(now_ns, Vec::new())
    }

    /// Whether no service has a process.
    pub fn is_quiet(&self) -> bool {
        self.entries.values().all(|entry| !entry.is_alive())
    }

    /// The service that a run belongs to.
    pub fn service_of(&self, run: RunId) -> Option<&str> {
        let mut entries = self.entries.values();
        let entry = entries.find(|entry| entry.runs().any(|own| own == run))?;
        Some(entry.name())
    }

    /// What a service is described as at present.
    pub fn service(&self, name: &str) -> Option<&Arc<Service>> {
        self.entries.get(name).map(|entry| &entry.spec)
    }

    /// How all services stand, by name.
    pub fn statuses(&self) -> Vec<Status> {
        let entries = self.entries.values();
        entries.map(|entry| self.status(entry)).collect()
    }

    fn next_run(&mut self) -> RunId {
        self.runs += 1;
        RunId(self.runs)
    }

    /// Follows up on what has changed, until nothing more follows.
    fn settled(&mut self, now_ns: u64, mut actions: Vec<Action>) -> Vec<Action> {
        loop {
            let count = actions.len();
            self.rest_unwanted();
            self.stop_unkept(now_ns, &mut actions);
            self.forget_removed(&mut actions);
            self.start_waiting(now_ns, &mut actions);
            if actions.len() == count {
                return actions;
            }
        }
    }

    /// Who is not wanted and has no process does not wait for one either.
    fn rest_unwanted(&mut self) {
        for entry in self.entries.values_mut() {
            let is_idle = matches!(entry.state, State::Waiting | State::BackingOff { .. });
            if is_idle && !entry.is_wanted {
                entry.rest();
            }
        }
    }

    /// Asks those to end that are not wanted, or import from one that is not there to stay; each after those that import
    /// from it.
    fn stop_unkept(&mut self, now_ns: u64, actions: &mut Vec<Action>) {
        let kept = self.kept();
        let unkept = self.entries.values().filter(|entry| {
            let is_running = matches!(entry.state, State::Running { .. });
            is_running && !kept.contains(entry.name()) && !self.has_living_clients(entry.name())
        });
        let names: Vec<_> = unkept.map(|entry| entry.name().to_owned()).collect();
        for name in names {
            if let Some(entry) = self.entries.get_mut(&name) {
                entry.begin_stop(now_ns, actions);
            }
        }
    }

    /// Who runs, or will without anybody's doing. Taken away again and again is who cannot be without one that was taken away.
    fn kept(&self) -> BTreeSet<String> {
        let entries = || self.entries.values();
        let able = entries().filter(|entry| entry.is_kept());
        let mut kept: BTreeSet<_> = able.map(|entry| entry.name().to_owned()).collect();
        loop {
            let lost = entries().find(|entry| {
                let mut imports = entry.spec.imports.iter();
                kept.contains(entry.name())
                    && imports.any(|i| entry.spec.needs(&i.from) && !kept.contains(&i.from))
            });
            let Some(lost) = lost else {
                return kept;
            };
            kept.remove(lost.name());
        }
    }

    fn has_living_clients(&self, name: &str) -> bool {
        let mut entries = self.entries.values();
        entries.any(|entry| entry.is_alive() && entry.spec.needs(name))
    }

    fn forget_removed(&mut self, actions: &mut Vec<Action>) {
        self.entries.retain(|_, entry| {
            let is_gone = entry.is_removed && !entry.is_alive();
            if is_gone {
                entry.note("has left the manifest", actions);
                actions.push(Action::EmptyEscrow {
                    service: entry.name().to_owned(),
                });
            }
            !is_gone
        });
    }

    fn start_waiting(&mut self, now_ns: u64, actions: &mut Vec<Action>) {
        let kept = self.kept();
        let waiting = self.entries.values().filter(|entry| {
            let is_waiting = matches!(entry.state, State::Waiting) && !entry.is_alive();
            is_waiting && kept.contains(entry.name()) && self.missing(&entry.spec).is_none()
        });
        let names: Vec<_> = waiting.map(|entry| entry.name().to_owned()).collect();
        for name in names {
            let run = self.next_run();
            if let Some(entry) = self.entries.get_mut(&name) {
                entry.start(run, now_ns, actions);
            }
        }
    }

    /// The first service for which this one has to wait.
    fn missing<'a>(&self, service: &'a Service) -> Option<&'a str> {
        let is_there = |name: &str| self.entries.get(name).is_some_and(Entry::is_ready);
        let is_done = |name: &str| self.entries.get(name).is_some_and(Entry::has_finished);
        let needed = service.imports.iter().map(|import| import.from.as_str());
        let mut imports = needed.filter(|name| service.needs(name));
        let mut after = service.after.iter().map(String::as_str);
        let missing = imports.find(|name| !is_there(name));
        missing.or_else(|| after.find(|name| !is_there(name) && !is_done(name)))
    }

    fn status(&self, entry: &Entry) -> Status {
        let (state, why) = match &entry.state {
            State::Waiting => (StateKind::Waiting, self.why_waiting(&entry.spec)),
            State::BackingOff { .. } => (StateKind::BackingOff, "it ended".to_owned()),
            State::Running { is_ready, .. } => self.running(entry, *is_ready),
            State::Stopping(_) => (StateKind::Stopping, String::new()),
            State::Stopped { has_finished } => (StateKind::Stopped, finished(*has_finished)),
            State::Failed(why) => (StateKind::Failed, why.clone()),
        };
        Status {
            name: entry.name().to_owned(),
            program: entry.spec.program.clone(),
            state,
            why,
            runs: entry.runs().collect(),
            restarts: entry.restarts(),
        }
    }

    fn running(&self, entry: &Entry, is_ready: bool) -> (StateKind, String) {
        let kind = match is_ready {
            true => StateKind::Ready,
            false => StateKind::Starting,
        };
        let successor = entry.successor.as_ref();
        let replaced = |next: &Successor| format!("{} is to take over", next.spec.program);
        (kind, successor.map_or(String::new(), replaced))
    }

    fn why_waiting(&self, service: &Service) -> String {
        let Some(name) = self.missing(service) else {
            return String::new();
        };
        match self.entries.get(name) {
            None => format!("for {name}, which has left the manifest"),
            Some(entry) => format!("for {name}, which is {}", self.status(entry).state),
        }
    }
}

/// It is wanted, whatever came before.
fn start(entry: &mut Entry) {
    entry.is_wanted = true;
    entry.forgive();
    let is_idle = matches!(
        entry.state,
        State::Failed(_) | State::Stopped { .. } | State::BackingOff { .. }
    );
    if is_idle {
        entry.state = State::Waiting;
    }
}

fn finished(has_finished: bool) -> String {
    match has_finished {
        true => "it has finished".to_owned(),
        false => String::new(),
    }
}
