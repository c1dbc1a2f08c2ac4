//! Every call of a program to the host, told to whoever watches ([`runtime_host::observe`]).
//!
//! Law: one place for all functions. `bindgen!` with its option `tracing` wraps each function of an interface in
//! `tracing::span!(…)`, `span.enter()` and `tracing::event!(…)`. Those are the macros of this module: the crate
//! is its own `tracing`, so the crate of that name, its subscribers and its cost are not there. A span is
//! a constant of its place; arguments are neither looked at nor shown.

/// The host function that generated code is about to run: `PATH#FUNCTION`, where the path ends in package
/// and interface.
#[doc(hidden)]
#[macro_export]
macro_rules! span {
    ($level:path, $what:literal, module = $module:literal, function = $function:literal $(,)?) => {{
        static FUNCTION: ::runtime_host::observe::HostFunction =
            ::runtime_host::observe::HostFunction::new(concat!(module_path!(), "#", $function));
        &FUNCTION
    }};
}

/// Arguments and results, which nobody wants.
#[doc(hidden)]
#[macro_export]
macro_rules! event {
    ($($anything:tt)*) => {};
}
