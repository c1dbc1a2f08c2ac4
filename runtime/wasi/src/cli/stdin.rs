//! `wasi:cli/stdin`.

use std::sync::Arc;

use runtime_host::StandardStream;
use wasmtime::component::Resource;

use crate::WasiContext;
use crate::bindings::wasi::cli::stdin::Host;
use crate::io::InputStream;

impl Host for WasiContext {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<InputStream>> {
        let source = Arc::clone(&self.stdin);
        let is_terminal = self.is_terminal(StandardStream::Stdin);
        let stream = InputStream::from_source(source).with_terminal(is_terminal);
        Ok(self.push(stream)?)
    }
}
