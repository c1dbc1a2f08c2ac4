//! What is sent or answered means nothing.

use runtime_host::channel::{Message, Passed};
use runtime_host::{Access, Buffer, HeldLoan, NoInput};
use std::sync::Arc;

use super::{HAS_STATES, await_end, expect};
use crate::World;
use crate::caller::Heard;
use crate::machine::ended;
use crate::table::{Reach, State};

/// How much of it one fault sends.
const MESSAGES: usize = 4;
/// Function numbers are below this, most of them those of nothing.
const FUNCTIONS: usize = 16;
const BYTES_MAX: usize = 64;

pub fn reach(state: State) -> Reach {
    match state {
        State::AnyInstant => Reach::Never(HAS_STATES),
        State::Queued => Reach::Injected(queued),
        State::Received => Reach::Injected(received),
        State::InTransit => Reach::Injected(in_transit),
        State::Before | State::Idle | State::Starting => {
            Reach::Never("nothing is sent, and there is nothing to be answered")
        }
        State::Serving | State::Stopping | State::Holding => Reach::Never(
            "the provider's code answers values of its types, which the host encodes; what is sent to it is garbage as it waits",
        ),
        State::Answered => Reach::Never("nobody can change what was answered"),
    }
}

/// A provider outlives whatever is sent to it.
fn queued(world: &mut World) -> Result<(), String> {
    let (client, _grant) = world.host_client(&world.work)?;
    let trap = client.function("trap").ok_or("there is no trap")?;
    for _ in 0..MESSAGES {
        let function = world.random.below(FUNCTIONS) as u32;
        // Nothing at all is what `trap` takes.
        let least = usize::from(function == trap);
        let len = least + world.random.below(BYTES_MAX);
        let bytes = world.random.bytes(len);
        send(&client, Message::new(function, bytes))?;
    }
    is_alive(world)
}

/// So with handles of everything that there is, where others belong or none.
fn in_transit(world: &mut World) -> Result<(), String> {
    let (client, _grant) = world.host_client(&world.work)?;
    for name in [
        "read",
        "enter",
        "[method]session.note",
        "[constructor]session",
    ] {
        let function = client.function(name).ok_or("a function is missing")?;
        let mut message = Message::new(function, Vec::new());
        for _ in 0..world.random.below(4) {
            let handle = handle(world)?;
            message.handles.push(handle);
        }
        // `read` is well served by a stream, and anything else is refused.
        send(&client, message)?;
    }
    is_alive(world)
}

fn handle(world: &mut World) -> Result<Passed, String> {
    Ok(match world.random.below(4) {
        0 => Passed::Client(world.host_client(&world.work)?.0.end),
        1 => Passed::Object(Box::new("no object of anybody")),
        2 => {
            let buffer = Buffer::new(64, &world.host).map_err(|error| error.to_string())?;
            let loan = buffer.hand_over(Access::Read);
            Passed::Buffer(HeldLoan::new(loan.map_err(|error| error.to_string())?))
        }
        _ => Passed::Source(Arc::new(NoInput)),
    })
}

fn send(client: &runtime_link::HostClient, message: Message) -> Result<(), String> {
    let call = client.end.call(message);
    await_end(&call.map_err(|unsent| unsent.error.to_string())?)
}

fn is_alive(world: &World) -> Result<(), String> {
    expect(
        world.relay.process.try_wait().is_none(),
        "garbage has ended the relay",
    )
}

/// A client that is answered garbage has an error or ends with a sentence.
fn received(world: &mut World) -> Result<(), String> {
    let stand_in = world.stand_in()?;
    let mut victim = world.victim_of_stand_in()?;
    victim.enter()?;
    let reply = stand_in.receive()?.reply.ok_or("a call wants no answer")?;
    let function = world.random.below(4) as u32;
    let len = world.random.below(BYTES_MAX);
    let given = reply.answer(Message::new(function, world.random.bytes(len)));
    given.map_err(|unanswered| format!("{:?}", unanswered.error))?;
    match victim.hear()? {
        Heard::Ended(exit) => ended("client", &exit, |_| true),
        Heard::Value(_) | Heard::Failed(_) => victim.dispose(),
    }
}
