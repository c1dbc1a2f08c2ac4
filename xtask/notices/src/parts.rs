//! The parts of an image, and where cargo finds what they are made of.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::failure::{Failure, Result};
use crate::graph;

/// One thing that is linked by itself.
#[derive(Clone, Debug)]
pub struct Part {
    /// What readers know it as.
    pub name: String,
    /// The package it is built from.
    pub package: String,
    /// That package's manifest, or the workspace's.
    pub manifest: PathBuf,
    /// The target it is built for.
    pub target: &'static str,
    /// cargo's words that choose features.
    pub features: Vec<String>,
}

/// A file of `system/`, as far as it matters here; `xtask/src/system.rs` has the whole of it.
#[derive(Deserialize)]
struct System {
    /// The package at the top of its kernel, where that is not the product's.
    kernel: Option<String>,
    #[serde(default, rename = "program")]
    programs: Vec<Program>,
    #[serde(default, rename = "own-program")]
    own_programs: Vec<OwnProgram>,
}

/// Where programs of the system are.
const USERLAND: &str = "userland/";

/// A program of the system, or of a test.
#[derive(Clone, Debug, Deserialize)]
struct OwnProgram {
    path: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Program {
    package: String,
    version: String,
    #[serde(default = "yes")]
    default_features: bool,
    #[serde(default)]
    features: Vec<String>,
}

fn yes() -> bool {
    true
}

/// All parts: kernel, loader, and the programs by name.
pub fn parts(root: &Path) -> Result<Vec<Part>> {
    let own = |name: &str, package: &str, target| Part {
        name: name.to_owned(),
        package: package.to_owned(),
        manifest: root.join("Cargo.toml"),
        target,
        features: Vec::new(),
    };
    let mut parts = vec![
        own("kernel", "runtime-entry", "x86_64-unknown-linux-gnu"),
        own("loader", "boot-loader", "x86_64-unknown-uefi"),
    ];
    let systems = systems(root)?;
    let own_programs = systems.iter().flat_map(|system| &system.own_programs);
    let own_paths = own_programs.map(|program| program.path.as_str());
    // Programs of tests are given to nobody.
    let own_paths = own_paths.filter(|path| path.starts_with(USERLAND));
    let own_paths: BTreeSet<&str> = own_paths.collect();
    parts.extend(own_paths.into_iter().map(|path| own_program(root, path)));
    let programs = systems.into_iter().flat_map(|system| system.programs);
    let programs: BTreeMap<String, Program> = programs
        .map(|program| (program.package.clone(), program))
        .collect();
    for program in programs.into_values() {
        parts.push(program.part(root)?);
    }
    Ok(parts)
}

/// A package of `userland/` is named after its folder.
fn own_program(root: &Path, path: &str) -> Part {
    let name = path.rsplit('/').next().unwrap_or(path);
    Part {
        name: name.to_owned(),
        package: name.to_owned(),
        manifest: root.join(path).join("Cargo.toml"),
        target: "wasm32-wasip2",
        features: Vec::new(),
    }
}

/// The files of `system/` for images with the product's kernel. Others are made to test and to measure, and are given to nobody.
fn systems(root: &Path) -> Result<Vec<System>> {
    let folder = root.join("system");
    let entries = fs::read_dir(&folder).map_err(|e| Failure::io("read", &folder, e))?;
    let mut systems = Vec::new();
    for file in entries.flatten().map(|entry| entry.path()) {
        if file.extension().is_some_and(|ending| ending == "toml") {
            let text = fs::read_to_string(&file).map_err(|e| Failure::io("read", &file, e))?;
            let system: System =
                toml::from_str(&text).map_err(|e| Failure::input(file.display(), e))?;
            if system.kernel.is_none() {
                systems.push(system);
            }
        }
    }
    Ok(systems)
}

impl Program {
    fn part(&self, root: &Path) -> Result<Part> {
        let mut features = Vec::new();
        if !self.default_features {
            features.push("--no-default-features".to_owned());
        }
        if !self.features.is_empty() {
            features.extend(["--features".to_owned(), self.features.join(",")]);
        }
        Ok(Part {
            name: self.package.clone(),
            package: self.package.clone(),
            manifest: self.sources(root)?.join("Cargo.toml"),
            target: "wasm32-wasip2",
            features,
        })
    }

    /// Where cargo unpacked the program, which has it fetched if it is not there.
    fn sources(&self, root: &Path) -> Result<PathBuf> {
        if let Some(folder) = self.unpacked()? {
            return Ok(folder);
        }
        self.fetch(root)?;
        let missing = || Failure::input(&self.package, "cargo fetched it and it is nowhere");
        self.unpacked()?.ok_or_else(missing)
    }

    fn unpacked(&self) -> Result<Option<PathBuf>> {
        let sources = cargo_home()?.join("registry/src");
        let Ok(registries) = fs::read_dir(&sources) else {
            return Ok(None);
        };
        let name = format!("{}-{}", self.package, self.version);
        let mut folders = registries.flatten().map(|entry| entry.path().join(&name));
        Ok(folders.find(|folder| folder.join("Cargo.lock").is_file()))
    }

    /// By a package that depends on it: cargo has no shorter way to fetch a program without building it.
    fn fetch(&self, root: &Path) -> Result<()> {
        let folder = root.join("target/kpio/notices").join(&self.package);
        let manifest = folder.join("Cargo.toml");
        let text = format!(
            "[package]\nname = \"notices-fetch\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
             {} = {{ version = \"={}\", default-features = false }}\n",
            self.package, self.version
        );
        let source = folder.join("src/lib.rs");
        fs::create_dir_all(folder.join("src"))
            .and_then(|()| fs::write(&source, ""))
            .and_then(|()| fs::write(&manifest, text))
            .map_err(|e| Failure::io("write", &manifest, e))?;
        let mut cargo = Command::new("cargo");
        cargo.args(["fetch", "--target", "wasm32-wasip2", "--manifest-path"]);
        graph::capture(cargo.current_dir(root).arg(manifest)).map(drop)
    }
}

fn cargo_home() -> Result<PathBuf> {
    let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    let folder = env::var_os("CARGO_HOME").map(PathBuf::from).or(home);
    folder.ok_or_else(|| {
        Failure::input(
            "the environment",
            "neither CARGO_HOME nor HOME says where cargo keeps sources",
        )
    })
}
