//! Finds the WIT of KPIO's interfaces and of WASI, which they refer to, and hands the folders to `src/bindings.rs`.
//!
//! The WIT of WASI is that of crate `wasip2`, at the version in the lock file: it is not copied into this tree. `bindgen!`
//! takes literal paths only, so this writes a macro that has them.

#[path = "../wasi/build/wit_folder.rs"]
mod wit_folder;

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let own = own_wit_folder()?;
    let folders = [wit_folder::wit_folder()?, own.join("service"), own];
    let macro_file = PathBuf::from(env::var("OUT_DIR")?).join("wit.rs");
    fs::write(macro_file, wit_macro(&folders))?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../wasi/build");
    for folder in &folders {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    Ok(())
}

/// `bindgen!` with the paths filled in.
fn wit_macro(folders: &[PathBuf]) -> String {
    format!(
        "macro_rules! wit_bindgen {{ ($($options:tt)*) => {{ \
         wasmtime::component::bindgen!({{ path: {folders:?}, $($options)* }}); }} }}\n"
    )
}

fn own_wit_folder() -> Result<PathBuf, Box<dyn Error>> {
    let crate_folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    Ok(crate_folder.join("../../contract/wit").canonicalize()?)
}
