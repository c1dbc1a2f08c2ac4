//! Building what boots: kernel, loader, and the host program that compiles components for the kernel.
//!
//! Law: one cargo invocation builds everything that contains Wasmtime, so that it is built once.

mod kernel;
mod loader;
mod symbols;

pub use kernel::{build_kernel, build_kernel_of};
pub use loader::build_loader;

use crate::failure::Result;
use crate::paths::{PRODUCT_KERNEL, Paths, Variant};

/// Builds all of it, with the kernel that people get.
pub fn build_all(paths: &Paths) -> Result<()> {
    build_all_of(paths, Variant::Plain)
}

/// Builds all of it, with this variant of the kernel.
pub fn build_all_of(paths: &Paths, variant: Variant) -> Result<()> {
    build_kernel_of(paths, PRODUCT_KERNEL, variant)?;
    build_loader(paths)
}
