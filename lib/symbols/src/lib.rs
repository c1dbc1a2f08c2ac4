//! The kernel's symbol table: function names for addresses, for dumps and profiles.
//!
//! A table is made on the host from the kernel's ELF symbols ([`SymbolTableBuilder`]) and read in
//! place ([`SymbolTable`]), without allocating: whoever reads it may be reporting that memory ran
//! out.
//!
//! - The bytes are hostile. Opening checks the header and that the parts fit; looking up checks
//!   what it touches. A wrong table gives wrong or no names, never a panic.
//! - A lookup is a binary search: the order of a table that does not keep it is not repaired.
//!
//! Why not the ELF file's own tables: `.symtab` is unsorted, and mangled names are half the bytes.
//!
//! # Layout
//! Little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | magic `KPIOSYMS` |
//! | 8..12 | version, 1 |
//! | 12..16 | number of records |
//! | 16..24 | base address |
//! | 24.. | records of 12 bytes, by rising address: address minus base, length in bytes, offset of the name |
//! | then | names, each a 16-bit length and UTF-8; functions of one name share it |
#![no_std]

extern crate alloc;

mod builder;
mod layout;
mod reader;
#[cfg(test)]
mod tests;

pub use builder::{BuildError, SymbolTableBuilder};
pub use layout::NAME_LEN_BYTES_MAX;
pub use reader::{OpenError, Symbol, SymbolTable};
