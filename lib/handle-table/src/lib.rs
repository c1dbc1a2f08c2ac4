//! The table of what one process holds, by handle.
//!
//! Laws:
//! - A [`Handle`] is a place and how often the place was used before. A handle that was closed is an error for ever, until its
//!   place has been used [`GENERATIONS`] times more; one that was made up is an error, or one of the process's own: a
//!   table holds nothing that its process may not have.
//! - *Rights only shrink.* A duplicate, and what is passed on to another table, has those of its original or fewer; what
//!   the bits mean is the objects' business.
//! - *Revocation reaches everything derived.* [`Table::revoke`] ends all duplicates of a handle, those that were passed on
//!   and theirs, wherever they are, and leaves the handle itself. It is one store: whoever looks after it has returned
//!   is refused, on any CPU; a use that began before may finish.
//! - A table holds [`HANDLES_MAX`] handles at most and never allocates but in [`Table::insert`] and its like, where being
//!   full is a value. Who pays for it is its owner's business.
//!
//! No locks: a table belongs to one thread, or stands behind a lock of its owner's. What tables share are the
//! [`Lease`]s of what was passed on, and those are atomic. The alternative, a list of descendants in each handle, would
//! have to lock other processes' tables to revoke.
#![no_std]

extern crate alloc;

mod lease;
mod table;

pub use lease::{Flag, Lease};
pub use table::{
    DuplicateError, GENERATIONS, HANDLES_MAX, Handle, HandleError, Passed, Rights, Table, TableFull,
};
