//! Finds the WIT of `wasi:cli/command` and hands its folder to `src/bindings.rs`.
//!
//! `bindgen!` takes a literal path only, so this writes a macro that has it.

#[path = "build/wit_folder.rs"]
mod wit_folder;

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let wit = wit_folder::wit_folder()?;
    let macro_file = PathBuf::from(env::var("OUT_DIR")?).join("wit.rs");
    fs::write(macro_file, wit_macro(&wit))?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed={}", wit.display());
    Ok(())
}

/// `bindgen!` with the path filled in.
fn wit_macro(wit: &Path) -> String {
    format!(
        "macro_rules! wit_bindgen {{ ($($options:tt)*) => {{ \
         wasmtime::component::bindgen!({{ path: {wit:?}, $($options)* }}); }} }}\n"
    )
}
