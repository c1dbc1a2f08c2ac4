//! A client dies that holds objects, streams or buffers.

use runtime_host::channel::{Message, Passed};
use runtime_host::{Access, Buffer, HeldLoan};
use runtime_supervisor::Exit;

use super::{HAS_STATES, await_end, expect, wait_a_moment};
use crate::World;
use crate::machine::ended;
use crate::table::{Reach, State};

/// How long a buffer is, in bytes.
const BUFFER_BYTES: usize = 8 << 10;

pub fn reach(state: State) -> Reach {
    match state {
        State::AnyInstant => Reach::Never(HAS_STATES),
        State::Received => Reach::Injected(received),
        State::Serving => Reach::Injected(serving),
        State::Answered => Reach::Injected(answered),
        State::InTransit => Reach::Injected(in_transit),
        State::Holding => Reach::Injected(holding),
        State::Stopping => Reach::Injected(stopping),
        State::Before | State::Idle | State::Starting => Reach::Never("nothing is held yet"),
        State::Queued => Reach::Never("what a message that waits holds is in transit"),
    }
}

/// Ends without dropping anything, as a process that exits does.
fn holding(world: &mut World) -> Result<(), String> {
    let mut victim = world.victim()?;
    victim.tell("hold 7")?;
    victim.obeyed()?;
    victim.tell("leave")?;
    ended("client", &victim.process.wait(), |exit| {
        *exit == Exit::Code(0)
    })
}

/// The provider keeps the buffer until it is done with the call.
fn received(world: &mut World) -> Result<(), String> {
    let stand_in = world.stand_in()?;
    let (client, _grant) = world.host_client(&world.stand_in)?;
    let buffer = buffer(world)?;
    let call = client.end.call(with_buffer(&buffer)?);
    let call = call.map_err(|unsent| unsent.error.to_string())?;
    let request = stand_in.receive()?;
    drop((call, client));
    expect(
        buffer.write(0, &[1]).is_err(),
        "a buffer came back that is in use",
    )?;
    drop(request);
    buffer.write(0, &[1]).map_err(|error| error.to_string())
}

/// The provider reads a stream whose giver is gone; it ends when the last who could write is.
fn serving(world: &mut World) -> Result<(), String> {
    let victim = world.victim()?;
    victim.tell("give-input")?;
    wait_a_moment(&mut world.random);
    victim.kill()
}

/// A buffer in an answer that nobody looks at goes back to whom it belongs to.
fn answered(world: &mut World) -> Result<(), String> {
    let stand_in = world.stand_in()?;
    let (client, _grant) = world.host_client(&world.stand_in)?;
    let call = client.end.call(Message::default());
    let call = call.map_err(|unsent| unsent.error.to_string())?;
    let reply = stand_in.receive()?.reply.ok_or("a call wants no answer")?;
    let buffer = buffer(world)?;
    let given = reply.answer(with_buffer(&buffer)?);
    given.map_err(|unanswered| format!("{:?}", unanswered.error))?;
    await_end(&call)?;
    drop((call, client));
    buffer.write(0, &[1]).map_err(|error| error.to_string())
}

fn in_transit(world: &mut World) -> Result<(), String> {
    let stand_in = world.stand_in()?;
    let (client, _grant) = world.host_client(&world.stand_in)?;
    let buffer = buffer(world)?;
    let call = client.end.call(with_buffer(&buffer)?);
    let call = call.map_err(|unsent| unsent.error.to_string())?;
    drop((client, call));
    buffer.write(0, &[1]).map_err(|error| error.to_string())?;
    expect(!stand_in.has_calls()?, "a call outlived its client")
}

/// The provider goes first, then the one who holds its objects.
fn stopping(world: &mut World) -> Result<(), String> {
    let mut victim = world.victim()?;
    victim.tell("hold 2")?;
    victim.obeyed()?;
    world.replace_stopped()?;
    victim.kill()
}

fn buffer(world: &World) -> Result<Buffer, String> {
    Buffer::new(BUFFER_BYTES, &world.host).map_err(|error| error.to_string())
}

fn with_buffer(buffer: &Buffer) -> Result<Message, String> {
    let loan = buffer.hand_over(Access::Write);
    let loan = loan.map_err(|error| error.to_string())?;
    Ok(Message {
        handles: vec![Passed::Buffer(HeldLoan::new(loan))],
        ..Message::default()
    })
}
