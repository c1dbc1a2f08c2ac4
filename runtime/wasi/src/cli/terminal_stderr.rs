//! `wasi:cli/terminal-stderr`: the terminal that stderr leads to, if it does.

use runtime_host::StandardStream;
use wasmtime::component::Resource;

use crate::WasiContext;
use crate::bindings::wasi::cli::terminal_stderr::Host;
use crate::cli::TerminalOutput;

impl Host for WasiContext {
    fn get_terminal_stderr(&mut self) -> wasmtime::Result<Option<Resource<TerminalOutput>>> {
        if !self.is_terminal(StandardStream::Stderr) {
            return Ok(None);
        }
        Ok(Some(self.push(TerminalOutput)?))
    }
}
