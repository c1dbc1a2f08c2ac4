//! A provider is killed.

use super::{await_end, enter, wait_a_moment, was_answered};
use crate::World;
use crate::table::{Reach, State};

pub fn reach(state: State) -> Reach {
    match state {
        State::Before => Reach::Never("there is no provider that could be killed"),
        State::Idle => Reach::Injected(idle),
        State::Queued => Reach::Injected(queued),
        State::Received => Reach::Injected(received),
        State::Serving => Reach::Injected(serving),
        State::Answered => Reach::Injected(answered),
        State::InTransit => Reach::Injected(in_transit),
        State::Holding => Reach::Injected(holding),
        State::Starting => Reach::Injected(starting),
        State::Stopping => Reach::Injected(stopping),
        State::AnyInstant => Reach::Injected(any_instant),
    }
}

fn idle(world: &mut World) -> Result<(), String> {
    world.kill_relay()
}

/// What no provider has seen is served by the next one.
fn queued(world: &mut World) -> Result<(), String> {
    world.occupy()?;
    let mut victim = world.victim()?;
    victim.enter()?;
    world.relay.await_queued(1)?;
    world.kill_relay()?;
    world.restart_relay()?;
    victim.was_served(&world.journal)?;
    victim.finish()
}

/// Whether it is the provider's end that goes first, or the duty to answer.
fn received(world: &mut World) -> Result<(), String> {
    for goes_first in [true, false] {
        let stand_in = world.stand_in()?;
        let mut victim = world.victim_of_stand_in()?;
        victim.enter()?;
        let request = stand_in.receive()?;
        if goes_first {
            drop(stand_in);
            drop(request);
        } else {
            drop(request);
            drop(stand_in);
        }
        victim.failed("lost")?;
        victim.finish()?;
    }
    Ok(())
}

fn serving(world: &mut World) -> Result<(), String> {
    let mut victim = world.victim()?;
    world.journal.hold(victim.client);
    victim.enter()?;
    world.journal.await_held(victim.client)?;
    world.kill_relay()?;
    victim.failed("lost")?;
    victim.finish()
}

/// An answer that was given outlives who gave it.
fn answered(world: &mut World) -> Result<(), String> {
    let number = world.next_client();
    let (client, _grant) = world.host_client(&world.work)?;
    let call = enter(&client, number, &[])?;
    await_end(&call)?;
    world.kill_relay()?;
    was_answered(&call, number)
}

/// A stream that was given away in a call is gone with it; the caller is told that nobody has seen it.
fn in_transit(world: &mut World) -> Result<(), String> {
    world.occupy()?;
    let mut victim = world.victim()?;
    victim.tell("give-input")?;
    world.relay.await_queued(1)?;
    world.kill_relay()?;
    victim.failed("unavailable")?;
    victim.finish()
}

/// The next provider has never heard of an object of this one.
fn holding(world: &mut World) -> Result<(), String> {
    let mut victim = world.victim()?;
    victim.tell("hold 3")?;
    victim.obeyed()?;
    world.kill_relay()?;
    world.restart_relay()?;
    victim.call("note")?;
    victim.failed("lost")?;
    victim.tell("let-go")?;
    victim.obeyed()?;
    victim.enter()?;
    victim.was_served(&world.journal)?;
    victim.finish()
}

/// Each call in flight was served, or is lost with the provider that had begun it, or is served by the next one.
fn any_instant(world: &mut World) -> Result<(), String> {
    for bystander in &mut world.bystanders {
        bystander.enter()?;
    }
    wait_a_moment(&mut world.random);
    world.kill_relay()
}

fn starting(world: &mut World) -> Result<(), String> {
    world.kill_relay()?;
    world.begin_relay()?;
    wait_a_moment(&mut world.random);
    world.kill_relay()
}

fn stopping(world: &mut World) -> Result<(), String> {
    world.occupy()?;
    let mut victim = world.victim()?;
    victim.enter()?;
    world.relay.await_queued(1)?;
    world.relay.ask_to_stop();
    world.kill_relay()?;
    world.restart_relay()?;
    victim.was_served(&world.journal)?;
    victim.finish()
}
