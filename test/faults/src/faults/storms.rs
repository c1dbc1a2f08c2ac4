//! A provider is killed again and again, as soon as it is there or before.

use super::{HAS_STATES, expect, wait_a_moment};
use crate::World;
use crate::table::{Reach, State};

/// How often in one storm.
const KILLS: usize = 4;

pub fn reach(state: State) -> Reach {
    match state {
        State::AnyInstant => Reach::Never(HAS_STATES),
        State::Before => Reach::Injected(before),
        State::Idle => Reach::Injected(idle),
        State::Holding => Reach::Injected(holding),
        State::Starting => Reach::Injected(starting),
        State::Queued
        | State::Received
        | State::Serving
        | State::Answered
        | State::InTransit
        | State::Stopping => Reach::Never(
            "each end in a storm is one of kill-provider, which has this state; what the storm adds is that starts follow one another",
        ),
    }
}

/// A call that waits for a provider is served once by the last one, or lost with one that had begun it.
fn before(world: &mut World) -> Result<(), String> {
    world.kill_relay()?;
    let mut victim = world.victim()?;
    let number = victim.enter()?;
    for _ in 0..KILLS {
        world.begin_relay()?;
        wait_a_moment(&mut world.random);
        world.kill_relay()?;
    }
    world.restart_relay()?;
    victim.was_served_or(&world.journal, &["lost"])?;
    let count = world.journal.count(victim.client, number);
    expect(count <= 1, "a call was made twice in a storm")?;
    victim.finish()
}

fn idle(world: &mut World) -> Result<(), String> {
    for _ in 0..KILLS {
        world.kill_relay()?;
        world.restart_relay()?;
    }
    Ok(())
}

fn holding(world: &mut World) -> Result<(), String> {
    let mut victim = world.victim()?;
    for _ in 0..KILLS {
        victim.tell("hold 1")?;
        victim.obeyed()?;
        world.kill_relay()?;
        world.restart_relay()?;
    }
    victim.call("note")?;
    victim.failed("lost")?;
    victim.finish()
}

fn starting(world: &mut World) -> Result<(), String> {
    world.kill_relay()?;
    for _ in 0..KILLS {
        world.begin_relay()?;
        world.kill_relay()?;
    }
    Ok(())
}
