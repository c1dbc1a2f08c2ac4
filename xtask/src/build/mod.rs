//! Building what boots: kernel, loader, and the host program that compiles components for the kernel.
//!
//! Law: one cargo invocation builds everything that contains Wasmtime, so that it is built once.

mod kernel;
mod loader;
mod symbols;

pub use kernel::{build_kernel, build_kernel_of};
pub use loader::build_loader;

use crate::failure::Result;
use crate::paths::Paths;

/// Builds all of it.
pub fn build_all(paths: &Paths) -> Result<()> {
    build_kernel(paths)?;
    build_loader(paths)
}
