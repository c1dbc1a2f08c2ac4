//! `wasi:random`. All of it comes from the process's [`runtime_host::Entropy`]: nothing is gained by a
//! second, weaker generator for the interfaces that allow one.

mod insecure;
mod insecure_seed;
#[expect(
    clippy::module_inception,
    reason = "the interface has its package's name"
)]
mod random;

use runtime_host::check_free_memory;

use crate::{LimitReached, READ_MAX_BYTES, WasiContext};

/// How many bytes one call gives at most. The interface has no error, and no shorter answer either, so a
/// longer request ends the process.
pub const RANDOM_MAX_BYTES: u64 = 64 * 1024 * 1024;

impl WasiContext {
    fn random_bytes(&self, len_bytes: u64) -> wasmtime::Result<Vec<u8>> {
        if len_bytes > RANDOM_MAX_BYTES {
            let refused = LimitReached::Request {
                asked_bytes: len_bytes,
                limit_bytes: RANDOM_MAX_BYTES,
            };
            return Err(refused.into());
        }
        // Until the bytes are in the guest's memory, which is within this call.
        let _held = self.budget.reserve(len_bytes).map_err(LimitReached::from)?;
        if len_bytes > READ_MAX_BYTES as u64 {
            // Once here and once in the guest, whose pages may be touched for the first time by whoever copies.
            check_free_memory(2 * len_bytes).map_err(LimitReached::from)?;
        }
        let mut bytes = vec![0; len_bytes as usize];
        self.entropy.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn random_u64(&self) -> wasmtime::Result<u64> {
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}
