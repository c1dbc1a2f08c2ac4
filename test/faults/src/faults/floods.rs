//! A client sends as much as it may and more.

use runtime_host::channel::{Call, Message, Passed, SendError};
use runtime_host::{NoInput, channel::Refusal};
use runtime_link::HostClient;
use runtime_supervisor::Exit;
use std::sync::Arc;

use super::{HAS_STATES, await_end, expect};
use crate::caller::Heard;
use crate::machine::{LIMITS, ended};
use crate::table::{Reach, State};
use crate::{World, wire};

/// Bytes of padding of one call, at most.
const PADDING_BYTES_MAX: usize = 32 << 10;

pub fn reach(state: State) -> Reach {
    match state {
        State::AnyInstant => Reach::Never(HAS_STATES),
        State::Queued => Reach::Injected(queued),
        State::Answered => Reach::Injected(answered),
        State::InTransit => Reach::Injected(in_transit),
        State::Holding => Reach::Injected(holding),
        State::Stopping => Reach::Injected(stopping),
        State::Before | State::Starting => {
            Reach::Never("there is no channel that could be filled: every call waits by itself")
        }
        State::Idle => Reach::Never("nothing is sent"),
        State::Received | State::Serving => {
            Reach::Never("a provider has one call at a time; all others wait")
        }
    }
}

/// The client's room ends, and another client is heard all the same.
fn queued(world: &mut World) -> Result<(), String> {
    world.occupy()?;
    let (client, _grant) = world.host_client(&world.work)?;
    let calls = fill(world, &client, false)?;
    let bystander = &mut world.bystanders[1];
    bystander.enter()?;
    world.relay.await_queued(calls.len() + 1)?;
    world.journal.release();
    world.bystanders[1].was_served(&world.journal)?;
    calls.iter().try_for_each(await_end)
}

/// A client that looks at no answer has no room for calls, and harms only itself.
fn answered(world: &mut World) -> Result<(), String> {
    let (client, _grant) = world.host_client(&world.work)?;
    let calls = fill(world, &client, false)?;
    calls.iter().try_for_each(await_end)?;
    let more = client.end.call(Message::default());
    expect(
        more.is_err(),
        "a client with all its answers unread may call",
    )
}

fn in_transit(world: &mut World) -> Result<(), String> {
    world.occupy()?;
    let (client, _grant) = world.host_client(&world.work)?;
    let calls = fill(world, &client, true)?;
    world.journal.release();
    calls.iter().try_for_each(await_end)
}

/// Who wants more objects than it may have handles ends with a sentence.
fn holding(world: &mut World) -> Result<(), String> {
    let mut victim = world.victim()?;
    victim.tell("hold 1000000")?;
    match victim.hear()? {
        Heard::Ended(exit) => ended("client", &exit, |exit| {
            !matches!(exit, Exit::Code(_) | Exit::Killed)
        }),
        other => Err(format!("a client got all the objects it wanted: {other:?}")),
    }
}

/// All that came before is answered.
fn stopping(world: &mut World) -> Result<(), String> {
    world.occupy()?;
    let (client, _grant) = world.host_client(&world.work)?;
    let calls = fill(world, &client, false)?;
    world.relay.ask_to_stop();
    world.journal.release();
    calls.iter().try_for_each(await_end)?;
    world.bystanders[0].was_served(&world.journal)?;
    world.replace_stopped()
}

/// Calls until one is refused.
fn fill(world: &mut World, client: &HostClient, with_streams: bool) -> Result<Vec<Call>, String> {
    let name = if with_streams { "read" } else { "enter" };
    let function = client.function(name).ok_or("a function is missing")?;
    let number = world.next_client();
    let mut calls = Vec::new();
    loop {
        let mut message = Message::new(function, Vec::new());
        if with_streams {
            message.handles.push(Passed::Source(Arc::new(NoInput)));
        } else {
            let padding = vec![7; world.random.below(PADDING_BYTES_MAX)];
            message.bytes = wire::enter(number, calls.len() as u64, &padding);
        }
        match client.end.call(message) {
            Ok(call) => calls.push(call),
            Err(unsent) if matches!(unsent.error, SendError::Refused(Refusal::Full(_))) => break,
            Err(unsent) => return Err(unsent.error.to_string()),
        }
    }
    let is_bounded = (1..=LIMITS.client_messages).contains(&calls.len());
    expect(is_bounded, "a client has sent more than it may")?;
    Ok(calls)
}
