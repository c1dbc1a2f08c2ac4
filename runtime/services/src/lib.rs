//! Services: processes that a manifest describes, and that are kept running.
//!
//! What is done, and when, is decided by `lib-service-policy`; here it is done. Processes are started through
//! [`Launcher`], which for the system is [`SupervisorLauncher`]; who carries calls from one service to another is behind
//! [`Bindings`].
//!
//! Laws:
//! - **One thread decides.** Only it knows the policy. Others leave it requests, at most [`REQUESTS_MAX`] at a time, and
//!   read what it published last; nobody who only looks waits for it.
//! - **It sleeps until something is due**: an end, a request, a deadline. Nothing polls.
//! - **A service is asked to end by the end of its standard input**, which is empty otherwise. That every program of WASI
//!   understands, written for this system or not; who does not read is killed at its deadline.
//! - **What a service says is kept** in a log of its own that never grows beyond [`LOG_BYTES_MAX`], paid for when the service is
//!   first known; the oldest lines go first, and their number is told.
//!   What all of them say is also in one place for some time ([`Said`]), for a service that keeps the system's log.
//! - Lock order: none is held together with another, nor while a process is started, asked, or waited for.

mod bindings;
mod caps;
mod commands;
mod driver;
mod launcher;
mod links;
mod log_ring;
mod said;
mod services;
mod stop_input;
mod supervisor;
mod vitals;

pub use bindings::Bindings;
pub use caps::{host_interfaces, row as capability_row};
pub use commands::Surroundings;
pub use launcher::{Launcher, ServiceProcess, ServiceRun, Usage};
pub use lib_log_line::Level;
pub use links::LinkBindings;
pub use log_ring::{LogLine, LogPart, LogText, ServiceLog};
pub use said::{SAID_BYTES_MAX, Said};
pub use services::{ServiceRow, Services, ServicesOptions};
pub use supervisor::SupervisorLauncher;

/// What a log holds of a service's lines, at most, with what each line takes beside its text, in bytes.
pub const LOG_BYTES_MAX: usize = 16 << 10;
/// Requests that wait to be looked at, at most.
pub const REQUESTS_MAX: usize = 32;
