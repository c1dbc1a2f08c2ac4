//! Calls: from being sent until the caller has looked at their end.

use core::fmt;

use crate::ClientId;

/// Names a call of one channel. Ordered by client, then by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    pub(crate) client: ClientId,
    pub(crate) number: u64,
}

impl CallId {
    /// Who calls.
    pub fn client(self) -> ClientId {
        self.client
    }
}

/// The right, and the duty, to answer one call. It cannot be copied, so that nobody answers twice.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a call that is neither answered nor forgone never ends"]
pub struct ReplyTicket(pub(crate) CallId);

impl ReplyTicket {
    /// What it answers.
    pub fn call(&self) -> CallId {
        self.0
    }
}

/// What has become of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<R> {
    /// It has not ended.
    Pending,
    /// It was answered.
    Given(R),
    /// There will be no answer.
    Failed(CallFailure),
}

/// Whether a call had reached the server when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The server never saw it, so it never happened.
    NotReceived,
    /// The server had received it: it may have happened, in part or as a whole.
    Received,
}

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFailure {
    /// The server has closed the channel.
    ServerClosed(Progress),
    /// The client's use of the channel was revoked.
    Revoked(Progress),
    /// The server received the call and dropped it without an answer.
    ReplyDropped,
    /// The server rejected the call without receiving it.
    Rejected,
    /// Its end was looked at before, or it was cancelled.
    Over,
}

impl CallFailure {
    /// Whether the call never happened, so that it may be made again: here, or to the server's successor.
    pub fn is_retriable(self) -> bool {
        matches!(
            self,
            Self::ServerClosed(Progress::NotReceived) | Self::Rejected
        )
    }
}

impl fmt::Display for CallFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::ServerClosed(Progress::NotReceived) => {
                "the server closed the channel before it received the call: it may be made again"
            }
            Self::ServerClosed(Progress::Received) => {
                "the server closed the channel while it served the call, which may have happened or not"
            }
            Self::Revoked(Progress::NotReceived) => {
                "the client's use of the channel was revoked before the server received the call"
            }
            Self::Revoked(Progress::Received) => {
                "the client's use of the channel was revoked while the server served the call"
            }
            Self::ReplyDropped => "the server received the call and dropped it without an answer",
            Self::Rejected => "the server has no room for the call: it may be made again later",
            Self::Over => "the client asks for the end of a call that it has taken before",
        })
    }
}

impl core::error::Error for CallFailure {}

/// What is kept of a call.
#[derive(Debug)]
pub(crate) enum State<R> {
    Queued,
    InService,
    Given(R),
    Failed(CallFailure),
}

impl<R> State<R> {
    /// How far one got that has not ended.
    pub(crate) fn progress(&self) -> Option<Progress> {
        match self {
            Self::Queued => Some(Progress::NotReceived),
            Self::InService => Some(Progress::Received),
            Self::Given(_) | Self::Failed(_) => None,
        }
    }
}
