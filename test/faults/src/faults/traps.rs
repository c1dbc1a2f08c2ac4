//! The provider traps in a call in flight.

use super::HAS_STATES;
use crate::World;
use crate::table::{Reach, State};

pub fn reach(state: State) -> Reach {
    match state {
        State::AnyInstant => Reach::Never(HAS_STATES),
        State::Queued => Reach::Injected(queued),
        State::Serving => Reach::Injected(serving),
        State::InTransit => Reach::Injected(in_transit),
        State::Holding => Reach::Injected(holding),
        State::Stopping => Reach::Injected(stopping),
        State::Before | State::Idle | State::Starting => {
            Reach::Never("no call is in the provider's code")
        }
        State::Received => Reach::Never(
            "nothing of the provider's runs between receiving a call and the code that serves it",
        ),
        State::Answered => Reach::Never("the provider's code has returned"),
    }
}

fn serving(world: &mut World) -> Result<(), String> {
    let mut victim = world.victim()?;
    world.may_lose();
    victim.tell("trap")?;
    world.relay.await_trap()?;
    victim.failed("lost")?;
    victim.finish()
}

/// Who waits behind the call that traps is served by the next provider.
fn queued(world: &mut World) -> Result<(), String> {
    world.occupy()?;
    let (mut culprit, mut victim) = (world.victim()?, world.victim()?);
    culprit.tell("trap")?;
    world.relay.await_queued(1)?;
    victim.enter()?;
    world.relay.await_queued(2)?;
    world.journal.release();
    world.bystanders[0].was_served(&world.journal)?;
    world.relay.await_trap()?;
    culprit.failed("lost")?;
    world.restart_relay()?;
    victim.was_served(&world.journal)?;
    culprit.finish()?;
    victim.finish()
}

fn in_transit(world: &mut World) -> Result<(), String> {
    world.occupy()?;
    let (mut culprit, mut victim) = (world.victim()?, world.victim()?);
    culprit.tell("trap")?;
    world.relay.await_queued(1)?;
    victim.tell("give-input")?;
    world.relay.await_queued(2)?;
    world.journal.release();
    world.bystanders[0].was_served(&world.journal)?;
    world.relay.await_trap()?;
    culprit.failed("lost")?;
    victim.failed("unavailable")?;
    culprit.finish()?;
    victim.finish()
}

fn holding(world: &mut World) -> Result<(), String> {
    let mut victim = world.victim()?;
    victim.tell("hold 2")?;
    victim.obeyed()?;
    world.may_lose();
    victim.tell("trap")?;
    victim.failed("lost")?;
    world.relay.await_trap()?;
    world.restart_relay()?;
    victim.call("note")?;
    victim.failed("lost")?;
    victim.finish()
}

/// What was sent before the provider was asked to stop is served until one traps.
fn stopping(world: &mut World) -> Result<(), String> {
    world.occupy()?;
    let mut culprit = world.victim()?;
    culprit.tell("trap")?;
    world.relay.await_queued(1)?;
    world.relay.ask_to_stop();
    world.journal.release();
    world.bystanders[0].was_served(&world.journal)?;
    world.relay.await_trap()?;
    culprit.failed("lost")?;
    culprit.finish()
}
