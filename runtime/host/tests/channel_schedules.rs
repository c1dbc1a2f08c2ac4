//! Channels' own sources under random schedules: every lock is a point where another thread may go on (shuttle). A lost wake-up leaves
//! all asleep, which shuttle reports; and it is planted, to see that it does.
//!
//! What the sources call by `crate::` is here what waits and wakes, over shuttle's locks, and for the rest the crate itself.

mod sync {
    pub use shuttle::sync::{Condvar, Mutex, MutexGuard, PoisonError};
    pub use shuttle::thread_local;
}

#[expect(dead_code, reason = "the scenarios use a part of it")]
#[path = "../src/cancellation.rs"]
mod cancellation;
#[expect(dead_code, unused_imports, reason = "the scenarios use a part of it")]
#[path = "../src/channel/mod.rs"]
mod channel;
#[expect(dead_code, reason = "the scenarios use a part of it")]
#[path = "../src/lending.rs"]
mod lending;
#[expect(dead_code, reason = "the scenarios use a part of it")]
#[path = "../src/notify.rs"]
mod notify;
#[path = "../src/wait.rs"]
mod wait;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cancellation::{Cancellation, Cancelled};
use channel::{
    CallError, ClientEnd, Incoming, Limits, Message, Passed, Refusal, SendError, ServerEnd,
};
use notify::{Awaited, Notifier};
use runtime_host::{
    Budget, ByteSink, ByteSource, Clock, HeldLoan, OverBudget, Reservation, SystemClock,
};
use shuttle::Runner;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::thread;
use wait::{wait_for, wait_until};

const SCHEDULES: usize = 300;

thread_local! {
    /// The defect. Shuttle runs all threads of a test on the test's own.
    static LOSES_WAKES: Cell<bool> = const { Cell::new(false) };
}

/// Those who want to know, and are not told if the defect is planted.
#[derive(Default)]
struct Subscribers(notify::Subscribers);

impl Subscribers {
    fn new() -> Self {
        Self::default()
    }

    fn add(&self, notifier: &Notifier) {
        self.0.add(notifier);
    }

    fn notify_all(&self) {
        if !LOSES_WAKES.get() {
            self.0.notify_all();
        }
    }
}

/// Room for one message of each client.
const NARROW: Limits = Limits {
    clients: 4,
    messages: 1,
    bytes: 1 << 20,
    client_messages: 1,
    client_bytes: 1 << 20,
};

fn under_all_schedules(scenario: fn()) {
    Runner::new(RandomScheduler::new(SCHEDULES), Default::default()).run(scenario);
    Runner::new(PctScheduler::new(3, SCHEDULES), Default::default()).run(scenario);
}

fn a_lost_wake_up_is_found_in(scenario: fn()) {
    LOSES_WAKES.set(true);
    let found = catch_unwind(AssertUnwindSafe(|| under_all_schedules(scenario)));
    LOSES_WAKES.set(false);
    assert!(found.is_err(), "nobody was woken, and nobody noticed");
}

/// Something to be seen being dropped, in a message.
struct Witness(Arc<()>);

impl ByteSource for Witness {
    fn read(&self, _: &mut [u8]) -> Result<runtime_host::Read, runtime_host::StreamFailure> {
        Ok(runtime_host::Read::End)
    }
    fn is_readable(&self) -> bool {
        Arc::strong_count(&self.0) > 0
    }
    fn subscribe(&self, _: &runtime_host::Notifier) {}
}

struct Scene {
    budget: Budget,
    witness: Arc<()>,
    server: ServerEnd,
    client: ClientEnd,
}

impl Scene {
    fn new() -> Self {
        let budget = Budget::new(1 << 30);
        let (server, client) = channel::channel(NARROW, &budget).expect("the budget is large");
        let witness = Arc::new(());
        Self {
            budget,
            witness,
            server,
            client,
        }
    }
}

fn message(witness: &Arc<()>, function: u32) -> Message {
    Message {
        function,
        bytes: vec![1, 2, 3],
        handles: vec![Passed::Source(Arc::new(Witness(Arc::clone(witness))))],
    }
}

/// All threads are gone: nothing is left of what they sent, and nobody pays any more.
fn nothing_is_left(budget: &Budget, witness: &Arc<()>) {
    assert_eq!(Arc::strong_count(witness), 1);
    assert_eq!(budget.used_bytes(), 0);
}

/// Answers each call with what was asked, until nobody is left.
fn serve(server: &ServerEnd) {
    let never = Cancellation::new();
    loop {
        match server.receive_blocking(&never).unwrap().unwrap() {
            Incoming::Request(request) => {
                let message = Message::new(request.envelope.message().function, Vec::new());
                if let Some(reply) = request.reply {
                    drop(reply.answer(message));
                }
            }
            Incoming::ClientGone(_) | Incoming::Empty => {}
            Incoming::Abandoned => return,
        }
    }
}

fn calls_are_answered() {
    let scene = Scene::new();
    let other = scene.client.another(&scene.budget).expect("there is room");
    let Scene {
        budget,
        witness,
        server,
        client,
    } = scene;
    let serving = thread::spawn(move || serve(&server));
    let callers = [client, other].map(|end| {
        let witness = Arc::clone(&witness);
        thread::spawn(move || {
            let never = Cancellation::new();
            for number in 0..3 {
                end.send_blocking(message(&witness, 9), &never)
                    .unwrap()
                    .unwrap();
                let answer = end.call_blocking(message(&witness, number), &never);
                assert_eq!(answer.unwrap().unwrap().message().function, number);
            }
        })
    });
    callers
        .into_iter()
        .for_each(|caller| caller.join().unwrap());
    serving.join().unwrap();
    nothing_is_left(&budget, &witness);
}

#[test]
fn no_wake_up_is_lost_between_calls_and_answers() {
    under_all_schedules(calls_are_answered);
}

#[test]
fn a_lost_wake_up_is_noticed_between_calls_and_answers() {
    a_lost_wake_up_is_found_in(calls_are_answered);
}

/// Sends or calls a few times, and says why it could not any more.
fn until_refused(end: &ClientEnd, witness: &Arc<()>, is_calling: bool) -> Option<Refusal> {
    let never = Cancellation::new();
    for _ in 0..6 {
        let failed = if is_calling {
            let called = end.call_blocking(message(witness, 0), &never);
            called.unwrap().map(drop)
        } else {
            let sent = end.send_blocking(message(witness, 0), &never);
            sent.unwrap().map_err(CallError::Unsent)
        };
        match failed {
            Err(CallError::Unsent(unsent)) => match unsent.error {
                SendError::Refused(refusal) => return Some(refusal),
                other => unreachable!("{other}"),
            },
            Ok(()) | Err(CallError::Failed(_)) => {}
            Err(CallError::OverBudget(over)) => unreachable!("{over}"),
        }
    }
    None
}

/// A server that answers nothing and stops, while one waits for an answer and another for room.
fn server_dies() {
    let Scene {
        budget,
        witness,
        server,
        client,
    } = Scene::new();
    let other = client.another(&budget).expect("there is room");
    let clients = [(client, true), (other, false)].map(|(end, is_calling)| {
        let witness = Arc::clone(&witness);
        thread::spawn(move || until_refused(&end, &witness, is_calling))
    });
    let never = Cancellation::new();
    let received = [(); 3].map(|()| server.receive_blocking(&never).unwrap().unwrap());
    drop(server);
    drop(received);
    for client in clients {
        assert_eq!(client.join().unwrap(), Some(Refusal::ServerClosed));
    }
    nothing_is_left(&budget, &witness);
}

#[test]
fn nobody_waits_for_a_server_that_is_gone() {
    under_all_schedules(server_dies);
}

#[test]
fn a_lost_wake_up_is_noticed_when_a_server_goes() {
    a_lost_wake_up_is_found_in(server_dies);
}

/// A grant is taken back while its holder calls and sends, and the server goes on.
fn grant_is_revoked() {
    let Scene {
        budget,
        witness,
        server,
        client,
    } = Scene::new();
    let (granted, revoker) = client.grant(&budget).expect("there is room");
    let copied = granted.another(&budget).expect("there is room");
    let serving = thread::spawn(move || serve(&server));
    let holders = [(granted, true), (copied, false)].map(|(end, is_calling)| {
        let witness = Arc::clone(&witness);
        thread::spawn(move || until_refused(&end, &witness, is_calling))
    });
    revoker.revoke();
    for holder in holders {
        let refusal = holder.join().unwrap();
        assert!(matches!(refusal, None | Some(Refusal::Revoked)));
    }
    let answer = client.call_blocking(message(&witness, 5), &Cancellation::new());
    assert_eq!(answer.unwrap().unwrap().message().function, 5);
    drop(client);
    serving.join().unwrap();
    nothing_is_left(&budget, &witness);
}

#[test]
fn revoking_ends_what_is_in_flight_and_nothing_else() {
    under_all_schedules(grant_is_revoked);
}

#[test]
fn a_lost_wake_up_is_noticed_when_a_grant_is_revoked() {
    a_lost_wake_up_is_found_in(grant_is_revoked);
}

/// A process is told to end while it calls, and another waits for the room that its call takes.
fn caller_is_cancelled() {
    let Scene {
        budget,
        witness,
        server,
        client,
    } = Scene::new();
    let order = Cancellation::new();
    let calling = {
        let (witness, order) = (Arc::clone(&witness), order.clone());
        thread::spawn(move || {
            let called = client.call_blocking(message(&witness, 1), &order);
            assert!(matches!(called, Err(Cancelled) | Ok(Ok(_))));
        })
    };
    let serving = thread::spawn(move || serve(&server));
    order.cancel();
    calling.join().unwrap();
    serving.join().unwrap();
    nothing_is_left(&budget, &witness);
}

#[test]
fn a_cancelled_caller_leaves_nothing_behind() {
    under_all_schedules(caller_is_cancelled);
}
