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
    let wasi = wit_folder::wit_folder()?;
    let own = own_wit_folder()?;
    write_macro("wit", &[&wasi, &own.join("service"), &own])?;
    write_macro("console", &[&wasi, &own.join("console")])?;
    let [link, service] = ["link", "service"].map(|folder| own.join(folder));
    write_macro("time", &[&wasi, &link, &service, &own.join("time")])?;
    write_macro("log", &[&wasi, &own, &link, &service, &own.join("log")])?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../wasi/build");
    for folder in [wasi, own] {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    Ok(())
}

/// Writes `NAME.rs` with a macro `NAME_bindgen!`, which is `bindgen!` with the paths filled in.
fn write_macro(name: &str, folders: &[&PathBuf]) -> Result<(), Box<dyn Error>> {
    let file = PathBuf::from(env::var("OUT_DIR")?).join(format!("{name}.rs"));
    let text = format!(
        "macro_rules! {name}_bindgen {{ ($($options:tt)*) => {{ \
         wasmtime::component::bindgen!({{ path: {folders:?}, $($options)* }}); }} }}\n"
    );
    Ok(fs::write(file, text)?)
}

fn own_wit_folder() -> Result<PathBuf, Box<dyn Error>> {
    let crate_folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    Ok(crate_folder.join("../../contract/wit").canonicalize()?)
}
