//! Says where the WIT of WASI 0.2 lies, whose functions are called with arbitrary arguments.

#[path = "../../../runtime/wasi/build/wit_folder.rs"]
mod wit_folder;

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let wit = wit_folder::wit_folder()?;
    println!("cargo::rustc-env=WASI_WIT={}", wit.display());
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../../../runtime/wasi/build");
    println!("cargo::rerun-if-changed={}", wit.display());
    Ok(())
}
