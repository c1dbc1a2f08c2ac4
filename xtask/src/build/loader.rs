//! The loader: an ordinary UEFI program.

use std::process::Command;

use crate::command;
use crate::failure::Result;
use crate::paths::Paths;
use crate::progress;
use crate::setup::targets;

/// Builds the loader, after getting its target where that is missing.
pub fn build_loader(paths: &Paths) -> Result<()> {
    let target = targets::ensure(paths, targets::UEFI)?;
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(&paths.root)
        .args(["build", "--release", "-p", "boot-loader"]);
    target.apply(&mut cargo);
    progress::step("Building the loader", || command::run(&mut cargo))
}
