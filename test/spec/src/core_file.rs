//! Files about core modules, run by `wasmtime-wast`.

use wasmtime::{Engine, Store};
use wasmtime_wast::{Async, SpectestConfig, WastContext};

/// Runs the file in one store.
///
/// # Errors
/// A sentence about the first directive that did not do what it says.
pub fn run(engine: &Engine, name: &str, text: &str) -> Result<(), String> {
    run_text(engine, name, text).map_err(|error| format!("{error:#}"))
}

fn run_text(engine: &Engine, name: &str, text: &str) -> wasmtime::Result<()> {
    let configure = |_: &mut Store<()>| {};
    let mut context = WastContext::new(engine, Async::No, configure);
    // The wording of refusals is the parser's own, and newer than these files.
    context.ignore_error_messages(true);
    // DWARF in every module would only cost time.
    context.generate_dwarf(false);
    context.register_spectest(&SpectestConfig {
        use_shared_memory: engine.get_shared_memory(),
        suppress_prints: true,
    })?;
    context.run_wast(name, text.as_bytes())
}
