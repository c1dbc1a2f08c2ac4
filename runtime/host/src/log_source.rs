//! What is said in the whole system, for the one that keeps it.

use std::sync::Arc;

pub use lib_log_line::Level as LogLevel;

use crate::Awaited;

/// What somebody said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaidLine {
    /// When, in nanoseconds of the monotonic clock.
    pub at_ns: u64,
    /// How much it matters.
    pub level: LogLevel,
    /// Who.
    pub source: String,
    /// What, as [`lib_log_line::plain`] makes it.
    pub text: String,
}

/// All that is said.
pub trait LogSource: Send + Sync {
    /// A place in it: the oldest that is left.
    fn cursor(&self) -> Box<dyn LogCursor>;
}

/// A place in all that is said.
pub trait LogCursor: Send {
    /// The next lines, at most so many, and how many were lost on the way.
    fn read(&mut self, count: usize) -> (Vec<SaidLine>, u64);
    /// Ready when something was said since.
    fn news(&self) -> Arc<dyn Awaited>;
}
