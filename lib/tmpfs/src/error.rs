//! What can go wrong in a tree, by cause.

use core::fmt;

/// Why an operation on a tree failed. Each names what is at fault; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A name on the way, or the node itself, does not exist (any more).
    NotFound,
    /// A directory was needed and something else is there.
    NotADirectory,
    /// Something that is no directory was needed and a directory is there.
    IsADirectory,
    /// No symbolic link was found where the caller reads one.
    NotASymlink,
    /// The node is neither file nor directory, so it has no such contents.
    NotAFile,
    /// The name is taken.
    Exists,
    /// The directory has entries.
    NotEmpty,
    /// The tree's budget does not allow it.
    NoSpace,
    /// The allocator has no memory.
    OutOfMemory,
    /// An offset or size beyond [`crate::FILE_MAX_BYTES`].
    FileTooLarge,
    /// A name or path is longer than allowed.
    NameTooLong,
    /// A name is empty, `.`, `..`, or has a slash or a zero byte in it.
    InvalidName,
    /// No further name of this node can be counted.
    TooManyLinks,
    /// The path leads through more symbolic links than are followed.
    SymlinkLoop,
    /// The path is absolute, or leads out of the directory that it starts from.
    Escapes,
    /// A directory cannot be moved into itself or below itself.
    IntoItself,
    /// The root has no name that could be removed or moved.
    IsRoot,
    /// The tree does not take changes.
    ReadOnly,
    /// The bytes that should be here cannot be had, or are not what they should be.
    Corrupt,
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NotFound => "no such file or directory",
            Self::NotADirectory => "a part of the path is not a directory",
            Self::IsADirectory => "it is a directory",
            Self::NotASymlink => "it is not a symbolic link",
            Self::NotAFile => "it is not a regular file",
            Self::Exists => "the name is already taken",
            Self::NotEmpty => "the directory is not empty",
            Self::NoSpace => "the file tree has used up the space it may use",
            Self::OutOfMemory => "no memory is left to hold it",
            Self::FileTooLarge => "the offset or size is larger than a file can be",
            Self::NameTooLong => "the name or path is too long",
            Self::InvalidName => "the name is not a valid file name",
            Self::TooManyLinks => "the file has as many names as can be counted",
            Self::SymlinkLoop => "the path leads through too many symbolic links",
            Self::Escapes => "the path leads out of the directory it starts from",
            Self::IntoItself => "a directory cannot be moved into itself",
            Self::IsRoot => "the root directory cannot be removed or moved",
            Self::ReadOnly => "the file tree is read-only",
            Self::Corrupt => "the stored bytes are missing or damaged",
        })
    }
}

impl core::error::Error for Error {}
