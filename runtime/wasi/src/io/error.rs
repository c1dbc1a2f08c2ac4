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
