//! Services are started and stopped.

use super::HAS_STATES;
use crate::World;
use crate::relay::Relay;
use crate::table::{Reach, State};

/// So many in one fault.
const SERVICES: usize = 2;

pub fn reach(state: State) -> Reach {
    match state {
        State::AnyInstant => Reach::Never(HAS_STATES),
        State::Idle => Reach::Injected(idle),
        State::Starting => Reach::Injected(starting),
        State::Stopping => Reach::Injected(stopping),
        State::Before
        | State::Queued
        | State::Received
        | State::Serving
        | State::Answered
        | State::InTransit
        | State::Holding => Reach::Never(
            "starting and stopping is about the service; one that is asked to stop while it has calls is stopping",
        ),
    }
}

/// It is asked to stop when it has nothing to do.
fn idle(world: &mut World) -> Result<(), String> {
    for _ in 0..SERVICES {
        let mut service = begin(world)?;
        service.wait_ready(&world.stand_in, &world.host)?;
        service.await_stop()?;
    }
    Ok(())
}

/// It is asked to stop before it is ready.
fn starting(world: &mut World) -> Result<(), String> {
    for _ in 0..SERVICES {
        begin(world)?.await_stop()?;
    }
    Ok(())
}

/// It is replaced while it is called: the next one is there before it goes, and no call is lost.
fn stopping(world: &mut World) -> Result<(), String> {
    world.occupy()?;
    let mut victim = world.victim()?;
    victim.enter()?;
    world.relay.await_queued(1)?;
    let next = Relay::start(&world.machine, &world.work, &world.journal_route);
    let mut next = next.map_err(|error| error.to_string())?;
    next.wait_ready(&world.work, &world.host)?;
    world.services += 1;
    let old = std::mem::replace(&mut world.relay, next);
    world.journal.release();
    old.await_stop()?;
    world.bystanders[0].was_served(&world.journal)?;
    victim.was_served(&world.journal)?;
    victim.finish()
}

fn begin(world: &mut World) -> Result<Relay, String> {
    let service = Relay::start(&world.machine, &world.stand_in, &world.journal_route);
    world.services += 1;
    service.map_err(|error| error.to_string())
}
