//! The host's side of KPIO's own interfaces, one file per interface of `contract/wit`, with its name.
//!
//! - The WIT is the law. Who starts, finds and ends processes is behind [`ProcessSystem`], which the supervisor is: nothing
//!   here knows it.
//! - Authority: a child gets of its parent's streams, files and limits what the parent names, and no more. Whether a
//!   program may import [`RESTRICTED_INTERFACES`] at all is decided before it is linked.
//! - What is said about waiting, budgets and the ends of processes in `runtime/wasi` holds here as well: the handles are
//!   in the same table, calls run on the process's thread, and one that blocks ends with the process's cancellation.

// `bindgen!` marks each call by macros of a crate `tracing`: `runtime-wasi` has them.
extern crate runtime_wasi as tracing;

mod bindings;
mod buffers;
mod console;
mod context;
mod control;
mod devices;
mod escrow;
mod foreground;
mod log;
mod pipes;
mod processes;
mod reactor;
mod service;
mod system;
mod terminal;
mod time;
mod watchdog;

pub use context::{KpioContext, KpioView, add_to_linker};
pub use control::SystemControl;
pub use devices::{Device, Devices};
pub use processes::ChildHandle;
pub use service::ServiceSide;
pub use system::{
    Child, ChildLimits, Ending, PaidBytes, ProcessError, ProcessSystem, Program, SpawnRequest,
    Status,
};

/// What a program has to be granted before it links against a restricted interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// To start processes.
    Spawn,
    /// To control the services and the machine.
    Control,
    /// To have been given this device.
    Device(Device),
}

/// Restricted interfaces by the start of their names, with what it takes.
pub const RESTRICTED_INTERFACES: [(&str, Authority); 6] = [
    ("kpio:process/processes", Authority::Spawn),
    ("kpio:process/foreground", Authority::Spawn),
    ("kpio:service/control", Authority::Control),
    device(Device::Console),
    device(Device::Clocks),
    device(Device::Log),
];

const fn device(device: Device) -> (&'static str, Authority) {
    (device.interface(), Authority::Device(device))
}
