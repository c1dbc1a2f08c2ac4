//! Why a command of this tool could not do its work.
//!
//! Law: every variant names the guilty party, and `Display` is one sentence (or a list of them) that says
//! what failed, on what, and where there is one, what to do.

use std::fmt;
use std::path::{Path, PathBuf};

/// What every step of this tool returns.
pub type Result<T> = std::result::Result<T, Failure>;

/// A failed step.
#[derive(Debug)]
pub enum Failure {
    /// The command line of this tool was wrong.
    Usage(String),
    /// The machine lacks something that this tool may not install by itself.
    Missing {
        /// What is missing.
        what: String,
        /// The command that a person types to get it.
        remedy: String,
    },
    /// The operating system refused something.
    Io {
        /// What was attempted, as in "read" or "connect to".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A program that this tool started failed.
    Program {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// What it printed, where that was captured; else empty.
        output: String,
    },
    /// A file (a manifest, a program, an archive) does not hold what it should.
    Input {
        /// The file, or what stands for it.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The guest, or QEMU under it, did not do what was expected.
    Guest(String),
    /// Checks or tests found something; the findings were printed.
    Findings(String),
}

impl Failure {
    /// Wraps an I/O error with what was attempted and on what.
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.as_ref().to_path_buf(),
            source,
        }
    }

    /// A file whose content is wrong.
    pub fn input(what: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self::Input {
            what: what.to_string(),
            problem: problem.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(sentence) => {
                write!(f, "{sentence} (`cargo xtask help` lists the commands)")
            }
            Self::Missing { what, remedy } => write!(
                f,
                "{what} is missing; type this, then try again:\n\n    {remedy}\n"
            ),
            Self::Io {
                action,
                path,
                source,
            } => write!(f, "cannot {action} {}: {source}", path.display()),
            Self::Program {
                command,
                status,
                output,
            } if output.is_empty() => write!(f, "`{command}` {status}"),
            Self::Program {
                command,
                status,
                output,
            } => write!(f, "`{command}` {status}:\n{}", output.trim_end()),
            Self::Input { what, problem } => write!(f, "{what}: {problem}"),
            Self::Guest(sentence) | Self::Findings(sentence) => f.write_str(sentence),
        }
    }
}

impl std::error::Error for Failure {}
