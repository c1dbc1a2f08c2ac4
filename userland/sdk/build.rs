//! Tells `src/lib.rs` where the WIT is: ours in `contract/wit`, that of WASI in crate `wasip2` as the lock file has it.
//!
//! `generate!` takes literal paths only, so this writes a macro that has them.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The package that carries the WIT of WASI, and its version's start.
const WASI: (&str, &str) = ("wasip2", "2.");
/// Our own WIT, from this package's folder.
const OWN: &str = "../../contract/wit";

fn main() -> Result<(), Box<dyn Error>> {
    let package = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let own = package.join(OWN);
    let macro_file = PathBuf::from(env::var("OUT_DIR")?).join("wit.rs");
    fs::write(macro_file, wit_macro(&wasi(&package)?, &own))?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", own.display());
    Ok(())
}

/// `generate!` with the paths filled in, dependencies first.
fn wit_macro(wasi: &[PathBuf], own: &Path) -> String {
    let mut paths: Vec<&Path> = wasi.iter().map(PathBuf::as_path).collect();
    paths.push(own);
    format!(
        "macro_rules! generate {{ ($($options:tt)*) => {{ \
         wit_bindgen::generate!({{ path: {paths:?}, $($options)* }}); }} }}\n"
    )
}

/// The packages of WASI that `contract/wit` speaks of, in the order of their dependencies.
fn wasi(package: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let metadata: Value = serde_json::from_slice(&cargo_metadata(package)?)?;
    let packages = metadata["packages"].as_array().ok_or("no packages")?;
    let manifest = packages
        .iter()
        .filter(|package| package["name"] == WASI.0)
        .filter(|package| {
            let version = package["version"].as_str().unwrap_or_default();
            version.starts_with(WASI.1)
        })
        .find_map(|package| package["manifest_path"].as_str())
        .ok_or("crate wasip2, which carries the WIT of WASI 0.2, is not among the dependencies")?;
    let folder = Path::new(manifest).with_file_name("wit").join("deps");
    let files = ["io.wit", "clocks.wit", "filesystem.wit"];
    Ok(files.iter().map(|file| folder.join(file)).collect())
}

/// Where cargo keeps packages is known to cargo only: a registry cache or a vendored folder.
fn cargo_metadata(package: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let output = Command::new(env::var("CARGO")?)
        .args(["metadata", "--format-version=1"])
        .arg("--manifest-path")
        .arg(package.join("Cargo.toml"))
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(output.stdout)
}
