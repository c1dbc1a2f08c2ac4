//! When services start, stop, start again and are given up: decisions, and nothing else.
//!
//! Pure logic: no clock, no process, no lock. Whoever drives a [`Policy`] tells it what happened and what time it is, in
//! nanoseconds of a clock that never goes back, and does what it answers: [`Action`]s, in that order. A process of a service is a
//! *run*, with a number that is never used again, so that news of an old one are never taken for news of the next.
//!
//! Laws, which `tests/model.rs` holds against random histories:
//! - A service starts only when all that it imports from are ready, and all that it comes after are ready or have ended with
//!   code 0. What need not wait for one another starts side by side.
//! - It has one run at a time; two only while it is being replaced. The next one begins when the last has ended.
//! - It is restarted at most so often in any window as its manifest says. Then it has *failed*, as it has when it ended
//!   [`START_ATTEMPTS_MAX`] times in a row without ever having been ready: then it is left out.
//! - Who imports from a service that has failed, was stopped, or has left the manifest is stopped, before that one is, and
//!   waits; it comes back with it. Who imports from one that will be started again runs on.
//! - A run that is to take another's place has it when it is ready, and not before: if both end without that, the service is what
//!   it was.
//! - Every stop ends: a run is asked to end, and killed at its deadline. A deadline that nobody was there to see pass begins again,
//!   once.
//! - A run that is to serve and does not in time is killed, and so is one that is ready and does not show in time that it is
//!   well, where its manifest wants that. What follows is as when they end by themselves.
//! - What is kept for a service over its restarts goes when it has failed and when it leaves the manifest.
//! - What is said about unknown runs and services changes nothing.
//!
//! What lost: stopping all clients whenever a provider dies. A client that can wait for an answer has no need to die too,
//! and it would make of each fault a storm.
#![no_std]

extern crate alloc;

mod deadline;
mod entry;
mod policy;
mod pulse;
mod status;

pub use policy::{Action, Command, CommandError, Ending, Policy, RunId};
pub use status::{StateKind, Status};

/// So often a service may end without ever having been ready, in a row, before it is left out.
pub const START_ATTEMPTS_MAX: u32 = 3;
