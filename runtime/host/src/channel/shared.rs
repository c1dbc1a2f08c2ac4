//! The channel behind its lock, and who is woken when it changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use lib_channel::{Channel, ClientId, GivenBack, Limits, Wakes};
use lib_handle_table::Lease;

use super::discard::discard;
use super::{Envelope, JoinError};
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::{OverBudget, Subscribers};

/// How often the use of a channel may be granted on: revoking looks at each grant from the first on.
const GRANTS_MAX: u32 = 32;

/// An answer, or that the caller could not pay for it.
pub(super) type Answered = Result<Envelope, OverBudget>;

pub(super) struct Shared {
    state: Mutex<State>,
    server: Subscribers,
}

pub(super) struct State {
    pub(super) channel: Channel<Envelope, Answered>,
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
}

impl Grant {
    /// The right of whoever made the channel.
    pub(super) fn first() -> Self {
        let (lease, depth) = (Lease::new(None), 0);
        Self { lease, depth }
    }

    /// One that ends with this one, or before.
    pub(super) fn derive(&self) -> Result<Self, JoinError> {
        if self.depth >= GRANTS_MAX {
            return Err(JoinError::TooDeep);
        }
        let lease = Lease::new(Some(Arc::clone(&self.lease)));
        let depth = self.depth + 1;
        Ok(Self { lease, depth })
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
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those who want to know when there is something to receive.
    pub(super) fn server(&self) -> &Subscribers {
        &self.server
    }

    /// Makes a transition, and wakes whom it names.
    pub(super) fn change<T>(
        &self,
        transition: impl FnOnce(&mut Channel<Envelope, Answered>) -> (T, Wakes),
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
        transition: impl FnOnce(&mut Channel<Envelope, Answered>) -> GivenBack<Envelope, Answered>,
    ) {
        let taken = self.change(|channel| {
            let mut back = transition(channel);
            let wakes = std::mem::take(&mut back.wakes);
            (back, wakes)
        });
        let answers = taken.answers.into_iter().filter_map(Result::ok);
        discard(taken.messages.into_iter().chain(answers).collect());
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
