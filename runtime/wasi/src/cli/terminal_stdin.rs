//! `wasi:cli/terminal-stdin`: the terminal that stdin leads to, if it does.

use runtime_host::StandardStream;
use wasmtime::component::Resource;

use crate::WasiContext;
use crate::bindings::wasi::cli::terminal_stdin::Host;
use crate::cli::TerminalInput;

impl Host for WasiContext {
    fn get_terminal_stdin(&mut self) -> wasmtime::Result<Option<Resource<TerminalInput>>> {
        if !self.is_terminal(StandardStream::Stdin) {
            return Ok(None);
        }
        Ok(Some(self.push(TerminalInput)?))
    }
}
