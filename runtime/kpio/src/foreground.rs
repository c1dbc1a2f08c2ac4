//! `kpio:process/foreground`: whom the terminal's keys end and suspend.

use std::sync::Arc;

use runtime_host::{Controlled, Reservation, StandardStream};
use runtime_wasi::io::Pollable;
use wasmtime::component::Resource;

use crate::bindings::kpio::process::foreground::{Host, JoinError};
use crate::bindings::kpio::process::terminal::TerminalError;
use crate::context::Caller;
use crate::processes::{CHILD_BYTES, ChildHandle};
use crate::system::Child;

/// A member of a job; it may be kept longer than the handle of whoever has it join.
struct Member {
    child: Arc<dyn Child>,
    _paid: Reservation,
}

impl Controlled for Member {
    fn kill(&self) {
        self.child.kill();
    }

    fn suspend(&self, is_suspended: bool) {
        self.child.suspend(is_suspended);
    }
}

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

    fn begin(&mut self) -> wasmtime::Result<Result<(), TerminalError>> {
        let terminal = match self.terminal() {
            Ok(terminal) => terminal.clone(),
            Err(error) => return Ok(Err(error)),
        };
        terminal.begin_foreground(self.own_id());
        if self.wasi.is_terminal(StandardStream::Stdin) && self.wasi.stdin().take_interrupt() {
            // It is for the one that was just begun.
            terminal.interrupt();
        }
        Ok(Ok(()))
    }

    fn join(&mut self, process: Resource<ChildHandle>) -> wasmtime::Result<Result<(), JoinError>> {
        let child = Arc::clone(&self.wasi.get(&process)?.child);
        let Ok(paid) = self.wasi.budget().reserve(CHILD_BYTES) else {
            return Ok(Err(JoinError::Quota));
        };
        let member = Arc::new(Member { child, _paid: paid });
        let terminal = self.terminal().map_err(|_| JoinError::NoTerminal);
        Ok(terminal.map(|terminal| terminal.join_foreground(self.own_id(), member)))
    }

    fn was_interrupted(&mut self) -> wasmtime::Result<bool> {
        let terminal = self.terminal();
        Ok(terminal.is_ok_and(|terminal| terminal.was_interrupted(self.own_id())))
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
