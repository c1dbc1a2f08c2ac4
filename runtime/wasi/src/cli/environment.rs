//! `wasi:cli/environment`: arguments, variables, working directory. The same answer at every call.

use crate::WasiContext;
use crate::bindings::wasi::cli::environment::Host;

impl Host for WasiContext {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.environment.clone())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.arguments.clone())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(Some(self.files.current().to_owned()))
    }
}
