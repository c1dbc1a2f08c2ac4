//! `wasi:cli/stdout`.

use std::sync::Arc;

use runtime_host::StandardStream;
use wasmtime::component::Resource;

use crate::WasiContext;
use crate::bindings::wasi::cli::stdout::Host;
use crate::io::OutputStream;

impl Host for WasiContext {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<OutputStream>> {
        let sink = Arc::clone(&self.stdout);
        let is_terminal = self.is_terminal(StandardStream::Stdout);
        let stream = OutputStream::to_sink(sink).with_terminal(is_terminal);
        Ok(self.push(stream)?)
    }
}
