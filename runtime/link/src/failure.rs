//! What an importer is told when a call did not come to its answer.
//!
//! Law: the component model has no place of its own for that. A function that wants to say it has the enum
//! `kpio:link/failure.link-failure`, as its error or as the payload of a case `link` of its error; what is recognised is
//! the shape. Where a function has no such place, the failure ends the caller, with a sentence.

use std::fmt;

use wasmtime::component::Val;

use crate::shape::Shape;

/// Why a call has no answer. The order is that of the WIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFailure {
    /// The provider is not there now, or went before it saw the call. It may be tried again.
    Unavailable,
    /// The provider ended, or gave no answer, after it had begun: the call may have happened.
    Lost,
    /// The grant was taken back.
    Revoked,
    /// As many calls wait at the provider as may. It may be tried again.
    Busy,
    /// What was to be sent, or to be answered, is longer than a message may be.
    TooLarge,
}

/// The enum's cases, in order.
const CASES: [(&str, LinkFailure); 5] = [
    ("unavailable", LinkFailure::Unavailable),
    ("lost", LinkFailure::Lost),
    ("revoked", LinkFailure::Revoked),
    ("busy", LinkFailure::Busy),
    ("too-large", LinkFailure::TooLarge),
];

/// The case of an error that carries a failure.
const CASE: &str = "link";

/// Where a function's result has room for a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureSlot {
    /// It is the error itself.
    Error,
    /// It is in the error's case `link`.
    Case,
}

impl FailureSlot {
    /// The place in a result of this shape.
    pub(crate) fn of(result: &Shape) -> Option<FailureSlot> {
        let Shape::Result { err: Some(err), .. } = result else {
            return None;
        };
        match &**err {
            Shape::Variant(cases) => {
                let mut cases = cases.iter();
                let found = cases.find(|(name, _)| name == CASE)?;
                found
                    .1
                    .as_ref()
                    .is_some_and(is_failure)
                    .then_some(Self::Case)
            }
            other => is_failure(other).then_some(Self::Error),
        }
    }

    /// The function's result that says so.
    pub(crate) fn result(self, failure: LinkFailure) -> Val {
        let value = Val::Enum(failure.name().to_owned());
        let error = match self {
            Self::Error => value,
            Self::Case => Val::Variant(CASE.to_owned(), Some(Box::new(value))),
        };
        Val::Result(Err(Some(Box::new(error))))
    }
}

fn is_failure(shape: &Shape) -> bool {
    let Shape::Enum(names) = shape else {
        return false;
    };
    names.iter().eq(CASES.iter().map(|(name, _)| name))
}

impl LinkFailure {
    fn name(self) -> &'static str {
        let mut cases = CASES.iter();
        let found = cases.find(|(_, failure)| *failure == self);
        found.map_or("lost", |(name, _)| name)
    }
}

impl fmt::Display for LinkFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "the provider is not there",
            Self::Lost => "the provider gave no answer",
            Self::Revoked => "the grant was taken back",
            Self::Busy => "too many calls wait at the provider",
            Self::TooLarge => "the message is too long",
        })
    }
}
