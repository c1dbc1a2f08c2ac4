//! `wasi:cli/stderr`.

use std::sync::Arc;

use wasmtime::component::Resource;

use crate::WasiContext;
use crate::bindings::wasi::cli::stderr::Host;
use crate::io::OutputStream;

impl Host for WasiContext {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<OutputStream>> {
        let sink = Arc::clone(&self.stderr);
        Ok(self.push(OutputStream::to_sink(sink))?)
    }
}
