//! The kernel's compiler on the development machine: the same engine with the same settings, so
//! that what it writes loads in the kernel as it is.
//!
//! It is a program of its own and not part of `xtask`, because it must be built together with the
//! kernel, in one `cargo build --release` of both, from one copy of Wasmtime.
//!
//! Exit codes: 0 done, 1 refused or failed (a sentence on stderr), 2 wrong usage.

use runtime_engine::{Admitted, Engine, EngineOptions, Tier, settings};
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: xtask-compiler compile IN.wasm OUT.cwasm
       xtask-compiler check IN.wasm [FREE_BYTES]
       xtask-compiler settings

  compile   compiles a component or module for the kernel
  check     says what compiling it in the kernel would need, or why it would be refused with FREE_BYTES free
  settings  prints the digest of the settings; equal digests mean that precompiled programs load";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["compile", input, output] => compile(Path::new(input), Path::new(output)),
        ["check", input] => check(Path::new(input), u64::MAX),
        ["check", input, free] => match free.parse() {
            Ok(free_bytes) => check(Path::new(input), free_bytes),
            Err(_) => return wrong_usage(),
        },
        ["settings"] => print_settings(),
        _ => return wrong_usage(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

fn wrong_usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn engine() -> Result<Engine, String> {
    Engine::new(EngineOptions::default()).map_err(|error| error.to_string())
}

fn compile(input: &Path, output: &Path) -> Result<(), String> {
    let engine = engine()?;
    let wasm = read(input)?;
    let name = display_name(input);
    let admitted = admit(&engine, &name, &wasm, u64::MAX)?;
    let compiled = engine
        .precompile(&admitted)
        .map_err(|error| error.to_string())?;
    write_whole(output, &compiled)
}

fn check(input: &Path, free_bytes: u64) -> Result<(), String> {
    let engine = engine()?;
    let wasm = read(input)?;
    let name = display_name(input);
    let admitted = admit(&engine, &name, &wasm, free_bytes)?;
    let survey = admitted.survey();
    println!(
        "{name}: compiling takes at most about {} bytes of memory here",
        admitted.peak_bytes(Tier::Optimized)
    );
    println!(
        "{} bytes in {} core modules; {} functions in {} bytes of code, the largest {} bytes",
        survey.size_bytes,
        survey.core_modules,
        survey.functions,
        survey.code_bytes,
        survey.largest_function_bytes,
    );
    Ok(())
}

fn print_settings() -> Result<(), String> {
    let digest = settings::image_settings().map_err(|error| error.to_string())?;
    println!("{digest}");
    Ok(())
}

fn admit<'a>(
    engine: &Engine,
    name: &'a str,
    wasm: &'a [u8],
    free_bytes: u64,
) -> Result<Admitted<'a>, String> {
    engine
        .admit(name, wasm, free_bytes)
        .map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| cannot("read", path, error))
}

/// Writes beside the goal and renames, so that an interrupted run leaves no half image behind.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}.partial", std::process::id()));
    let partial = PathBuf::from(partial);
    fs::write(&partial, bytes).map_err(|error| cannot("write", &partial, error))?;
    fs::rename(&partial, path).map_err(|error| cannot("write", path, error))
}

fn cannot(verb: &str, path: &Path, error: impl Display) -> String {
    format!("cannot {verb} {}: {error}", path.display())
}

fn display_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}
