//! Formatting and clippy, for every target that the tree is built for.

use std::process::Command;

use crate::command;
use crate::failure::Result;
use crate::paths::{PRODUCT_KERNEL, Paths};
use crate::setup::targets::{self, Target};

/// Programs that run inside the guest: the system's own, those of tests and of benchmarks; workspaces of their own.
const GUESTS: [&str; 3] = [
    "userland/Cargo.toml",
    "test/guest/Cargo.toml",
    "bench/guest/Cargo.toml",
];
/// A program that no workspace holds: it is built in a package of the Linux peer's.
const LINUX_LAUNCHER: &str = "bench/linux/launcher.rs";
const LOADER: &str = "boot-loader";

/// Everything is formatted as rustfmt does it.
pub fn format(paths: &Paths) -> Result<()> {
    formatted(paths, "Cargo.toml")?;
    GUESTS
        .iter()
        .try_for_each(|guests| formatted(paths, guests))?;
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.current_dir(&paths.root);
    rustfmt.args(["--check", "--edition", "2024", "-l", LINUX_LAUNCHER]);
    command::capture(&mut rustfmt).map(drop)
}

/// Lists the files that are not.
fn formatted(paths: &Paths, manifest: &str) -> Result<()> {
    let mut fmt = cargo(paths);
    fmt.args([
        "fmt",
        "--all",
        "--check",
        "--manifest-path",
        manifest,
        "--",
        "-l",
    ]);
    command::capture(&mut fmt).map(drop)
}

/// Clippy has nothing to say.
pub fn clippy(paths: &Paths) -> Result<()> {
    lint(paths, &["--workspace", "--all-targets"], None)?;
    let checks = [
        "-p",
        PRODUCT_KERNEL,
        "-p",
        "kernel-machine",
        "-p",
        "kernel-core",
        "--features",
        "runtime-entry/checks",
    ];
    lint(paths, &checks, None)?;
    lint(
        paths,
        &["-p", LOADER],
        Some(&targets::ensure(paths, targets::UEFI)?),
    )?;
    let target = targets::ensure(paths, targets::WASM)?;
    GUESTS.iter().try_for_each(|guests| {
        let what = ["--workspace", "--manifest-path", guests];
        lint(paths, &what, Some(&target))
    })
}

/// In the release profile: what build scripts and macros need is there already.
fn lint(paths: &Paths, what: &[&str], target: Option<&Target>) -> Result<()> {
    let mut clippy = cargo(paths);
    clippy.args(["clippy", "--quiet", "--release"]).args(what);
    if let Some(target) = target {
        target.apply(&mut clippy);
    }
    command::capture(clippy.args(["--", "-D", "warnings"])).map(drop)
}

fn cargo(paths: &Paths) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&paths.root);
    cargo
}
