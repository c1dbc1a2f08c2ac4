//! `wasi:cli/stdin`.

use std::sync::Arc;

use wasmtime::component::Resource;

use crate::WasiContext;
use crate::bindings::wasi::cli::stdin::Host;
use crate::io::InputStream;

impl Host for WasiContext {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<InputStream>> {
        let source = Arc::clone(&self.stdin);
        Ok(self.push(InputStream::from_source(source))?)
    }
}
