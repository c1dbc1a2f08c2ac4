//! From a tree's errors to `error-code`.

use lib_handle_table::HandleError;
use runtime_host::tmpfs;

use crate::LimitReached;
use crate::bindings::wasi::filesystem::types::ErrorCode;

/// How a file system call ends without success.
pub enum FilesystemError {
    /// The guest is told this code.
    Code(ErrorCode),
    /// The process ends.
    Trap(wasmtime::Error),
}

impl From<ErrorCode> for FilesystemError {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<tmpfs::Error> for FilesystemError {
    fn from(error: tmpfs::Error) -> Self {
        Self::Code(error_code(error))
    }
}

impl From<LimitReached> for FilesystemError {
    fn from(_: LimitReached) -> Self {
        Self::Code(ErrorCode::InsufficientMemory)
    }
}

impl From<wasmtime::Error> for FilesystemError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

impl From<HandleError> for FilesystemError {
    fn from(error: HandleError) -> Self {
        Self::Trap(error.into())
    }
}

/// The code that says what a tree's error says.
pub(crate) fn error_code(error: tmpfs::Error) -> ErrorCode {
    use tmpfs::Error;
    match error {
        Error::NotFound => ErrorCode::NoEntry,
        Error::NotADirectory => ErrorCode::NotDirectory,
        Error::IsADirectory => ErrorCode::IsDirectory,
        Error::NotASymlink | Error::NotAFile | Error::IntoItself => ErrorCode::Invalid,
        Error::Exists => ErrorCode::Exist,
        Error::NotEmpty => ErrorCode::NotEmpty,
        Error::NoSpace => ErrorCode::InsufficientSpace,
        Error::OutOfMemory => ErrorCode::InsufficientMemory,
        Error::FileTooLarge => ErrorCode::FileTooLarge,
        Error::NameTooLong => ErrorCode::NameTooLong,
        Error::InvalidName => ErrorCode::Invalid,
        Error::TooManyLinks => ErrorCode::TooManyLinks,
        Error::SymlinkLoop => ErrorCode::Loop,
        Error::Escapes => ErrorCode::NotPermitted,
        Error::IsRoot => ErrorCode::Busy,
        Error::ReadOnly => ErrorCode::ReadOnly,
        Error::Corrupt => ErrorCode::Io,
    }
}
