//! The messages as values, and their payloads.

use alloc::vec::Vec;

use contract_host_link::{PATH_LEN_BYTES_MAX, from_guest, from_host, tree_flag, tree_kind};

use crate::error::{DecodeError, EncodeError};
use crate::frame::Header;
use crate::path::is_normalised;

/// Bytes of a tree entry's payload before its path.
const ENTRY_FIXED_LEN_BYTES: usize = 20;

/// One message of either side; what each means is in `contract/host-link`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Guest: up, and speaks this version.
    Hello {
        /// `contract_host_link::VERSION` of the sender.
        version: u32,
    },
    /// Guest: standard output.
    Stdout(&'a [u8]),
    /// Guest: standard error.
    Stderr(&'a [u8]),
    /// Guest: that many more bytes of standard input may be sent.
    StdinCredit {
        /// Added to what was granted before.
        len_bytes: u32,
    },
    /// Guest: done; the last message.
    Exit {
        /// For the host's command.
        code: i32,
    },
    /// Guest: sentences for the person.
    Text(&'a str),
    /// Guest: an entry of the output tree.
    TreeEntry(TreeEntry<'a>),
    /// Guest: contents of the file whose entry came last.
    TreeData(&'a [u8]),
    /// Guest: the tree is complete.
    TreeEnd {
        /// How many entries were sent.
        entries: u32,
    },
    /// Guest: the next bytes of the recording.
    RecordingData(&'a [u8]),
    /// Guest: the recording is complete.
    RecordingEnd {
        /// Its length.
        len_bytes: u64,
    },
    /// Host: standard input, within the credit.
    Stdin(&'a [u8]),
    /// Host: standard input has ended.
    StdinEnd,
    /// Host: end the program.
    Kill,
}

/// An entry of the output tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeEntry<'a> {
    /// Absolute and normalised.
    pub path: &'a str,
    /// Last modification, in nanoseconds since 1970.
    pub modified_ns: u64,
    /// What it is.
    pub kind: TreeKind<'a>,
}

/// What an entry of the output tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeKind<'a> {
    /// A regular file.
    File {
        /// Length of the contents, which follow as [`Message::TreeData`].
        len_bytes: u64,
        /// Whether it may be executed.
        executable: bool,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    SymbolicLink {
        /// Where it leads: any text of 1 to 4096 bytes without NUL.
        target: &'a str,
    },
}

impl Message<'_> {
    /// Appends the message to `frames` as one frame; on an error `frames` is as it was.
    pub fn encode(&self, frames: &mut Vec<u8>) -> Result<(), EncodeError> {
        match *self {
            Self::Hello { version } => push(frames, from_guest::HELLO, &version.to_le_bytes()),
            Self::Stdout(bytes) => push(frames, from_guest::STDOUT, bytes),
            Self::Stderr(bytes) => push(frames, from_guest::STDERR, bytes),
            Self::StdinCredit { len_bytes } => {
                push(frames, from_guest::STDIN_CREDIT, &len_bytes.to_le_bytes())
            }
            Self::Exit { code } => push(frames, from_guest::EXIT, &code.to_le_bytes()),
            Self::Text(text) => push(frames, from_guest::MESSAGE, text.as_bytes()),
            Self::TreeEntry(entry) => push(frames, from_guest::TREE_ENTRY, &entry.to_payload()?),
            Self::TreeData(bytes) => push(frames, from_guest::TREE_DATA, bytes),
            Self::TreeEnd { entries } => push(frames, from_guest::TREE_END, &entries.to_le_bytes()),
            Self::RecordingData(bytes) => push(frames, from_guest::RECORDING_DATA, bytes),
            Self::RecordingEnd { len_bytes } => {
                push(frames, from_guest::RECORDING_END, &len_bytes.to_le_bytes())
            }
            Self::Stdin(bytes) => push(frames, from_host::STDIN, bytes),
            Self::StdinEnd => push(frames, from_host::STDIN_END, &[]),
            Self::Kill => push(frames, from_host::KILL, &[]),
        }
    }
}

/// Appends one frame.
pub(crate) fn push(frames: &mut Vec<u8>, kind: u8, payload: &[u8]) -> Result<(), EncodeError> {
    let header = Header::for_payload(kind, payload).ok_or(EncodeError::TooLong)?;
    frames.extend_from_slice(&header.to_bytes());
    frames.extend_from_slice(payload);
    Ok(())
}

/// The message in a frame whose checksums are right.
pub(crate) fn parse(kind: u8, payload: &[u8]) -> Result<Message<'_>, DecodeError> {
    let message = match kind {
        from_guest::HELLO => word(payload).map(|word| Message::Hello {
            version: u32::from_le_bytes(word),
        }),
        from_guest::STDOUT => Some(Message::Stdout(payload)),
        from_guest::STDERR => Some(Message::Stderr(payload)),
        from_guest::STDIN_CREDIT => word(payload).map(|word| Message::StdinCredit {
            len_bytes: u32::from_le_bytes(word),
        }),
        from_guest::EXIT => word(payload).map(|word| Message::Exit {
            code: i32::from_le_bytes(word),
        }),
        from_guest::MESSAGE => text(payload).map(Message::Text),
        from_guest::TREE_ENTRY => TreeEntry::from_payload(payload).map(Message::TreeEntry),
        from_guest::TREE_DATA => Some(Message::TreeData(payload)),
        from_guest::TREE_END => word(payload).map(|word| Message::TreeEnd {
            entries: u32::from_le_bytes(word),
        }),
        from_guest::RECORDING_DATA => Some(Message::RecordingData(payload)),
        from_guest::RECORDING_END => payload.try_into().ok().map(|len| Message::RecordingEnd {
            len_bytes: u64::from_le_bytes(len),
        }),
        from_host::STDIN => Some(Message::Stdin(payload)),
        from_host::STDIN_END => payload.is_empty().then_some(Message::StdinEnd),
        from_host::KILL => payload.is_empty().then_some(Message::Kill),
        _ => return Err(DecodeError::UnknownKind { kind }),
    };
    message.ok_or(DecodeError::Malformed { kind })
}

/// A payload that is one 32-bit number.
fn word(payload: &[u8]) -> Option<[u8; 4]> {
    payload.try_into().ok()
}

fn text(bytes: &[u8]) -> Option<&str> {
    core::str::from_utf8(bytes).ok()
}

/// Whether a symbolic link's target can be one on any host.
fn is_target(target: &str) -> bool {
    (1..=PATH_LEN_BYTES_MAX).contains(&target.len()) && !target.contains('\0')
}

impl<'a> TreeEntry<'a> {
    fn to_payload(self) -> Result<Vec<u8>, EncodeError> {
        let (kind, flags, len_bytes, target) = match self.kind {
            TreeKind::File {
                len_bytes,
                executable,
            } => {
                let flags = if executable { tree_flag::EXECUTABLE } else { 0 };
                (tree_kind::FILE, flags, len_bytes, "")
            }
            TreeKind::Directory => (tree_kind::DIRECTORY, 0, 0, ""),
            TreeKind::SymbolicLink { target } if is_target(target) => {
                (tree_kind::SYMBOLIC_LINK, 0, 0, target)
            }
            TreeKind::SymbolicLink { .. } => return Err(EncodeError::Path),
        };
        let path_len_bytes = u16::try_from(self.path.len()).map_err(|_| EncodeError::Path)?;
        if !is_normalised(self.path) {
            return Err(EncodeError::Path);
        }
        let mut payload =
            Vec::with_capacity(ENTRY_FIXED_LEN_BYTES + self.path.len() + target.len());
        payload.extend_from_slice(&[kind, flags]);
        payload.extend_from_slice(&path_len_bytes.to_le_bytes());
        payload.extend_from_slice(&self.modified_ns.to_le_bytes());
        payload.extend_from_slice(&len_bytes.to_le_bytes());
        payload.extend_from_slice(self.path.as_bytes());
        payload.extend_from_slice(target.as_bytes());
        Ok(payload)
    }

    fn from_payload(payload: &'a [u8]) -> Option<Self> {
        let (fixed, rest) = payload.split_first_chunk::<ENTRY_FIXED_LEN_BYTES>()?;
        let [kind, flags, p0, p1, numbers @ ..] = *fixed;
        let (modified_ns, len_bytes) = numbers.split_first_chunk::<8>()?;
        let len_bytes = u64::from_le_bytes(len_bytes.try_into().ok()?);
        let (path, target) = rest.split_at_checked(u16::from_le_bytes([p0, p1]).into())?;
        let path = text(path).filter(|path| is_normalised(path))?;
        Some(Self {
            path,
            modified_ns: u64::from_le_bytes(*modified_ns),
            kind: TreeKind::from_parts(kind, flags, len_bytes, text(target)?)?,
        })
    }
}

impl<'a> TreeKind<'a> {
    /// Every part that a kind does not use must be zero or empty.
    fn from_parts(kind: u8, flags: u8, len_bytes: u64, target: &'a str) -> Option<Self> {
        match kind {
            tree_kind::FILE if flags & !tree_flag::EXECUTABLE == 0 && target.is_empty() => {
                Some(Self::File {
                    len_bytes,
                    executable: flags & tree_flag::EXECUTABLE != 0,
                })
            }
            tree_kind::DIRECTORY if flags == 0 && len_bytes == 0 && target.is_empty() => {
                Some(Self::Directory)
            }
            tree_kind::SYMBOLIC_LINK if flags == 0 && len_bytes == 0 && is_target(target) => {
                Some(Self::SymbolicLink { target })
            }
            _ => None,
        }
    }
}
