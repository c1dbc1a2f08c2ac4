//! Where an interface is provided, and who may use it.
//!
//! Law: a [`Route`] outlives those who provide it. A provider offers itself on it when it is ready to be called, and takes
//! the offer back, or has it taken back, when it ends; each offer has a number of its own, higher than all before, so that
//! who was connected to an earlier one sees that it is gone. A [`Grant`] is one client's use of a route. It can be revoked
//! at any moment, which ends the calls that are in flight under it, and cuts off what went over it: streams and loans from whoever got
//! them, objects from their client. What came to the provider from a client that is gone stays there ([`Grant::expire`]): nobody took it back.
//!
//! Lock order: a grant's state, then its route's, then a channel's. What is cut off is, with none of them held.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runtime_host::channel::{ClientEnd, JoinError, JoinRefusal, Revoker};
use runtime_host::{Budget, Notifier, Subscribers, Tie};

use crate::failure::LinkFailure;
use crate::returns::Returns;
use crate::signature::{Interface, SignatureError};

/// Whom calls of one interface reach. Clones are the same route.
#[derive(Clone)]
pub struct Route(Arc<RouteShared>);

struct RouteShared {
    interface: String,
    provider: String,
    state: Mutex<RouteState>,
    changed: Subscribers,
}

struct RouteState {
    /// How many there have been.
    offers: u64,
    /// That of the provider who is ready.
    offer: Option<Arc<Offer>>,
}

/// A provider that is ready: how to reach it, and what it has there.
pub(crate) struct Offer {
    pub number: u64,
    /// The provider's own, of which those of clients are made.
    pub client: Arc<ClientEnd>,
    pub interface: Interface,
    /// The number of the interface's first function among all that the provider serves.
    pub first_function: u32,
    pub returns: Arc<Returns>,
}

impl Route {
    /// A route to `interface`, by its name without a version, of `provider`, which is not there yet.
    pub fn new(interface: impl Into<String>, provider: impl Into<String>) -> Route {
        Route(Arc::new(RouteShared {
            interface: interface.into(),
            provider: provider.into(),
            state: Mutex::new(RouteState {
                offers: 0,
                offer: None,
            }),
            changed: Subscribers::new(),
        }))
    }

    /// The interface, by its name without a version.
    pub fn interface(&self) -> &str {
        &self.0.interface
    }

    /// Who provides it.
    pub fn provider(&self) -> &str {
        &self.0.provider
    }

    /// Whether a provider is ready.
    pub fn is_up(&self) -> bool {
        self.lock().offer.is_some()
    }

    /// Has `notifier` notified when a provider comes or goes.
    pub fn subscribe(&self, notifier: &Notifier) {
        self.0.changed.add(notifier);
    }

    /// Nobody is to be called here until a provider offers itself.
    pub fn close(&self) {
        self.change(|state| state.offer = None);
    }

    /// From now on calls go to this provider. The answer is the offer's number.
    pub(crate) fn offer(
        &self,
        client: Arc<ClientEnd>,
        interface: Interface,
        first_function: u32,
        returns: Arc<Returns>,
    ) -> u64 {
        self.change(|state| {
            state.offers += 1;
            state.offer = Some(Arc::new(Offer {
                number: state.offers,
                client,
                interface,
                first_function,
                returns,
            }));
            state.offers
        })
    }

    /// Takes an offer back, unless another has come in its place.
    pub(crate) fn withdraw(&self, number: u64) {
        self.change(|state| {
            let current = state.offer.as_ref();
            if current.is_some_and(|offer| offer.number == number) {
                state.offer = None;
            }
        });
    }

    fn current(&self) -> Option<Arc<Offer>> {
        self.lock().offer.clone()
    }

    fn change<R>(&self, operation: impl FnOnce(&mut RouteState) -> R) -> R {
        let answer = operation(&mut self.lock());
        self.0.changed.notify_all();
        answer
    }

    fn lock(&self) -> MutexGuard<'_, RouteState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a client does while there is no provider, or no room at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhileDown {
    /// Its calls wait.
    #[default]
    Wait,
    /// Its calls fail at once.
    Fail,
}

/// One client's permission to use a route. Clones are the same permission.
#[derive(Clone)]
pub struct Grant(Arc<GrantShared>);

struct GrantShared {
    route: Route,
    while_down: WhileDown,
    state: Mutex<GrantState>,
    changed: Subscribers,
    ties: Ties,
}

/// What went over a grant hangs on these, by who got it.
#[derive(Clone, Default)]
pub(crate) struct Ties {
    pub client: Tie,
    pub provider: Tie,
}

#[derive(Default)]
struct GrantState {
    is_revoked: bool,
    /// Ends the use of all connections to the offer that was connected to last.
    revoker: Option<(u64, Revoker)>,
}

/// A client's way to one offer.
pub(crate) struct Connection {
    pub offer: Arc<Offer>,
    pub client: ClientEnd,
    /// For each function that the client imports, its number at the provider.
    pub functions: Vec<u32>,
    pub ties: Ties,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum ConnectError {
    /// Nobody is there now.
    Absent,
    /// The client may not, or cannot now.
    Failed(LinkFailure),
    /// The two do not fit.
    Mismatch(SignatureError),
}

impl Grant {
    /// Permission to use `route`.
    pub fn new(route: Route, while_down: WhileDown) -> Grant {
        Grant(Arc::new(GrantShared {
            route,
            while_down,
            state: Mutex::default(),
            changed: Subscribers::new(),
            ties: Ties::default(),
        }))
    }

    /// What it is a permission for.
    pub fn route(&self) -> &Route {
        &self.0.route
    }

    /// What its client does while nobody is there.
    pub fn while_down(&self) -> WhileDown {
        self.0.while_down
    }

    /// Takes the permission back. Calls that are in flight end, as all that come later do: with an error, not with a trap. What went over
    /// it to either side is cut off.
    pub fn revoke(&self) {
        self.expire();
        self.0.ties.provider.cut();
    }

    /// Its client is gone. As if it had been taken back, but for what came to the provider.
    pub fn expire(&self) {
        let mut state = self.lock();
        state.is_revoked = true;
        let revoker = state.revoker.take();
        drop(state);
        if let Some((_, revoker)) = revoker {
            revoker.revoke();
        }
        self.0.ties.client.cut();
        self.0.changed.notify_all();
    }

    /// Whether it was taken back.
    pub fn is_revoked(&self) -> bool {
        self.lock().is_revoked
    }

    /// Has `notifier` notified when there may be more to connect to, or less.
    pub(crate) fn subscribe(&self, notifier: &Notifier) {
        self.0.changed.add(notifier);
        self.0.route.subscribe(notifier);
    }

    /// A connection to whom the route leads now, with what a client that imports `interface` calls there.
    pub(crate) fn connect(
        &self,
        interface: &Interface,
        budget: &Budget,
    ) -> Result<Connection, ConnectError> {
        if self.is_revoked() {
            return Err(ConnectError::Failed(LinkFailure::Revoked));
        }
        // The comparison is the client's work, and is done while nobody waits for it.
        let offer = self.0.route.current().ok_or(ConnectError::Absent)?;
        let places = interface.match_with(&offer.interface);
        let places = places.map_err(ConnectError::Mismatch)?;
        let client = self.join(&offer, budget)?;
        Ok(Connection {
            functions: places
                .iter()
                .map(|place| offer.first_function + place)
                .collect(),
            client,
            offer,
            ties: self.0.ties.clone(),
        })
    }

    /// A client of whom the route leads to now, whatever its types are.
    pub(crate) fn join_current(
        &self,
        budget: &Budget,
    ) -> Result<(Arc<Offer>, ClientEnd), ConnectError> {
        let offer = self.0.route.current().ok_or(ConnectError::Absent)?;
        let client = self.join(&offer, budget)?;
        Ok((offer, client))
    }

    fn join(&self, offer: &Offer, budget: &Budget) -> Result<ClientEnd, ConnectError> {
        let mut state = self.lock();
        if state.is_revoked {
            return Err(ConnectError::Failed(LinkFailure::Revoked));
        }
        // Everybody who calls by this grant is a client of the same one, and so of a bounded number.
        if let Some((number, revoker)) = &state.revoker
            && *number == offer.number
        {
            return revoker.another(budget).map_err(of_join_error);
        }
        let (client, revoker) = offer.client.grant(budget).map_err(of_join_error)?;
        state.revoker = Some((offer.number, revoker));
        Ok(client)
    }

    /// Whether a connection still leads where the route does.
    pub(crate) fn is_current(&self, connection: &Connection) -> bool {
        let current = self.0.route.current();
        !self.is_revoked() && current.is_some_and(|offer| offer.number == connection.offer.number)
    }

    fn lock(&self) -> MutexGuard<'_, GrantState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_join_error(error: JoinError) -> ConnectError {
    match error {
        JoinError::Refused(JoinRefusal::ServerClosed) => ConnectError::Absent,
        JoinError::Refused(JoinRefusal::Full { .. }) | JoinError::GrantFull { .. } => {
            ConnectError::Failed(LinkFailure::Busy)
        }
        JoinError::Revoked | JoinError::TooDeep => ConnectError::Failed(LinkFailure::Revoked),
        JoinError::OverBudget(_) => ConnectError::Failed(LinkFailure::Busy),
    }
}
