//! How services stand, for people.

use alloc::string::String;
use core::fmt;

use crate::policy::RunId;

/// What a service is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateKind {
    /// It starts as soon as those that it depends on are ready.
    Waiting,
    /// It has a process, and is not ready yet.
    Starting,
    /// It is ready.
    Ready,
    /// It was asked to end.
    Stopping,
    /// It does not run, and is not to.
    Stopped,
    /// It is given up.
    Failed,
    /// It waits for the time of its next restart.
    BackingOff,
}

impl fmt::Display for StateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::BackingOff => "backing-off",
        })
    }
}

/// A service at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Its program, or what it is being replaced by.
    pub program: String,
    /// What it is doing.
    pub state: StateKind,
    /// Why, where there is something to say.
    pub why: String,
    /// Its runs that have not ended, the present one first.
    pub runs: alloc::vec::Vec<RunId>,
    /// Restarts in the present window.
    pub restarts: u32,
}
