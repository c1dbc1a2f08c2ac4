//! The open files of a shell: what its numbers 0, 1, 2 and others mean.
//!
//! Law: a subshell inside this process may have its output captured in memory. Children cannot write there; for them
//! a pipe is made and emptied into it while the shell waits (`crate::launch`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::shell::{BROKEN_PIPE, Unwind};
use crate::system::{self, Input, Opening, Output, StandardOutput};

/// Output that is kept.
pub type Capture = Rc<RefCell<Vec<u8>>>;

/// What fits into a pipe that nobody reads yet, on every system.
const PIPE_LEN_BYTES: usize = 60 << 10;

/// An open file.
#[derive(Clone, Debug)]
pub enum File {
    /// To read from.
    Input(Input),
    /// To write to.
    Output(Output),
    /// To write to, kept in memory.
    Capture(Capture),
}

/// Open files by number.
#[derive(Clone, Debug)]
pub struct Files(BTreeMap<i32, File>);

impl Files {
    /// Those that a process starts with.
    pub fn standard() -> Self {
        Self(BTreeMap::from([
            (0, File::Input(Input::Standard)),
            (1, File::Output(Output::Standard(StandardOutput::Stdout))),
            (2, File::Output(Output::Standard(StandardOutput::Stderr))),
        ]))
    }

    /// The open file of this number.
    pub fn get(&self, number: i32) -> Option<&File> {
        self.0.get(&number)
    }

    /// Opens under a number, in place of what was there.
    pub fn set(&mut self, number: i32, file: File) {
        self.0.insert(number, file);
    }

    /// Closes a number.
    pub fn close(&mut self, number: i32) {
        self.0.remove(&number);
    }

    /// What a number reads; nothing where it is closed or for writing.
    pub fn input(&self, number: i32) -> Input {
        match self.get(number) {
            Some(File::Input(input)) => input.clone(),
            _ => Input::Empty,
        }
    }

    /// Whether the number is a terminal.
    pub fn is_terminal(&self, number: i32) -> bool {
        match self.get(number) {
            Some(File::Input(input)) => input.is_terminal(),
            Some(File::Output(output)) => output.is_terminal(),
            Some(File::Capture(_)) | None => false,
        }
    }

    /// Writes to standard output.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Unwind> {
        match self.get(1) {
            Some(File::Output(output)) => output.write(bytes).map_err(|error| match error {
                None => Unwind::Exit(BROKEN_PIPE),
                Some(reason) => Unwind::Failed(format!("write error: {reason}")),
            }),
            Some(File::Capture(capture)) => {
                capture.borrow_mut().extend_from_slice(bytes);
                Ok(())
            }
            Some(File::Input(_)) | None => {
                Err(Unwind::Failed("write error: Bad file descriptor".into()))
            }
        }
    }

    /// Writes a sentence to standard error. Where that fails there is nobody to tell.
    pub fn error(&self, sentence: &str) {
        match self.get(2) {
            Some(File::Output(output)) => drop(output.write(sentence.as_bytes())),
            Some(File::Capture(capture)) => {
                capture.borrow_mut().extend_from_slice(sentence.as_bytes())
            }
            Some(File::Input(_)) | None => (),
        }
    }
}

/// Something to read that says this: a pipe where it fits into one, else a file without a name.
pub fn saying(text: &[u8]) -> Result<Input, String> {
    if text.len() <= PIPE_LEN_BYTES {
        let (read, write) = system::pipe()?;
        write
            .write(text)
            .map_err(|error| error.unwrap_or_else(|| "Broken pipe".into()))?;
        return Ok(read);
    }
    let path = temporary(text)?;
    let input = system::open_input(&path);
    // Without its name it is there for whoever has it open.
    let _ = std::fs::remove_file(&path);
    input
}

/// A new file that says this; its path.
pub fn temporary(text: &[u8]) -> Result<String, String> {
    let path = format!("/tmp/sh-{:016x}", system::random());
    let output = system::open_output(&path, Opening::New)?;
    output
        .write(text)
        .map_err(|error| error.unwrap_or_else(|| "Broken pipe".into()))?;
    Ok(path)
}
