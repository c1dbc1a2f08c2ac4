//! The way to a Rust target that is taken where rustup cannot fetch one must work on the day it is needed.
//!
//! It is taken once per version of the compiler; afterwards the sysroot lies in the cache and is only used. Where the sources cannot be fetched (no
//! Debian mirror, no network) there is nothing to test.

use std::process::Command;

use super::Report;
use super::report::unmet;
use crate::command;
use crate::failure::Result;
use crate::paths::{self, Paths};
use crate::setup::sysroot;
use crate::setup::targets::{Target, UEFI, WASM};

/// A program that needs std, an allocator and an entry point, and a library that needs `core` and `alloc`.
const PROGRAM: &str = "fn main() {\n    println!(\"{}\", std::env::args().count());\n}\n";
const LIBRARY: &str = "#![no_std]\nextern crate alloc;\npub fn text() -> alloc::string::String {\n    alloc::format!(\"{}\", 1)\n}\n";

/// Makes both sysroots and builds with them.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    if let Err(why) = sysroot::obtain_packages(paths) {
        report.skipped(WASM, &why.to_string());
        report.skipped(UEFI, "for the same reason");
        return Ok(());
    }
    report.test(WASM, || {
        builds(paths, WASM, "src/main.rs", PROGRAM, "probe.wasm")
    });
    report.test(UEFI, || {
        builds(paths, UEFI, "src/lib.rs", LIBRARY, "libprobe.rlib")
    });
    Ok(())
}

fn builds(paths: &Paths, name: &'static str, file: &str, source: &str, output: &str) -> Result<()> {
    let (sysroot, _) = sysroot::ensure(paths, name)?;
    let target = Target::in_sysroot(name, sysroot);
    let package = paths.out().join("probe").join(name);
    paths::write(
        &package.join("Cargo.toml"),
        b"[package]\nname = \"probe\"\nedition = \"2024\"\n\n[workspace]\n",
    )?;
    paths::write(&package.join(file), source.as_bytes())?;
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(&package)
        .args(["build", "--quiet", "--release"])
        .env("CARGO_TARGET_DIR", package.join("target"));
    target.apply(&mut cargo);
    command::capture(&mut cargo)?;
    let built = package
        .join("target")
        .join(name)
        .join("release")
        .join(output);
    if built.exists() {
        Ok(())
    } else {
        Err(unmet(format!("{} was not built", built.display())))
    }
}
