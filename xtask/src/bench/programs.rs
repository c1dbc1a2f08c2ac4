//! The WebAssembly that is measured, and the bundle that brings it to the guest.
//!
//! Law: with a peer, both sides run the peer's bytes: its core modules as they are, its programs for WASI 0.1 made
//! components by `bench/adapt`. Without one, programs of the same purpose are built from `bench/guest`; there are no core
//! modules then, and no figures of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lib_bundle::{BuildError, BundleBuilder};

use crate::command;
use crate::failure::{Failure, Result};
use crate::paths::{self, Paths};
use crate::programs;
use crate::progress;
use crate::setup::targets;

/// Where the sources of our own programs lie, from the repository's root.
const SOURCES: &str = "bench/guest";
/// Names of the programs here, and at the peer.
const PROGRAMS: [(&str, &str); 2] = [("hello", "hello"), ("wasi", "wasiguest")];
/// Modules that are compiled within seconds.
const SMALL: [&str; 2] = ["hello", "kernels"];

/// What goes to the guest.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Core modules, by name.
    modules: Vec<(String, PathBuf)>,
    /// Components that are programs, by name.
    programs: Vec<(&'static str, PathBuf)>,
}

impl Contents {
    /// Our own programs.
    pub fn own(paths: &Paths) -> Result<Self> {
        let folder = progress::step("Building the programs that are measured", || {
            build_own(paths)
        })?;
        let programs = PROGRAMS.map(|(name, _)| (name, folder.join(format!("{name}.wasm"))));
        Ok(Self {
            modules: Vec::new(),
            programs: programs.into(),
        })
    }

    /// The peer's, from the folder of its WebAssembly; modules that take minutes to compile only if `large`.
    pub fn of_peer(paths: &Paths, folder: &Path, large: bool) -> Result<Self> {
        let adapter = progress::step("Building the tool that makes components", || {
            build_adapter(paths)
        })?;
        let mut contents = Self::default();
        for file in wasm_files(folder)? {
            let name = file
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let program = PROGRAMS.iter().any(|(_, at_peer)| *at_peer == name);
            if SMALL.contains(&name.as_str()) || (large && !program) {
                contents.modules.push((name, file));
            }
        }
        for (name, at_peer) in PROGRAMS {
            let component = paths.out().join("bench").join(format!("{name}.wasm"));
            paths::make_folder(component.parent().unwrap_or(&component))?;
            let mut tool = Command::new(&adapter);
            tool.arg(folder.join(format!("{at_peer}.wasm")))
                .arg(&component);
            command::run(&mut tool)?;
            contents.programs.push((name, component));
        }
        Ok(contents)
    }

    /// The bytes of the bundle.
    pub fn bundle(&self, paths: &Paths) -> Result<Vec<u8>> {
        let mut builder = BundleBuilder::new();
        for (name, file) in &self.modules {
            add(&mut builder, &format!("/wasm/{name}.wasm"), file)?;
        }
        for (name, file) in &self.programs {
            add(&mut builder, &format!("/bin/{name}.wasm"), file)?;
            let compiled = programs::precompile(paths, file)?;
            add(&mut builder, &format!("/bin/{name}.cwasm"), &compiled)?;
        }
        builder.build().map_err(refused)
    }
}

fn add(builder: &mut BundleBuilder<'_>, path: &str, file: &Path) -> Result<()> {
    let added = builder.file(path, paths::read(file)?, 0, true);
    added.map(drop).map_err(refused)
}

fn refused(error: BuildError) -> Failure {
    Failure::input("the bundle that is measured", error)
}

fn wasm_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|e| Failure::io("read", folder, e))?;
    let files = entries.flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = files
        .filter(|file| file.extension().is_some_and(|ending| ending == "wasm"))
        .collect();
    files.sort();
    Ok(files)
}

fn build_own(paths: &Paths) -> Result<PathBuf> {
    let target = targets::ensure(paths, targets::WASM)?;
    let folder = paths.out().join("bench-guest");
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(paths.source(SOURCES))
        .args(["build", "--quiet", "--release", "--locked"])
        .env("CARGO_TARGET_DIR", &folder);
    target.apply(&mut cargo);
    command::run(&mut cargo)?;
    Ok(folder.join(targets::WASM).join("release"))
}

fn build_adapter(paths: &Paths) -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(&paths.root)
        .args(["build", "--quiet", "--release", "-p", "bench-adapt"]);
    command::run(&mut cargo)?;
    Ok(paths.release().join("bench-adapt"))
}
