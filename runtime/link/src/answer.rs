//! What an answer's number of a function says: whether there are values.

use runtime_host::channel::{Message, Passed};

use crate::failure::LinkFailure;

/// The function has returned, and the values are what it answered.
const RETURNED: u32 = 0;
/// The values of the call, or of its answer, are too many.
const TOO_LARGE: u32 = 1;
/// The provider could not take in what was given to it.
const REFUSED: u32 = 2;

/// An answer that has values.
pub(crate) fn returned(bytes: Vec<u8>, handles: Vec<Passed>) -> Message {
    Message {
        function: RETURNED,
        bytes,
        handles,
    }
}

/// An answer without.
pub(crate) fn failed(failure: LinkFailure) -> Message {
    let function = match failure {
        LinkFailure::TooLarge => TOO_LARGE,
        _ => REFUSED,
    };
    Message::new(function, Vec::new())
}

/// Whether there are values in an answer.
pub(crate) fn check(answer: &Message) -> Result<(), LinkFailure> {
    match answer.function {
        RETURNED => Ok(()),
        TOO_LARGE => Err(LinkFailure::TooLarge),
        _ => Err(LinkFailure::Busy),
    }
}
