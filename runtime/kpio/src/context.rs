//! What these interfaces keep for one process beside its WASI context.

use std::sync::Arc;

use runtime_host::{Permission, TerminalDevice};
use runtime_wasi::{WasiContext, WasiView};
use wasmtime::component::{HasData, Linker};

use crate::bindings::kpio::process;
use crate::bindings::kpio::process::terminal::TerminalError;
use crate::bindings::service::kpio::service;
use crate::control::SystemControl;
use crate::devices::Devices;
use crate::service::ServiceSide;
use crate::system::ProcessSystem;
use crate::{console, log, time};

/// Who the process is, and whom it asks for others.
pub struct KpioContext {
    id: u64,
    system: Arc<dyn ProcessSystem>,
    /// Where it may have claims, which go with it.
    terminal: Option<TerminalDevice>,
    devices: Devices,
    /// What it has as a service, if it is one.
    service: Option<Arc<dyn ServiceSide>>,
    /// Whether it may control the system; what was taken back does not hold any more.
    may_control: Option<Permission>,
    /// Whom it asks for that.
    control: Option<Arc<dyn SystemControl>>,
}

impl KpioContext {
    /// The context of the process `id`, which was started on `terminal`, and has `devices`.
    pub fn new(
        id: u64,
        system: Arc<dyn ProcessSystem>,
        terminal: Option<TerminalDevice>,
        devices: Devices,
    ) -> KpioContext {
        KpioContext {
            id,
            system,
            terminal,
            devices,
            service: None,
            may_control: None,
            control: None,
        }
    }

    /// The same for a process that is a service's own.
    pub fn with_service(mut self, service: Option<Arc<dyn ServiceSide>>) -> KpioContext {
        self.service = service;
        self
    }

    /// The same for a process that may control the system, as long as that holds.
    pub fn with_control(
        mut self,
        may_control: Option<Permission>,
        control: Option<Arc<dyn SystemControl>>,
    ) -> KpioContext {
        self.may_control = may_control;
        self.control = control;
        self
    }
}

impl Drop for KpioContext {
    fn drop(&mut self) {
        if let Some(terminal) = &self.terminal {
            terminal.release(self.id);
        }
    }
}

/// A store's data that holds both contexts of a process.
pub trait KpioView: WasiView {
    /// Both of them.
    fn kpio(&mut self) -> (&mut WasiContext, &KpioContext);
}

/// One call's view of the process that makes it.
pub(crate) struct Caller<'a> {
    pub(crate) wasi: &'a mut WasiContext,
    kpio: &'a KpioContext,
}

impl Caller<'_> {
    /// The number of the process.
    pub(crate) fn own_id(&self) -> u64 {
        self.kpio.id
    }

    pub(crate) fn system(&self) -> &dyn ProcessSystem {
        &*self.kpio.system
    }

    pub(crate) fn devices(&self) -> &Devices {
        &self.kpio.devices
    }

    pub(crate) fn service(&self) -> Option<&dyn ServiceSide> {
        self.kpio.service.as_deref()
    }

    /// An error is a sentence.
    pub(crate) fn control(&self) -> Result<&dyn SystemControl, String> {
        // What was not granted does not link.
        let is_allowed = self
            .kpio
            .may_control
            .as_ref()
            .is_some_and(Permission::holds);
        if !is_allowed {
            return Err("The permission to control services was taken back.".to_owned());
        }
        let control = self.kpio.control.as_deref();
        control.ok_or_else(|| "There are no services here that could be controlled.".to_owned())
    }

    pub(crate) fn terminal(&self) -> Result<&TerminalDevice, TerminalError> {
        let terminal = self.kpio.terminal.as_ref();
        terminal.ok_or(TerminalError::NoTerminal)
    }
}

pub(crate) struct HasCaller;

impl HasData for HasCaller {
    type Data<'a> = Caller<'a>;
}

/// Adds all interfaces to a linker.
pub fn add_to_linker<T: KpioView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    crate::buffers::add_to_linker(linker)?;
    process::pipes::add_to_linker::<T, HasCaller>(linker, caller)?;
    process::processes::add_to_linker::<T, HasCaller>(linker, caller)?;
    process::terminal::add_to_linker::<T, HasCaller>(linker, caller)?;
    process::foreground::add_to_linker::<T, HasCaller>(linker, caller)?;
    service::reactor::add_to_linker::<T, HasCaller>(linker, caller)?;
    console::add_to_linker::<T, HasCaller>(linker, caller)?;
    time::add_to_linker::<T, HasCaller>(linker, caller)?;
    log::add_to_linker::<T, HasCaller>(linker, caller)?;
    service::escrow::add_to_linker::<T, HasCaller>(linker, caller)?;
    service::watchdog::add_to_linker::<T, HasCaller>(linker, caller)?;
    service::control::add_to_linker::<T, HasCaller>(linker, caller)
}

fn caller<T: KpioView>(state: &mut T) -> Caller<'_> {
    let (wasi, kpio) = state.kpio();
    Caller { wasi, kpio }
}
