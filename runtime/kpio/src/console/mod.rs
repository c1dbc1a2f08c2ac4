//! `kpio:console`: the console's devices for the one process that shows them.
//!
//! Authority: a process has been given the devices' [`Console`](runtime_host::Console), or its program does not link.

mod bindings;
mod devices;

pub(crate) use bindings::kpio::console::devices::add_to_linker;
