//! A kernel: a static library that cargo builds and rust-lld links at its address. The product's is one; tests
//! have others, which differ in the crate at the top, and each has a variant with checks.
//!
//! Law: the linker is run here, not by rustc, so that no flag meant for the kernel reaches a build
//! script. The kernel is linked twice, with symbols and without: the loaded bytes are the same. Cargo puts the archives
//! of both variants in one place, so nobody else builds between the build and the link of one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use super::symbols;
use crate::command;
use crate::failure::{Failure, Result};
use crate::paths::{self, KernelFiles, PRODUCT_KERNEL, Paths, Variant};
use crate::progress;

/// The folder of the toolchain in which rust-lld lies, below its sysroot.
const LINKER: &str = "lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld";
const LINKER_SCRIPT: &str = "kernel/kernel.ld";

/// Builds and links the product's kernel; builds the component compiler on the way.
pub fn build_kernel(paths: &Paths) -> Result<()> {
    build_kernel_of(paths, PRODUCT_KERNEL, Variant::Plain)
}

/// The same for the kernel that has the package `top` at its top.
pub fn build_kernel_of(paths: &Paths, top: &str, variant: Variant) -> Result<()> {
    let _alone = wait_for_others(paths)?;
    let what = match variant {
        Variant::Plain => "Building the kernel and the component compiler",
        Variant::Checks => "Building the kernel with checks and the component compiler",
    };
    progress::step(what, || compile(paths, top, variant))?;
    let kernel = paths.kernel_of(top, variant);
    if is_fresh(paths, &kernel) {
        return Ok(());
    }
    progress::step("Linking the kernel", || link_both(paths, &kernel))
}

/// Until the file is dropped, other runs of this tool on this target folder wait here.
fn wait_for_others(paths: &Paths) -> Result<File> {
    paths::make_folder(&paths.out())?;
    let path = paths.out().join("build.lock");
    let locked = File::create(&path).and_then(|file| file.lock().map(|()| file));
    locked.map_err(|e| Failure::io("lock", &path, e))
}

fn compile(paths: &Paths, top: &str, variant: Variant) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&paths.root).args([
        "build",
        "--release",
        "-p",
        PRODUCT_KERNEL,
        "-p",
        "xtask-compiler",
    ]);
    if top != PRODUCT_KERNEL {
        cargo.args(["-p", top]);
    }
    if variant == Variant::Checks {
        cargo.args([
            "--features",
            &format!("{PRODUCT_KERNEL}/checks,{top}/checks"),
        ]);
    }
    command::run(&mut cargo)
}

fn link_both(paths: &Paths, kernel: &KernelFiles) -> Result<()> {
    link(paths, &kernel.archive, &kernel.debug, &[])?;
    link(paths, &kernel.archive, &kernel.loaded, &["--strip-all"])?;
    symbols::write(kernel)
}

fn link(paths: &Paths, archive: &Path, output: &Path, options: &[&str]) -> Result<()> {
    let mut linker = Command::new(linker()?);
    linker.args([
        "-flavor",
        "gnu",
        "-static",
        "--no-dynamic-linker",
        "--eh-frame-hdr",
        "--gc-sections",
    ]);
    linker
        .args(["-z", "max-page-size=0x1000", "-z", "norelro", "-T"])
        .arg(paths.source(LINKER_SCRIPT));
    linker.args(options).arg(archive).arg("-o").arg(output);
    command::run(&mut linker)
}

fn linker() -> Result<PathBuf> {
    let sysroot = command::capture(Command::new("rustc").args(["--print", "sysroot"]))?;
    Ok(Path::new(sysroot.trim()).join(LINKER))
}

/// Whether what is linked is newer than what they are linked from.
fn is_fresh(paths: &Paths, kernel: &KernelFiles) -> bool {
    let inputs = [&kernel.archive, &paths.source(LINKER_SCRIPT)];
    let outputs = [&kernel.loaded, &kernel.debug, &kernel.symbols];
    let newest_input = inputs.iter().map(|file| modified(file)).max().flatten();
    let oldest_output = outputs.iter().map(|file| modified(file)).min().flatten();
    matches!((newest_input, oldest_output), (Some(input), Some(output)) if output > input)
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file)
        .and_then(|metadata| metadata.modified())
        .ok()
}
