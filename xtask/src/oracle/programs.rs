//! The programs of the cases: those of the image `oracle`, and those of `test/guest`.
//!
//! Law: both sides get the same bytes. A program of several names is found by each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command;
use crate::failure::{Failure, Result};
use crate::paths::Paths;
use crate::programs;
use crate::progress;
use crate::setup::targets;
use crate::system::System;

/// Workspaces of programs for tests, from the repository's root, and what their programs are made in, below `target/kpio`.
const GUESTS: [(&str, &str); 2] = [
    ("test/guest", "oracle-guests"),
    ("test/guest/hostile", "guests"),
];

/// Components by the names under which they are run.
#[derive(Debug)]
pub struct Programs {
    registry: BTreeMap<String, PathBuf>,
    guests: BTreeMap<String, PathBuf>,
}

impl Programs {
    /// Builds all of them, or finds what was built before.
    pub fn build(paths: &Paths, system: &System) -> Result<Self> {
        let mut registry = BTreeMap::new();
        for program in &system.programs {
            let wasm = programs::build(paths, program)?;
            let names = program.names.iter().chain([&program.binary]);
            registry.extend(names.map(|name| (name.clone(), wasm.clone())));
        }
        let mut guests = BTreeMap::new();
        progress::step("Building the programs of test/guest", || {
            GUESTS.iter().try_for_each(|(sources, target)| {
                guests.extend(build_guests(paths, sources, target)?);
                Ok(())
            })
        })?;
        Ok(Self { registry, guests })
    }

    /// The component that is run under this name.
    pub fn wasm(&self, name: &str) -> Result<&Path> {
        let found = self.registry.get(name).or_else(|| self.guests.get(name));
        found.map(PathBuf::as_path).ok_or_else(|| {
            Failure::input("test/oracle/cases", format!("there is no program `{name}`"))
        })
    }

    /// The same if it is one of `test/guest`, which the image does not have.
    pub fn guest(&self, name: &str) -> Option<&Path> {
        let registry = self.registry.contains_key(name);
        let guest = self.guests.get(name).filter(|_| !registry);
        guest.map(PathBuf::as_path)
    }

    /// The names of those of `test/guest`.
    pub fn guest_names(&self) -> impl Iterator<Item = &str> {
        self.guests.keys().map(String::as_str)
    }
}

fn build_guests(paths: &Paths, sources: &str, target: &str) -> Result<Vec<(String, PathBuf)>> {
    let wasm = targets::ensure(paths, targets::WASM)?;
    let folder = paths.out().join(target);
    let sources = paths.source(sources);
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(&sources)
        .args(["build", "--quiet", "--release", "--locked"])
        .env("CARGO_TARGET_DIR", &folder);
    wasm.apply(&mut cargo);
    command::run(&mut cargo)?;
    let built = folder.join(targets::WASM).join("release");
    let binaries = sources.join("src/bin");
    let entries = fs::read_dir(&binaries).map_err(|e| Failure::io("read", &binaries, e))?;
    let names = entries.flatten().filter_map(|entry| name_of(&entry.path()));
    Ok(names
        .map(|name| (name.clone(), built.join(format!("{name}.wasm"))))
        .collect())
}

fn name_of(source: &Path) -> Option<String> {
    source
        .file_stem()
        .map(|name| name.to_string_lossy().into_owned())
}
