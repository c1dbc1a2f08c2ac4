//! `wasi:io/error`: why a stream's operation failed.

use lib_handle_table::HandleError;
use runtime_host::{StreamFailure, tmpfs};
use wasmtime::component::Resource;

use crate::bindings::wasi::filesystem::types::ErrorCode;
use crate::bindings::wasi::io::error::{Host, HostError};
use crate::filesystem::error_code;
use crate::{LimitReached, WasiContext};

/// The failure of a stream's operation.
pub struct IoError {
    pub(crate) message: String,
    /// The file system's code, if the stream is a file's.
    pub(crate) code: Option<ErrorCode>,
}

impl IoError {
    /// What a file's stream says when the descriptor that it was made from does not allow the operation.
    pub(crate) fn not_opened_for(operation: &str) -> Self {
        Self {
            message: format!("the file was not opened for {operation}"),
            code: Some(ErrorCode::BadDescriptor),
        }
    }

    fn beyond_all_files() -> Self {
        Self {
            message: "the place lies beyond the end of the largest file".into(),
            code: Some(ErrorCode::Invalid),
        }
    }
}

/// A place in a file fits into 63 bits.
pub(crate) fn check_position(offset: u64) -> Result<(), ErrorCode> {
    if offset > tmpfs::FILE_MAX_BYTES {
        return Err(ErrorCode::Invalid);
    }
    Ok(())
}

/// As [`check_position`], for a stream.
pub(crate) fn check_stream_position(offset: u64) -> Result<(), StreamError> {
    check_position(offset).map_err(|_| StreamError::Failed(IoError::beyond_all_files()))
}

/// How a stream's operation ends without success.
pub enum StreamError {
    /// The stream is closed.
    Closed,
    /// What lies behind the stream failed.
    Failed(IoError),
    /// The process ends.
    Trap(wasmtime::Error),
}

impl From<StreamFailure> for StreamError {
    fn from(failure: StreamFailure) -> Self {
        match failure {
            StreamFailure::Closed => Self::Closed,
            StreamFailure::Failed(message) => Self::Failed(IoError {
                message,
                code: None,
            }),
        }
    }
}

impl From<tmpfs::Error> for StreamError {
    fn from(error: tmpfs::Error) -> Self {
        Self::Failed(IoError {
            message: error.to_string(),
            code: Some(error_code(error)),
        })
    }
}

impl From<wasmtime::Error> for StreamError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

impl From<HandleError> for StreamError {
    fn from(error: HandleError) -> Self {
        Self::Trap(error.into())
    }
}

impl From<LimitReached> for StreamError {
    fn from(error: LimitReached) -> Self {
        Self::Trap(error.into())
    }
}

impl Host for WasiContext {}

impl HostError for WasiContext {
    fn to_debug_string(&mut self, error: Resource<IoError>) -> wasmtime::Result<String> {
        Ok(self.get(&error)?.message.clone())
    }

    fn drop(&mut self, error: Resource<IoError>) -> wasmtime::Result<()> {
        self.delete(error)?;
        Ok(())
    }
}
