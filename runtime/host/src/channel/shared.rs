//! The channel behind its lock, and who is woken when it changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use lib_channel::{Channel, ClientId, GivenBack, Limits, Wakes};
use lib_handle_table::Lease;

use super::discard::discard;
use super::message::Waiting;
use super::{Envelope, JoinError};
use crate::lending::{NOBODY, current_thread};
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::{Budget, OverBudget, Reservation, Subscribers};

/// How often the use of a channel may be granted on: revoking looks at each grant from the first on.
const GRANTS_MAX: u32 = 32;

/// Clients that may be made under one grant, those under grants derived from it included: so that whoever was granted the use of a channel
/// does not take the places of all others.
const GRANT_CLIENTS_MAX: u64 = 16;

/// An answer, or that the caller could not pay for it.
pub(super) type Answered = Result<Envelope, OverBudget>;

pub(super) struct Shared {
    state: Mutex<State>,
    server: Subscribers,
    /// The thread that last looked for something to receive.
    serving: AtomicU32,
}

pub(super) struct State {
    pub(super) channel: Channel<Waiting, Answered>,
    members: BTreeMap<ClientId, Member>,
}

/// A client as others see it.
struct Member {
    subscribers: Arc<Subscribers>,
    grant: Grant,
}

/// By what right somebody is a client.
#[derive(Clone)]
pub(super) struct Grant {
    lease: Arc<Lease>,
    depth: u32,
    /// Counts clients.
    clients: Budget,
}

impl Grant {
    /// The right of whoever made the channel.
    pub(super) fn first() -> Self {
        Self {
            lease: Lease::new(None),
            depth: 0,
            clients: Budget::new(u64::MAX),
        }
    }

    /// A place for one client.
    pub(super) fn place(&self) -> Result<Reservation, JoinError> {
        let place = self.clients.reserve(1);
        place.map_err(|full| JoinError::GrantFull {
            limit: full.limit_bytes,
        })
    }

    /// One that ends with this one, or before.
    pub(super) fn derive(&self) -> Result<Self, JoinError> {
        if self.depth >= GRANTS_MAX {
            return Err(JoinError::TooDeep);
        }
        Ok(Self {
            lease: Lease::new(Some(Arc::clone(&self.lease))),
            depth: self.depth + 1,
            clients: self.clients.child(GRANT_CLIENTS_MAX),
        })
    }
}

/// Who is to be notified once the lock is released.
#[derive(Default)]
struct Woken {
    server: bool,
    first: Option<Arc<Subscribers>>,
    others: Vec<Arc<Subscribers>>,
}

impl Shared {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                channel: Channel::new(limits),
                members: BTreeMap::new(),
            }),
            server: Subscribers::new(),
            serving: AtomicU32::new(NOBODY),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those who want to know when there is something to receive.
    pub(super) fn server(&self) -> &Subscribers {
        &self.server
    }

    /// The thread that serves the channel, as far as one knows.
    pub(super) fn serving(&self) -> u32 {
        self.serving.load(Ordering::Relaxed)
    }

    /// The calling thread does; the answer is which that is.
    pub(super) fn serve_here(&self) -> u32 {
        let thread = current_thread();
        self.serving.store(thread, Ordering::Relaxed);
        thread
    }

    /// Makes a transition, and wakes whom it names.
    pub(super) fn change<T>(
        &self,
        transition: impl FnOnce(&mut Channel<Waiting, Answered>) -> (T, Wakes),
    ) -> T {
        let mut state = self.lock();
        let (outcome, wakes) = transition(&mut state.channel);
        let woken = state.woken(&wakes);
        drop(state);
        woken.notify(&self.server);
        outcome
    }

    /// Makes a transition that takes things out, wakes whom it names, and drops what was taken out.
    pub(super) fn clear(
        &self,
        transition: impl FnOnce(&mut Channel<Waiting, Answered>) -> GivenBack<Waiting, Answered>,
    ) {
        let taken = self.change(|channel| {
            let mut back = transition(channel);
            let wakes = std::mem::take(&mut back.wakes);
            (back, wakes)
        });
        let messages = taken.messages.into_iter().map(|waiting| waiting.envelope);
        let answers = taken.answers.into_iter().filter_map(Result::ok);
        discard(messages.chain(answers).collect());
    }

    pub(super) fn join(&self, grant: &Grant) -> Result<(ClientId, Arc<Subscribers>), JoinError> {
        let mut state = self.lock();
        if !grant.lease.holds() {
            return Err(JoinError::Revoked);
        }
        let id = state.channel.add_client().map_err(JoinError::Refused)?;
        let subscribers = Arc::new(Subscribers::new());
        let member = Member {
            subscribers: Arc::clone(&subscribers),
            grant: grant.clone(),
        };
        state.members.insert(id, member);
        Ok((id, subscribers))
    }

    pub(super) fn leave(&self, id: ClientId) {
        self.clear(|channel| channel.remove_client(id));
        let left = self.lock().members.remove(&id);
        if let Some(member) = left {
            member.subscribers.notify_all();
        }
    }

    /// Ends a grant, and all that was derived from it. Nobody joins by it any more once its lease is seen to be revoked.
    pub(super) fn revoke(&self, grant: &Grant) {
        grant.lease.revoke();
        for id in self.without_grant() {
            self.clear(|channel| channel.revoke_client(id));
        }
    }

    fn without_grant(&self) -> Vec<ClientId> {
        let state = self.lock();
        let ended = |(_, member): &(&ClientId, &Member)| !member.grant.lease.holds();
        state
            .members
            .iter()
            .filter(ended)
            .map(|(id, _)| *id)
            .collect()
    }
}

impl State {
    fn woken(&self, wakes: &Wakes) -> Woken {
        let mut woken = Woken {
            server: wakes.server,
            ..Woken::default()
        };
        let callers = wakes.calls.as_slice().iter().map(|call| call.client());
        for id in callers.chain(wakes.clients.iter().copied()) {
            if let Some(member) = self.members.get(&id) {
                woken.add(&member.subscribers);
            }
        }
        woken
    }
}

impl Woken {
    fn add(&mut self, subscribers: &Arc<Subscribers>) {
        let subscribers = Arc::clone(subscribers);
        match self.first {
            None => self.first = Some(subscribers),
            Some(_) => self.others.push(subscribers),
        }
    }

    fn notify(self, server: &Subscribers) {
        if self.server {
            server.notify_all();
        }
        for subscribers in self.first.iter().chain(&self.others) {
            subscribers.notify_all();
        }
    }
}
