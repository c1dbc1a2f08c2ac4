//! There is no memory in the middle of a hand-over: a budget is used up, a peer's or that of all processes.

use runtime_host::Budget;
use runtime_host::channel::{AnswerError, CallError, Message, SendError};
use runtime_link::{Grant, HostClient, LinkFailure, WhileDown};

use super::{HAS_STATES, expect};
use crate::caller::{Caller, Heard};
use crate::machine::ended;
use crate::relay::Relay;
use crate::table::{Reach, State};
use crate::{World, patience, wire};

/// Enough for the end of a channel and a small message, in bytes.
const SMALL_BUDGET_BYTES: u64 = 4 << 10;
/// More than that.
const LARGE_BYTES: usize = 16 << 10;

pub fn reach(state: State) -> Reach {
    match state {
        State::AnyInstant => Reach::Never(HAS_STATES),
        State::Before => Reach::Injected(before),
        State::Queued => Reach::Injected(queued),
        State::Received => Reach::Injected(received),
        State::Serving => Reach::Injected(serving),
        State::Answered => Reach::Injected(answered),
        State::InTransit => Reach::Injected(in_transit),
        State::Holding => Reach::Injected(holding),
        State::Starting => Reach::Injected(starting),
        State::Idle | State::Stopping => Reach::Never("nothing changes hands"),
    }
}

/// Who cannot pay for its end of a channel has none, and may try again.
fn before(world: &mut World) -> Result<(), String> {
    let grant = Grant::new(world.work.clone(), WhileDown::Fail);
    let refused = HostClient::connect(&grant, &Budget::new(1));
    let refused = refused.map(|_| ()).err();
    expect(
        refused == Some(LinkFailure::Busy),
        "an end was had for nothing",
    )?;
    let connected = HostClient::connect(&grant, &world.host);
    connected.map(|_| ()).map_err(|failure| failure.to_string())
}

/// Who cannot pay for a message has it back.
fn queued(world: &mut World) -> Result<(), String> {
    let grant = Grant::new(world.work.clone(), WhileDown::Fail);
    let budget = world.host.child(SMALL_BUDGET_BYTES);
    let client = HostClient::connect(&grant, &budget).map_err(|failure| failure.to_string())?;
    let large = wire::enter(0, 0, &vec![7; LARGE_BYTES]);
    let unsent = client.end.call(Message::new(0, large.clone())).err();
    let unsent = unsent.ok_or("a message was sent that its sender cannot pay for")?;
    let is_over = matches!(unsent.error, SendError::OverBudget(_));
    expect(is_over, "a message was refused for another reason")?;
    expect(
        unsent.message.bytes == large,
        "a message that came back is another",
    )
}

/// A provider that cannot pay leaves the message where it is, until it can or sends it back.
fn received(world: &mut World) -> Result<(), String> {
    let budget = world.host.child(SMALL_BUDGET_BYTES);
    let stand_in = world.stand_in_with(&budget)?;
    let mut victim = world.victim_of_stand_in()?;
    victim.call(&format!("pad {LARGE_BYTES}"))?;
    patience::wait_until("a message is there that cannot be paid for", || {
        stand_in.server.receive().is_err()
    })?;
    stand_in.server.reject();
    victim.failed("busy")?;
    victim.enter()?;
    let request = stand_in.receive()?;
    let reply = request.reply.ok_or("a call wants no answer")?;
    let given = reply.answer(wire::answer(0));
    given.map_err(|unanswered| format!("{:?}", unanswered.error))?;
    victim.obeyed()?;
    victim.finish()
}

/// Who cannot pay for an answer is told so, and so is who gave it.
fn answered(world: &mut World) -> Result<(), String> {
    let stand_in = world.stand_in()?;
    let grant = Grant::new(world.stand_in.clone(), WhileDown::Fail);
    let budget = world.host.child(SMALL_BUDGET_BYTES);
    let client = HostClient::connect(&grant, &budget).map_err(|failure| failure.to_string())?;
    let call = client.end.call(Message::default());
    let call = call.map_err(|unsent| unsent.error.to_string())?;
    let reply = stand_in.receive()?.reply.ok_or("a call wants no answer")?;
    let given = reply.answer(Message::new(0, vec![7; LARGE_BYTES])).err();
    let is_told = given.is_some_and(|given| matches!(given.error, AnswerError::OverBudget(_)));
    expect(is_told, "who answered too much is not told")?;
    let taken = call.take();
    let is_over = matches!(taken, Some(Err(CallError::OverBudget(_))));
    expect(is_over, "an answer was had for nothing")
}

/// While a call is served there is no memory for anybody. Its client gets the answer or an error, or ends.
fn serving(world: &mut World) -> Result<(), String> {
    let mut victim = world.victim()?;
    world.journal.hold(victim.client);
    victim.enter()?;
    world.journal.await_held(victim.client)?;
    let exhausted = world.exhaust();
    world.journal.release();
    let heard = victim.hear()?;
    drop(exhausted);
    bears(world, victim, heard)
}

fn in_transit(world: &mut World) -> Result<(), String> {
    let mut first = world.victim()?;
    world.journal.hold(first.client);
    first.enter()?;
    world.journal.await_held(first.client)?;
    let mut second = world.victim()?;
    second.tell("give-input")?;
    world.relay.await_queued(1)?;
    let exhausted = world.exhaust();
    world.journal.release();
    let heard = first.hear()?;
    // Its input ends with it, for whoever reads it.
    second.process.kill();
    let second_heard = second.hear()?;
    drop(exhausted);
    bears(world, second, second_heard)?;
    bears(world, first, heard)
}

fn holding(world: &mut World) -> Result<(), String> {
    let mut victim = world.victim()?;
    victim.tell("hold 1")?;
    victim.obeyed()?;
    let exhausted = world.exhaust();
    victim.tell("hold 8")?;
    let heard = victim.hear()?;
    drop(exhausted);
    bears(world, victim, heard)
}

/// No process starts, and that is said; or it starts and cannot go on.
fn starting(world: &mut World) -> Result<(), String> {
    let exhausted = world.exhaust();
    let client = world.next_client();
    let grant = Grant::new(world.work.clone(), WhileDown::Wait);
    if let Ok(victim) = Caller::start_with(&world.machine, grant, client) {
        victim.dispose()?;
    }
    if let Ok(relay) = Relay::start(&world.machine, &world.stand_in, &world.journal_route) {
        relay.process.kill();
        ended("relay", &relay.process.wait(), |_| true)?;
    }
    drop(exhausted);
    Ok(())
}

/// Whatever came of it is no bug of the kernel's; the relay may have ended.
fn bears(world: &mut World, victim: Caller, heard: Heard) -> Result<(), String> {
    world.may_lose();
    if let Heard::Ended(exit) = &heard {
        ended("client", exit, |_| true)?;
    }
    if let Heard::Failed(name) = &heard {
        let is_known = ["busy", "too-large", "lost", "unavailable"].contains(&name.as_str());
        expect(is_known, &format!("a call without memory fails by {name}"))?;
    }
    victim.dispose()
}
