//! `wasi:cli/terminal-output`: the output side of a terminal, of which nothing can be asked yet.

use wasmtime::component::Resource;

use crate::WasiContext;
use crate::bindings::wasi::cli::terminal_output::{Host, HostTerminalOutput};

/// The output side of a terminal.
pub struct TerminalOutput;

impl Host for WasiContext {}

impl HostTerminalOutput for WasiContext {
    fn drop(&mut self, terminal: Resource<TerminalOutput>) -> wasmtime::Result<()> {
        self.delete(terminal)?;
        Ok(())
    }
}
