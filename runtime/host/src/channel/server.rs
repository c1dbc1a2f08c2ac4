//! The end that receives and answers.

use std::fmt;
use std::sync::Arc;

use lib_channel::{ClientId, Limits, Receive, ReplyTicket, Wakes};

use super::message::Waiting;
use super::shared::{Answered, Grant, Shared};
use super::{
    AnswerError, ClientEnd, Envelope, HANDLES_MAX, JoinError, Message, Unanswered, reserve_end,
};
use crate::lending::LentUrgency;
use crate::{
    Awaited, Budget, Cancellation, Cancelled, Notifier, OverBudget, Reservation, wait_for,
};

/// The service of a channel. Dropping it closes the channel.
pub struct ServerEnd {
    shared: Arc<Shared>,
    /// Pays for the end; its budget pays for what is received.
    held: Reservation,
}

/// What a server finds.
#[derive(Debug)]
pub enum Incoming {
    /// A message.
    Request(Request),
    /// A client from which messages came is gone, or may not send any more.
    ClientGone(ClientId),
    /// Nothing now.
    Empty,
    /// Nothing, and no client is left.
    Abandoned,
}

/// A message for the server.
#[derive(Debug)]
pub struct Request {
    /// What was sent, charged to the server.
    pub envelope: Envelope,
    /// By whom: the same client has the same number for ever.
    pub client: ClientId,
    /// For a call.
    pub reply: Option<Reply>,
}

/// The duty to answer one call. Dropping it tells the caller that no answer will come.
pub struct Reply {
    shared: Arc<Shared>,
    ticket: Option<ReplyTicket>,
    /// The caller's, which pays for the answer.
    payer: Budget,
    /// The caller's, until it need not wait any more.
    _urgency: Option<LentUrgency>,
}

impl ServerEnd {
    pub(super) fn new(limits: Limits, budget: &Budget) -> Result<Self, OverBudget> {
        Ok(Self {
            held: reserve_end(budget)?,
            shared: Shared::new(limits),
        })
    }

    pub(super) fn first_client(&self, budget: &Budget) -> Result<ClientEnd, JoinError> {
        ClientEnd::join(&self.shared, Grant::first(), budget)
    }

    /// From now on another holder pays.
    pub(super) fn charge_to(&mut self, held: Reservation) {
        self.held = held;
    }

    /// Takes what comes next. As long as the server cannot pay for it, it stays where it is.
    pub fn receive(&self) -> Result<Incoming, OverBudget> {
        let thread = self.shared.serve_here();
        self.shared.change(|channel| {
            let next = channel.next().map(|next| &next.envelope);
            let price = next.map(|envelope| envelope.price(self.held.budget()));
            let paid = match price.transpose() {
                Ok(paid) => paid,
                Err(over) => return (Err(over), Wakes::default()),
            };
            let (found, wakes) = channel.receive();
            (Ok(self.incoming(found, paid, thread)), wakes)
        })
    }

    /// Sends back the message that would be received next: a call fails, and may be made again.
    pub fn reject(&self) {
        self.shared.clear(|channel| channel.reject());
    }

    /// Waits until there is something to receive, or nobody is left.
    pub fn receive_blocking(
        &self,
        cancellation: &Cancellation,
    ) -> Result<Result<Incoming, OverBudget>, Cancelled> {
        let attempt = || match self.receive() {
            Ok(Incoming::Empty) => None,
            found => Some(found),
        };
        wait_for(cancellation, |notifier| self.subscribe(notifier), attempt)
    }

    fn incoming(
        &self,
        found: Receive<Waiting>,
        paid: Option<Reservation>,
        thread: u32,
    ) -> Incoming {
        let (received, paid) = match (found, paid) {
            (Receive::Message(received), Some(paid)) => (received, paid),
            (Receive::ClientGone(client), _) => return Incoming::ClientGone(client),
            (Receive::Abandoned, _) => return Incoming::Abandoned,
            (Receive::Empty | Receive::Message(_), _) => return Incoming::Empty,
        };
        let Waiting {
            envelope,
            mut urgency,
        } = received.message;
        if let Some(urgency) = &mut urgency {
            urgency.go_to(thread);
        }
        let reply = received.reply.map(|ticket| Reply {
            shared: Arc::clone(&self.shared),
            ticket: Some(ticket),
            payer: envelope.payer().clone(),
            _urgency: urgency,
        });
        Incoming::Request(Request {
            envelope: envelope.hand_to(paid),
            client: received.client,
            reply,
        })
    }
}

impl Awaited for ServerEnd {
    fn is_ready(&self) -> bool {
        self.shared.lock().channel.is_receivable()
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.shared.server().add(notifier);
    }
}

impl Drop for ServerEnd {
    fn drop(&mut self) {
        self.shared.clear(|channel| channel.close_server());
    }
}

impl fmt::Debug for ServerEnd {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ServerEnd")
    }
}

impl Reply {
    /// Answers. What the answer takes is charged to the caller.
    pub fn answer(mut self, message: Message) -> Result<(), Unanswered> {
        let handles = message.handles.len();
        if handles > HANDLES_MAX {
            let error = AnswerError::TooManyHandles { handles };
            return Err(Unanswered { error, message });
        }
        match Envelope::seal_for(message, &self.payer) {
            Ok(envelope) => self.deliver(Ok(envelope)),
            Err((over, message)) => {
                // The caller is told; if it is gone, there is nothing in this that would have to be given back.
                let error = match self.deliver(Err(over)) {
                    Ok(()) => AnswerError::OverBudget(over),
                    Err(unanswered) => unanswered.error,
                };
                Err(Unanswered { error, message })
            }
        }
    }

    /// Whether the caller still waits.
    pub fn is_awaited(&self) -> bool {
        let state = self.shared.lock();
        self.ticket
            .as_ref()
            .is_some_and(|ticket| state.channel.is_awaited(ticket))
    }

    fn deliver(&mut self, answer: Answered) -> Result<(), Unanswered> {
        let Some(ticket) = self.ticket.take() else {
            return Ok(());
        };
        let delivered = self
            .shared
            .change(|channel| match channel.answer(ticket, answer) {
                Ok(wakes) => (Ok(()), wakes),
                Err(refused) => (Err(refused), Wakes::default()),
            });
        delivered.map_err(|(refusal, answer)| Unanswered {
            error: AnswerError::Refused(refusal),
            message: answer.map_or_else(|_| Message::default(), |envelope| envelope.open().0),
        })
    }
}

/// Happens when nobody waits for the answer any more.
impl Awaited for Reply {
    fn is_ready(&self) -> bool {
        !self.is_awaited()
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.shared.server().add(notifier);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.shared.change(|channel| ((), channel.forgo(ticket)));
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Reply")
    }
}
