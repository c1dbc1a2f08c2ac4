//! `wasi:cli/exit`: the process ends itself. The call does not return; its error carries the code.

use runtime_host::ProcessExit;

use crate::WasiContext;
use crate::bindings::wasi::cli::exit::Host;

impl Host for WasiContext {
    fn exit(&mut self, status: Result<(), ()>) -> wasmtime::Result<()> {
        Err(ProcessExit(i32::from(status.is_err())).into())
    }

    fn exit_with_code(&mut self, status_code: u8) -> wasmtime::Result<()> {
        Err(ProcessExit(i32::from(status_code)).into())
    }
}
