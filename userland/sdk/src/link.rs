//! Calls to other components that have no answer.

generate! {
    inline: "package kpio:sdk; world calling { import kpio:link/failure@0.1.0; }",
    generate_all,
}

pub use kpio::link::failure;

use failure::LinkFailure;

/// Why there is no answer, as the end of a sentence about whoever was to give it.
pub fn no_answer(failure: LinkFailure) -> &'static str {
    match failure {
        LinkFailure::Unavailable => "it is not there now; try again",
        LinkFailure::Lost => "it ended before it had answered",
        LinkFailure::Revoked => "it may not be asked any more",
        LinkFailure::Busy => "too many ask it now; try again",
        LinkFailure::TooLarge => "its answer is too long",
    }
}
