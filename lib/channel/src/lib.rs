//! The protocol of a channel: one server, many clients, messages and calls between them.
//!
//! Pure logic: no lock, no waiting, no clock. Whoever owns a [`Channel`] puts it behind a lock, wakes whom the [`Wakes`] of a
//! transition name, and drops what a transition gives back after the lock is released. `M` is what is asked, `R` what is answered.
//!
//! Laws:
//! - *Each message goes one way out.* It is received once, or given back once: by the refusal of its sending, or by the transition that
//!   withdraws it (its caller cancels, its client leaves or is revoked, the server closes or rejects it).
//! - *Each call ends once*, with an answer or with a [`CallFailure`] that says whether the server had received it. What it had not
//!   received never happened, and may be tried again.
//! - *In order and in turn.* What one client sent is received in that order; clients with something to receive take turns, one message each.
//! - *Bounded.* A client holds [`Limits::client_messages`] messages: those not yet received, and calls whose end it has not yet looked at. Their
//!   costs, in bytes that the sender states, add up to [`Limits::client_bytes`] at most until they are received. The clients together have
//!   [`Limits::messages`] and [`Limits::bytes`] in the queue; only a client with nothing in it is admitted beyond that, so that one who
//!   fills the queue never keeps another from being heard.
//! - *Nobody is forgotten.* A client that was refused for want of room is named by the first transition after which what it wanted fits.
//!   A transition after which there is more to receive, or a call in service is not waited for any more, names the server. One that ends a
//!   call names the call.
//! - A client that the server has heard of is followed by one [`Receive::ClientGone`], after the last of its messages.
//!
//! Leaving withdraws what was not yet received, plain messages too. If they outlived their sender, ends of channels inside of them
//! could keep one another alive where nobody reaches them. As it is, the sender of each message is outside of all queues, or travels in
//! a message that was sent later; so when all who hold ends outside are gone, the message that was sent last has lost its sender, and
//! with it all others in turn.
#![no_std]

extern crate alloc;

mod call;
mod channel;
mod check;
mod client;
mod limits;
mod refusal;
mod wakes;

pub use call::{Answer, CallFailure, CallId, Progress, ReplyTicket};
pub use channel::{Channel, GivenBack, Receive, Received};
pub use client::ClientId;
pub use limits::Limits;
pub use refusal::{AnswerRefusal, JoinRefusal, Refusal, Room};
pub use wakes::{Calls, Wakes};
