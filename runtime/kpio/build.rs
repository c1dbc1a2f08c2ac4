//! Finds the WIT of KPIO's interfaces and of WASI, which they refer to, and hands the folders to `src/bindings.rs`.
//!
//! The WIT of WASI is that of crate `wasip2`, at the version in the lock file: it is not copied into this tree. `bindgen!`
//! takes literal paths only, so this writes a macro that has them.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The package that carries the WIT, by name and requirement as in Cargo.toml.
const WIT_PACKAGE: &str = "wasip2";
const WIT_PACKAGE_MAJOR: &str = "2.";

fn main() -> Result<(), Box<dyn Error>> {
    let folders = [wit_folder()?, own_wit_folder()?];
    let macro_file = PathBuf::from(env::var("OUT_DIR")?).join("wit.rs");
    fs::write(macro_file, wit_macro(&folders))?;
    println!("cargo::rerun-if-changed=build.rs");
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

fn wit_folder() -> Result<PathBuf, Box<dyn Error>> {
    let metadata: Value = serde_json::from_slice(&cargo_metadata()?)?;
    let packages = metadata["packages"].as_array().ok_or("no packages")?;
    let manifest = packages
        .iter()
        .filter(|package| package["name"] == WIT_PACKAGE)
        .filter(|package| {
            let version = package["version"].as_str().unwrap_or_default();
            version.starts_with(WIT_PACKAGE_MAJOR)
        })
        .find_map(|package| package["manifest_path"].as_str())
        .ok_or("crate wasip2, which carries the WIT of WASI 0.2, is not among the dependencies")?;
    let wit = Path::new(manifest).with_file_name("wit");
    if !wit.join("deps/cli.wit").is_file() {
        return Err(format!("there is no wasi:cli in {}", wit.display()).into());
    }
    Ok(wit)
}

/// Where cargo keeps packages is known to cargo only: a registry cache or a vendored folder.
fn cargo_metadata() -> Result<Vec<u8>, Box<dyn Error>> {
    let manifest = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("Cargo.toml");
    let output = Command::new(env::var("CARGO")?)
        .args(["metadata", "--format-version=1", "--locked"])
        .args(["--filter-platform", &env::var("HOST")?])
        .arg("--manifest-path")
        .arg(manifest)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(output.stdout)
}
