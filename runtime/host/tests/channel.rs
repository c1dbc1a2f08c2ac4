//! Channels and buffers, with real threads.

use std::sync::Arc;
use std::thread;

use runtime_host::channel::{
    AnswerError, CallError, CallFailure, ClientEnd, HANDLES_MAX, Incoming, JoinError, Limits,
    Message, Passed, Progress, Refusal, Reply, Request, Room, SendError, ServerEnd, channel,
};
use runtime_host::{
    Access, Awaited, Budget, Buffer, BufferError, Cancellation, Cancelled, HeldLoan, NoInput,
    Notifier,
};

const LIMITS: Limits = Limits {
    clients: 8,
    messages: 4,
    bytes: 1 << 20,
    client_messages: 4,
    client_bytes: 1 << 20,
};

fn pair(budget: &Budget) -> (ServerEnd, ClientEnd) {
    channel(LIMITS, budget).expect("the budget is large")
}

fn roomy() -> Budget {
    Budget::new(1 << 30)
}

fn text(bytes: &[u8]) -> Message {
    Message::new(0, bytes.to_vec())
}

fn carrying(passed: Passed) -> Message {
    Message {
        handles: vec![passed],
        ..Message::default()
    }
}

fn request(server: &ServerEnd) -> Request {
    match server.receive().expect("the server can pay") {
        Incoming::Request(request) => request,
        other => panic!("a request was sent, and {other:?} came"),
    }
}

fn reply(server: &ServerEnd) -> Reply {
    request(server).reply.expect("it was a call")
}

fn failure(error: CallError) -> CallFailure {
    match error {
        CallError::Failed(failure) => failure,
        other => panic!("the call failed otherwise: {other}"),
    }
}

#[test]
fn what_waits_is_counted_until_it_is_received_or_withdrawn() {
    let budget = roomy();
    let (server, client) = pair(&budget);
    let another = client.another(&budget).expect("there is room");
    client.send(text(b"one")).expect("there is room");
    let call = another.call(text(b"two")).expect("there is room");
    assert_eq!((client.queued(), another.queued()), (2, 2));
    request(&server);
    assert_eq!(client.queued(), 1);
    drop(call);
    assert_eq!(client.queued(), 0);
}

#[test]
fn a_call_goes_there_and_back() {
    let budget = roomy();
    let (server, client) = pair(&budget);
    let serving = thread::spawn(move || {
        let never = Cancellation::new();
        loop {
            match server.receive_blocking(&never).unwrap().unwrap() {
                Incoming::Request(request) => {
                    let mut bytes = request.envelope.message().bytes.clone();
                    bytes.reverse();
                    let reply = request.reply.expect("only calls are made");
                    reply.answer(Message::new(0, bytes)).expect("it waits");
                }
                Incoming::Abandoned => return,
                Incoming::ClientGone(_) | Incoming::Empty => {}
            }
        }
    });
    let never = Cancellation::new();
    for _ in 0..1000 {
        let answer = client.call_blocking(text(b"stressed"), &never);
        let answer = answer.unwrap().expect("it is answered");
        assert_eq!(answer.message().bytes, b"desserts");
    }
    drop(client);
    serving
        .join()
        .expect("it ends when its last client is gone");
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn whoever_holds_a_message_pays_for_it() {
    let all = roomy();
    let (services, apps) = (all.child(1 << 20), all.child(1 << 20));
    let server = pair(&services);
    let client = server.1.another(&apps).expect("there is room");
    let (server, _first) = server;
    let (service_idle, app_idle) = (services.used_bytes(), apps.used_bytes());
    let call = client.call(text(&[0; 5000])).expect("there is room");
    assert!(apps.used_bytes() >= app_idle + 5000);
    assert_eq!(services.used_bytes(), service_idle);
    let request = request(&server);
    assert_eq!(apps.used_bytes(), app_idle);
    assert!(services.used_bytes() >= service_idle + 5000);
    let reply = request.reply.expect("it was a call");
    drop(request.envelope);
    assert_eq!(services.used_bytes(), service_idle);
    reply.answer(text(&[0; 7000])).expect("it waits");
    assert_eq!(services.used_bytes(), service_idle);
    assert!(apps.used_bytes() >= app_idle + 7000);
    drop(call);
    assert_eq!(apps.used_bytes(), app_idle);
}

#[test]
fn who_cannot_pay_is_told() {
    let all = roomy();
    let (poor, rich) = (all.child(4000), all.child(1 << 20));
    let (server, first) = pair(&poor);
    let client = first.another(&rich).expect("there is room");
    let call = client.call(text(&[1; 5000])).expect("the client can pay");
    assert!(server.receive().is_err(), "the server cannot");
    assert!(server.is_ready(), "the message is still there");
    server.reject();
    let error = call
        .take()
        .expect("it has ended")
        .expect_err("it was rejected");
    assert!(error.is_retriable());
    assert_eq!(failure(error), CallFailure::Rejected);

    let unsent = first
        .send(text(&[1; 5000]))
        .expect_err("its holder is poor");
    assert!(matches!(unsent.error, SendError::OverBudget(_)));
    assert_eq!(unsent.message.bytes.len(), 5000);

    let call = first.call(text(b"much?")).expect("this much it can pay");
    let refused = reply(&server)
        .answer(text(&[1; 5000]))
        .expect_err("not this");
    assert!(matches!(refused.error, AnswerError::OverBudget(_)));
    assert_eq!(refused.message.bytes.len(), 5000);
    let error = call.take().expect("it has ended");
    assert!(matches!(error, Err(CallError::OverBudget(_))));
}

#[test]
fn a_flooder_does_not_keep_others_out() {
    let budget = roomy();
    let (server, flooder) = pair(&budget);
    let other = flooder.another(&budget).expect("there is room");
    while flooder.send(text(b"flood")).is_ok() {}
    let refused = flooder.send(text(b"flood")).expect_err("it is full");
    assert_eq!(
        refused.error,
        SendError::Refused(Refusal::Full(Room::Client))
    );
    other
        .send(text(b"urgent"))
        .expect("it has nothing in the queue");
    request(&server);
    assert_eq!(request(&server).envelope.message().bytes, b"urgent");
}

#[test]
fn waiting_for_room_ends_when_there_is_some() {
    let budget = roomy();
    let (server, client) = pair(&budget);
    while client.send(text(b"fill")).is_ok() {}
    assert!(!client.is_ready());
    let never = Cancellation::new();
    thread::scope(|scope| {
        let sending = scope.spawn(|| client.send_blocking(text(b"late"), &never));
        request(&server);
        assert!(
            sending
                .join()
                .expect("it ends")
                .is_ok_and(|sent| sent.is_ok())
        );
    });
}

#[test]
fn a_cancelled_process_waits_no_longer_and_its_call_is_withdrawn() {
    let budget = roomy();
    let (server, client) = pair(&budget);
    let idle = budget.used_bytes();
    let order = Cancellation::new();
    thread::scope(|scope| {
        let calling = scope.spawn(|| client.call_blocking(text(b"anybody?"), &order));
        order.cancel();
        let ended = calling.join().expect("it ends");
        assert_eq!(ended.err(), Some(Cancelled));
    });
    assert!(matches!(server.receive(), Ok(Incoming::Empty)));
    assert_eq!(budget.used_bytes(), idle);
}

#[test]
fn the_end_of_a_server_tells_what_may_have_happened() {
    let budget = roomy();
    let (server, client) = pair(&budget);
    let end = client.end();
    let served = client.call(text(b"served")).expect("there is room");
    let waiting = client.call(text(b"waiting")).expect("there is room");
    let retried = client.call(text(b"retried")).expect("there is room");
    let kept = reply(&server);
    assert!(!end.is_ready() && kept.is_awaited());
    drop(server);
    assert!(end.is_ready() && !kept.is_awaited());
    let of = |call: &runtime_host::channel::Call| {
        failure(
            call.take()
                .expect("it has ended")
                .expect_err("the server is gone"),
        )
    };
    assert_eq!(of(&served), CallFailure::ServerClosed(Progress::Received));
    assert_eq!(
        of(&waiting),
        CallFailure::ServerClosed(Progress::NotReceived)
    );
    assert!(of(&retried).is_retriable());
    assert_eq!(of(&retried), CallFailure::Over);
    let late = kept.answer(text(b"late")).expect_err("nobody waits");
    assert_eq!(late.message.bytes, b"late");
    let refused = client.send(text(b"hello?")).expect_err("it is closed");
    assert_eq!(refused.error, SendError::Refused(Refusal::ServerClosed));
    let no_more = client.another(&budget).expect_err("it is closed");
    assert!(matches!(no_more, JoinError::Refused(_)));
}

#[test]
fn a_reply_that_is_dropped_is_an_end() {
    let budget = roomy();
    let (server, client) = pair(&budget);
    let call = client.call(text(b"?")).expect("there is room");
    assert!(call.take().is_none());
    drop(reply(&server));
    let error = call
        .take()
        .expect("it has ended")
        .expect_err("no answer comes");
    assert_eq!(failure(error), CallFailure::ReplyDropped);
}

#[test]
fn revoking_reaches_what_was_made_of_a_grant() {
    let budget = roomy();
    let (server, owner) = pair(&budget);
    let (granted, revoker) = owner.grant(&budget).expect("there is room");
    let copied = granted.another(&budget).expect("there is room");
    let (passed_on, _) = copied.grant(&budget).expect("there is room");
    let call = passed_on.call(text(b"?")).expect("there is room");
    let served = request(&server);
    revoker.revoke();
    for end in [&granted, &copied, &passed_on] {
        let refused = end.send(text(b"!")).expect_err("it was taken back");
        assert_eq!(refused.error, SendError::Refused(Refusal::Revoked));
        assert!(matches!(end.another(&budget), Err(JoinError::Revoked)));
        assert!(matches!(end.grant(&budget), Err(JoinError::Revoked)));
        assert!(end.end().is_ready());
    }
    let error = call
        .take()
        .expect("it has ended")
        .expect_err("it was revoked");
    assert_eq!(failure(error), CallFailure::Revoked(Progress::Received));
    let reply = served.reply.expect("it was a call");
    let late = reply.answer(text(b"late")).expect_err("nobody waits");
    assert_eq!(late.message.bytes, b"late");
    owner
        .send(text(b"still here"))
        .expect("it was granted to nobody");
    let gone = server.receive().expect("nothing to pay");
    assert!(matches!(gone, Incoming::ClientGone(client) if client == passed_on.id()));
}

#[test]
fn grants_are_passed_on_a_bounded_number_of_times() {
    let budget = roomy();
    let (_server, mut end) = pair(&budget);
    let error = loop {
        match end.grant(&budget) {
            Ok((further, _)) => end = further,
            Err(error) => break error,
        }
    };
    assert_eq!(error, JoinError::TooDeep);
}

#[test]
fn whoever_was_granted_a_channel_leaves_places_to_others() {
    let budget = roomy();
    let limits = Limits {
        clients: 64,
        ..LIMITS
    };
    let (_server, owner) = channel(limits, &budget).expect("it can be paid for");
    let (granted, _) = owner.grant(&budget).expect("there is room");
    let mut made = Vec::new();
    let full = loop {
        let (further, _) = match granted.grant(&budget) {
            Ok(further) => further,
            Err(error) => break error,
        };
        made.push(further);
    };
    assert_eq!(full, JoinError::GrantFull { limit: 16 });
    assert!(granted.another(&budget).is_err());
    owner.another(&budget).expect("others have theirs");
    made.pop();
    granted.another(&budget).expect("there is room again");
}

#[test]
fn a_server_can_wait_for_its_caller_to_give_up() {
    let budget = roomy();
    let (server, client) = pair(&budget);
    let call = client.call(text(b"?")).expect("there is room");
    let reply = reply(&server);
    let notifier = Notifier::new();
    reply.subscribe(&notifier);
    assert!(!reply.is_ready());
    drop(call);
    assert!(notifier.wait(None) && reply.is_ready());
}

#[test]
fn ends_travel_and_are_charged_to_whom_they_reach() {
    let all = roomy();
    let (services, apps) = (all.child(1 << 20), all.child(1 << 20));
    let (server, first) = pair(&services);
    let client = first.another(&apps).expect("there is room");
    let (service_idle, app_idle) = (services.used_bytes(), apps.used_bytes());

    let (own_server, own_client) = pair(&apps);
    let call = client.call(carrying(Passed::Client(own_client)));
    let call = call.expect("there is room");
    let Request {
        envelope, reply, ..
    } = request(&server);
    let (message, paid) = envelope.open();
    drop(paid);
    let Some(Passed::Client(callback)) = message.handles.into_iter().next() else {
        panic!("it carried a client's end");
    };
    assert!(services.used_bytes() > service_idle);
    callback.send(text(b"called back")).expect("there is room");
    assert_eq!(
        request(&own_server).envelope.message().bytes,
        b"called back"
    );

    let refused = reply
        .expect("it was a call")
        .answer(carrying(Passed::Client(callback)));
    refused.expect("it waits");
    assert_eq!(
        services.used_bytes(),
        service_idle + 512,
        "not yet looked at"
    );
    let answer = call.take().expect("it has ended").expect("it was answered");
    assert_eq!(services.used_bytes(), service_idle);
    drop((answer, own_server, call));
    assert_eq!(apps.used_bytes(), app_idle);
}

#[test]
fn a_message_carries_a_bounded_number_of_handles() {
    let budget = roomy();
    let (server, client) = pair(&budget);
    let many = || {
        let sources = (0..=HANDLES_MAX).map(|_| Passed::Source(Arc::new(NoInput)));
        Message {
            handles: sources.collect(),
            ..Message::default()
        }
    };
    let refused = client.send(many()).expect_err("one too many");
    let handles = HANDLES_MAX + 1;
    assert_eq!(refused.error, SendError::TooManyHandles { handles });
    let call = client.call(text(b"?")).expect("there is room");
    let refused = reply(&server).answer(many()).expect_err("one too many");
    assert_eq!(refused.error, AnswerError::TooManyHandles { handles });
    let error = call
        .take()
        .expect("it has ended")
        .expect_err("no answer comes");
    assert_eq!(failure(error), CallFailure::ReplyDropped);
}

/// Each channel's server travels in the queue of the one before. The stack of a test's thread would not do for recursion.
#[test]
fn a_deep_chain_of_channels_is_dropped_without_recursion() {
    let budget = roomy();
    let (server, mut client) = pair(&budget);
    let mut clients = Vec::new();
    for _ in 0..50_000 {
        let (inner_server, inner_client) = pair(&budget);
        let sent = client.send(carrying(Passed::Server(inner_server)));
        sent.expect("there is room");
        clients.push(std::mem::replace(&mut client, inner_client));
    }
    drop(server);
    assert!(client.end().is_ready(), "the last server is gone too");
    drop((client, clients));
    assert_eq!(budget.used_bytes(), 0);
}

/// Two channels, each with its server and its clients in the other's queue, and nobody outside.
#[test]
fn ends_do_not_keep_one_another_alive() {
    let budget = roomy();
    let (one_server, one) = pair(&budget);
    let (other_server, other) = pair(&budget);
    let another_one = one.another(&budget).expect("there is room");
    let another_other = other.another(&budget).expect("there is room");
    one.send(carrying(Passed::Server(other_server)))
        .expect("there is room");
    other
        .send(carrying(Passed::Server(one_server)))
        .expect("there is room");
    other
        .send(carrying(Passed::Client(one)))
        .expect("there is room");
    another_one
        .send(carrying(Passed::Client(other)))
        .expect("there is room");
    another_other
        .send(carrying(Passed::Client(another_one)))
        .expect("there is room");
    drop(another_other);
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn a_buffer_is_with_one_of_two() {
    let all = roomy();
    let budget = all.child(4096);
    let buffer = Buffer::new(4096, &budget).expect("it can be paid for");
    assert!(matches!(
        Buffer::new(1, &budget),
        Err(BufferError::OverBudget(_))
    ));
    buffer.write(4092, b"data").expect("it is here");
    let beyond = Err(BufferError::OutOfBounds { len_bytes: 4096 });
    assert_eq!(buffer.write(4093, b"data"), beyond);
    assert_eq!(buffer.write(usize::MAX, b"data"), beyond);

    let (server, client) = pair(&all);
    let loan = buffer.hand_over(Access::Read).expect("it is here");
    assert_eq!(buffer.write(0, b"x"), Err(BufferError::HandedOver));
    assert_eq!(buffer.read(0, &mut [0]), Err(BufferError::HandedOver));
    assert!(matches!(
        buffer.hand_over(Access::Write),
        Err(BufferError::HandedOver)
    ));
    client
        .send(carrying(Passed::Buffer(HeldLoan::new(loan))))
        .expect("there is room");
    let received = request(&server);
    let handles = received.envelope.open().0.handles;
    let Some(Passed::Buffer(loan)) = handles.into_iter().next() else {
        panic!("it carried a buffer");
    };
    let mut found = [0; 4];
    loan.with(|loan| loan.read(4092, &mut found))
        .expect("it is lent");
    assert_eq!(&found, b"data");
    let refused = loan.with(|loan| loan.write(0, b"x"));
    assert_eq!(refused, Err(BufferError::ReadOnly));

    let notifier = Notifier::new();
    buffer.subscribe(&notifier);
    assert!(!buffer.is_ready());
    drop(loan);
    assert!(buffer.is_ready() && notifier.wait(None));

    let mut loan = buffer.hand_over(Access::Write).expect("it is back");
    loan.write(0, b"filled").expect("it may be filled");
    drop(loan);
    let mut found = [0; 6];
    buffer.read(0, &mut found).expect("it is back");
    assert_eq!(&found, b"filled");
}

#[test]
fn a_buffer_comes_back_from_a_holder_that_dies() {
    let budget = roomy();
    let buffer = Buffer::new(100, &budget).expect("it can be paid for");
    let (server, client) = pair(&budget);
    let loan = buffer.hand_over(Access::Read).expect("it is here");
    client
        .send(carrying(Passed::Buffer(HeldLoan::new(loan))))
        .expect("there is room");
    drop(server);
    assert!(buffer.is_ready());
}
