//! What travels.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::{ClientEnd, END_BYTES, ServerEnd};
use crate::lending::LentUrgency;
use crate::{Budget, ByteSink, ByteSource, HeldLoan, OverBudget, Reservation};

/// Handles that one message may carry.
pub const HANDLES_MAX: usize = 64;

/// What a message is charged with beside its bytes.
const MESSAGE_BYTES: u64 = 256;
/// What a handle in a message is charged with.
const HANDLE_BYTES: u64 = 64;

/// A request, or its answer.
#[derive(Debug, Default)]
pub struct Message {
    /// Which function of the interface, by its place there. Of no meaning in an answer.
    pub function: u32,
    /// Arguments or results, encoded as the interface says.
    pub bytes: Vec<u8>,
    /// What they refer to, in the order in which they do.
    pub handles: Vec<Passed>,
}

/// Something held that goes from one process to another. What is behind a trait holds no ends of channels: those travel where they
/// are seen, so that none is kept alive by a queue that nobody reaches.
pub enum Passed {
    /// Bytes to be read.
    Source(Arc<dyn ByteSource>),
    /// A place to write to.
    Sink(Arc<dyn ByteSink>),
    /// The use of another channel.
    Client(ClientEnd),
    /// The service of another channel.
    Server(ServerEnd),
    /// A buffer, until it is dropped.
    Buffer(HeldLoan),
    /// Something that both sides know. It holds no ends either.
    Object(Box<dyn Any + Send>),
}

impl fmt::Debug for Passed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Source(_) => "Source",
            Self::Sink(_) => "Sink",
            Self::Client(_) => "Client",
            Self::Server(_) => "Server",
            Self::Buffer(_) => "Buffer",
            Self::Object(_) => "Object",
        })
    }
}

impl Passed {
    fn is_end(&self) -> bool {
        matches!(self, Self::Client(_) | Self::Server(_))
    }

    fn charge_to(&mut self, paid: Reservation) {
        match self {
            Self::Client(end) => end.charge_to(paid),
            Self::Server(end) => end.charge_to(paid),
            Self::Source(_) | Self::Sink(_) | Self::Buffer(_) | Self::Object(_) => {}
        }
    }
}

impl Message {
    /// A message without handles.
    pub fn new(function: u32, bytes: Vec<u8>) -> Self {
        Self {
            function,
            bytes,
            handles: Vec::new(),
        }
    }

    /// What it is charged with, the ends of channels that it carries not counted: those are paid for by themselves.
    pub fn cost_bytes(&self) -> u64 {
        MESSAGE_BYTES + self.bytes.capacity() as u64 + self.handles.capacity() as u64 * HANDLE_BYTES
    }

    fn end_bytes(&self) -> u64 {
        let ends = self.handles.iter().filter(|passed| passed.is_end());
        ends.count() as u64 * END_BYTES
    }
}

/// A message with what was paid for it, which is given back when it is dropped.
#[derive(Debug)]
pub struct Envelope {
    message: Message,
    paid: Reservation,
}

/// A request as it waits.
pub(super) struct Waiting {
    pub(super) envelope: Envelope,
    /// For a call: what the server is lent by whoever waits.
    pub(super) urgency: Option<LentUrgency>,
}

impl Envelope {
    /// Charges a message to whoever sends it; the ends in it are the sender's already.
    pub(super) fn seal(message: Message, payer: &Budget) -> Result<Self, (OverBudget, Message)> {
        match payer.reserve(message.cost_bytes()) {
            Ok(paid) => Ok(Self { message, paid }),
            Err(over) => Err((over, message)),
        }
    }

    /// Reserves all that it will take to charge it to somebody else.
    pub(super) fn price(&self, payer: &Budget) -> Result<Reservation, OverBudget> {
        price(&self.message, payer)
    }

    /// Charges it, and the ends in it, to whom `paid` was reserved from by [`Envelope::price`].
    pub(super) fn hand_to(self, paid: Reservation) -> Self {
        let message = self.message;
        Self { message, paid }.settle()
    }

    /// Charges a message to whoever is going to have it. The ends in it stay their holder's until it is settled.
    pub(super) fn seal_for(
        message: Message,
        payer: &Budget,
    ) -> Result<Self, (OverBudget, Message)> {
        match price(&message, payer) {
            Ok(paid) => Ok(Self { message, paid }),
            Err(over) => Err((over, message)),
        }
    }

    /// Charges the ends in it to whom the rest is charged.
    pub(super) fn settle(mut self) -> Self {
        let handles = self.message.handles.iter_mut();
        for end in handles.filter(|passed| passed.is_end()) {
            end.charge_to(self.paid.split(END_BYTES));
        }
        self
    }

    /// Who pays for it.
    pub(super) fn payer(&self) -> &Budget {
        self.paid.budget()
    }

    pub(super) fn cost_bytes(&self) -> usize {
        usize::try_from(self.paid.bytes()).unwrap_or(usize::MAX)
    }

    /// What is in it.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// What is in it, and what was paid for it: to be held as long as the bytes are.
    pub fn open(self) -> (Message, Reservation) {
        (self.message, self.paid)
    }
}

fn price(message: &Message, payer: &Budget) -> Result<Reservation, OverBudget> {
    payer.reserve(message.cost_bytes() + message.end_bytes())
}
