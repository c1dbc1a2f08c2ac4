//! How much a line matters.

use alloc::string::String;
use core::fmt;

/// How much a line matters, the most first: in the order of `kpio:log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something is broken.
    Error,
    /// Something may be; of a service, its standard error.
    Warning,
    /// What was done with a service, and why.
    Notice,
    /// What is worth knowing; of a service, its standard output.
    Info,
    /// For whoever looks for a bug.
    Debug,
    /// The same, in detail.
    Trace,
}

impl Level {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Debug,
        Self::Trace,
    ];

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    /// The level of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn of_word(word: &str) -> Result<Self, NoLevel> {
        let found = Self::ALL.into_iter().find(|level| level.name() == word);
        found.ok_or_else(|| NoLevel(word.into()))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that names no level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoLevel(String);

impl fmt::Display for NoLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no level: those are ", self.0.escape_debug())?;
        let mut levels = Level::ALL.iter();
        levels.try_for_each(|level| match level {
            Level::Error => write!(f, "{level}"),
            _ => write!(f, ", {level}"),
        })
    }
}

impl core::error::Error for NoLevel {}
