//! The differential oracle: the same programs with the same input on KPIO and under the reference, and what differs.
//!
//! Law: a case is data ([`cases`]), and both sides get the same of it: arguments, the first of which is the program's name,
//! environment, standard input, a tree that is its `/` ([`tree`]), and no terminal. What comes of it is an [`Outcome`]:
//! output, errors, the end and the tree that is left. The reference is another build of the engine with another host, by its
//! own makers ([`reference`]); KPIO runs in one machine for all cases ([`guest`]). What may differ is in one table
//! ([`normalise`]).

mod cases;
mod guest;
mod normalise;
mod outcome;
mod programs;
mod reference;
mod tree;

pub use cases::{Case, Cases};
pub use guest::Guest;
pub use normalise::normalised;
pub use outcome::{Outcome, differences};
pub use programs::Programs;
pub use reference::Reference;

use std::fmt;

/// A number of cases, in words.
struct Count(usize);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("one case"),
            count => write!(f, "{count} cases"),
        }
    }
}
