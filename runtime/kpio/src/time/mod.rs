//! `kpio:time`: what of it the host provides.

mod bindings;
mod hardware;

pub(crate) use bindings::kpio::time::hardware::add_to_linker;
