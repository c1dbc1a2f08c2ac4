//! A provider does not answer. Either its caller loses patience, or the provider is found to be ill and killed.

use runtime_host::{Cancellation, Clock, SystemClock};

use super::{HAS_STATES, enter, expect};
use crate::table::{Reach, State};
use crate::{World, patience};

/// How long a caller waits that has little patience.
const PATIENCE_NS: u64 = 1_000_000;

pub fn reach(state: State) -> Reach {
    match state {
        State::AnyInstant => Reach::Never(HAS_STATES),
        State::Queued => Reach::Injected(queued),
        State::Received => Reach::Injected(received),
        State::Serving => Reach::Injected(serving),
        State::Before | State::Starting => {
            Reach::Never("there is nobody yet who could be silent; a call waits for a provider")
        }
        State::Idle => Reach::Never("nothing was asked"),
        State::Answered => Reach::Never("it was answered"),
        State::InTransit | State::Holding => {
            Reach::Never("silence is about a call, and those are in other states")
        }
        State::Stopping => Reach::Never("whether it was asked to stop or not, it is killed"),
    }
}

/// The caller loses patience before the provider has come to its call, which then never happens.
fn queued(world: &mut World) -> Result<(), String> {
    world.occupy()?;
    let number = world.next_client();
    let (client, _grant) = world.host_client(&world.work)?;
    let call = enter(&client, number, &[])?;
    world.relay.await_queued(1)?;
    has_no_answer(&call)?;
    drop(call);
    world.relay.await_queued(0)?;
    world.recover()?;
    expect(
        world.journal.count(number, 1) == 0,
        "a call was served that was cancelled before it was received",
    )
}

fn received(world: &mut World) -> Result<(), String> {
    let stand_in = world.stand_in()?;
    let mut victim = world.victim_of_stand_in()?;
    victim.enter()?;
    let request = stand_in.receive()?;
    victim.kill()?;
    let reply = request.reply.ok_or("a call wants no answer")?;
    patience::wait_until("nobody waits for the answer", || !reply.is_awaited())
}

/// Who waits behind the call that hangs is served by the next provider.
fn serving(world: &mut World) -> Result<(), String> {
    let number = world.next_client();
    let (client, _grant) = world.host_client(&world.work)?;
    world.journal.hold(number);
    let call = enter(&client, number, &[])?;
    world.journal.await_held(number)?;
    let mut victim = world.victim()?;
    victim.enter()?;
    world.relay.await_queued(1)?;
    has_no_answer(&call)?;
    drop(call);
    world.kill_relay()?;
    world.restart_relay()?;
    victim.was_served(&world.journal)?;
    victim.finish()
}

fn has_no_answer(call: &runtime_host::channel::Call) -> Result<(), String> {
    let clock = SystemClock::new();
    let deadline_ns = clock.monotonic_ns() + PATIENCE_NS;
    let waited = call.wait_until(&Cancellation::new(), &clock, deadline_ns);
    let answer = waited.map_err(|_| "nobody cancels this")?;
    expect(answer.is_none(), "a call was answered that nobody served")
}
