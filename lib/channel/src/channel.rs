//! The transitions.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use crate::call::State;
use crate::client::{Client, Knows, Queued, Standing};
use crate::{
    Answer, AnswerRefusal, CallFailure, CallId, Calls, ClientId, JoinRefusal, Limits, Progress,
    Refusal, ReplyTicket, Room, Wakes,
};

/// A channel. It starts with a server and without clients.
#[derive(Debug)]
pub struct Channel<M, R> {
    pub(crate) limits: Limits,
    pub(crate) server_is_open: bool,
    pub(crate) clients: BTreeMap<ClientId, Client<M>>,
    /// Clients with something for the server, each once, the next one first.
    pub(crate) turns: VecDeque<ClientId>,
    /// Clients that were refused for want of room and not named since.
    pub(crate) waiting: BTreeSet<ClientId>,
    pub(crate) calls: BTreeMap<CallId, State<R>>,
    /// Messages in all queues, and their costs.
    pub(crate) queued_messages: usize,
    pub(crate) queued_bytes: usize,
    pub(crate) next_client: u64,
    pub(crate) next_call: u64,
}

/// What the server finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Receive<M> {
    /// A message.
    Message(Received<M>),
    /// A client from which messages came is gone or was revoked; none will come any more.
    ClientGone(ClientId),
    /// Nothing now.
    Empty,
    /// Nothing, and no client is left that could send something.
    Abandoned,
}

/// A message that left the queue.
#[derive(Debug, PartialEq, Eq)]
pub struct Received<M> {
    /// What was sent.
    pub message: M,
    /// By whom.
    pub client: ClientId,
    /// What the sender said that it costs.
    pub cost_bytes: usize,
    /// For a call.
    pub reply: Option<ReplyTicket>,
}

/// What a transition took out of the channel.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what is given back may hold ends of channels, and is dropped outside of the lock"]
pub struct GivenBack<M, R> {
    /// Messages that the server did not receive.
    pub messages: Vec<M>,
    /// Answers that nobody has looked at.
    pub answers: Vec<R>,
    /// Who is to look again.
    pub wakes: Wakes,
}

impl<M, R> Default for GivenBack<M, R> {
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            answers: Vec::new(),
            wakes: Wakes::default(),
        }
    }
}

impl<M, R> Channel<M, R> {
    /// A channel that holds what `limits` say.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            server_is_open: true,
            clients: BTreeMap::new(),
            turns: VecDeque::new(),
            waiting: BTreeSet::new(),
            calls: BTreeMap::new(),
            queued_messages: 0,
            queued_bytes: 0,
            next_client: 0,
            next_call: 0,
        }
    }

    /// Its bounds.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether the server has not closed it.
    pub fn server_is_open(&self) -> bool {
        self.server_is_open
    }

    /// How many messages wait to be received.
    pub fn queued_messages(&self) -> usize {
        self.queued_messages
    }

    // What clients do.

    /// One client more.
    pub fn add_client(&mut self) -> Result<ClientId, JoinRefusal> {
        if !self.server_is_open {
            return Err(JoinRefusal::ServerClosed);
        }
        let limit = self.limits.clients;
        if self.clients.len() >= limit {
            return Err(JoinRefusal::Full { limit });
        }
        let id = ClientId(self.next_client);
        self.next_client += 1;
        self.clients.insert(id, Client::new());
        Ok(id)
    }

    /// Sends what needs no answer.
    pub fn send(
        &mut self,
        client: ClientId,
        message: M,
        cost_bytes: usize,
    ) -> Result<Wakes, (Refusal, M)> {
        match self.want_room(client, cost_bytes) {
            Ok(()) => Ok(self.enqueue(client, message, cost_bytes, None)),
            Err(refusal) => Err((refusal, message)),
        }
    }

    /// Sends what is to be answered.
    pub fn call(
        &mut self,
        client: ClientId,
        message: M,
        cost_bytes: usize,
    ) -> Result<(CallId, Wakes), (Refusal, M)> {
        if let Err(refusal) = self.want_room(client, cost_bytes) {
            return Err((refusal, message));
        }
        let number = self.next_call;
        self.next_call += 1;
        let call = CallId { client, number };
        self.calls.insert(call, State::Queued);
        Ok((call, self.enqueue(client, message, cost_bytes, Some(call))))
    }

    /// Whether a message of this cost would be sent now, or why not. Does not make the client one that waits.
    pub fn would_send(&self, client: ClientId, cost_bytes: usize) -> Result<(), Refusal> {
        if !self.server_is_open {
            return Err(Refusal::ServerClosed);
        }
        let Some(known) = self.connected(client) else {
            return Err(Refusal::Revoked);
        };
        let limit_bytes = self.limits.client_bytes;
        if cost_bytes > limit_bytes {
            return Err(Refusal::TooLarge {
                cost_bytes,
                limit_bytes,
            });
        }
        self.room_for(known, cost_bytes).map_err(Refusal::Full)
    }

    /// [`Channel::would_send`], and a client for which there is no room is named once there is.
    pub fn want_room(&mut self, client: ClientId, cost_bytes: usize) -> Result<(), Refusal> {
        let admitted = self.would_send(client, cost_bytes);
        if let Err(Refusal::Full(_)) = admitted
            && let Some(known) = self.clients.get_mut(&client)
        {
            known.want(cost_bytes);
            self.waiting.insert(client);
        }
        admitted
    }

    /// Looks at the end of a call, which is over then.
    pub fn take_answer(&mut self, call: CallId) -> (Answer<R>, Wakes) {
        match self.calls.get(&call) {
            None => return (Answer::Failed(CallFailure::Over), Wakes::default()),
            Some(state) if state.progress().is_some() => {
                return (Answer::Pending, Wakes::default());
            }
            Some(_) => {}
        }
        let answer = match self.calls.remove(&call) {
            Some(State::Given(answer)) => Answer::Given(answer),
            Some(State::Failed(failure)) => Answer::Failed(failure),
            Some(State::Queued | State::InService) | None => Answer::Failed(CallFailure::Over),
        };
        self.release_call(call);
        (answer, self.wake_waiting())
    }

    /// Whether a call has ended.
    pub fn has_ended(&self, call: CallId) -> bool {
        let state = self.calls.get(&call);
        state.is_none_or(|state| state.progress().is_none())
    }

    /// The caller does not want the answer any more. What the server is serving it may go on with, and gets its answer back.
    pub fn cancel(&mut self, call: CallId) -> GivenBack<M, R> {
        let mut back = GivenBack::default();
        let Some(state) = self.calls.remove(&call) else {
            return back;
        };
        let was_in_service = matches!(state, State::InService);
        match state {
            State::Queued => back.messages.extend(self.withdraw_call(call)),
            State::Given(answer) => back.answers.push(answer),
            State::InService | State::Failed(_) => {}
        }
        self.release_call(call);
        back.wakes = self.wake_waiting();
        back.wakes.server = was_in_service;
        back
    }

    /// The client is gone: as if it had been revoked, and had looked at the ends of all its calls.
    pub fn remove_client(&mut self, client: ClientId) -> GivenBack<M, R> {
        let mut back = GivenBack::default();
        self.part(client, Standing::Removed, &mut back);
        for call in self.calls_of(client) {
            if let Some(State::Given(answer)) = self.calls.remove(&call) {
                back.answers.push(answer);
            }
            self.release_call(call);
        }
        self.forget_if_told(client);
        back.wakes.clients = self.wake_waiting().clients;
        back
    }

    /// Takes the use of the channel from a client: what was not yet received is withdrawn, and its calls end.
    pub fn revoke_client(&mut self, client: ClientId) -> GivenBack<M, R> {
        let mut back = GivenBack::default();
        if self.connected(client).is_none() {
            return back;
        }
        self.part(client, Standing::Revoked, &mut back);
        for call in self.calls_of(client) {
            self.fail(call, CallFailure::Revoked, &mut back.wakes.calls);
        }
        back.wakes.clients = self.wake_waiting().clients;
        back.wakes.clients.push(client);
        back
    }

    // What the server does.

    /// What comes next.
    pub fn receive(&mut self) -> (Receive<M>, Wakes) {
        let Some(client) = self.turns.pop_front() else {
            let nothing = if self.has_senders() {
                Receive::Empty
            } else {
                Receive::Abandoned
            };
            return (nothing, Wakes::default());
        };
        match self.pop_of(client) {
            None => (self.tell(client), Wakes::default()),
            Some(queued) => {
                let received = self.begin_service(client, queued);
                (Receive::Message(received), self.wake_waiting())
            }
        }
    }

    /// The message that [`Channel::receive`] would give; nothing if it would give none.
    pub fn next(&self) -> Option<&M> {
        let next = self.clients.get(self.turns.front()?)?;
        Some(&next.queue.front()?.message)
    }

    /// Whether [`Channel::receive`] would not answer [`Receive::Empty`].
    pub fn is_receivable(&self) -> bool {
        !self.turns.is_empty() || !self.has_senders()
    }

    /// Gives back the message that [`Channel::receive`] would give, as one that the server cannot take. Does nothing if there is none.
    pub fn reject(&mut self) -> GivenBack<M, R> {
        let mut back = GivenBack::default();
        if self.next().is_none() {
            return back;
        }
        let Some(client) = self.turns.pop_front() else {
            return back;
        };
        if let Some(queued) = self.pop_of(client) {
            if let Some(call) = queued.call {
                let failed = State::Failed(CallFailure::Rejected);
                self.calls.insert(call, failed);
                back.wakes.calls.push(call);
            }
            back.messages.push(queued.message);
        }
        self.take_turn(client);
        back.wakes.clients = self.wake_waiting().clients;
        back
    }

    /// Answers a call.
    pub fn answer(&mut self, ticket: ReplyTicket, answer: R) -> Result<Wakes, (AnswerRefusal, R)> {
        let call = ticket.0;
        match self.calls.get_mut(&call) {
            Some(state @ State::InService) => {
                *state = State::Given(answer);
                Ok(Wakes::call(call))
            }
            Some(State::Failed(_)) => Err((AnswerRefusal::CallerGone, answer)),
            None if call.number < self.next_call => Err((AnswerRefusal::CallerGone, answer)),
            Some(_) | None => Err((AnswerRefusal::NotInService, answer)),
        }
    }

    /// Ends a call without an answer.
    pub fn forgo(&mut self, ticket: ReplyTicket) -> Wakes {
        match self.calls.get_mut(&ticket.0) {
            Some(state @ State::InService) => {
                *state = State::Failed(CallFailure::ReplyDropped);
                Wakes::call(ticket.0)
            }
            _ => Wakes::default(),
        }
    }

    /// Whether somebody still waits for the answer.
    pub fn is_awaited(&self, ticket: &ReplyTicket) -> bool {
        matches!(self.calls.get(&ticket.0), Some(State::InService))
    }

    /// The server is gone. Answers that it has given can still be taken.
    pub fn close_server(&mut self) -> GivenBack<M, R> {
        let mut back = GivenBack::default();
        self.server_is_open = false;
        self.turns.clear();
        self.waiting.clear();
        for client in self.clients.values_mut() {
            client.wanted_bytes = None;
            client.server = Knows::Nothing;
            back.messages.extend(client.withdraw_all());
        }
        (self.queued_messages, self.queued_bytes) = (0, 0);
        self.clients
            .retain(|_, client| client.standing != Standing::Removed);
        back.wakes.clients.extend(self.clients.keys());
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for call in calls {
            self.fail(call, CallFailure::ServerClosed, &mut back.wakes.calls);
        }
        back
    }

    // How.

    /// A client with nothing in the queue has room in it, whatever the others hold.
    fn room_for(&self, client: &Client<M>, cost_bytes: usize) -> Result<(), Room> {
        let limits = &self.limits;
        let fits = |used: usize, limit: usize| {
            used.checked_add(cost_bytes).is_some_and(|sum| sum <= limit)
        };
        if client.held >= limits.client_messages || !fits(client.queued_bytes, limits.client_bytes)
        {
            return Err(Room::Client);
        }
        let is_heard = !client.queue.is_empty();
        let is_full =
            self.queued_messages >= limits.messages || !fits(self.queued_bytes, limits.bytes);
        if is_heard && is_full {
            return Err(Room::Channel);
        }
        Ok(())
    }

    fn enqueue(
        &mut self,
        client: ClientId,
        message: M,
        cost_bytes: usize,
        call: Option<CallId>,
    ) -> Wakes {
        self.queued_messages += 1;
        self.queued_bytes = self.queued_bytes.saturating_add(cost_bytes);
        if let Some(known) = self.clients.get_mut(&client) {
            if !known.has_turn() {
                self.turns.push_back(client);
            }
            known.push(Queued {
                message,
                cost_bytes,
                call,
            });
        }
        Wakes::server()
    }

    fn pop_of(&mut self, client: ClientId) -> Option<Queued<M>> {
        let queued = self.clients.get_mut(&client)?.pop()?;
        self.leave_queue(queued.cost_bytes);
        Some(queued)
    }

    fn leave_queue(&mut self, cost_bytes: usize) {
        self.queued_messages -= 1;
        self.queued_bytes -= cost_bytes;
    }

    fn begin_service(&mut self, client: ClientId, queued: Queued<M>) -> Received<M> {
        if let Some(known) = self.clients.get_mut(&client) {
            known.server = Knows::Messages;
        }
        self.take_turn(client);
        let reply = queued.call.map(|call| {
            self.calls.insert(call, State::InService);
            ReplyTicket(call)
        });
        Received {
            message: queued.message,
            client,
            cost_bytes: queued.cost_bytes,
            reply,
        }
    }

    /// Puts a client that just had its turn behind all others, if there is more of it.
    fn take_turn(&mut self, client: ClientId) {
        if self.clients.get(&client).is_some_and(Client::has_turn) {
            self.turns.push_back(client);
        }
    }

    /// A client without messages had a turn to have its leaving told.
    fn tell(&mut self, client: ClientId) -> Receive<M> {
        if let Some(known) = self.clients.get_mut(&client) {
            known.server = Knows::Nothing;
        }
        self.forget_if_told(client);
        Receive::ClientGone(client)
    }

    fn forget_if_told(&mut self, client: ClientId) {
        let is_done = |known: &Client<M>| {
            known.standing == Standing::Removed && known.server == Knows::Nothing
        };
        if self.clients.get(&client).is_some_and(is_done) {
            self.clients.remove(&client);
        }
    }

    fn has_senders(&self) -> bool {
        let mut clients = self.clients.values();
        clients.any(|client| client.standing == Standing::Connected)
    }

    fn connected(&self, client: ClientId) -> Option<&Client<M>> {
        let known = self.clients.get(&client);
        known.filter(|known| known.standing == Standing::Connected)
    }

    fn calls_of(&self, client: ClientId) -> Vec<CallId> {
        let first = CallId { client, number: 0 };
        let last = CallId {
            client,
            number: u64::MAX,
        };
        self.calls
            .range(first..=last)
            .map(|(call, _)| *call)
            .collect()
    }

    /// Ends a call that has not ended.
    fn fail(&mut self, call: CallId, why: impl FnOnce(Progress) -> CallFailure, ended: &mut Calls) {
        if let Some(state) = self.calls.get_mut(&call)
            && let Some(progress) = state.progress()
        {
            *state = State::Failed(why(progress));
            ended.push(call);
        }
    }

    /// A call is over, and does not count any more.
    fn release_call(&mut self, call: CallId) {
        if let Some(client) = self.clients.get_mut(&call.client) {
            client.held -= 1;
        }
    }

    fn withdraw_call(&mut self, call: CallId) -> Option<M> {
        let client = self.clients.get_mut(&call.client)?;
        let queued = client.withdraw(call)?;
        if !client.has_turn() {
            self.turns.retain(|turn| *turn != call.client);
        }
        self.leave_queue(queued.cost_bytes);
        Some(queued.message)
    }

    /// Ends what a client can send.
    fn part(&mut self, id: ClientId, standing: Standing, back: &mut GivenBack<M, R>) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let (messages, bytes) = (client.queue.len(), client.queued_bytes);
        back.messages.extend(client.withdraw_all());
        let had_turn = self.turns.contains(&id);
        client.part(standing);
        client.wanted_bytes = None;
        match (had_turn, client.has_turn()) {
            (false, true) => self.turns.push_back(id),
            (true, false) => self.turns.retain(|turn| *turn != id),
            _ => {}
        }
        self.waiting.remove(&id);
        self.queued_messages -= messages;
        self.queued_bytes -= bytes;
        back.wakes.server = self.server_is_open && self.is_receivable();
    }

    /// Those who were refused and would not be now.
    fn wake_waiting(&mut self) -> Wakes {
        let mut wakes = Wakes::default();
        if self.waiting.is_empty() {
            return wakes;
        }
        for id in &self.waiting {
            let Some(client) = self.clients.get(id) else {
                continue;
            };
            let wanted_bytes = client.wanted_bytes.unwrap_or(0);
            if self.room_for(client, wanted_bytes).is_ok() {
                wakes.clients.push(*id);
            }
        }
        for id in &wakes.clients {
            self.waiting.remove(id);
            if let Some(client) = self.clients.get_mut(id) {
                client.wanted_bytes = None;
            }
        }
        wakes
    }
}
