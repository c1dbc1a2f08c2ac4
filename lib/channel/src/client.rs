//! What is kept of one client.

use alloc::collections::VecDeque;

use crate::CallId;

/// Names a client of one channel; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub(crate) u64);

#[derive(Debug)]
pub(crate) struct Client<M> {
    pub(crate) standing: Standing,
    /// Not yet received, the oldest first.
    pub(crate) queue: VecDeque<Queued<M>>,
    /// Costs of those.
    pub(crate) queued_bytes: usize,
    /// What counts against its own limit of messages: those in the queue, and calls beyond it until their end was looked at.
    pub(crate) held: usize,
    /// It was refused; the cheapest message that was costs so much.
    pub(crate) wanted_bytes: Option<usize>,
    pub(crate) server: Knows,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Connected,
    /// It may look at the ends of its calls, nothing else.
    Revoked,
    /// Kept only because the server has to be told.
    Removed,
}

/// What the server knows of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knows {
    /// It never received anything from it, or was told that it is gone.
    Nothing,
    /// It received something from it.
    Messages,
    /// As above, and is to be told that it is gone.
    MustBeTold,
}

#[derive(Debug)]
pub(crate) struct Queued<M> {
    pub(crate) message: M,
    pub(crate) cost_bytes: usize,
    pub(crate) call: Option<CallId>,
}

impl<M> Client<M> {
    pub(crate) fn new() -> Self {
        Self {
            standing: Standing::Connected,
            queue: VecDeque::new(),
            queued_bytes: 0,
            held: 0,
            wanted_bytes: None,
            server: Knows::Nothing,
        }
    }

    /// Whether there is something for the server.
    pub(crate) fn has_turn(&self) -> bool {
        !self.queue.is_empty() || self.server == Knows::MustBeTold
    }

    pub(crate) fn push(&mut self, queued: Queued<M>) {
        self.held += 1;
        self.queued_bytes += queued.cost_bytes;
        self.queue.push_back(queued);
    }

    /// The oldest leaves the queue. A call stays held until its end is looked at.
    pub(crate) fn pop(&mut self) -> Option<Queued<M>> {
        self.remove(0)
    }

    /// Takes a call out of the queue.
    pub(crate) fn withdraw(&mut self, call: CallId) -> Option<Queued<M>> {
        let at = self
            .queue
            .iter()
            .position(|queued| queued.call == Some(call))?;
        self.remove(at)
    }

    /// Takes everything out of the queue.
    pub(crate) fn withdraw_all(&mut self) -> impl Iterator<Item = M> {
        let queue = core::mem::take(&mut self.queue);
        self.queued_bytes = 0;
        self.held -= queue.iter().filter(|queued| queued.call.is_none()).count();
        queue.into_iter().map(|queued| queued.message)
    }

    fn remove(&mut self, at: usize) -> Option<Queued<M>> {
        let queued = self.queue.remove(at)?;
        self.queued_bytes -= queued.cost_bytes;
        if queued.call.is_none() {
            self.held -= 1;
        }
        Some(queued)
    }

    /// The client can do nothing more that the server would hear of.
    pub(crate) fn part(&mut self, standing: Standing) {
        self.standing = standing;
        if self.server == Knows::Messages {
            self.server = Knows::MustBeTold;
        }
    }

    /// Remembers what it was refused.
    pub(crate) fn want(&mut self, cost_bytes: usize) {
        let least = self.wanted_bytes.unwrap_or(cost_bytes).min(cost_bytes);
        self.wanted_bytes = Some(least);
    }
}
