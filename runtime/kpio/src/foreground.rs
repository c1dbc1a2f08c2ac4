//! `kpio:process/foreground`: whom the terminal's keys end and suspend.

use std::sync::Arc;

use runtime_host::Controlled;
use runtime_wasi::io::Pollable;
use wasmtime::component::Resource;

use crate::bindings::kpio::process::foreground::Host;
use crate::bindings::kpio::process::terminal::TerminalError;
use crate::context::Caller;
use crate::processes::ChildHandle;

impl Host for Caller<'_> {
    fn set_foreground(
        &mut self,
        processes: Vec<Resource<ChildHandle>>,
    ) -> wasmtime::Result<Result<(), TerminalError>> {
        let members = processes
            .iter()
            .map(|handle| Ok(Arc::clone(&self.wasi.get(handle)?.child) as Arc<dyn Controlled>))
            .collect::<wasmtime::Result<Vec<_>>>()?;
        let id = self.own_id();
        let terminal = self.terminal();
        Ok(terminal.map(|terminal| terminal.set_foreground(id, members)))
    }

    fn subscribe_suspended(
        &mut self,
    ) -> wasmtime::Result<Result<Resource<Pollable>, TerminalError>> {
        match self
            .terminal()
            .map(|terminal| terminal.suspension(self.own_id()))
        {
            Ok(suspension) => Ok(Ok(self.wasi.push(Pollable::Event(suspension))?)),
            Err(error) => Ok(Err(error)),
        }
    }

    fn was_suspended(&mut self) -> wasmtime::Result<bool> {
        let terminal = self.terminal();
        Ok(terminal.is_ok_and(|terminal| terminal.suspension(self.own_id()).is_ready()))
    }
}
