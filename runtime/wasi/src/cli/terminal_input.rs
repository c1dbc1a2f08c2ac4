//! `wasi:cli/terminal-input`: the input side of a terminal, of which nothing can be asked yet.

use wasmtime::component::Resource;

use crate::WasiContext;
use crate::bindings::wasi::cli::terminal_input::{Host, HostTerminalInput};

/// The input side of a terminal.
pub struct TerminalInput;

impl Host for WasiContext {}

impl HostTerminalInput for WasiContext {
    fn drop(&mut self, terminal: Resource<TerminalInput>) -> wasmtime::Result<()> {
        self.delete(terminal)?;
        Ok(())
    }
}
