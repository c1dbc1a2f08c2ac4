//! Where WIT lies, for the build scripts of those who generate bindings from it: ours in `contract/wit`, that of WASI in
//! crate `wasip2` as the lock file has it.
//!
//! `wit_bindgen::generate!` takes literal paths only, so this writes a macro `generate!` that has them.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The package that carries the WIT of WASI, and its version's start.
const WASI: (&str, &str) = ("wasip2", "2.");
/// The packages of WASI that WIT of ours speaks of, in the order of their dependencies.
const WASI_FILES: [&str; 3] = ["io.wit", "clocks.wit", "filesystem.wit"];
/// Our own WIT, from this package's folder.
const OWN: &str = "../../contract/wit";

/// For a build script: writes `wit.rs` with a macro `generate!` that knows the packages of WASI, the folders `own` of
/// `contract/wit` (`""` is itself), and the folders `local` of the calling package.
pub fn write_generate_macro(own: &[&str], local: &[&str]) -> Result<(), Box<dyn Error>> {
    let package = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join(OWN);
    let mut paths = wasi(&package)?;
    paths.extend(own.iter().map(|folder| ours.join(folder)));
    paths.extend(local.iter().map(|folder| package.join(folder)));
    let macro_file = PathBuf::from(env::var("OUT_DIR")?).join("wit.rs");
    fs::write(macro_file, generate_macro(&paths))?;
    println!("cargo::rerun-if-changed=build.rs");
    for path in &paths {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    Ok(())
}

/// `generate!` with the paths filled in, dependencies first.
fn generate_macro(paths: &[PathBuf]) -> String {
    format!(
        "macro_rules! generate {{ ($($options:tt)*) => {{ \
         wit_bindgen::generate!({{ path: {paths:?}, $($options)* }}); }} }}\n"
    )
}

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
    Ok(WASI_FILES.iter().map(|file| folder.join(file)).collect())
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
