//! Processes: programs with a thread, a store, limits and an end.
//!
//! Laws of this crate:
//! - **A process sees what its [`Launch`] gives it**, and nothing else.
//! - **Every end gives everything back.** Whatever happens to a process, when [`Process::wait`]
//!   returns, its store, its reservations and its thread are gone. The one exception is said at
//!   [`Process::kill`]: a compilation cannot be stopped, so it finishes in the background and its
//!   result is dropped.
//! - **What a program does wrong is an [`Exit`]**, a value with a sentence. A panic while serving a
//!   process is a bug of ours, ends that process only, and is reported as one
//!   ([`Exit::KernelBug`]).
//! - **Memory is reserved before it is used**, from the process's budget, which is part of the
//!   supervisor's: the thread's stack, the compilation, the compiled image, linear memories and
//!   tables.
//!
//! A process is one thread that loads, links and runs its component or module, with wasm on that thread's own
//! stack; there are no fibers and no executor.
//!
//! Lock order: the table of processes, then one process's state. Neither is held while a program
//! loads or runs. The locks of loading are taken alone (`load`, `optimizer`).

mod children;
mod exit;
mod family;
mod launch;
mod limits;
mod linkers;
mod load;
mod module;
mod optimizer;
mod process;
mod run;
mod state;
mod supervisor;
mod warden;

pub use exit::Exit;
pub use launch::{CodeSource, Grants, Launch, LaunchError, Links, ProgramImage, WasmBytes};
pub use limits::{ProcessLimits, Refusal};
pub use process::{Phase, Process, ProcessId, ProcessStatus, Reach, ThreadMeter};
pub use runtime_host::Permission;
pub use runtime_kpio::{ChildLimits, Devices, ServiceSide, SystemControl};
pub use runtime_wasi::{Files, Folder, Rights};
pub use state::ProcessState;
pub use supervisor::{Interface, PROCESS_BYTES_MIN, ProgramFinder, Supervisor, SupervisorOptions};
