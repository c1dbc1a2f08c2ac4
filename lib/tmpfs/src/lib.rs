//! A file tree in memory: directories, sparse files, symbolic links, hard links.
//!
//! Pure logic: no lock, no clock (callers say what time it is), no I/O. The owner of a [`Tmpfs`] puts
//! it behind a lock; reading needs `&self` only, so readers run side by side.
//!
//! Invariants:
//! - every node but the root is reachable from the root, or pinned, or gone: a node is freed when its
//!   last name and its last pin are gone, and its [`NodeId`] never names another node;
//! - every directory but the root has exactly one name; the tree of directories has no cycle;
//! - the bytes reserved from [`Charge`] equal the sum over the nodes at any time, and all of them are
//!   released when the tree is dropped;
//! - an operation that fails leaves the tree as it was (a write may be short, and says so).
//!
//! Errors are values for whatever a caller passes: names, paths, offsets and ids are hostile input.
//! What a file grows by is asked of [`Charge`] first and then of the allocator, fallibly.
//!
//! Access times move on reading only when they lie no later than the last change ([`Tmpfs::access_is_due`]): that tells
//! whether something was read since it changed, and readers need the tree exclusively once per change, not once per
//! read. Linux' `relatime` also moves them once a day, which would cost each read a look at the clock.
//!
//! Not kept: owners and modes (authority lies in what a program holds, not in what a file says).
#![no_std]

extern crate alloc;

mod backing;
mod charge;
mod content;
mod error;
mod node;
mod resolve;
mod table;
mod tree;

pub use backing::{Backing, BackingError, StaticBytes};
pub use charge::{Charge, Refused, Unlimited};
pub use error::Error;
pub use node::{Kind, Stat, Times, Timestamp};
pub use resolve::{Follow, Resolved, SYMLINKS_MAX};
pub use table::NodeId;
pub use tree::{DirectoryEntry, Tmpfs};

/// The longest name of a directory entry.
pub const NAME_MAX_BYTES: usize = 255;
/// The longest path, and the longest target of a symbolic link: POSIX' 4096 with the zero byte that ends it there.
pub const PATH_MAX_BYTES: usize = 4095;
/// The largest size of a file: offsets stay representable as signed 64-bit numbers.
pub const FILE_MAX_BYTES: u64 = i64::MAX as u64;
