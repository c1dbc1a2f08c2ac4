//! The provider that is a program: `test/guest/faults/relay`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use runtime_host::{Budget, Discard, Notifier, PipeError, PipeWriter, pipe};
use runtime_link::{Grant, HostClient, Route, Service, WhileDown};
use runtime_supervisor::{Exit, LaunchError, Links, Process};

use crate::machine::{LIMITS, Machine, ended};
use crate::patience;

/// Its standard input, in bytes. Nothing is written there.
const INPUT_BYTES: usize = 16;

/// A provider.
pub struct Relay {
    /// The process.
    pub process: Process,
    input: Option<PipeWriter>,
    is_ready: Arc<AtomicBool>,
    ready: Notifier,
    /// The host's way to it, which shows what waits there.
    spy: Option<HostClient>,
}

impl Relay {
    /// Starts one that offers itself on `route` and writes into whom `journal` leads to.
    pub fn start(machine: &Machine, route: &Route, journal: &Route) -> Result<Relay, LaunchError> {
        let (stdin, input) = match pipe(INPUT_BYTES, machine.supervisor.budget()) {
            Ok(ends) => ends,
            Err(PipeError::OverBudget(over)) => return Err(LaunchError::Memory(over)),
            Err(error) => return Err(LaunchError::Thread(std::io::Error::other(error))),
        };
        let (ready, is_ready) = (Notifier::new(), Arc::new(AtomicBool::new(false)));
        let (telling, told) = (ready.clone(), Arc::clone(&is_ready));
        let service = Service::new(vec![route.clone()], LIMITS, move || {
            told.store(true, Ordering::Release);
            telling.notify();
        });
        let links = Links {
            grants: vec![Grant::new(journal.clone(), WhileDown::Wait)],
            service: Some(service),
            ..Links::default()
        };
        let process = machine.supervisor.spawn(machine.launch(
            &machine.relay,
            Vec::new(),
            Arc::new(stdin),
            Arc::new(Discard),
            links,
        ))?;
        Ok(Relay {
            process,
            input: Some(input),
            is_ready,
            ready,
            spy: None,
        })
    }

    /// Waits until it can be called.
    pub fn wait_ready(&mut self, route: &Route, budget: &Budget) -> Result<(), String> {
        self.process.subscribe(&self.ready);
        while !self.is_ready() {
            if let Some(exit) = self.process.try_wait() {
                return Err(format!("a relay ended before it was ready: {exit:?}"));
            }
            self.ready.wait(None);
        }
        let grant = Grant::new(route.clone(), WhileDown::Fail);
        let spy = HostClient::connect(&grant, budget);
        self.spy = Some(spy.map_err(|failure| format!("nobody is at a relay's route: {failure}"))?);
        Ok(())
    }

    /// Whether it has said that it can be called.
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    /// How many calls wait at it.
    pub fn queued(&self) -> usize {
        self.spy.as_ref().map_or(0, |spy| spy.end.queued())
    }

    /// Waits until so many calls wait at it.
    pub fn await_queued(&self, count: usize) -> Result<(), String> {
        let what = format!("{count} calls wait at the relay");
        patience::wait_until(&what, || self.queued() == count)
    }

    /// Asks it to stop.
    pub fn ask_to_stop(&mut self) {
        self.input = None;
    }

    /// Waits until it has stopped as it was asked to.
    pub fn await_stop(mut self) -> Result<(), String> {
        self.ask_to_stop();
        ended("relay", &self.process.wait(), |exit| *exit == Exit::Code(0))
    }

    /// Waits until it has trapped.
    pub fn await_trap(&self) -> Result<(), String> {
        let trapped = |exit: &Exit| matches!(exit, Exit::Trap { .. });
        ended("relay", &self.process.wait(), trapped)
    }

    /// Kills it, and waits until it is gone.
    pub fn kill(&self) -> Result<(), String> {
        self.process.kill();
        let killed = |exit: &Exit| matches!(exit, Exit::Killed);
        ended("relay", &self.process.wait(), killed)
    }
}
