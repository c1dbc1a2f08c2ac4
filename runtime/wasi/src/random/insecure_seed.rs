//! `wasi:random/insecure-seed`.

use crate::WasiContext;
use crate::bindings::wasi::random::insecure_seed::Host;

impl Host for WasiContext {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.random_u64()?, self.random_u64()?))
    }
}
