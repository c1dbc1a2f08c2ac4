//! The host link: what a guest that runs one program and the host that started it say to each other,
//! over the machine's second serial line.
//!
//! Law: numbers and meaning, no logic; `lib/host-link` is the codec of both sides.
//!
//! # Frames
//! All integers are little-endian. The line carries bytes reliably and in order; what may precede the
//! first frame (firmware, a reset in the middle of one) is skipped.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | [`SYNC`] |
//! | 1 | kind: one of the modules below |
//! | 2..6 | length of the payload in bytes, at most [`PAYLOAD_LEN_BYTES_MAX`] |
//! | 6..8 | low 16 bits of the CRC-32 of bytes 0..6, so that garbage is not waited for |
//! | 8..12 | CRC-32 (IEEE 802.3) of the payload |
//! | 12.. | payload |
//!
//! # Conversation
//! 1. The guest says [`from_guest::HELLO`]. The host that does not speak that version ends the
//!    machine and says so.
//! 2. The program runs. [`from_guest::STDOUT`] and [`from_guest::STDERR`] come as it writes.
//!    The host may send as many bytes of [`from_host::STDIN`] as [`from_guest::STDIN_CREDIT`] has
//!    granted in all and no more: the guest has room for exactly those. [`from_host::STDIN_END`] and
//!    [`from_host::KILL`] need no credit.
//! 3. When the program has ended, and only if the host asked for the tree on the command line:
//!    each entry as [`from_guest::TREE_ENTRY`], parents before children, a file followed by its
//!    contents in [`from_guest::TREE_DATA`]; then [`from_guest::TREE_END`].
//! 4. Only if the host asked for a recording (a trace or a profile) on the command line: it as
//!    [`from_guest::RECORDING_DATA`], then [`from_guest::RECORDING_END`].
//! 5. [`from_guest::EXIT`] is the last frame; the machine powers off.
//!
//! [`from_guest::MESSAGE`] may come at any time before `EXIT`. A line that ends without `EXIT` means
//! that the machine failed.
#![no_std]

/// The version of everything in this crate. Guest and host come from one build; a mismatch is refused.
pub const VERSION: u32 = 2;

/// First byte of every frame. Not ASCII and not the start of a UTF-8 sequence.
pub const SYNC: u8 = 0xA6;

/// Length of a frame's header.
pub const HEADER_LEN_BYTES: usize = 12;

/// Longest payload.
pub const PAYLOAD_LEN_BYTES_MAX: usize = 32 << 10;

/// Longest path or symbolic link's target in a [`from_guest::TREE_ENTRY`].
pub const PATH_LEN_BYTES_MAX: usize = 4096;

/// Kinds of frames that the guest sends.
pub mod from_guest {
    /// The guest is up: `version: u32`, which is [`VERSION`](crate::VERSION).
    pub const HELLO: u8 = 0x01;
    /// Bytes of the program's standard output.
    pub const STDOUT: u8 = 0x02;
    /// Bytes of the program's standard error.
    pub const STDERR: u8 = 0x03;
    /// `bytes: u32` more bytes of standard input may be sent.
    pub const STDIN_CREDIT: u8 = 0x04;
    /// `code: i32`, the exit code for the host's command.
    pub const EXIT: u8 = 0x05;
    /// A sentence or several for the person, in UTF-8, for the host's standard error: why a program is
    /// unusable, a trap with its backtrace.
    pub const MESSAGE: u8 = 0x06;
    /// An entry of the output tree: `kind: u8` (see [`tree_kind`](crate::tree_kind)), `flags: u8` (see
    /// [`tree_flag`](crate::tree_flag)), `path_len_bytes: u16`, `modified_ns: u64` (since 1970),
    /// `len_bytes: u64` (of a file's contents, else 0), the path, and the rest is a symbolic link's
    /// target. Paths are UTF-8, absolute and normalised.
    pub const TREE_ENTRY: u8 = 0x07;
    /// The next bytes of the file whose entry came last.
    pub const TREE_DATA: u8 = 0x08;
    /// The tree is complete: `entries: u32`.
    pub const TREE_END: u8 = 0x09;
    /// The next bytes of the recording: a trace as JSON for trace viewers, or a profile as folded stacks. UTF-8 as
    /// a whole; a frame may end within a character.
    pub const RECORDING_DATA: u8 = 0x0A;
    /// The recording is complete: `len_bytes: u64`, all of it.
    pub const RECORDING_END: u8 = 0x0B;
}

/// Kinds of frames that the host sends.
pub mod from_host {
    /// Bytes for the program's standard input, within the credit.
    pub const STDIN: u8 = 0x81;
    /// Standard input has ended. No payload.
    pub const STDIN_END: u8 = 0x82;
    /// End the program now. No payload.
    pub const KILL: u8 = 0x83;
}

/// What an entry of the output tree is.
pub mod tree_kind {
    /// A regular file.
    pub const FILE: u8 = 1;
    /// A directory.
    pub const DIRECTORY: u8 = 2;
    /// A symbolic link.
    pub const SYMBOLIC_LINK: u8 = 3;
}

/// Bits of the flags of an entry of the output tree.
pub mod tree_flag {
    /// The file may be executed.
    pub const EXECUTABLE: u8 = 1;
}
