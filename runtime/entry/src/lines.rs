//! The machine's serial lines as streams of the runtime.

use std::sync::Arc;

use kernel_core::console::{self, Line};
use kernel_core::thread::{self, Class};
use runtime_host::{
    Budget, ByteSink, Cancellation, Notifier, PipeError, PipeReader, StreamFailure, pipe,
    write_all_blocking,
};

/// Bytes written to a line in one go: bounds how long a killed program's last write takes.
const WRITE_BYTES_MAX: usize = 512;
/// Room between a line's reader thread and whoever wants the bytes.
const PIPE_BYTES: usize = 4096;
const READER_STACK_BYTES: usize = 64 * 1024;

/// The output of a line.
pub struct LineOutput(pub Line);

impl ByteSink for LineOutput {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        Ok(WRITE_BYTES_MAX)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        let part = &bytes[..bytes.len().min(WRITE_BYTES_MAX)];
        if console::write(self.0, part) {
            Ok(part.len())
        } else {
            Err(StreamFailure::Failed(
                "the serial line takes nothing".to_owned(),
            ))
        }
    }

    fn subscribe(&self, _notifier: &Notifier) {
        // There is always room: a write waits for the line by itself.
    }
}

/// The output of the terminal's serial line alone, for whoever has the screen as well.
pub struct SerialOutput;

impl ByteSink for SerialOutput {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        Ok(WRITE_BYTES_MAX)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        let part = &bytes[..bytes.len().min(WRITE_BYTES_MAX)];
        match console::write_line(Line::Terminal, part) {
            true => Ok(part.len()),
            false => Err(StreamFailure::Closed),
        }
    }

    fn subscribe(&self, _notifier: &Notifier) {
        // There is always room: a write waits for the line by itself.
    }
}

/// Why a line cannot be read.
#[derive(Debug)]
pub enum LineError {
    /// No memory for its pipe.
    Pipe(PipeError),
    /// No thread to read it.
    Thread(std::io::Error),
}

impl std::fmt::Display for LineError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pipe(error) => error.fmt(out),
            Self::Thread(error) => write!(out, "no thread can read the serial line: {error}"),
        }
    }
}

/// The input of a line, read by a thread of its own from now on.
///
/// # Errors
/// See [`LineError`].
pub fn input(line: Line, budget: &Budget) -> Result<PipeReader, LineError> {
    let (reader, writer) = pipe(PIPE_BYTES, budget).map_err(LineError::Pipe)?;
    let writer: Arc<dyn ByteSink> = Arc::new(writer);
    let pump = move || {
        // A person types: the key is to be seen whatever else runs.
        thread::set_class(Class::Interactive);
        let never = Cancellation::new();
        let mut buffer = [0; 1024];
        loop {
            let count = console::read(line, &mut buffer, None);
            // Fails once nobody reads any more; then the line is still drained.
            let _written = write_all_blocking(&*writer, &buffer[..count], &never);
        }
    };
    std::thread::Builder::new()
        .name("line".to_owned())
        .stack_size(READER_STACK_BYTES)
        .spawn(pump)
        .map_err(LineError::Thread)?;
    Ok(reader)
}
