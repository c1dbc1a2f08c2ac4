//! Why something is not done. What was to be passed on is given back beside it.

use core::fmt;

/// Why a message is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no room now. The client is named by the transition that makes some.
    Full(Room),
    /// It is larger than any message may be.
    TooLarge {
        /// What it costs.
        cost_bytes: usize,
        /// The most that one may cost.
        limit_bytes: usize,
    },
    /// The server has closed the channel.
    ServerClosed,
    /// The client may not use the channel any more.
    Revoked,
}

/// Whose room is full, and so what has to happen first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// The client's own: the server has to receive from it, or it has to look at the ends of its calls.
    Client,
    /// All clients': the server has to receive.
    Channel,
}

/// Why there is no further client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinRefusal {
    /// There are as many as there may be.
    Full {
        /// So many.
        limit: usize,
    },
    /// The server has closed the channel.
    ServerClosed,
}

/// Why an answer is not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerRefusal {
    /// The call was cancelled, its client is gone or was revoked, or the server has closed the channel meanwhile.
    CallerGone,
    /// The ticket was not given by this channel.
    NotInService,
}

impl Refusal {
    /// Whether the same may succeed later.
    pub fn is_retriable(self) -> bool {
        matches!(self, Self::Full(_))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(Room::Client) => out.write_str(
                "the client has as many messages and calls in the channel as it may: wait until the server received some, or take answers",
            ),
            Self::Full(Room::Channel) => {
                out.write_str("the channel is full: wait until the server received some")
            }
            Self::TooLarge {
                cost_bytes,
                limit_bytes,
            } => write!(
                out,
                "the client's message needs {cost_bytes} bytes of the {limit_bytes} that one may need: send less, or pass a buffer"
            ),
            Self::ServerClosed => out.write_str("the server has closed the channel"),
            Self::Revoked => out.write_str("the client's use of the channel was revoked"),
        }
    }
}

impl core::error::Error for Refusal {}

impl fmt::Display for JoinRefusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { limit } => write!(
                out,
                "the channel has {limit} clients, which is all it may have"
            ),
            Self::ServerClosed => Refusal::ServerClosed.fmt(out),
        }
    }
}

impl core::error::Error for JoinRefusal {}

impl fmt::Display for AnswerRefusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::CallerGone => {
                "the answer came too late: the caller does not wait for it any more"
            }
            Self::NotInService => "the server answers a call that this channel never gave it",
        })
    }
}

impl core::error::Error for AnswerRefusal {}
