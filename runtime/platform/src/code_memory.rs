//! Where compiled code becomes executable.

use std::sync::Arc;

use kernel_core::memory::{MemoryError, code};
use wasmtime::CustomCodeMemory;

/// The kernel's way of publishing code: executable and never writable, in every alias.
struct KernelCodeMemory;

impl CustomCodeMemory for KernelCodeMemory {
    fn required_alignment(&self) -> usize {
        4096
    }

    fn publish_executable(&self, start: *const u8, len_bytes: usize) -> wasmtime::Result<()> {
        if len_bytes == 0 {
            return Ok(());
        }
        code::publish(start.addr(), len_bytes)
            .map_err(|error| wasmtime::format_err!("code cannot be made executable: {error}"))
    }

    fn unpublish_executable(&self, start: *const u8, len_bytes: usize) -> wasmtime::Result<()> {
        if len_bytes == 0 {
            return Ok(());
        }
        match code::withdraw(start.addr(), len_bytes) {
            // Wasmtime takes back what could not be published as well.
            Ok(()) | Err(MemoryError::NoRegion) => Ok(()),
            Err(error) => Err(wasmtime::format_err!("code cannot be taken back: {error}")),
        }
    }
}

/// What the engine is given.
pub fn new() -> Arc<dyn CustomCodeMemory> {
    Arc::new(KernelCodeMemory)
}
