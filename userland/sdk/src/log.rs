//! Lines of the system's log.

generate! {
    inline: "package kpio:sdk; world reading { import kpio:log/types@0.1.0; }",
    generate_all,
    with: { "kpio:link/failure@0.1.0": crate::link::failure },
}

pub use kpio::log::types;

use lib_log_line::{Level as Shown, LogLine};
use types::{Level, Line};

impl From<Level> for Shown {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warning => Self::Warning,
            Level::Notice => Self::Notice,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
            Level::Trace => Self::Trace,
        }
    }
}

impl From<Shown> for Level {
    fn from(level: Shown) -> Self {
        match level {
            Shown::Error => Self::Error,
            Shown::Warning => Self::Warning,
            Shown::Notice => Self::Notice,
            Shown::Info => Self::Info,
            Shown::Debug => Self::Debug,
            Shown::Trace => Self::Trace,
        }
    }
}

/// A line as people read it, with its end.
pub fn shown(line: &Line) -> String {
    let line = LogLine {
        at_ns: line.at_ns,
        level: line.level.into(),
        source: Some(&line.source),
        text: &line.text,
    };
    format!("{line}\n")
}
