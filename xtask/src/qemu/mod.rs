//! Virtual machines: how they look, how they are started, how they are driven.
//!
//! Law: [`Machine`] is a value that says everything about a machine; [`Guest`] is a running one. A guest never
//! outlives the value that stands for it, nor this process. Images are never written to: what a
//! guest writes to its disk is thrown away.

pub mod accelerator;
pub mod firmware;
mod guest;
mod machine;
mod process;
mod qmp;
mod screen;

pub use guest::{Ending, Guest};
pub use machine::{DiskBus, Machine};
pub use process::{Process, tied_to_this_thread};
pub use qmp::Qmp;
pub use screen::Screen;
