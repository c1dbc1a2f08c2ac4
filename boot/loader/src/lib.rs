//! The loader's logic, without firmware: what runs on any machine and is tested there.
//!
//! Law: no unsafe, no firmware call, no allocation; whoever calls supplies the memory. `main.rs` and
//! `firmware/` do the rest and exist for `x86_64-unknown-uefi` only.
#![no_std]

mod error;
pub mod memory_map;
pub mod page_tables;
pub mod video;

pub use error::LoadError;
