//! The system's bundle: programs and files, as `system/*.toml` lists them.
//!
//! Layout: a program is `/bin/NAME.wasm` with its code for this kernel beside it, `/bin/NAME.cwasm`. A program
//! with several names has one link of both kinds per further name; it finds out by its first argument
//! how it was called. What programs may do and use, where anything is said about it, is `/etc/grants`. The services are one
//! manifest, `/system/services.toml`, without what extends what.

use std::fs;
use std::path::Path;
use std::process::Command;

use lib_bundle::grants::GRANTS_PATH;
use lib_bundle::{BuildError, BundleBuilder};

use crate::c_programs;
use crate::command;
use crate::failure::{Failure, Result};
use crate::paths::{self, Paths};
use crate::programs;
use crate::system::{Copy, Program, System};

/// Where the manifest of its services is.
const SERVICES: &str = "/system/services.toml";

/// The bytes of the bundle.
pub fn system_bundle(paths: &Paths, system: &System) -> Result<Vec<u8>> {
    let mut contents = Contents {
        builder: BundleBuilder::new(),
        mtime_ns: newest_change_ns(paths),
    };
    for directory in &system.directory {
        contents.directory(&directory.path)?;
    }
    for program in &system.programs {
        contents.program(paths, program)?;
    }
    for program in &system.own_programs {
        let wasm = programs::build_own(paths, program)?;
        contents.component(paths, &program.binary, &wasm)?;
        let mut names = program.names.iter();
        names.try_for_each(|name| contents.names(name, &program.binary))?;
    }
    for program in &system.c_programs {
        let wasm = c_programs::build(paths, program)?;
        contents.component(paths, &program.binary, &wasm)?;
    }
    for Copy { from, to } in &system.copy {
        contents.tree(&paths.source(from), to)?;
    }
    let grants = system.grants()?;
    if !grants.is_empty() {
        contents.file(GRANTS_PATH, grants.to_string().into_bytes(), false)?;
    }
    for text in &system.text {
        contents.file(&text.path, text.contents.clone().into_bytes(), false)?;
    }
    if let Some(manifest) = system.manifest()? {
        contents.file(SERVICES, manifest.into_bytes(), false)?;
    }
    contents.builder.build().map_err(refused)
}

/// A bundle in the making; all its entries have one modification time.
struct Contents {
    builder: BundleBuilder<'static>,
    mtime_ns: u64,
}

impl Contents {
    fn program(&mut self, paths: &Paths, program: &Program) -> Result<()> {
        let wasm = programs::build(paths, program)?;
        self.component(paths, &program.binary, &wasm)?;
        program
            .names
            .iter()
            .try_for_each(|name| self.names(name, &program.binary))
    }

    /// A component, and its code for this kernel beside it.
    fn component(&mut self, paths: &Paths, binary: &str, wasm: &Path) -> Result<()> {
        let compiled = programs::precompile(paths, wasm)?;
        self.file(&format!("/bin/{binary}.wasm"), paths::read(wasm)?, true)?;
        self.file(
            &format!("/bin/{binary}.cwasm"),
            paths::read(&compiled)?,
            true,
        )
    }

    fn names(&mut self, name: &str, binary: &str) -> Result<()> {
        ["wasm", "cwasm"].iter().try_for_each(|ending| {
            let link = self.builder.symlink(
                &format!("/bin/{name}.{ending}"),
                &format!("{binary}.{ending}"),
                self.mtime_ns,
            );
            link.map(drop).map_err(refused)
        })
    }

    /// Copies a file, or a folder with all that is in it.
    fn tree(&mut self, from: &Path, to: &str) -> Result<()> {
        if !from.is_dir() {
            return self.file(to, paths::read(from)?, false);
        }
        self.directory(to)?;
        let entries = fs::read_dir(from).map_err(|e| Failure::io("read", from, e))?;
        entries.flatten().try_for_each(|entry| {
            self.tree(
                &entry.path(),
                &format!("{to}/{}", entry.file_name().to_string_lossy()),
            )
        })
    }

    fn directory(&mut self, path: &str) -> Result<()> {
        self.builder
            .directory(path, self.mtime_ns)
            .map(drop)
            .map_err(refused)
    }

    fn file(&mut self, path: &str, contents: Vec<u8>, executable: bool) -> Result<()> {
        self.builder
            .file(path, contents, self.mtime_ns, executable)
            .map(drop)
            .map_err(refused)
    }
}

fn refused(error: BuildError) -> Failure {
    Failure::input("the system's bundle", error)
}

/// When the newest commit was made; 0 where git does not say. The same tree thus gives the same bytes.
fn newest_change_ns(paths: &Paths) -> u64 {
    let mut git = Command::new("git");
    git.current_dir(&paths.root)
        .args(["log", "-1", "--format=%ct"]);
    let seconds = command::capture(&mut git)
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    seconds.unwrap_or(0) * 1_000_000_000
}
