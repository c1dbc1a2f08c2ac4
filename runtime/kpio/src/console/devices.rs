//! `kpio:console/devices`: a thin layer over [`ConsoleHold`].

use runtime_host::{
    ConsoleHold, ConsoleStep, Control, KeyMode, Keys, Look, StepRefusal, TerminalSize,
    TerminalStep, VirtualTerminal,
};
use runtime_wasi::io::Pollable;
use wasmtime::component::Resource;

use super::bindings::kpio::console::devices::{
    Control as WitControl, Host, HostConsole, Look as WitLook, Mode, Notice, Origin, Refusal, Step,
    Which,
};
use crate::context::Caller;

/// Written bytes that are looked at, at most.
const WRITTEN_BYTES_MAX: usize = 4096;

/// The devices in the table of the process that has them.
pub struct Held(ConsoleHold);

type Handle = Resource<Held>;

impl Host for Caller<'_> {
    fn open(&mut self) -> wasmtime::Result<Result<Handle, Refusal>> {
        let console = self.devices().console.as_ref();
        // What was not granted does not link.
        let console = console.ok_or_else(|| wasmtime::format_err!("it has no console to open"))?;
        let Ok(hold) = console.open() else {
            return Ok(Err(Refusal::Taken));
        };
        Ok(self.wasi.push(Held(hold)).map_err(|_| Refusal::Quota))
    }
}

impl Caller<'_> {
    fn hold(&self, handle: &Handle) -> wasmtime::Result<&ConsoleHold> {
        Ok(&self.wasi.get(handle)?.0)
    }

    fn of_console(&self, handle: &Handle, which: Which) -> wasmtime::Result<VirtualTerminal> {
        let terminal = self.hold(handle)?.terminal(which as usize);
        let terminal =
            terminal.ok_or_else(|| wasmtime::format_err!("there is no {which:?} terminal"))?;
        Ok(terminal.clone())
    }
}

impl HostConsole for Caller<'_> {
    fn screen_size(&mut self, handle: Handle) -> wasmtime::Result<Option<(u16, u16)>> {
        Ok(self.hold(&handle)?.screen_size())
    }

    fn draw(
        &mut self,
        handle: Handle,
        line: u16,
        column: u16,
        text: String,
        look: WitLook,
    ) -> wasmtime::Result<()> {
        let look = Look {
            foreground: look.foreground,
            background: look.background,
            is_underlined: look.is_underlined,
        };
        self.hold(&handle)?.draw(line, column, &text, look);
        Ok(())
    }

    fn typed(&mut self, handle: Handle, at: Origin) -> wasmtime::Result<Vec<u8>> {
        let keys = match at {
            Origin::Keyboard => Keys::Keyboard,
            Origin::Serial => Keys::Serial,
        };
        Ok(self.hold(&handle)?.typed(keys))
    }

    fn written(&mut self, handle: Handle, which: Which) -> wasmtime::Result<Vec<u8>> {
        Ok(self.of_console(&handle, which)?.written(WRITTEN_BYTES_MAX))
    }

    fn notice(&mut self, handle: Handle) -> wasmtime::Result<Option<Notice>> {
        let notice = self.hold(&handle)?.notice();
        Ok(notice.map(|notice| Notice {
            number: notice.number,
            text: notice.text,
        }))
    }

    fn subscribe(&mut self, handle: Handle) -> wasmtime::Result<Resource<Pollable>> {
        let news = self.hold(&handle)?.news();
        Ok(self.wasi.push(Pollable::Event(news))?)
    }

    fn step(
        &mut self,
        handle: Handle,
        which: Which,
        step: Step,
    ) -> wasmtime::Result<Result<(), Refusal>> {
        let terminal = self.of_console(&handle, which)?;
        let step = ConsoleStep {
            keyboard_bytes: step.keyboard as usize,
            serial_bytes: step.serial as usize,
            to_serial: &step.to_serial,
            notice: step.notice,
            terminal: TerminalStep {
                output_bytes: step.output as usize,
                input: &step.input,
                control: step.control.map(control),
                echo: &step.echo,
                kept: step.kept.as_deref(),
            },
        };
        let done = self.hold(&handle)?.step(&terminal, &step);
        Ok(done.map_err(refusal))
    }

    fn shown(&mut self, handle: Handle, which: Which) -> wasmtime::Result<Vec<u8>> {
        Ok(self.of_console(&handle, which)?.shown())
    }

    fn kept(&mut self, handle: Handle, which: Which) -> wasmtime::Result<Vec<u8>> {
        Ok(self.of_console(&handle, which)?.kept())
    }

    fn show(&mut self, handle: Handle, which: Which) -> wasmtime::Result<()> {
        self.hold(&handle)?.show(which as usize);
        Ok(())
    }

    fn get_mode(&mut self, handle: Handle, which: Which) -> wasmtime::Result<Mode> {
        Ok(match self.of_console(&handle, which)?.device().mode() {
            KeyMode::Cooked => Mode::Cooked,
            KeyMode::Raw => Mode::Raw,
        })
    }

    fn set_size(
        &mut self,
        handle: Handle,
        which: Which,
        columns: u16,
        rows: u16,
    ) -> wasmtime::Result<()> {
        let size = TerminalSize { columns, rows };
        self.of_console(&handle, which)?.device().set_size(size);
        Ok(())
    }

    fn drop(&mut self, handle: Handle) -> wasmtime::Result<()> {
        self.wasi.delete(handle)?;
        Ok(())
    }
}

fn control(control: WitControl) -> Control {
    match control {
        WitControl::Interrupt => Control::Interrupt,
        WitControl::Suspend => Control::Suspend,
        WitControl::EndInput => Control::EndInput,
    }
}

fn refusal(refusal: StepRefusal) -> Refusal {
    match refusal {
        StepRefusal::Full => Refusal::Full,
        StepRefusal::TooLong => Refusal::TooLong,
        StepRefusal::NotThere => Refusal::NotThere,
    }
}
