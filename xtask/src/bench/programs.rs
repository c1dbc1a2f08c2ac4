//! The WebAssembly that is measured, and the bundle that brings it to the guest.
//!
//! Law: both sides run the same bytes. With a peer, what it has is the peer's: its core modules as they are, its programs for WASI 0.1 made
//! components by `bench/adapt`. Without one, programs of the same purpose are built from `bench/guest`; there are no core
//! modules then, and no figures of them. What the peer has not is built from `bench/guest`, or comes from the cargo
//! registry, and runs on Linux by our own launcher (`launcher.rs`).

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
use crate::system::System;

/// Where the sources of our own programs lie, from the repository's root.
const SOURCES: &str = "bench/guest";
/// Names of the programs here, and at the peer.
const PROGRAMS: [(&str, &str); 2] = [("hello", "hello"), ("wasi", "wasiguest")];
/// Programs of ours that both sides run, by suite.
const OURS: [(&str, &[&str]); 3] = [
    ("calls", &["calls"]),
    ("processes", &["pipes", "tree"]),
    // What Linux has in place of calls.
    ("channels", &["pipes"]),
];
/// Who calls and who is called in the suite `channels`, and where they are written.
const CHANNELS: [&str; 2] = ["link_provider", "link-client"];
const CHANNELS_SOURCES: &str = "test/guest/link";
/// Programs of the registry for the suite `processes`: one that is run precompiled, and one of a megabyte that is not. They are those of
/// the system [`REGISTRY`].
const SEARCH: &str = "rg";
const UNKNOWN: &str = "diffutils";
const REGISTRY: &str = "oracle";
/// Modules that are compiled within seconds.
const SMALL: [&str; 2] = ["hello", "kernels"];

/// What goes to the guest.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Core modules, by name.
    modules: Vec<(String, PathBuf)>,
    /// Components that are programs.
    programs: Vec<Program>,
}

/// A component that is a program.
#[derive(Clone, Debug)]
struct Program {
    name: &'static str,
    wasm: PathBuf,
    is_precompiled: bool,
}

impl Program {
    fn precompiled(name: &'static str, wasm: PathBuf) -> Self {
        Self {
            name,
            wasm,
            is_precompiled: true,
        }
    }
}

impl Contents {
    /// Our own programs, for these suites.
    pub fn own(paths: &Paths, suites: &[&str]) -> Result<Self> {
        let folder = build_own(paths)?;
        let own = |(name, _)| Program::precompiled(name, wasm_in(&folder, name));
        let mut contents = Self {
            modules: Vec::new(),
            programs: PROGRAMS.into_iter().map(own).collect(),
        };
        contents.add_ours(paths, &folder, suites)?;
        Ok(contents)
    }

    /// The peer's, from the folder of its WebAssembly; modules that take minutes to compile only if `large`. What these suites
    /// need and the peer has not is ours.
    pub fn of_peer(paths: &Paths, folder: &Path, suites: &[&str], large: bool) -> Result<Self> {
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
            contents
                .programs
                .push(Program::precompiled(name, component));
        }
        contents.add_ours(paths, &build_own(paths)?, suites)?;
        Ok(contents)
    }

    fn add_ours(&mut self, paths: &Paths, folder: &Path, suites: &[&str]) -> Result<()> {
        for (suite, names) in OURS {
            if suites.contains(&suite) {
                self.add(folder, names);
            }
        }
        if suites.contains(&"channels") {
            self.add(&build_channels(paths)?, &CHANNELS);
        }
        if suites.contains(&"processes") {
            self.programs
                .push(Program::precompiled(SEARCH, from_registry(paths, SEARCH)?));
            self.programs.push(Program {
                name: UNKNOWN,
                wasm: from_registry(paths, UNKNOWN)?,
                is_precompiled: false,
            });
        }
        Ok(())
    }

    /// Adds programs of that folder, once each.
    fn add(&mut self, folder: &Path, names: &[&'static str]) {
        for &name in names {
            if self.programs.iter().all(|program| program.name != name) {
                let program = Program::precompiled(name, wasm_in(folder, name));
                self.programs.push(program);
            }
        }
    }

    /// Names and files of all components.
    pub fn components(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        self.programs
            .iter()
            .map(|program| (program.name, program.wasm.as_path()))
    }

    /// The bytes of the bundle.
    pub fn bundle(&self, paths: &Paths) -> Result<Vec<u8>> {
        let mut builder = BundleBuilder::new();
        for (name, file) in &self.modules {
            add(&mut builder, &format!("/wasm/{name}.wasm"), file)?;
        }
        for program in &self.programs {
            let path = format!("/bin/{}", program.name);
            add(&mut builder, &format!("{path}.wasm"), &program.wasm)?;
            if program.is_precompiled {
                let compiled = programs::precompile(paths, &program.wasm)?;
                add(&mut builder, &format!("{path}.cwasm"), &compiled)?;
            }
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
    build_in(paths, SOURCES, &paths.out().join("bench-guest"))
}

/// Where the host's tests build them too.
fn build_channels(paths: &Paths) -> Result<PathBuf> {
    build_in(paths, CHANNELS_SOURCES, &paths.target.join("tmp/guests"))
}

/// Builds a workspace of programs; the answer is where they are then.
fn build_in(paths: &Paths, sources: &str, folder: &Path) -> Result<PathBuf> {
    progress::step("Building the programs that are measured", || {
        let target = targets::ensure(paths, targets::WASM)?;
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(paths.source(sources))
            .args(["build", "--quiet", "--release", "--locked"])
            .env("CARGO_TARGET_DIR", folder);
        target.apply(&mut cargo);
        command::run(&mut cargo)?;
        Ok(folder.join(targets::WASM).join("release"))
    })
}

fn wasm_in(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.wasm"))
}

/// A program of the registry, as the system [`REGISTRY`] has it.
fn from_registry(paths: &Paths, binary: &str) -> Result<PathBuf> {
    let system = System::load(paths, REGISTRY)?;
    let named = system
        .programs
        .iter()
        .find(|program| program.binary == binary);
    let program = named.ok_or_else(|| {
        Failure::input(
            format!("system/{REGISTRY}.toml"),
            format!("it has no program {binary}"),
        )
    })?;
    programs::build(paths, program)
}

fn build_adapter(paths: &Paths) -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(&paths.root)
        .args(["build", "--quiet", "--release", "-p", "bench-adapt"]);
    command::run(&mut cargo)?;
    Ok(paths.release().join("bench-adapt"))
}
