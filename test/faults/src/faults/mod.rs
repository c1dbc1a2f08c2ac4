//! The faults, a file for each kind. Each brings the world into a state, injects, and holds at once what follows for those who
//! take part; that everybody else is served is held by [`crate::World::recover`] after each.

pub(crate) mod answers;
pub(crate) mod clients;
pub(crate) mod floods;
pub(crate) mod garbage;
pub(crate) mod holders;
pub(crate) mod memory;
pub(crate) mod providers;
pub(crate) mod revocations;
pub(crate) mod services;
pub(crate) mod silence;
pub(crate) mod storms;
pub(crate) mod traps;

use std::time::Duration;

use runtime_host::channel::{Call, Message};
use runtime_host::{Awaited, Cancellation};
use runtime_link::HostClient;

use crate::random::Random;
use crate::{patience, wire};

/// Why a kind has no instants but those of its states.
const HAS_STATES: &str =
    "it needs a state to be brought about; what can come at any instant are kills and revocations";

/// The host calls `enter`.
fn enter(client: &HostClient, number: u32, padding: &[u8]) -> Result<Call, String> {
    let function = client.function("enter").ok_or("there is no enter")?;
    let message = Message::new(function, wire::enter(number, 1, padding));
    let call = client.end.call(message);
    call.map_err(|unsent| format!("the host's call is refused: {}", unsent.error))
}

/// Waits until a call of the host's has ended, without looking at how.
fn await_end(call: &Call) -> Result<(), String> {
    patience::wait_for(
        "a call of the host's to end",
        |notifier| call.subscribe(notifier),
        || call.is_ready().then_some(()),
    )
}

/// A call of the host's was answered as it has to be.
fn was_answered(call: &Call, number: u32) -> Result<(), String> {
    await_end(call)?;
    let answer = call.wait(&Cancellation::new());
    let answer = answer.map_err(|_| "nobody cancels this")?;
    let answer = answer.map_err(|error| format!("a call of the host's failed: {error}"))?;
    match wire::read_answer(answer.message()) {
        Some(value) if value == wire::check(number, 1) => Ok(()),
        other => Err(format!("a call of the host's was answered by {other:?}")),
    }
}

/// From no time to longer than a call takes.
fn wait_a_moment(random: &mut Random) {
    match random.below(3) {
        0 => (0..random.below(200)).for_each(|_| std::thread::yield_now()),
        1 => (0..random.below(200_000)).for_each(|_| std::hint::spin_loop()),
        _ => std::thread::sleep(Duration::from_micros(random.below(4_000) as u64)),
    }
}

/// A sentence if something that is so should not be.
fn expect(is_so: bool, what: &str) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(what.to_owned()) }
}
