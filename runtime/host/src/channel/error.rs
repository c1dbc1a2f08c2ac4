//! Why something does not get through. Messages that do not are given back.

use std::fmt;

use lib_channel::{AnswerRefusal, CallFailure, JoinRefusal, Refusal};

use super::{HANDLES_MAX, Message};
use crate::OverBudget;

/// Why there is no channel, or no further client of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinError {
    /// The channel takes no more.
    Refused(JoinRefusal),
    /// What it would be made from was revoked.
    Revoked,
    /// It was passed on too often already, each time with a right to take it back.
    TooDeep,
    /// There are as many clients under its grant as there may be.
    GrantFull {
        /// So many.
        limit: u64,
    },
    /// Its holder cannot pay for it.
    OverBudget(OverBudget),
}

/// Why a message is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The channel does not take it.
    Refused(Refusal),
    /// The sender cannot pay for it.
    OverBudget(OverBudget),
    /// It carries too many handles.
    TooManyHandles {
        /// So many.
        handles: usize,
    },
}

/// A message that was not sent.
#[derive(Debug)]
pub struct Unsent {
    /// Why.
    pub error: SendError,
    /// The message.
    pub message: Message,
}

/// Why a call has no answer.
#[derive(Debug)]
pub enum CallError {
    /// It was not made.
    Unsent(Unsent),
    /// It was made, and failed.
    Failed(CallFailure),
    /// It was answered with more than the caller can pay for.
    OverBudget(OverBudget),
}

/// Why an answer is not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerError {
    /// Nobody waits for it.
    Refused(AnswerRefusal),
    /// The caller cannot pay for it, and was told so.
    OverBudget(OverBudget),
    /// It carries too many handles; the caller is told that its call was dropped.
    TooManyHandles {
        /// So many.
        handles: usize,
    },
}

/// An answer that was not delivered.
#[derive(Debug)]
pub struct Unanswered {
    /// Why.
    pub error: AnswerError,
    /// The answer.
    pub message: Message,
}

impl SendError {
    /// Whether the same message may be taken later.
    pub fn is_retriable(self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_retriable(),
            Self::OverBudget(_) => true,
            Self::TooManyHandles { .. } => false,
        }
    }
}

impl CallError {
    /// Whether the call never happened, so that it may be made again.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Unsent(unsent) => unsent.error.is_retriable(),
            Self::Failed(failure) => failure.is_retriable(),
            Self::OverBudget(_) => false,
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(out),
            Self::Revoked => Refusal::Revoked.fmt(out),
            Self::TooDeep => out.write_str(
                "the client's use of the channel was granted on so often that it cannot be granted on again",
            ),
            Self::GrantFull { limit } => write!(
                out,
                "the process made {limit} clients of the channel, which is all that it was granted"
            ),
            Self::OverBudget(over) => write!(out, "no end of a channel can be made: {over}"),
        }
    }
}

impl std::error::Error for JoinError {}

impl fmt::Display for SendError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(out),
            Self::OverBudget(over) => write!(out, "the message cannot be sent: {over}"),
            Self::TooManyHandles { handles } => too_many(out, "message", *handles),
        }
    }
}

impl std::error::Error for SendError {}

impl fmt::Display for CallError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsent(unsent) => unsent.error.fmt(out),
            Self::Failed(failure) => failure.fmt(out),
            Self::OverBudget(over) => write!(out, "the answer of the call is too large: {over}"),
        }
    }
}

impl std::error::Error for CallError {}

impl fmt::Display for AnswerError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(out),
            Self::OverBudget(over) => {
                write!(out, "the caller cannot take the answer: {over}")
            }
            Self::TooManyHandles { handles } => too_many(out, "answer", *handles),
        }
    }
}

impl std::error::Error for AnswerError {}

fn too_many(out: &mut fmt::Formatter<'_>, what: &str, handles: usize) -> fmt::Result {
    write!(
        out,
        "the {what} carries {handles} handles of the {HANDLES_MAX} that one may: send several"
    )
}
