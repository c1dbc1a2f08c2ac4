//! Why the notices could not be made.

use std::fmt;
use std::path::{Path, PathBuf};

pub type Result<T> = std::result::Result<T, Failure>;

/// A failed step; `Display` is a sentence.
#[derive(Debug)]
pub enum Failure {
    /// The operating system refused something.
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Its answer.
        source: std::io::Error,
    },
    /// A file or cargo's answer does not hold what it should.
    Input {
        /// Which.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// cargo failed.
    Cargo {
        /// Its arguments.
        arguments: String,
        /// What it said.
        output: String,
    },
    /// Packages cannot be used under the licences of `deny.toml`, or have no text for theirs.
    Packages(Vec<String>),
    /// The file that is kept is another one.
    OutOfDate,
}

impl Failure {
    /// Wraps an I/O error.
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.as_ref().to_path_buf(),
            source,
        }
    }

    /// Something that cannot be read.
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
            Self::Io {
                action,
                path,
                source,
            } => {
                write!(f, "cannot {action} {}: {source}", path.display())
            }
            Self::Input { what, problem } => write!(f, "{what}: {problem}"),
            Self::Cargo { arguments, output } => {
                write!(f, "`cargo {arguments}` failed:\n{}", output.trim_end())
            }
            Self::Packages(findings) => f.write_str(&findings.join("\n")),
            Self::OutOfDate => f.write_str(
                "THIRD-PARTY-NOTICES.md is out of date: `cargo run -p xtask-notices -- write` writes it anew",
            ),
        }
    }
}

impl std::error::Error for Failure {}
