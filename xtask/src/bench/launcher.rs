//! Our own programs in the Linux guest: what the peer has no figures of.
//!
//! Law: the guest, its kernel and its Wasmtime are the peer's. What is added is one program in Rust (`bench/linux/launcher.rs`), built in the
//! copy of the peer beside the peer's own, so that both have one Wasmtime; and a disk with it and with the very components
//! that KPIO runs. They are compiled here, for the processors that KPIO's images are compiled for. The peer's own files stay as they are.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::programs::Contents;
use crate::command;
use crate::failure::{Failure, Result};
use crate::paths::{self, Paths};
use crate::progress;

/// What the peer's package builds besides its own.
const EXAMPLE: &str = "kpio";
/// Its sources, and where they lie below the package's examples.
const SOURCES: [(&str, &str); 2] = [
    ("bench/linux/launcher.rs", "kpio/main.rs"),
    ("bench/sampling/src/lib.rs", "sampling/src/lib.rs"),
];
/// The size of the disk.
const DISK: &str = "128M";

/// The disk with our programs.
#[derive(Debug)]
pub struct Launcher {
    disk: PathBuf,
}

impl Launcher {
    /// Builds the program in the peer's folder, and the disk.
    pub fn build(paths: &Paths, peer: &Path, contents: &Contents) -> Result<Self> {
        let program = progress::step("Building the launcher for Linux", || {
            build_program(paths, peer)
        })?;
        let folder = paths.out().join("linux");
        paths::make_folder(&folder)?;
        progress::step("Compiling the programs for Linux", || {
            fill(&folder, &program, contents)
        })?;
        let disk = paths.out().join("linux.img");
        write_disk(&folder, &disk)?;
        Ok(Self { disk })
    }

    /// Whether a suite is one that the peer does not have.
    pub fn has(suite: &str) -> bool {
        line(suite, "").is_some()
    }

    /// What the driver is told to run one suite.
    pub fn words(&self, suite: &str, filter: &str) -> Vec<String> {
        let line = line(suite, filter).unwrap_or_default();
        vec!["line".into(), self.disk.display().to_string(), line]
    }
}

/// What the guest's shell is told.
fn line(suite: &str, filter: &str) -> Option<String> {
    match suite {
        "calls" => Some(format!(
            "/mnt/launcher run /mnt/calls.cwasm /data '{filter}' time"
        )),
        "processes" => Some(format!("/mnt/launcher measure /mnt '{filter}'")),
        "channels" => Some(format!("/mnt/launcher channels /mnt '{filter}'")),
        _ => None,
    }
}

/// As the peer builds its own: static, and with the dependencies that it has built.
fn build_program(paths: &Paths, peer: &Path) -> Result<PathBuf> {
    let package = peer.join("wasmbench");
    for (source, name) in SOURCES {
        let copy = package.join("examples").join(name);
        let bytes = paths::read(&paths.source(source))?;
        // A file that is written anew is built anew.
        if !paths::read(&copy).is_ok_and(|before| before == bytes) {
            paths::write(&copy, &bytes)?;
        }
    }
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(&package)
        .args(["rustc", "--quiet", "--release", "--example", EXAMPLE])
        .args(["--", "-C", "target-feature=+crt-static"]);
    command::run(&mut cargo)?;
    Ok(package.join("target/release/examples").join(EXAMPLE))
}

/// Puts the program and what it runs into the folder that becomes the disk.
fn fill(folder: &Path, program: &Path, contents: &Contents) -> Result<()> {
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(folder.join("launcher")).arg(program);
    command::run(&mut strip)?;
    for (name, wasm) in contents.components() {
        paths::write(&folder.join(format!("{name}.wasm")), &paths::read(wasm)?)?;
        let mut compiler = Command::new(program);
        compiler.arg("compile").arg(wasm);
        compiler.arg(folder.join(format!("{name}.cwasm")));
        command::run(&mut compiler)?;
    }
    Ok(())
}

fn write_disk(folder: &Path, disk: &Path) -> Result<()> {
    match std::fs::remove_file(disk) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::io("remove", disk, error));
        }
        _ => {}
    }
    let mut tool = Command::new("/usr/sbin/mke2fs");
    tool.args(["-q", "-t", "ext4", "-d"]).arg(folder).arg(disk);
    command::run(tool.arg(DISK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_that_the_peer_has_are_left_to_it() {
        for (suite, ours) in [
            ("native", false),
            ("wasi", false),
            ("calls", true),
            ("processes", true),
            ("channels", true),
        ] {
            assert_eq!(Launcher::has(suite), ours, "{suite}");
        }
    }

    #[test]
    fn the_filter_is_one_word_of_the_shell() {
        let line = line("calls", "poll.").unwrap();
        assert!(line.ends_with("/data 'poll.' time"), "{line}");
    }
}
