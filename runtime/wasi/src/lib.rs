//! WASI 0.2 for processes: the host's side of the world `wasi:cli/command`, one file per interface.
//!
//! The WIT is the law; each file here carries its interface's name and implements its trait over the
//! types of `runtime/host`. What a process was not granted links all the same and answers with its
//! interface's documented error.
//!
//! - Host calls are synchronous: each runs, and may block, on the thread of the process. A blocked call
//!   of a cancelled process answers [`runtime_host::Cancelled`] at once.
//! - A process ends by an error out of a host call: [`runtime_host::ProcessExit`] when it asked to,
//!   [`LimitReached`] when an interface without errors of its own would exceed a limit. Both are found in
//!   the `wasmtime::Error` of the call by `downcast_ref`.
//! - What a guest makes the host hold is charged to its [`runtime_host::Budget`] before it is allocated.
//!   Lists that guests pass are lifted by Wasmtime before they are seen here: whoever makes the store
//!   bounds them with `Store::set_hostcall_fuel`.
//! - Lengths that guests ask for are upper bounds: one call moves at most [`READ_MAX_BYTES`] to a guest.
//!
//! Not here: threads, signals, processes (WASI 0.2 has none), and any network.

// `bindgen!` marks each call by macros of a crate `tracing`: here they are, see `host_call`.
extern crate self as tracing;

pub mod bindings;
pub mod cli;
pub mod clocks;
mod context;
pub mod filesystem;
mod host_call;
pub mod io;
pub mod random;
pub mod sockets;

pub use bindings::Command;
pub use context::{
    HANDLES_DEFAULT, LimitReached, WasiContext, WasiContextBuilder, WasiView, add_to_linker,
};
pub use filesystem::{Files, Folder, Rights};
pub use io::{READ_MAX_BYTES, WRITE_MAX_BYTES};
