//! The Rust targets that the host's toolchain does not come with.
//!
//! Law: the first way that works is taken, and said:
//! 1. the toolchain has the target, or rustup adds it;
//! 2. a sysroot made earlier lies in the cache;
//! 3. a sysroot is made from the standard library's sources ([`super::sysroot`]).

use std::path::{Path, PathBuf};
use std::process::Command;

use super::sysroot::{self, Origin};
use crate::command;
use crate::failure::Result;
use crate::paths::Paths;
use crate::progress;

/// What apps are built for.
pub const WASM: &str = "wasm32-wasip2";
/// What the loader is built for.
pub const UEFI: &str = "x86_64-unknown-uefi";

/// A target that programs can be built for.
#[derive(Clone, Debug)]
pub struct Target {
    name: &'static str,
    /// Where its standard library lies, unless in the toolchain.
    sysroot: Option<PathBuf>,
}

impl Target {
    /// A target whose standard library lies in a sysroot of our own.
    pub fn in_sysroot(name: &'static str, sysroot: PathBuf) -> Self {
        Self {
            name,
            sysroot: Some(sysroot),
        }
    }

    /// Makes a cargo command build for this target.
    pub fn apply(&self, cargo: &mut Command) {
        cargo.args(["--target", self.name]);
        if let Some(sysroot) = &self.sysroot {
            let name = self.name.to_uppercase().replace('-', "_");
            cargo.env(
                format!("CARGO_TARGET_{name}_RUSTFLAGS"),
                format!("--sysroot {}", sysroot.display()),
            );
        }
    }
}

/// Gets a target by the first way that works.
pub fn ensure(paths: &Paths, name: &'static str) -> Result<Target> {
    if toolchain_has(name)? {
        return Ok(Target {
            name,
            sysroot: None,
        });
    }
    if rustup_adds(name) {
        progress::note(&format!("target {name}: rustup added it"));
        return Ok(Target {
            name,
            sysroot: None,
        });
    }
    let (sysroot, origin) = sysroot::ensure(paths, name)?;
    let how = match origin {
        Origin::Cached => "from the cache",
        Origin::Made => "made from the standard library's sources",
    };
    progress::note(&format!("target {name}: {how}, in {}", sysroot.display()));
    Ok(Target::in_sysroot(name, sysroot))
}

fn toolchain_has(name: &str) -> Result<bool> {
    let folder = command::capture(Command::new("rustc").args([
        "--print",
        "target-libdir",
        "--target",
        name,
    ]))?;
    Ok(holds_core(Path::new(folder.trim())))
}

/// Whether a folder of rlibs holds a standard library.
pub fn holds_core(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return false;
    };
    entries
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
}

fn rustup_adds(name: &str) -> bool {
    command::exists("rustup")
        && progress::step(&format!("Adding the Rust target {name}"), || {
            command::capture(Command::new("rustup").args(["target", "add", name])).is_ok()
        })
}
