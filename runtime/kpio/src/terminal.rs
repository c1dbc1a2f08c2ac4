//! `kpio:process/terminal`: the size of the process's terminal, and how it treats keys.

use runtime_host::{KeyMode, TerminalSize};
use runtime_wasi::io::Pollable;
use wasmtime::component::Resource;

use crate::bindings::kpio::process::terminal::{Host, Mode, TerminalError};
use crate::context::Caller;

impl Host for Caller<'_> {
    fn size(&mut self) -> wasmtime::Result<Result<(u16, u16), TerminalError>> {
        let size = self.terminal().map(|terminal| terminal.size());
        Ok(size.map(|size| (size.columns, size.rows)))
    }

    fn set_size(&mut self, columns: u16, rows: u16) -> wasmtime::Result<Result<(), TerminalError>> {
        let size = TerminalSize { columns, rows };
        Ok(self.terminal().map(|terminal| terminal.set_size(size)))
    }

    fn subscribe_size(&mut self) -> wasmtime::Result<Result<Resource<Pollable>, TerminalError>> {
        match self.terminal().map(|terminal| terminal.size_change()) {
            Ok(change) => Ok(Ok(self.wasi.push(Pollable::Event(change))?)),
            Err(error) => Ok(Err(error)),
        }
    }

    fn get_mode(&mut self) -> wasmtime::Result<Result<Mode, TerminalError>> {
        let mode = self.terminal().map(|terminal| terminal.mode());
        Ok(mode.map(|mode| match mode {
            KeyMode::Cooked => Mode::Cooked,
            KeyMode::Raw => Mode::Raw,
        }))
    }

    fn set_mode(&mut self, mode: Mode) -> wasmtime::Result<Result<(), TerminalError>> {
        let mode = match mode {
            Mode::Cooked => KeyMode::Cooked,
            Mode::Raw => KeyMode::Raw,
        };
        let id = self.own_id();
        Ok(self.terminal().map(|terminal| terminal.set_mode(id, mode)))
    }
}
