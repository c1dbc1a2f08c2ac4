//! A grant is taken back.

use std::sync::Arc;

use runtime_host::channel::{CallError, CallFailure};
use runtime_host::{ByteSink, Cancellation, StreamFailure, pipe};
use runtime_link::{Grant, WhileDown};

use super::{await_end, enter, expect, wait_a_moment};
use crate::caller::Caller;
use crate::table::{Reach, State};
use crate::{World, patience, wire};

const REVOKED: &str = "revoked";
/// What a client says whose stream fails.
const CUT_OFF: &str = "cut-off";
const PIPE_BYTES: usize = 16;

pub fn reach(state: State) -> Reach {
    Reach::Injected(match state {
        State::Before => before,
        State::Idle => idle,
        State::Queued => queued,
        State::Received => received,
        State::Serving => serving,
        State::Answered => answered,
        State::InTransit => in_transit,
        State::Holding => holding,
        State::Starting => starting,
        State::Stopping => stopping,
        State::AnyInstant => any_instant,
    })
}

fn before(world: &mut World) -> Result<(), String> {
    world.kill_relay()?;
    let mut victim = world.victim()?;
    victim.enter()?;
    wait_a_moment(&mut world.random);
    victim.grant.revoke();
    victim.failed(REVOKED)?;
    victim.finish()
}

fn idle(world: &mut World) -> Result<(), String> {
    let mut victim = world.victim()?;
    victim.enter()?;
    victim.was_served(&world.journal)?;
    victim.grant.revoke();
    is_out(victim)
}

/// Later calls fail as well.
fn is_out(mut victim: Caller) -> Result<(), String> {
    victim.enter()?;
    victim.failed(REVOKED)?;
    victim.finish()
}

fn queued(world: &mut World) -> Result<(), String> {
    world.occupy()?;
    let mut victim = world.victim()?;
    let number = victim.enter()?;
    world.relay.await_queued(1)?;
    victim.grant.revoke();
    victim.failed(REVOKED)?;
    let client = victim.client;
    is_out(victim)?;
    world.recover()?;
    expect(
        world.journal.count(client, number) == 0,
        "a call was served whose grant had been taken back before it was received",
    )
}

fn received(world: &mut World) -> Result<(), String> {
    let stand_in = world.stand_in()?;
    let mut victim = world.victim_of_stand_in()?;
    victim.enter()?;
    let request = stand_in.receive()?;
    victim.grant.revoke();
    victim.failed(REVOKED)?;
    let reply = request.reply.ok_or("a call wants no answer")?;
    patience::wait_until("nobody waits for the answer", || !reply.is_awaited())?;
    let answered = reply.answer(wire::answer(0));
    expect(
        answered.is_err(),
        "an answer reached a client whose grant was taken back",
    )?;
    is_out(victim)
}

fn serving(world: &mut World) -> Result<(), String> {
    let mut victim = world.victim()?;
    world.journal.hold(victim.client);
    victim.enter()?;
    world.journal.await_held(victim.client)?;
    victim.grant.revoke();
    victim.failed(REVOKED)?;
    is_out(victim)?;
    reading(world)
}

/// The provider reads what the client gave it: it gets no byte more, and is there for others while the client lives.
fn reading(world: &mut World) -> Result<(), String> {
    world.recover()?;
    let mut victim = world.victim()?;
    victim.tell("give-input")?;
    victim.tell("what the relay reads")?;
    victim.await_read()?;
    victim.grant.revoke();
    victim.failed(REVOKED)?;
    world.recover()?;
    is_out(victim)
}

/// An answer that was given before may be had still, whole, or not at all.
fn answered(world: &mut World) -> Result<(), String> {
    let number = world.next_client();
    let (client, grant) = world.host_client(&world.work)?;
    let call = enter(&client, number, &[])?;
    await_end(&call)?;
    grant.revoke();
    let answer = call.wait(&Cancellation::new());
    match answer.map_err(|_| "nobody cancels this")? {
        Ok(answer) => expect(
            wire::read_answer(answer.message()) == Some(wire::check(number, 1)),
            "an answer changed when the grant was taken back",
        )?,
        Err(CallError::Failed(CallFailure::Revoked(_))) => {}
        Err(other) => return Err(format!("a call failed otherwise: {other}")),
    }
    expect(
        enter(&client, number, &[]).is_err(),
        "a call goes through whose grant was taken back",
    )
}

fn in_transit(world: &mut World) -> Result<(), String> {
    world.occupy()?;
    let mut victim = world.victim()?;
    victim.tell("give-input")?;
    world.relay.await_queued(1)?;
    victim.grant.revoke();
    victim.failed(REVOKED)?;
    world.relay.await_queued(0)?;
    victim.finish()
}

/// It can do nothing with the objects, and can let its handles of them go.
fn holding(world: &mut World) -> Result<(), String> {
    let mut victim = world.victim()?;
    victim.tell("hold 2")?;
    victim.obeyed()?;
    victim.grant.revoke();
    victim.call("note")?;
    victim.failed(REVOKED)?;
    victim.tell("let-go")?;
    victim.obeyed()?;
    is_out(victim)?;
    listening(world)
}

/// It holds a stream of the provider and waits for bytes: it wakes, and whoever writes there sees the stream closed.
fn listening(world: &mut World) -> Result<(), String> {
    let stand_in = world.stand_in()?;
    let mut victim = world.victim_of_stand_in()?;
    victim.tell("listen")?;
    let reply = stand_in.receive()?.reply.ok_or("a call wants no answer")?;
    let (reader, writer) = pipe(PIPE_BYTES, &world.host).map_err(|error| error.to_string())?;
    let given = reply.answer(wire::stream_answer(Arc::new(reader)));
    given.map_err(|unanswered| format!("{:?}", unanswered.error))?;
    victim.obeyed()?;
    wait_a_moment(&mut world.random);
    victim.grant.revoke();
    expect(
        writer.write(b"x") == Err(StreamFailure::Closed),
        "what a client was given over a grant takes bytes after that was taken back",
    )?;
    victim.failed(CUT_OFF)?;
    is_out(victim)
}

fn starting(world: &mut World) -> Result<(), String> {
    let client = world.next_client();
    let grant = Grant::new(world.work.clone(), WhileDown::Wait);
    let victim = Caller::start_with(&world.machine, grant, client);
    let victim = victim.map_err(|error| error.to_string())?;
    victim.grant.revoke();
    is_out(victim)
}

fn any_instant(world: &mut World) -> Result<(), String> {
    for bystander in &mut world.bystanders {
        bystander.enter()?;
    }
    let mut victim = world.victim()?;
    victim.enter()?;
    wait_a_moment(&mut world.random);
    victim.grant.revoke();
    victim.was_served_or(&world.journal, &[REVOKED])?;
    is_out(victim)
}

fn stopping(world: &mut World) -> Result<(), String> {
    world.occupy()?;
    let mut victim = world.victim()?;
    victim.enter()?;
    world.relay.await_queued(1)?;
    world.relay.ask_to_stop();
    victim.grant.revoke();
    victim.failed(REVOKED)?;
    victim.finish()?;
    world.journal.release();
    world.bystanders[0].was_served(&world.journal)?;
    world.replace_stopped()
}
