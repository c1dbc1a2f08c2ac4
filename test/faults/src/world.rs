//! The services into which faults are injected, and those who must not notice.
//!
//! Law: *bystanders* are clients of the relay that no fault is meant for. Whatever happens to the relay or to other clients, each
//! call of theirs is served, or is lost with the provider that had begun it; and when it is over ([`World::recover`]) each is served
//! again. *Victims* are clients that faults are meant for. On the route [`World::stand_in`] the host plays the provider, where one
//! is needed that does what no program can be made to do.

use runtime_host::channel::{Incoming, Request, ServerEnd};
use runtime_host::{Awaited, Budget, Reservation};
use runtime_link::{Grant, HostClient, HostOffer, Interface, Route, WhileDown};
use runtime_supervisor::Exit;

use crate::caller::Caller;
use crate::defect::Defect;
use crate::journal::Journal;
use crate::machine::{LIMITS, Machine, ended};
use crate::patience;
use crate::random::Random;
use crate::relay::Relay;

const WORK: &str = "kpio:fault-probe/work";
const JOURNAL: &str = "kpio:fault-probe/journal";
const BYSTANDERS: usize = 2;
/// What the host's own ends and messages may take, in bytes.
const HOST_BYTES: u64 = 16 << 20;

/// All of it.
pub struct World {
    /// Starts processes.
    pub machine: Machine,
    /// Writes down what was served.
    pub journal: Journal,
    /// Where the relay is called.
    pub work: Route,
    /// Where the host plays the relay.
    pub stand_in: Route,
    /// Where the relay calls the journal.
    pub journal_route: Route,
    /// The relay that serves now.
    pub relay: Relay,
    /// Clients that must not notice.
    pub bystanders: Vec<Caller>,
    /// Pays for what the host's own peers have.
    pub host: Budget,
    /// Decides where a fault leaves something open.
    pub random: Random,
    /// Services that were started so far.
    pub services: u64,
    /// What is spoiled, once it is time.
    pub defect: Option<Defect>,
    interface: Interface,
    clients: u32,
    may_lose: bool,
}

/// The host in the provider's place.
pub struct StandIn {
    /// Where its calls come.
    pub server: ServerEnd,
    /// Where it is offered.
    pub offer: HostOffer,
}

impl World {
    /// Starts everything.
    pub fn start(machine: &Machine, defect: Option<Defect>) -> Result<World, String> {
        let host = machine.supervisor.budget().child(HOST_BYTES);
        let [work, stand_in] = [WORK, WORK].map(|interface| Route::new(interface, "relay"));
        let journal_route = Route::new(JOURNAL, "journal");
        let journal = Journal::start(&journal_route, &host, defect)?;
        let relay = Relay::start(machine, &work, &journal_route);
        let mut relay = relay.map_err(|error| error.to_string())?;
        relay.wait_ready(&work, &host)?;
        let grant = Grant::new(work.clone(), WhileDown::Fail);
        let probe = HostClient::connect(&grant, &host).map_err(|failure| failure.to_string())?;
        let mut world = World {
            machine: machine.clone(),
            journal,
            work,
            stand_in,
            journal_route,
            relay,
            bystanders: Vec::new(),
            host,
            random: Random::new(0, 0),
            services: 1,
            defect,
            interface: probe.interface.clone(),
            clients: 0,
            may_lose: false,
        };
        for _ in 0..BYSTANDERS {
            let bystander = world.victim()?;
            world.bystanders.push(bystander);
        }
        world.recover()?;
        Ok(world)
    }

    /// A new client of the relay.
    pub fn victim(&mut self) -> Result<Caller, String> {
        let client = self.next_client();
        Caller::start(&self.machine, &self.work, client)
    }

    /// A new client of whoever stands in.
    pub fn victim_of_stand_in(&mut self) -> Result<Caller, String> {
        let client = self.next_client();
        Caller::start(&self.machine, &self.stand_in, client)
    }

    /// The number of a client that nobody has had.
    pub fn next_client(&mut self) -> u32 {
        self.clients += 1;
        self.clients
    }

    /// The host as a client of whom `route` leads to, and the grant by which it is one.
    pub fn host_client(&self, route: &Route) -> Result<(HostClient, Grant), String> {
        let grant = Grant::new(route.clone(), WhileDown::Fail);
        let client = HostClient::connect(&grant, &self.host);
        Ok((
            client.map_err(|failure| format!("the host finds no provider: {failure}"))?,
            grant,
        ))
    }

    /// The host as a provider, at the expense of `budget`.
    pub fn stand_in_with(&self, budget: &Budget) -> Result<StandIn, String> {
        let made = HostOffer::make(&self.stand_in, self.interface.clone(), LIMITS, budget);
        let (offer, server) = made.map_err(|error| error.to_string())?;
        Ok(StandIn { server, offer })
    }

    /// The host as a provider.
    pub fn stand_in(&self) -> Result<StandIn, String> {
        self.stand_in_with(&self.host)
    }

    /// Has the first bystander make a call that stays in the relay's code, so that others wait behind it.
    pub fn occupy(&mut self) -> Result<(), String> {
        let bystander = &mut self.bystanders[0];
        self.journal.hold(bystander.client);
        bystander.enter()?;
        self.journal.await_held(bystander.client)
    }

    /// Kills the relay, whose calls in its code are lost.
    pub fn kill_relay(&mut self) -> Result<(), String> {
        self.may_lose = true;
        self.relay.kill()
    }

    /// Says that the relay ends, or has no memory, so that calls of bystanders may be lost.
    pub fn may_lose(&mut self) {
        self.may_lose = true;
    }

    /// A relay takes the place of one that has ended.
    pub fn restart_relay(&mut self) -> Result<(), String> {
        self.begin_relay()?;
        self.relay.wait_ready(&self.work, &self.host)
    }

    /// As [`World::restart_relay`], without waiting until it can be called.
    pub fn begin_relay(&mut self) -> Result<(), String> {
        let started = Relay::start(&self.machine, &self.work, &self.journal_route);
        self.relay = started.map_err(|error| error.to_string())?;
        self.services += 1;
        Ok(())
    }

    /// The relay is asked to stop, does so, and another takes its place.
    pub fn replace_stopped(&mut self) -> Result<(), String> {
        self.relay.ask_to_stop();
        let exit = self.relay.process.wait();
        ended("relay", &exit, |exit| *exit == Exit::Code(0))?;
        self.restart_relay()
    }

    /// Takes all the memory that processes could get, until it is dropped.
    pub fn exhaust(&self) -> Vec<Reservation> {
        let budget = self.machine.supervisor.budget();
        let mut taken = Vec::new();
        let mut bytes = budget.limit_bytes();
        while bytes > 0 {
            match budget.reserve(bytes) {
                Ok(reserved) => taken.push(reserved),
                Err(_over) => bytes /= 2,
            }
        }
        taken
    }

    /// After a fault: nothing is held any more, there is a relay, and every bystander is served.
    pub fn recover(&mut self) -> Result<(), String> {
        self.journal.release();
        if let Some(exit) = self.relay.process.try_wait() {
            ended("relay", &exit, |_| true)?;
            self.relay.process.wait();
            self.restart_relay()?;
        } else if !self.relay.is_ready() {
            self.relay.wait_ready(&self.work, &self.host)?;
        }
        let failures: &[&str] = if self.may_lose { &["lost"] } else { &[] };
        for bystander in &mut self.bystanders {
            if bystander.is_pending() {
                bystander.was_served_or(&self.journal, failures)?;
            }
        }
        self.may_lose = false;
        for bystander in &mut self.bystanders {
            bystander.enter()?;
        }
        for bystander in &mut self.bystanders {
            bystander.was_served(&self.journal)?;
        }
        self.journal.complaint().map_or(Ok(()), Err)
    }

    /// Ends everything; nothing may be left of it.
    pub fn end(self) -> Result<(), String> {
        for bystander in self.bystanders {
            bystander.finish()?;
        }
        self.relay.await_stop()?;
        drop(self.journal);
        let supervisor = &self.machine.supervisor;
        let used = || supervisor.budget().used_bytes();
        let is_empty = || supervisor.list().is_empty() && used() == 0;
        patience::wait_until("all processes and all that was paid for are gone", is_empty).map_err(
            |why| {
                let left = supervisor.list().len();
                format!("{why}: {left} processes and {} bytes are left", used())
            },
        )
    }
}

impl StandIn {
    /// The next call.
    pub fn receive(&self) -> Result<Request, String> {
        patience::wait_for(
            "a call to come to the host",
            |notifier| self.server.subscribe(notifier),
            || match self.server.receive() {
                Ok(Incoming::Request(request)) => Some(Ok(request)),
                Ok(_) => None,
                Err(over) => Some(Err(over.to_string())),
            },
        )?
    }

    /// Whether there is something to receive.
    pub fn has_calls(&self) -> Result<bool, String> {
        match self.server.receive().map_err(|over| over.to_string())? {
            Incoming::Request(_) => Ok(true),
            _ => Ok(false),
        }
    }
}
