//! The programs of the cases: those of the image `oracle`, those of `test/guest`, and hostile components that the suites write.
//!
//! Law: both sides get the same bytes. A program of several names is found by each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::command;
use crate::failure::{Failure, Result};
use crate::paths::Paths;
use crate::programs;
use crate::progress;
use crate::setup::targets;
use crate::suites::guests;
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
    written: BTreeMap<String, PathBuf>,
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
        let mut written = BTreeMap::new();
        for component in guests::WRITTEN {
            written.insert(component.name.to_owned(), component.write(paths)?);
        }
        Ok(Self {
            registry,
            guests,
            written,
        })
    }

    /// The component that is run under this name.
    pub fn wasm(&self, name: &str) -> Result<&Path> {
        let registered = self.registry.get(name).map(PathBuf::as_path);
        registered.or_else(|| self.added(name)).ok_or_else(|| {
            Failure::input("test/oracle/cases", format!("there is no program `{name}`"))
        })
    }

    /// The same if the image does not have it.
    pub fn added(&self, name: &str) -> Option<&Path> {
        if self.registry.contains_key(name) {
            return None;
        }
        let found = self.guests.get(name).or_else(|| self.written.get(name));
        found.map(PathBuf::as_path)
    }

    /// The names of those of `test/guest`.
    pub fn guest_names(&self) -> impl Iterator<Item = &str> {
        self.guests.keys().map(String::as_str)
    }
}

/// What cargo says of something that it built.
#[derive(Deserialize)]
struct Artifact {
    target: ArtifactTarget,
    executable: PathBuf,
}

#[derive(Deserialize)]
struct ArtifactTarget {
    name: String,
}

fn build_guests(paths: &Paths, sources: &str, target: &str) -> Result<Vec<(String, PathBuf)>> {
    let wasm = targets::ensure(paths, targets::WASM)?;
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(paths.source(sources))
        .args(["build", "--workspace", "--quiet", "--release", "--locked"])
        .args(["--message-format", "json-render-diagnostics"])
        .env("CARGO_TARGET_DIR", paths.out().join(target));
    wasm.apply(&mut cargo);
    let said = command::capture(&mut cargo)?;
    // Lines that say something else have no executable.
    let artifacts = said
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    Ok(artifacts
        .map(|built: Artifact| (built.target.name, built.executable))
        .collect())
}
