//! A channel against a naive model: one list of all messages, searched from end to end, and a table of calls.
//!
//! Every message and answer is a number of its own. Each transition must give what the model gives, wake whom it wakes, and in the end
//! everything that was sent must have come out once.

use std::collections::{BTreeMap, BTreeSet};

use lib_channel::{
    Answer, AnswerRefusal, CallFailure, CallId, Channel, ClientId, GivenBack, JoinRefusal, Limits,
    Progress, Receive, Refusal, ReplyTicket, Room, Wakes,
};

const ROUNDS: usize = 60;
const STEPS: usize = 1500;

/// The seed of this run: `KPIO_SEED` if set, else a new one. Printed, so that a failure replays.
fn seeded() -> fastrand::Rng {
    let given = std::env::var("KPIO_SEED").ok();
    let seed = given.and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("replay with KPIO_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

#[derive(Clone, Copy, PartialEq)]
enum Standing {
    Connected,
    Revoked,
    Removed,
}

struct Client {
    id: ClientId,
    standing: Standing,
    is_known: bool,
    must_tell: bool,
    /// When it went to the end of the line.
    since: u64,
    /// What it was refused, if it was not woken since.
    wants: Option<usize>,
}

struct Message {
    client: ClientId,
    number: u64,
    cost_bytes: usize,
    call: Option<CallId>,
}

#[derive(Clone, Copy, PartialEq)]
enum Call {
    Queued,
    InService,
    Given(u64),
    Failed(CallFailure),
}

struct Model {
    limits: Limits,
    is_open: bool,
    clients: Vec<Client>,
    line: Vec<Message>,
    calls: BTreeMap<CallId, Call>,
    time: u64,
}

impl Model {
    fn client(&mut self, id: ClientId) -> Option<&mut Client> {
        self.clients.iter_mut().find(|client| client.id == id)
    }

    fn of(&self, id: ClientId) -> impl Iterator<Item = &Message> {
        self.line.iter().filter(move |message| message.client == id)
    }

    fn room(&self, id: ClientId, cost_bytes: usize) -> Result<(), Room> {
        let sum = |messages: &mut dyn Iterator<Item = &Message>| -> (usize, usize) {
            messages.fold((0, 0), |(count, bytes), message| {
                (count + 1, bytes + message.cost_bytes)
            })
        };
        let sends = self.of(id).filter(|message| message.call.is_none()).count();
        let calls = self.calls.keys().filter(|call| call.client() == id).count();
        let (own, own_bytes) = sum(&mut self.of(id));
        let (all, all_bytes) = sum(&mut self.line.iter());
        if sends + calls >= self.limits.client_messages
            || own_bytes + cost_bytes > self.limits.client_bytes
        {
            Err(Room::Client)
        } else if own > 0
            && (all >= self.limits.messages || all_bytes + cost_bytes > self.limits.bytes)
        {
            Err(Room::Channel)
        } else {
            Ok(())
        }
    }

    fn admit(&mut self, id: ClientId, cost_bytes: usize) -> Result<(), Refusal> {
        if !self.is_open {
            return Err(Refusal::ServerClosed);
        }
        let standing = self.client(id).map(|client| client.standing);
        if standing != Some(Standing::Connected) {
            return Err(Refusal::Revoked);
        }
        let limit_bytes = self.limits.client_bytes;
        if cost_bytes > limit_bytes {
            return Err(Refusal::TooLarge {
                cost_bytes,
                limit_bytes,
            });
        }
        let room = self.room(id, cost_bytes).map_err(Refusal::Full);
        if room.is_err()
            && let Some(client) = self.client(id)
        {
            client.wants = Some(client.wants.unwrap_or(cost_bytes).min(cost_bytes));
        }
        room
    }

    fn push(&mut self, message: Message) {
        self.time += 1;
        let time = self.time;
        let was_heard = self.has_turn(message.client);
        if let Some(client) = self.client(message.client)
            && !was_heard
        {
            client.since = time;
        }
        self.line.push(message);
    }

    fn has_turn(&self, id: ClientId) -> bool {
        let tells = |client: &Client| client.id == id && client.must_tell;
        self.of(id).next().is_some() || self.clients.iter().any(tells)
    }

    fn next_client(&self) -> Option<ClientId> {
        let with_turn = self
            .clients
            .iter()
            .filter(|client| self.has_turn(client.id));
        with_turn
            .min_by_key(|client| client.since)
            .map(|client| client.id)
    }

    /// Takes the oldest message of whose turn it is.
    fn pop(&mut self) -> Option<Message> {
        let id = self.next_client()?;
        let at = self.line.iter().position(|message| message.client == id)?;
        self.time += 1;
        let time = self.time;
        self.client(id)?.since = time;
        Some(self.line.remove(at))
    }

    fn has_senders(&self) -> bool {
        let mut clients = self.clients.iter();
        clients.any(|client| client.standing == Standing::Connected)
    }

    fn is_receivable(&self) -> bool {
        self.next_client().is_some() || !self.has_senders()
    }

    fn withdraw(&mut self, id: ClientId) -> Vec<u64> {
        let withdrawn = self.of(id).map(|message| message.number).collect();
        self.line.retain(|message| message.client != id);
        withdrawn
    }

    fn part(&mut self, id: ClientId, standing: Standing) -> Vec<u64> {
        let had_turn = self.has_turn(id);
        let withdrawn = self.withdraw(id);
        self.time += 1;
        let time = self.time;
        if let Some(client) = self.client(id) {
            client.standing = standing;
            client.must_tell |= std::mem::take(&mut client.is_known);
            client.wants = None;
            if client.must_tell && !had_turn {
                client.since = time;
            }
        }
        withdrawn
    }

    fn sweep(&mut self) {
        self.clients
            .retain(|client| client.standing != Standing::Removed || client.must_tell);
    }

    /// Those who wait and need not any more.
    fn woken(&mut self) -> Vec<ClientId> {
        let fits = |client: &&Client| {
            client
                .wants
                .is_some_and(|wants| self.room(client.id, wants).is_ok())
        };
        let woken: Vec<ClientId> = self
            .clients
            .iter()
            .filter(fits)
            .map(|client| client.id)
            .collect();
        for client in &mut self.clients {
            if woken.contains(&client.id) {
                client.wants = None;
            }
        }
        woken
    }

    fn fail(
        &mut self,
        which: impl Fn(CallId) -> bool,
        why: fn(Progress) -> CallFailure,
    ) -> Vec<CallId> {
        let mut ended = Vec::new();
        for (id, call) in &mut self.calls {
            let progress = match call {
                Call::Queued => Progress::NotReceived,
                Call::InService => Progress::Received,
                Call::Given(_) | Call::Failed(_) => continue,
            };
            if which(*id) {
                *call = Call::Failed(why(progress));
                ended.push(*id);
            }
        }
        ended
    }
}

/// Both, and what is on its way.
struct Pair {
    random: fastrand::Rng,
    channel: Channel<u64, u64>,
    model: Model,
    tickets: Vec<ReplyTicket>,
    /// Every identity that there ever was.
    clients: Vec<ClientId>,
    calls: Vec<CallId>,
    next_number: u64,
    outside: BTreeSet<u64>,
    inside: BTreeSet<u64>,
}

impl Pair {
    fn new(mut random: fastrand::Rng) -> Self {
        let limits = Limits {
            clients: random.usize(1..6),
            messages: random.usize(0..8),
            bytes: random.usize(0..200),
            client_messages: random.usize(1..6),
            client_bytes: random.usize(1..100),
        };
        Self {
            random,
            channel: Channel::new(limits),
            model: Model {
                limits,
                is_open: true,
                clients: Vec::new(),
                line: Vec::new(),
                calls: BTreeMap::new(),
                time: 0,
            },
            tickets: Vec::new(),
            clients: Vec::new(),
            calls: Vec::new(),
            next_number: 0,
            outside: BTreeSet::new(),
            inside: BTreeSet::new(),
        }
    }

    fn enters(&mut self) -> u64 {
        self.next_number += 1;
        self.inside.insert(self.next_number);
        self.next_number
    }

    fn leaves(&mut self, number: u64) {
        assert!(self.inside.remove(&number), "{number} came out twice");
        assert!(self.outside.insert(number));
    }

    /// Mostly one that is there.
    fn some_client(&mut self) -> Option<ClientId> {
        let from = self.clients.len().saturating_sub(8);
        self.random.choice(&self.clients[from..]).copied()
    }

    /// Mostly one of the last.
    fn some_call(&mut self) -> Option<CallId> {
        let from = self.calls.len().saturating_sub(16);
        self.random.choice(&self.calls[from..]).copied()
    }

    fn step(&mut self) {
        match self.random.u32(0..100) {
            0..6 => self.add_client(),
            6..26 => self.send(),
            26..50 => self.call(),
            50..70 => self.receive(),
            70..78 => self.answer(),
            78..80 => self.forgo(),
            80..90 => self.take_answer(),
            90..94 => self.cancel(),
            94..96 => self.reject(),
            96..98 => self.remove_client(),
            _ => self.revoke_client(),
        }
        self.channel.check();
        assert_eq!(self.channel.is_receivable(), self.model.is_receivable());
    }

    fn add_client(&mut self) {
        let limit = self.model.limits.clients;
        let expected = if !self.model.is_open {
            Some(JoinRefusal::ServerClosed)
        } else if self.model.clients.len() >= limit {
            Some(JoinRefusal::Full { limit })
        } else {
            None
        };
        match self.channel.add_client() {
            Err(refusal) => assert_eq!(Some(refusal), expected),
            Ok(id) => {
                assert!(expected.is_none() && !self.clients.contains(&id));
                self.clients.push(id);
                self.model.clients.push(Client {
                    id,
                    standing: Standing::Connected,
                    is_known: false,
                    must_tell: false,
                    since: 0,
                    wants: None,
                });
            }
        }
    }

    fn send(&mut self) {
        let Some(client) = self.some_client() else {
            return;
        };
        let cost_bytes = self.random.usize(0..60);
        let number = self.enters();
        let asked = self.channel.would_send(client, cost_bytes);
        let expected = self.model.admit(client, cost_bytes);
        assert_eq!(asked, expected);
        match self.channel.send(client, number, cost_bytes) {
            Ok(wakes) => {
                assert_eq!(expected, Ok(()));
                self.expect_wakes(&wakes, true, &[], &[]);
                self.model.push(Message {
                    client,
                    number,
                    cost_bytes,
                    call: None,
                });
            }
            Err((refusal, back)) => {
                assert_eq!((Err(refusal), back), (expected, number));
                self.leaves(back);
            }
        }
    }

    fn call(&mut self) {
        let Some(client) = self.some_client() else {
            return;
        };
        let cost_bytes = self.random.usize(0..60);
        let number = self.enters();
        let expected = self.model.admit(client, cost_bytes);
        match self.channel.call(client, number, cost_bytes) {
            Ok((call, wakes)) => {
                assert_eq!(expected, Ok(()));
                assert_eq!(call.client(), client);
                self.expect_wakes(&wakes, true, &[], &[]);
                self.calls.push(call);
                assert!(self.model.calls.insert(call, Call::Queued).is_none());
                self.model.push(Message {
                    client,
                    number,
                    cost_bytes,
                    call: Some(call),
                });
            }
            Err((refusal, back)) => {
                assert_eq!((Err(refusal), back), (expected, number));
                self.leaves(back);
            }
        }
    }

    fn receive(&mut self) {
        if !self.model.is_open {
            return;
        }
        let (expected_client, told) = (self.model.next_client(), self.told());
        let next = self.channel.next().copied();
        let (found, wakes) = self.channel.receive();
        match found {
            Receive::Message(received) => {
                let message = self.model.pop().expect("the model has one too");
                assert_eq!(
                    (received.message, received.client),
                    (message.number, message.client)
                );
                assert_eq!(
                    (next, received.cost_bytes),
                    (Some(message.number), message.cost_bytes)
                );
                assert_eq!(received.reply.as_ref().map(ReplyTicket::call), message.call);
                if let Some(call) = message.call {
                    self.model.calls.insert(call, Call::InService);
                }
                self.model.client(message.client).expect("it sent").is_known = true;
                self.tickets.extend(received.reply);
                self.leaves(received.message);
                let woken = self.model.woken();
                self.expect_wakes(&wakes, false, &[], &woken);
            }
            Receive::ClientGone(client) => {
                assert_eq!(Some(client), expected_client);
                assert_eq!((told, next), (Some(client), None));
                self.model.client(client).expect("it is kept").must_tell = false;
                self.model.sweep();
            }
            Receive::Empty => assert!(!self.model.is_receivable()),
            Receive::Abandoned => {
                assert!(expected_client.is_none() && !self.model.has_senders());
            }
        }
    }

    /// Whose leaving comes next.
    fn told(&self) -> Option<ClientId> {
        let next = self.model.next_client()?;
        self.model.of(next).next().is_none().then_some(next)
    }

    fn reject(&mut self) {
        if !self.model.is_open {
            return;
        }
        let is_message = self.model.next_client().is_some() && self.told().is_none();
        let message = is_message.then(|| self.model.pop()).flatten();
        let back = self.channel.reject();
        let Some(message) = message else {
            return assert_eq!(back, GivenBack::default());
        };
        if let Some(call) = message.call {
            let failed = Call::Failed(CallFailure::Rejected);
            self.model.calls.insert(call, failed);
        }
        let woken = self.model.woken();
        let ended: Vec<CallId> = message.call.into_iter().collect();
        self.expect_back(back, &[message.number], &[], false, &ended, &woken);
    }

    fn answer(&mut self) {
        if self.tickets.is_empty() {
            return;
        }
        let ticket = self
            .tickets
            .swap_remove(self.random.usize(..self.tickets.len()));
        let call = ticket.call();
        let answer = self.enters();
        let is_awaited = self.channel.is_awaited(&ticket);
        let in_service = self.model.calls.get(&call) == Some(&Call::InService);
        assert_eq!(is_awaited, in_service);
        match self.channel.answer(ticket, answer) {
            Ok(wakes) => {
                assert!(in_service);
                self.model.calls.insert(call, Call::Given(answer));
                self.expect_wakes(&wakes, false, &[call], &[]);
            }
            Err((refusal, back)) => {
                assert!(!in_service);
                assert_eq!((refusal, back), (AnswerRefusal::CallerGone, answer));
                self.leaves(back);
            }
        }
    }

    fn forgo(&mut self) {
        if self.tickets.is_empty() {
            return;
        }
        let ticket = self
            .tickets
            .swap_remove(self.random.usize(..self.tickets.len()));
        let call = ticket.call();
        let wakes = self.channel.forgo(ticket);
        if self.model.calls.get(&call) == Some(&Call::InService) {
            let failed = Call::Failed(CallFailure::ReplyDropped);
            self.model.calls.insert(call, failed);
            self.expect_wakes(&wakes, false, &[call], &[]);
        } else {
            assert_eq!(wakes, Wakes::default());
        }
    }

    fn take_answer(&mut self) {
        let Some(call) = self.some_call() else {
            return;
        };
        let expected = match self.model.calls.get(&call) {
            None => Answer::Failed(CallFailure::Over),
            Some(Call::Queued | Call::InService) => Answer::Pending,
            Some(Call::Given(number)) => Answer::Given(*number),
            Some(Call::Failed(failure)) => Answer::Failed(*failure),
        };
        assert_eq!(self.channel.has_ended(call), expected != Answer::Pending);
        let (answer, wakes) = self.channel.take_answer(call);
        assert_eq!(answer, expected);
        if expected == Answer::Pending {
            return assert_eq!(wakes, Wakes::default());
        }
        self.model.calls.remove(&call);
        if let Answer::Given(number) = answer {
            self.leaves(number);
        }
        let woken = self.model.woken();
        self.expect_wakes(&wakes, false, &[], &woken);
    }

    fn cancel(&mut self) {
        let Some(call) = self.some_call() else {
            return;
        };
        let (mut messages, mut answers) = (Vec::new(), Vec::new());
        let state = self.model.calls.remove(&call);
        match state {
            Some(Call::Queued) => {
                let is_it = |message: &Message| message.call == Some(call);
                let at = self.model.line.iter().position(is_it);
                messages.push(self.model.line.remove(at.expect("it is queued")).number);
            }
            Some(Call::Given(number)) => answers.push(number),
            Some(Call::InService | Call::Failed(_)) | None => {}
        }
        let woken = self.model.woken();
        let back = self.channel.cancel(call);
        let server = state == Some(Call::InService);
        self.expect_back(back, &messages, &answers, server, &[], &woken);
    }

    fn remove_client(&mut self) {
        let Some(client) = self.some_client() else {
            return;
        };
        let is_there = self.model.client(client).is_some();
        let messages = self.model.part(client, Standing::Removed);
        let is_its = |call: &CallId| call.client() == client;
        let given = |(_, call): (&CallId, &Call)| match call {
            Call::Given(number) => Some(*number),
            _ => None,
        };
        let its_calls = self.model.calls.iter().filter(|(call, _)| is_its(call));
        let answers: Vec<u64> = its_calls.filter_map(given).collect();
        self.model.calls.retain(|call, _| !is_its(call));
        self.model.sweep();
        let server = is_there && self.model.is_open && self.model.is_receivable();
        let woken = self.model.woken();
        let back = self.channel.remove_client(client);
        self.expect_back(back, &messages, &answers, server, &[], &woken);
    }

    fn revoke_client(&mut self) {
        let Some(client) = self.some_client() else {
            return;
        };
        let back = self.channel.revoke_client(client);
        let standing = self.model.client(client).map(|client| client.standing);
        if standing != Some(Standing::Connected) {
            return assert_eq!(back, GivenBack::default());
        }
        let messages = self.model.part(client, Standing::Revoked);
        let ended = self
            .model
            .fail(|call| call.client() == client, CallFailure::Revoked);
        let mut woken = self.model.woken();
        woken.push(client);
        let server = self.model.is_open && self.model.is_receivable();
        self.expect_back(back, &messages, &[], server, &ended, &woken);
    }

    fn close_server(&mut self) {
        let back = self.channel.close_server();
        self.model.is_open = false;
        let messages: Vec<u64> = self
            .model
            .line
            .drain(..)
            .map(|message| message.number)
            .collect();
        for client in &mut self.model.clients {
            (client.is_known, client.must_tell, client.wants) = (false, false, None);
        }
        self.model.sweep();
        let ended = self.model.fail(|_| true, CallFailure::ServerClosed);
        let clients: Vec<ClientId> = self.model.clients.iter().map(|client| client.id).collect();
        self.expect_back(back, &messages, &[], false, &ended, &clients);
        self.channel.check();
    }

    fn expect_back(
        &mut self,
        mut back: GivenBack<u64, u64>,
        messages: &[u64],
        answers: &[u64],
        server: bool,
        calls: &[CallId],
        clients: &[ClientId],
    ) {
        let sorted = |numbers: &[u64]| numbers.iter().copied().collect::<BTreeSet<u64>>();
        back.messages.sort_unstable();
        assert_eq!(sorted(&back.messages), sorted(messages));
        assert_eq!(back.messages.len(), messages.len());
        assert_eq!(sorted(&back.answers), sorted(answers));
        assert_eq!(back.answers.len(), answers.len());
        self.expect_wakes(&back.wakes, server, calls, clients);
        for number in back.messages.into_iter().chain(back.answers) {
            self.leaves(number);
        }
    }

    fn expect_wakes(&self, wakes: &Wakes, server: bool, calls: &[CallId], clients: &[ClientId]) {
        assert_eq!(wakes.server, server);
        assert_eq!(wakes.calls.as_slice(), calls);
        let set = |clients: &[ClientId]| clients.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(set(&wakes.clients), set(clients));
    }

    /// All leave, in one order or the other: nothing stays.
    fn end(mut self) {
        if self.random.bool() {
            self.close_server();
            (0..50).for_each(|_| self.step());
        }
        for client in self.clients.clone() {
            for number in self.channel.remove_client(client).given_back() {
                self.leaves(number);
            }
        }
        for number in self.channel.close_server().given_back() {
            self.leaves(number);
        }
        self.channel.check();
        assert_eq!(self.inside, BTreeSet::new(), "these were lost");
        assert_eq!(self.outside.len() as u64, self.next_number);
    }
}

trait Numbers {
    fn given_back(self) -> Vec<u64>;
}

impl Numbers for GivenBack<u64, u64> {
    fn given_back(self) -> Vec<u64> {
        self.messages.into_iter().chain(self.answers).collect()
    }
}

#[test]
fn a_channel_does_what_the_model_does() {
    let mut random = seeded();
    for _ in 0..ROUNDS {
        let mut pair = Pair::new(random.fork());
        (0..STEPS).for_each(|_| pair.step());
        pair.end();
    }
}
