//! Where the WIT of WASI 0.2 lies: in crate `wasip2`, the standard's own Rust package, at the version in the lock
//! file. It is not copied into this tree. Used by the build scripts of those who generate something from it; each
//! has `wasip2` among its dependencies.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The package that carries the WIT, by name and requirement as in Cargo.toml.
const WIT_PACKAGE: &str = "wasip2";
const WIT_PACKAGE_MAJOR: &str = "2.";

/// The folder for which `deps/cli.wit` is `wasi:cli`.
pub fn wit_folder() -> Result<PathBuf, Box<dyn Error>> {
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
