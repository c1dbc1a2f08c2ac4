//! Peers that are no programs: parts of the host that provide an interface, or call one.
//!
//! Law: they get the ends of channels as they are, and encode and decode by themselves (`runtime_engine::values` has the layout). To the other side they
//! are peers like any other: what they send is checked like what a program sends, and what they were granted can be revoked.

use std::sync::Arc;

use runtime_host::Budget;
use runtime_host::channel::{ClientEnd, JoinError, Limits, ServerEnd, channel};

use crate::failure::LinkFailure;
use crate::returns::Returns;
use crate::route::{ConnectError, Grant, Route};
use crate::signature::Interface;

/// The host's offer of an interface. Dropping it takes it back; its calls end with the channel's end that came with it.
pub struct HostOffer {
    route: Route,
    number: u64,
}

impl HostOffer {
    /// Offers `interface` on `route`, whose calls come to the answer's second part. The number of a function in a message is its place in
    /// the interface.
    pub fn make(
        route: &Route,
        interface: Interface,
        limits: Limits,
        budget: &Budget,
    ) -> Result<(HostOffer, ServerEnd), JoinError> {
        let (server, client) = channel(limits, budget)?;
        let number = route.offer(Arc::new(client), interface, 0, Arc::<Returns>::default());
        let route = route.clone();
        Ok((HostOffer { route, number }, server))
    }
}

impl Drop for HostOffer {
    fn drop(&mut self) {
        self.route.withdraw(self.number);
    }
}

/// The host's way to whom a route leads now.
pub struct HostClient {
    /// The end that calls.
    pub end: ClientEnd,
    /// What is called there.
    pub interface: Interface,
    /// The number in a message of the interface's first function; the others follow.
    pub first_function: u32,
}

impl HostClient {
    /// A way under `grant`, which ends when that is revoked.
    pub fn connect(grant: &Grant, budget: &Budget) -> Result<HostClient, LinkFailure> {
        let (offer, end) = grant.join_current(budget).map_err(|error| match error {
            ConnectError::Failed(failure) => failure,
            // Types are not compared here, so that nobody is there is all that is left.
            ConnectError::Absent | ConnectError::Mismatch(_) => LinkFailure::Unavailable,
        })?;
        Ok(HostClient {
            end,
            interface: offer.interface.clone(),
            first_function: offer.first_function,
        })
    }

    /// The number in a message of the function of this name.
    pub fn function(&self, name: &str) -> Option<u32> {
        let functions = (self.first_function..).zip(&self.interface.functions);
        let mut named = functions.filter(|(_, function)| function.name == name);
        named.next().map(|(number, _)| number)
    }
}
