//! A client is killed.

use runtime_host::channel::Message;

use super::{await_end, expect, wait_a_moment};
use crate::table::{Reach, State};
use crate::{World, patience, wire};

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
    victim.kill()
}

fn idle(world: &mut World) -> Result<(), String> {
    let mut victim = world.victim()?;
    victim.enter()?;
    victim.was_served(&world.journal)?;
    victim.kill()
}

/// What it had sent and nobody had received never happened.
fn queued(world: &mut World) -> Result<(), String> {
    world.occupy()?;
    let mut victim = world.victim()?;
    let number = victim.enter()?;
    world.relay.await_queued(1)?;
    let client = victim.client;
    victim.kill()?;
    world.relay.await_queued(0)?;
    world.recover()?;
    expect(
        world.journal.count(client, number) == 0,
        "a call was served whose client had left before it was received",
    )
}

/// Whoever answers is told that nobody waits.
fn received(world: &mut World) -> Result<(), String> {
    let stand_in = world.stand_in()?;
    let mut victim = world.victim_of_stand_in()?;
    victim.enter()?;
    let request = stand_in.receive()?;
    victim.kill()?;
    let reply = request.reply.ok_or("a call wants no answer")?;
    patience::wait_until("nobody waits for the answer", || !reply.is_awaited())?;
    let answered = reply.answer(wire::answer(0));
    expect(answered.is_err(), "an answer reached a client that is gone")
}

fn serving(world: &mut World) -> Result<(), String> {
    let mut victim = world.victim()?;
    world.journal.hold(victim.client);
    victim.enter()?;
    world.journal.await_held(victim.client)?;
    victim.kill()
}

/// The object in the answer goes back to its provider.
fn answered(world: &mut World) -> Result<(), String> {
    let number = world.next_client();
    let (client, _grant) = world.host_client(&world.work)?;
    let make = client.function("[constructor]session");
    let message = Message::new(
        make.ok_or("sessions cannot be made")?,
        number.to_le_bytes().to_vec(),
    );
    let call = client.end.call(message);
    let call = call.map_err(|unsent| unsent.error.to_string())?;
    await_end(&call)?;
    if world.random.coin() {
        drop(client);
        drop(call);
    } else {
        drop(call);
        drop(client);
    }
    Ok(())
}

fn in_transit(world: &mut World) -> Result<(), String> {
    world.occupy()?;
    let victim = world.victim()?;
    victim.tell("give-input")?;
    world.relay.await_queued(1)?;
    victim.kill()?;
    world.relay.await_queued(0)
}

fn holding(world: &mut World) -> Result<(), String> {
    let mut victim = world.victim()?;
    victim.tell("hold 5")?;
    victim.obeyed()?;
    victim.kill()
}

fn starting(world: &mut World) -> Result<(), String> {
    let victim = world.victim()?;
    wait_a_moment(&mut world.random);
    victim.kill()
}

/// It is entered once or not at all, and others who call at the same time are served.
fn any_instant(world: &mut World) -> Result<(), String> {
    for bystander in &mut world.bystanders {
        bystander.enter()?;
    }
    let mut victim = world.victim()?;
    let number = victim.enter()?;
    wait_a_moment(&mut world.random);
    let client = victim.client;
    victim.dispose()?;
    world.recover()?;
    let count = world.journal.count(client, number);
    expect(count <= 1, "a call of a client that died was made twice")
}

/// Others whose calls were sent before are answered by the provider that stops.
fn stopping(world: &mut World) -> Result<(), String> {
    world.occupy()?;
    let mut victim = world.victim()?;
    victim.enter()?;
    world.relay.await_queued(1)?;
    world.relay.ask_to_stop();
    victim.kill()?;
    world.journal.release();
    world.bystanders[0].was_served(&world.journal)?;
    world.replace_stopped()
}
