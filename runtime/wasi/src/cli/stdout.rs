//! `wasi:cli/stdout`.

use std::sync::Arc;

use wasmtime::component::Resource;

use crate::WasiContext;
use crate::bindings::wasi::cli::stdout::Host;
use crate::io::OutputStream;

impl Host for WasiContext {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<OutputStream>> {
        let sink = Arc::clone(&self.stdout);
        Ok(self.push(OutputStream::to_sink(sink))?)
    }
}
