//! `kpio:log`: what of it the host provides.

mod bindings;
mod source;

pub(crate) use bindings::kpio::log::source::add_to_linker;
