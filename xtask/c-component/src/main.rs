//! What a component in C needs beside its compiler: bindings of the WIT that it speaks, and a component made of the module
//! that the compiler leaves.
//!
//! It is a program of its own and not part of `xtask`, so that this tool starts without these crates having been built.
//!
//! Exit codes: 0 done, 1 refused or failed (a sentence on stderr), 2 wrong usage.

use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;
use wit_component::ComponentEncoder;

const USAGE: &str = "\
usage: xtask-c-component bindings WORLD OUTPUT WIT…
       xtask-c-component encode program|library MODULE.wasm OUTPUT.wasm

  bindings  writes the bindings of a world, as in kpio:demo/provider, into a folder; WIT are folders, each after those that it needs
  encode    makes a component of a module that was linked with them";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["bindings", world, output, ref wit @ ..] => bindings(world, Path::new(output), wit),
        ["encode", "program", module, output] => {
            encode(WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER, module, output)
        }
        ["encode", "library", module, output] => {
            encode(WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER, module, output)
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

fn bindings(world: &str, output: &Path, wit: &[&str]) -> Result<(), String> {
    let mut resolve = Resolve::default();
    let mut package = None;
    for folder in wit {
        let (pushed, _) = resolve.push_path(folder).map_err(about(folder))?;
        package = Some(pushed);
    }
    let package = package.ok_or("no WIT was named")?;
    let world = resolve
        .select_world(&[package], Some(world))
        .map_err(about(world))?;
    let mut files = Files::default();
    let mut generator = wit_bindgen_c::Opts::default().build();
    let generated = generator.generate(&mut resolve, world, &mut files);
    generated.map_err(about("the bindings"))?;
    fs::create_dir_all(output).map_err(about(output.display()))?;
    for (name, contents) in files.iter() {
        let file = output.join(name);
        fs::write(&file, contents).map_err(about(file.display()))?;
    }
    Ok(())
}

fn encode(adapter: &[u8], module: &str, output: &str) -> Result<(), String> {
    let bytes = fs::read(module).map_err(about(module))?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .and_then(|encoder| encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter))
        .and_then(|encoder| encoder.encode())
        .map_err(|error| format!("{module}: {error:#}"))?;
    fs::write(output, component).map_err(about(output))
}

/// A sentence that begins with what it is about.
fn about<E: Display>(what: impl Display) -> impl FnOnce(E) -> String {
    move |error| format!("{what}: {error:#}")
}
