//! What the guest recorded of a run, written to files of the host.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::paths;
use crate::run::Recording;

/// The longest recording that is taken, in bytes: a guest that sends without end is stopped.
const LEN_BYTES_MAX: usize = 256 << 20;

/// A recording that is coming.
#[derive(Debug)]
pub struct Received<'a> {
    recording: &'a Recording,
    bytes: Vec<u8>,
}

impl<'a> Received<'a> {
    /// One of which nothing has come yet.
    pub fn new(recording: &'a Recording) -> Self {
        Self {
            recording,
            bytes: Vec::new(),
        }
    }

    /// The next bytes.
    pub fn data(&mut self, bytes: &[u8]) -> Result<()> {
        if self.bytes.len() + bytes.len() > LEN_BYTES_MAX {
            return Err(wrong("it does not end"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Nothing more comes: the files are written.
    pub fn end(&mut self, len_bytes: u64) -> Result<()> {
        if self.bytes.len() as u64 != len_bytes {
            return Err(wrong("bytes are missing"));
        }
        match self.recording {
            Recording::Trace { file, .. } => self.write_trace(file),
            Recording::Profile { file, .. } => self.write_profile(file),
        }
    }

    fn write_trace(&self, file: &Path) -> Result<()> {
        paths::write(file, &self.bytes)?;
        eprintln!(
            "the trace is in {}; ui.perfetto.dev and chrome://tracing show it",
            file.display()
        );
        Ok(())
    }

    fn write_profile(&self, file: &Path) -> Result<()> {
        let folded = std::str::from_utf8(&self.bytes).map_err(|_| wrong("it is not UTF-8"))?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let picture = lib_flame_graph::svg(folded, &name).map_err(wrong)?;
        let stacks = stacks_file(file);
        paths::write(file, picture.as_bytes())?;
        paths::write(&stacks, &self.bytes)?;
        eprintln!(
            "the flame graph is in {}, the stacks are in {}",
            file.display(),
            stacks.display()
        );
        Ok(())
    }
}

/// The folded stacks lie beside the picture.
fn stacks_file(picture: &Path) -> PathBuf {
    picture.with_extension("folded")
}

fn wrong(what: impl Display) -> Failure {
    Failure::Guest(format!("the guest sent a malformed recording: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_incomplete_or_no_profile_is_refused() {
        let recording = Recording::profile("/nowhere/x.svg".into());
        let mut received = Received::new(&recording);
        received.data(b"no count").unwrap();
        assert!(received.end(7).unwrap_err().to_string().contains("missing"));
        assert!(received.end(8).unwrap_err().to_string().contains("line 1"));
    }
}
