//! Targets that run WebAssembly: programs as they are loaded, and what programs ask of the host.

mod loading;
mod miscompile;
mod program;
mod wasi;
mod wasi_guest;

use test_fuzz::Target;

/// All of them.
pub const TARGETS: &[Target] = &[loading::TARGET, wasi::TARGET];
