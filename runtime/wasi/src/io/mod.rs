//! `wasi:io`: errors, pollables and streams.

mod error;
mod input_stream;
mod not_opened;
mod output_stream;
mod poll;
mod streams;
mod watch;

pub(crate) use error::check_position;
pub use error::{IoError, StreamError};
pub use input_stream::InputStream;
pub(crate) use input_stream::read_file;
pub use output_stream::OutputStream;
pub use poll::Pollable;
pub(crate) use watch::Watched;
pub use watch::{Turn, WATCHED_MAX, WatchError, Woken};

/// The most that one call moves from a stream or a file to a guest.
pub const READ_MAX_BYTES: usize = 64 * 1024;
/// The most that one call moves from a guest to a file's stream.
pub const WRITE_MAX_BYTES: usize = 1024 * 1024;
/// The most that the blocking writes take, by the WIT.
pub(crate) const BLOCKING_WRITE_MAX_BYTES: usize = 4096;
