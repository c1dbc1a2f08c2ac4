//! `wasi:filesystem` over the file trees of the host.
//!
//! Rights are carried by descriptors: a preopen's [`Rights`] say whether anything below it may be
//! changed, and no descriptor opened from it can do more. A directory opened below one that may be
//! changed may be changed too (and says so in its flags), as programs for WASI expect.

mod descriptor;
mod directory_entry_stream;
mod error;
mod files;
mod preopens;
mod types;

pub use descriptor::{Descriptor, Rights};
pub use directory_entry_stream::DirectoryEntryStream;
pub use error::FilesystemError;
pub(crate) use error::error_code;
pub use files::{Files, Folder};
