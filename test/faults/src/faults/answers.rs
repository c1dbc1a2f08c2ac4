//! Two providers answer one call, or one answers a call that is over.

use super::{HAS_STATES, expect};
use crate::table::{Reach, State};
use crate::{World, wire};

/// Why most of it cannot be written down.
const BY_TYPE: &str = "the duty to answer is a value that the first answer uses up";

pub fn reach(state: State) -> Reach {
    match state {
        State::AnyInstant => Reach::Never(HAS_STATES),
        State::Received => Reach::Injected(received),
        State::Answered => Reach::Injected(answered),
        State::Before | State::Idle | State::Queued | State::InTransit | State::Starting => {
            Reach::Never("nobody has received the call, so nobody can answer it")
        }
        State::Serving | State::Holding | State::Stopping => Reach::Never(BY_TYPE),
    }
}

/// Another provider takes the route while the first one has the call: the call has one answer, the first one's.
fn received(world: &mut World) -> Result<(), String> {
    let first = world.stand_in()?;
    let mut victim = world.victim_of_stand_in()?;
    victim.enter()?;
    let request = first.receive()?;
    let second = world.stand_in()?;
    answer(request)?;
    victim.obeyed()?;
    expect(!second.has_calls()?, "a call went to two providers")?;
    victim.finish()
}

/// The provider goes as soon as it has answered: the call is not made again.
fn answered(world: &mut World) -> Result<(), String> {
    let first = world.stand_in()?;
    let mut victim = world.victim_of_stand_in()?;
    victim.enter()?;
    answer(first.receive()?)?;
    drop(first);
    let second = world.stand_in()?;
    victim.obeyed()?;
    expect(
        !second.has_calls()?,
        "a call that was answered was made again",
    )?;
    victim.enter()?;
    answer(second.receive()?)?;
    victim.obeyed()?;
    victim.finish()
}

fn answer(request: runtime_host::channel::Request) -> Result<(), String> {
    let read = wire::read_enter(&request.envelope.message().bytes);
    let (client, number) = read.ok_or("a call does not fit its function")?;
    let reply = request.reply.ok_or("a call wants no answer")?;
    let given = reply.answer(wire::answer(wire::check(client, number)));
    given.map_err(|unanswered| format!("{:?}", unanswered.error))
}
