//! `wasi:random/random`.

use crate::WasiContext;
use crate::bindings::wasi::random::random::Host;

impl Host for WasiContext {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.random_u64()
    }
}
