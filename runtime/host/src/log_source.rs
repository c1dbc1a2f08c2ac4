//! What is said in the whole system, for the one that keeps it.

use std::sync::Arc;

use crate::Awaited;

/// How much a line matters, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something is broken.
    Error,
    /// Something may be.
    Warning,
    /// What was done with a service, and why.
    Notice,
    /// What is worth knowing.
    Info,
    /// For whoever looks for a bug.
    Debug,
    /// The same, in detail.
    Trace,
}

/// What somebody said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaidLine {
    /// When, in nanoseconds of the monotonic clock.
    pub at_ns: u64,
    /// How much it matters.
    pub level: LogLevel,
    /// Who.
    pub source: String,
    /// What, without control characters.
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
