//! `wasi:random/insecure-seed`: a value that the interface means to be imported once, so it is the same at each call.

use crate::WasiContext;
use crate::bindings::wasi::random::insecure_seed::Host;

impl Host for WasiContext {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        let seed = match self.insecure_seed {
            Some(seed) => seed,
            None => (self.random_u64()?, self.random_u64()?),
        };
        self.insecure_seed = Some(seed);
        Ok(seed)
    }
}
