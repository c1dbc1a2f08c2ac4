//! Urgency that callers lend to whom they wait for, over threads that only a table knows.

use std::cell::Cell;
use std::sync::Mutex;

use runtime_host::channel::{ClientEnd, Incoming, Limits, Message, Reply, ServerEnd, channel};
use runtime_host::{Budget, Urgencies, set_urgencies};

const THREADS: usize = 5;
const CALLER: u32 = 1;
const SERVER: u32 = 2;
const HELPER: u32 = 3;
const ENDED: u32 = 4;

/// What each was lent.
static LENT: Mutex<[Vec<u8>; THREADS]> = Mutex::new([const { Vec::new() }; THREADS]);

thread_local! {
    /// As whom the test acts.
    static ACTOR: Cell<(u32, u8)> = const { Cell::new((0, 0)) };
}

fn lent_to(thread: u32) -> Vec<u8> {
    LENT.lock().expect("no test panics with it")[thread as usize].clone()
}

fn current_thread() -> u32 {
    ACTOR.get().0
}

fn urgency() -> u8 {
    let (thread, own) = ACTOR.get();
    lent_to(thread).into_iter().fold(own, u8::max)
}

fn lend(thread: u32, urgency: u8) -> bool {
    let mut lent = LENT.lock().expect("no test panics with it");
    if thread != ENDED {
        lent[thread as usize].push(urgency);
    }
    thread != ENDED
}

fn take_back(thread: u32, urgency: u8) {
    let mut lent = LENT.lock().expect("no test panics with it");
    let lent = &mut lent[thread as usize];
    let at = lent.iter().position(|lent| *lent == urgency);
    lent.swap_remove(at.expect("it was lent"));
}

fn act_as(thread: u32, own_urgency: u8) {
    ACTOR.set((thread, own_urgency));
}

fn call(client: &ClientEnd) -> runtime_host::channel::Call {
    client.call(Message::default()).expect("there is room")
}

fn reply(server: &ServerEnd) -> Reply {
    match server.receive().expect("the server can pay") {
        Incoming::Request(request) => request.reply.expect("it was a call"),
        other => panic!("a call was made, and {other:?} came"),
    }
}

/// One test: the table of urgencies is the process's.
#[test]
fn whoever_serves_is_as_urgent_as_who_waits() {
    set_urgencies(Urgencies {
        current_thread,
        urgency,
        lend,
        take_back,
    });
    let budget = Budget::new(1 << 20);
    let limits = Limits {
        clients: 2,
        messages: 8,
        bytes: 1 << 16,
        client_messages: 8,
        client_bytes: 1 << 16,
    };
    let (server, client) = channel(limits, &budget).expect("it can be paid for");
    let (helping, helped) = channel(limits, &budget).expect("it can be paid for");

    // Nobody has served yet, so it is lent when the call is received.
    act_as(CALLER, 2);
    let first = call(&client);
    assert!(lent_to(SERVER).is_empty());
    act_as(SERVER, 1);
    let first_reply = reply(&server);
    assert_eq!(lent_to(SERVER), [2]);

    // Of the next ones at once: they wait for the same thread.
    act_as(CALLER, 3);
    let second = call(&client);
    let third = call(&client);
    assert_eq!(lent_to(SERVER), [2, 3, 3]);

    // What was lent is lent on.
    act_as(HELPER, 0);
    assert!(matches!(helping.receive(), Ok(Incoming::Empty)));
    act_as(SERVER, 1);
    let nested = call(&helped);
    assert_eq!(lent_to(HELPER), [3]);
    drop(nested);
    assert!(lent_to(HELPER).is_empty(), "nobody waits for it any more");

    // Another thread receives: it goes over.
    act_as(HELPER, 0);
    let second_reply = reply(&server);
    assert_eq!((lent_to(SERVER), lent_to(HELPER)), (vec![2, 3], vec![3]));

    // Answered, dropped, cancelled.
    first_reply.answer(Message::default()).expect("it waits");
    assert_eq!(lent_to(SERVER), [3]);
    drop(second_reply);
    assert!(lent_to(HELPER).is_empty());
    drop((first, second, third));
    assert!(lent_to(SERVER).is_empty());

    // A thread that has ended can be lent nothing, and a plain message lends nothing.
    act_as(ENDED, 0);
    assert!(matches!(server.receive(), Ok(Incoming::Empty)));
    act_as(CALLER, 3);
    let last = call(&client);
    act_as(SERVER, 1);
    let last_reply = reply(&server);
    assert_eq!(lent_to(SERVER), [3]);
    act_as(CALLER, 3);
    client.send(Message::default()).expect("there is room");
    assert_eq!(lent_to(SERVER), [3]);
    drop((server, client, last_reply, last));
    assert!((0..THREADS as u32).all(|thread| lent_to(thread).is_empty()));
}
