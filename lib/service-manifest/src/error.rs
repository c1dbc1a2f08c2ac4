//! What is wrong with a manifest.

use alloc::string::String;
use core::fmt;

/// What is wrong with a manifest, and with which part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// The guilty service; `None` where it is the text as a whole.
    pub service: Option<String>,
    /// The guilty key, with the tables that it lies in: `restart.policy`; `None` where it is the service as a whole.
    pub key: Option<String>,
    /// What is wrong, with the value, and what to write instead.
    pub problem: String,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            None => f.write_str("the manifest of services")?,
            Some(name) => write!(f, "service '{}'", name.escape_debug())?,
        }
        if let Some(key) = &self.key {
            write!(f, ", key '{}'", key.escape_debug())?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl core::error::Error for ManifestError {}
