//! A line of a log as people read it: what its text may hold, what its levels are called, how it is written.
//!
//! Law: a line is one line. Nothing in a text that [`plain`] has made moves a cursor, changes a colour, begins another line, or has
//! what is beside it read in another order. So nobody who is only heard through a log can write what looks like another's line. The
//! names of those who speak come from manifests, which hold no such characters.
//!
//! Userland and the runtime both stand on this, so that a line looks the same wherever it is shown.
#![no_std]

extern crate alloc;

mod level;
mod text;

use core::fmt;

pub use level::{Level, NoLevel};
pub use text::plain;

const NS_PER_MS: u64 = 1_000_000;
const MS_PER_S: u64 = 1000;

/// A line, to be shown without its end.
#[derive(Clone, Copy, Debug)]
pub struct LogLine<'a> {
    /// When it was ended, in nanoseconds since the start of the machine.
    pub at_ns: u64,
    /// How much it matters.
    pub level: Level,
    /// Who said it, where that is not clear.
    pub source: Option<&'a str>,
    /// What it says, as [`plain`] makes it.
    pub text: &'a str,
}

impl fmt::Display for LogLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at_ms = self.at_ns / NS_PER_MS;
        let (seconds, ms) = (at_ms / MS_PER_S, at_ms % MS_PER_S);
        write!(f, "[{seconds:5}.{ms:03}] {:7} ", self.level)?;
        if let Some(source) = self.source {
            write!(f, "{source}: ")?;
        }
        f.write_str(self.text)
    }
}
