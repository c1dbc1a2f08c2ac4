//! The end that sends and calls.

use std::fmt;
use std::sync::{Arc, Weak};

use lib_channel::{Answer, CallId, ClientId, JoinRefusal, Refusal, Wakes};

use super::message::Waiting;
use super::shared::{Answered, Grant, Shared};
use super::{CallError, Envelope, HANDLES_MAX, JoinError, Message, SendError, Unsent, reserve_end};
use crate::lending::LentUrgency;
use crate::{
    Awaited, Budget, Cancellation, Cancelled, Clock, Notifier, Reservation, Subscribers, wait_for,
    wait_until,
};

/// The use of a channel, as one client of it. When it and its calls are dropped, the client is gone and what the server has not
/// received is withdrawn.
pub struct ClientEnd {
    client: Arc<Client>,
    /// Pays for the end; its budget pays for what is sent.
    held: Reservation,
}

/// A call that was made. Dropping it cancels it.
pub struct Call {
    client: Arc<Client>,
    id: CallId,
}

/// The right to take the use of a channel back. Holding it keeps nothing alive.
#[derive(Clone)]
pub struct Revoker {
    shared: Weak<Shared>,
    grant: Grant,
}

struct Client {
    shared: Arc<Shared>,
    id: ClientId,
    subscribers: Arc<Subscribers>,
    grant: Grant,
    /// Its place among the clients of the grant.
    _place: Reservation,
}

impl Revoker {
    /// One client more, which this takes back as well; all of them together are a bounded number.
    pub fn another(&self, budget: &Budget) -> Result<ClientEnd, JoinError> {
        let shared = self.shared.upgrade();
        let shared = shared.ok_or(JoinError::Refused(JoinRefusal::ServerClosed))?;
        ClientEnd::join(&shared, self.grant.clone(), budget)
    }
}

impl ClientEnd {
    pub(super) fn join(
        shared: &Arc<Shared>,
        grant: Grant,
        budget: &Budget,
    ) -> Result<Self, JoinError> {
        let held = reserve_end(budget).map_err(JoinError::OverBudget)?;
        let place = grant.place()?;
        let (id, subscribers) = shared.join(&grant)?;
        let client = Arc::new(Client {
            shared: Arc::clone(shared),
            id,
            subscribers,
            grant,
            _place: place,
        });
        Ok(Self { client, held })
    }

    /// From now on another holder pays.
    pub(super) fn charge_to(&mut self, held: Reservation) {
        self.held = held;
    }

    /// As which client messages of this end come to the server.
    pub fn id(&self) -> ClientId {
        self.client.id
    }

    /// One client more, by the same right: revoking this one's revokes it too.
    pub fn another(&self, budget: &Budget) -> Result<Self, JoinError> {
        Self::join(&self.client.shared, self.client.grant.clone(), budget)
    }

    /// One client more, whose use can be taken back: from it, and from all that is made of it, which is a bounded number of clients.
    pub fn grant(&self, budget: &Budget) -> Result<(Self, Revoker), JoinError> {
        let grant = self.client.grant.derive()?;
        let revoker = Revoker {
            shared: Arc::downgrade(&self.client.shared),
            grant: grant.clone(),
        };
        let end = Self::join(&self.client.shared, grant, budget)?;
        Ok((end, revoker))
    }

    /// Sends what needs no answer.
    pub fn send(&self, message: Message) -> Result<(), Unsent> {
        let envelope = self.seal(message)?;
        let cost_bytes = envelope.cost_bytes();
        let waiting = Waiting {
            envelope,
            urgency: None,
        };
        let sent = self.client.shared.change(|channel| {
            match channel.send(self.client.id, waiting, cost_bytes) {
                Ok(wakes) => (Ok(()), wakes),
                Err(refused) => (Err(refused), Wakes::default()),
            }
        });
        sent.map_err(unsent)
    }

    /// Sends what is to be answered.
    pub fn call(&self, message: Message) -> Result<Call, Unsent> {
        let envelope = self.seal(message)?;
        let cost_bytes = envelope.cost_bytes();
        // Before the server wakes, so that it wakes as soon as the caller would.
        let urgency = Some(LentUrgency::of_caller(self.client.shared.serving()));
        let waiting = Waiting { envelope, urgency };
        let made = self.client.shared.change(|channel| {
            match channel.call(self.client.id, waiting, cost_bytes) {
                Ok((id, wakes)) => (Ok(id), wakes),
                Err(refused) => (Err(refused), Wakes::default()),
            }
        });
        let id = made.map_err(unsent)?;
        let client = Arc::clone(&self.client);
        Ok(Call { client, id })
    }

    /// Sends what needs no answer as soon as there is room for it.
    pub fn send_blocking(
        &self,
        message: Message,
        cancellation: &Cancellation,
    ) -> Result<Result<(), Unsent>, Cancelled> {
        self.when_there_is_room(message, cancellation, |message| self.send(message))
    }

    /// Calls as soon as there is room for it, and waits for the answer.
    pub fn call_blocking(
        &self,
        message: Message,
        cancellation: &Cancellation,
    ) -> Result<Result<Envelope, CallError>, Cancelled> {
        match self.when_there_is_room(message, cancellation, |message| self.call(message))? {
            Ok(call) => call.wait(cancellation),
            Err(unsent) => Ok(Err(CallError::Unsent(unsent))),
        }
    }

    /// How many messages the server has not received yet, all clients' together.
    pub fn queued(&self) -> usize {
        self.client.shared.lock().channel.queued_messages()
    }

    /// Happens when the server has closed the channel, the use of it was revoked, or this end is gone.
    pub fn end(&self) -> Arc<dyn Awaited> {
        Arc::new(End {
            shared: Arc::clone(&self.client.shared),
            id: self.client.id,
            subscribers: Arc::clone(&self.client.subscribers),
        })
    }

    fn seal(&self, message: Message) -> Result<Envelope, Unsent> {
        let handles = message.handles.len();
        if handles > HANDLES_MAX {
            let error = SendError::TooManyHandles { handles };
            return Err(Unsent { error, message });
        }
        Envelope::seal(message, self.held.budget()).map_err(|(over, message)| Unsent {
            error: SendError::OverBudget(over),
            message,
        })
    }

    fn when_there_is_room<R>(
        &self,
        message: Message,
        cancellation: &Cancellation,
        send: impl Fn(Message) -> Result<R, Unsent>,
    ) -> Result<Result<R, Unsent>, Cancelled> {
        let mut unsent = Some(message);
        let attempt = || match send(unsent.take()?) {
            Err(Unsent {
                error: SendError::Refused(Refusal::Full(_)),
                message,
            }) => {
                unsent = Some(message);
                None
            }
            done => Some(done),
        };
        wait_for(cancellation, |notifier| self.subscribe(notifier), attempt)
    }
}

/// Happens when there is room for a small message, or there never will be.
impl Awaited for ClientEnd {
    fn is_ready(&self) -> bool {
        let cost_bytes = Message::default().cost_bytes() as usize;
        let mut state = self.client.shared.lock();
        let room = state.channel.want_room(self.client.id, cost_bytes);
        !matches!(room, Err(Refusal::Full(_)))
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.client.subscribers.add(notifier);
    }
}

impl fmt::Debug for ClientEnd {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ClientEnd({:?})", self.client.id)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.leave(self.id);
    }
}

impl Call {
    /// Its end, once there is one; asked again, [`lib_channel::CallFailure::Over`].
    pub fn take(&self) -> Option<Result<Envelope, CallError>> {
        let answer = self
            .client
            .shared
            .change(|channel| channel.take_answer(self.id));
        outcome(answer)
    }

    /// Waits for its end.
    pub fn wait(
        &self,
        cancellation: &Cancellation,
    ) -> Result<Result<Envelope, CallError>, Cancelled> {
        wait_for(
            cancellation,
            |notifier| self.subscribe(notifier),
            || self.take(),
        )
    }

    /// Waits for its end, at most until `deadline_ns` of `clock`.
    pub fn wait_until(
        &self,
        cancellation: &Cancellation,
        clock: &dyn Clock,
        deadline_ns: u64,
    ) -> Result<Option<Result<Envelope, CallError>>, Cancelled> {
        let subscribe = |notifier: &Notifier| self.subscribe(notifier);
        wait_until(cancellation, clock, Some(deadline_ns), subscribe, || {
            self.take()
        })
    }
}

fn outcome(answer: Answer<Answered>) -> Option<Result<Envelope, CallError>> {
    match answer {
        Answer::Pending => None,
        Answer::Given(Ok(envelope)) => Some(Ok(envelope.settle())),
        Answer::Given(Err(over)) => Some(Err(CallError::OverBudget(over))),
        Answer::Failed(failure) => Some(Err(CallError::Failed(failure))),
    }
}

impl Awaited for Call {
    fn is_ready(&self) -> bool {
        self.client.shared.lock().channel.has_ended(self.id)
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.client.subscribers.add(notifier);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.client.shared.clear(|channel| channel.cancel(self.id));
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Call({:?})", self.id)
    }
}

/// The end of a client, which it does not delay.
struct End {
    shared: Arc<Shared>,
    id: ClientId,
    subscribers: Arc<Subscribers>,
}

impl Awaited for End {
    fn is_ready(&self) -> bool {
        let state = self.shared.lock();
        let sendable = state.channel.would_send(self.id, 0);
        matches!(sendable, Err(Refusal::ServerClosed | Refusal::Revoked))
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.subscribers.add(notifier);
    }
}

impl Revoker {
    /// Takes the use back. What was not yet received is withdrawn, calls in flight fail, and whoever holds the end gets an error.
    pub fn revoke(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.revoke(&self.grant);
        }
    }
}

fn unsent((refusal, waiting): (Refusal, Waiting)) -> Unsent {
    Unsent {
        error: SendError::Refused(refusal),
        message: waiting.envelope.open().0,
    }
}
