//! Who writes down what was served: a peer of the host's, which no fault is injected into.
//!
//! Law: an entry is made when its call arrives, and answered at once or, for a client that is held, when that is let go. So a
//! call that is held is in the code of whoever made it, for as long as a fault needs; and whoever made a call twice that should
//! have been made once is found in the entries.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use runtime_host::channel::{Incoming, Reply, Request, ServerEnd};
use runtime_host::{Budget, Cancellation, Subscribers};
use runtime_link::{HostOffer, Limits, Route};

use crate::defect::Defect;
use crate::{patience, wire};

/// How much may wait at it.
const LIMITS: Limits = Limits {
    clients: 64,
    messages: 64,
    bytes: 1 << 20,
    client_messages: 8,
    client_bytes: 64 << 10,
};

/// The journal, on a thread of its own.
pub struct Journal {
    shared: Arc<Shared>,
    cancellation: Cancellation,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Subscribers,
    defect: Option<Defect>,
}

#[derive(Default)]
struct State {
    entries: HashMap<(u32, u64), u32>,
    held_clients: HashSet<u32>,
    held: Vec<(u32, u64, Reply)>,
    requests: u64,
}

impl Journal {
    /// A journal on `route`, at the expense of `budget`.
    pub fn start(
        route: &Route,
        budget: &Budget,
        defect: Option<Defect>,
    ) -> Result<Journal, String> {
        let offered = HostOffer::make(route, wire::journal(), LIMITS, budget);
        let (offer, server) = offered.map_err(|error| error.to_string())?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Subscribers::new(),
            defect,
        });
        let cancellation = Cancellation::new();
        let (keeper, cancelled) = (Arc::clone(&shared), cancellation.clone());
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                keeper.serve(&server, &cancelled);
                drop(offer);
            });
        Ok(Journal {
            shared,
            cancellation,
            thread: Some(thread.map_err(|error| error.to_string())?),
        })
    }

    /// From now on calls for this client are not answered.
    pub fn hold(&self, client: u32) {
        self.shared.lock().held_clients.insert(client);
    }

    /// Waits until a call for this client is held.
    pub fn await_held(&self, client: u32) -> Result<(), String> {
        let is_held = || {
            let state = self.shared.lock();
            let mut held = state.held.iter();
            held.any(|(held, _, _)| *held == client).then_some(())
        };
        let subscribe = |notifier: &_| self.shared.changed.add(notifier);
        patience::wait_for("a call to come to the journal", subscribe, is_held)
    }

    /// Answers whatever is held, and holds nothing more.
    pub fn release(&self) {
        let mut state = self.shared.lock();
        state.held_clients.clear();
        let held = std::mem::take(&mut state.held);
        drop(state);
        for (_, number, reply) in held {
            // Whoever asked may be gone.
            let _unanswered = reply.answer(wire::answer(number));
        }
    }

    /// How often a call was entered.
    pub fn count(&self, client: u32, number: u64) -> u32 {
        let state = self.shared.lock();
        state.entries.get(&(client, number)).copied().unwrap_or(0)
    }

    /// A sentence if a call was entered twice.
    pub fn complaint(&self) -> Option<String> {
        let state = self.shared.lock();
        let mut twice = state.entries.iter().filter(|(_, count)| **count > 1);
        let ((client, number), count) = twice.next()?;
        Some(format!(
            "call {number} of client {client} was made {count} times"
        ))
    }

    /// Forgets what was entered so far.
    pub fn turn_page(&self) {
        self.shared.lock().entries.clear();
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.release();
        self.cancellation.cancel();
        // Had it panicked, those who call it would have waited in vain.
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, server: &ServerEnd, cancellation: &Cancellation) {
        while let Ok(incoming) = server.receive_blocking(cancellation) {
            match incoming {
                Ok(Incoming::Request(request)) => self.take(request),
                Ok(_) => {}
                Err(_over_budget) => server.reject(),
            }
        }
    }

    fn take(&self, request: Request) {
        let read = wire::read_append(&request.envelope.message().bytes);
        let (Some((client, number)), Some(reply)) = (read, request.reply) else {
            return;
        };
        let mut state = self.lock();
        state.requests += 1;
        let is_spoiled = self
            .defect
            .is_some_and(|defect| defect.is_due(state.requests));
        if is_spoiled && self.defect == Some(Defect::LostAnswer) {
            std::mem::forget(reply);
            return;
        }
        if !(is_spoiled && self.defect == Some(Defect::LostEntry)) {
            *state.entries.entry((client, number)).or_default() += 1;
        }
        if state.held_clients.contains(&client) {
            state.held.push((client, number, reply));
            drop(state);
            return self.changed.notify_all();
        }
        drop(state);
        let _unanswered = reply.answer(wire::answer(number));
    }
}
