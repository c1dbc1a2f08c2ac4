//! How a process ends of its own will.

use std::fmt;

/// The process asked to end, with this code. It travels as the error of the host call that ends it, and
/// is no failure of anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessExit(pub i32);

impl fmt::Display for ProcessExit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the process exited with code {}", self.0)
    }
}

impl std::error::Error for ProcessExit {}
