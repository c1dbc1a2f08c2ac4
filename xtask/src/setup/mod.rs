//! Getting what a fresh machine lacks.
//!
//! Law: nothing is installed that is there already; system packages come from apt and only as root, and
//! without root the one command to type is printed. Rust targets: see [`targets`].

mod packages;
pub mod sysroot;
pub mod targets;

pub use packages::{Need, ensure_packages};
