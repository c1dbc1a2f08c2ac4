//! `wasi:cli/terminal-stdout`: the terminal that stdout leads to, if it does.

use runtime_host::StandardStream;
use wasmtime::component::Resource;

use crate::WasiContext;
use crate::bindings::wasi::cli::terminal_stdout::Host;
use crate::cli::TerminalOutput;

impl Host for WasiContext {
    fn get_terminal_stdout(&mut self) -> wasmtime::Result<Option<Resource<TerminalOutput>>> {
        if !self.is_terminal(StandardStream::Stdout) {
            return Ok(None);
        }
        Ok(Some(self.push(TerminalOutput)?))
    }
}
