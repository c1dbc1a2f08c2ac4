//! What an importer is told when a call did not come to its answer.
//!
//! Law: the component model has no place of its own for that. A function that wants to say it has the enum
//! `kpio:link/failure.link-failure`, as its error or as the payload of a case `link` of its error; what is recognised is
//! the shape. Where a function has no such place, the failure ends the caller, with a sentence.

use std::fmt;

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

/// The enum's cases, in the order of [`LinkFailure`].
const CASES: [&str; 5] = ["unavailable", "lost", "revoked", "busy", "too-large"];

/// The case of an error that carries a failure.
const CASE: &str = "link";

/// Where a function's result has room for a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureSlot {
    /// It is the error itself.
    Error,
    /// It is in the error's case `link`, which is the one of this number.
    Case(u32),
}

impl FailureSlot {
    /// The place in a result of this shape.
    pub(crate) fn of(result: &Shape) -> Option<FailureSlot> {
        let Shape::Result { err: Some(err), .. } = result else {
            return None;
        };
        match &**err {
            Shape::Variant(cases) => {
                let mut cases = (0..).zip(cases);
                let (place, (_, payload)) = cases.find(|(_, (name, _))| name == CASE)?;
                let payload = payload.as_ref();
                payload.is_some_and(is_failure).then_some(Self::Case(place))
            }
            other => is_failure(other).then_some(Self::Error),
        }
    }

    /// The function's result that says so, encoded.
    pub(crate) fn result(self, failure: LinkFailure) -> Vec<u8> {
        let mut bytes = vec![1];
        if let Self::Case(case) = self {
            bytes.extend(case.to_le_bytes());
        }
        bytes.extend((failure as u32).to_le_bytes());
        bytes
    }
}

fn is_failure(shape: &Shape) -> bool {
    let Shape::Enum(names) = shape else {
        return false;
    };
    names.iter().eq(CASES.iter())
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
