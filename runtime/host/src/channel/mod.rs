//! Channels between processes: messages of bytes and handles, calls with answers, many clients and one server.
//!
//! The protocol, its bounds and its order are [`lib_channel`]'s; here it stands behind a lock, with ends that clean up after their
//! holders. Nothing here blocks but what says so, and that obeys the holder's [`crate::Cancellation`].
//!
//! - *Ends are authority.* Whoever holds a [`ClientEnd`] may send, whoever holds the [`ServerEnd`] receives; neither can be copied, only
//!   passed on, or for clients made anew with [`ClientEnd::another`]. What was granted ([`ClientEnd::grant`]) can be revoked, with all that was
//!   made from it, wherever it went.
//! - *Who pays.* A message is charged to its sender until it is received, then to the server; an answer is charged to the caller, who asked
//!   for it, from the moment that it is given. So a caller that lets its answers lie harms only itself. A call whose answer the
//!   caller cannot pay for fails, and the server's message stays in the queue as long as the server cannot pay for it.
//! - *Whoever serves a call is as urgent as whoever waits for it* (`runtime/host/src/lending.rs`).
//! - *Dropping is an event.* A dropped call is cancelled, a dropped reply is an answer that will not come, a dropped end closes
//!   or leaves the channel, and the other side is woken.
//! - *What is dropped is dropped outside of the lock, and one after the other*: a message may hold the end of a channel whose
//!   queue holds the end of another, as deep as somebody can pay for.
//!
//! Lock order: a channel's lock is never held together with another's, and comes before its subscribers'.

mod client;
mod discard;
mod error;
mod message;
mod server;
mod shared;

pub use client::{Call, ClientEnd, Revoker};
pub use error::{AnswerError, CallError, JoinError, SendError, Unanswered, Unsent};
pub use lib_channel::{CallFailure, ClientId, JoinRefusal, Limits, Progress, Refusal, Room};
pub use message::{Envelope, HANDLES_MAX, Message, Passed};
pub use server::{Incoming, Reply, Request, ServerEnd};

use crate::{Budget, OverBudget};

/// A channel, and its first client; each end is charged to `budget`.
pub fn channel(limits: Limits, budget: &Budget) -> Result<(ServerEnd, ClientEnd), JoinError> {
    let server = ServerEnd::new(limits, budget).map_err(JoinError::OverBudget)?;
    let client = server.first_client(budget)?;
    Ok((server, client))
}

/// What an end is charged with: its share of the channel's tables.
const END_BYTES: u64 = 512;

fn reserve_end(budget: &Budget) -> Result<crate::Reservation, OverBudget> {
    budget.reserve(END_BYTES)
}
