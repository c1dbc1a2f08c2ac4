//! Programs of images, compiled for the guest: those that nobody here wrote, fetched from the cargo registry and built
//! unpatched, and those that were written here, which cargo builds anew where they have changed.
//!
//! Law: what was built once is kept in the user's cache, named after everything that it depends on: the
//! package's version and features and the compiler's version for a `.wasm`; its bytes and those of
//! the component compiler for a `.cwasm`. Names of functions stay in the binary (a backtrace needs
//! them); debug information does not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::command;
use crate::digest;
use crate::failure::{Failure, Result};
use crate::paths::{self, Paths};
use crate::progress;
use crate::setup::targets::{self, Target};
use crate::system::{OwnProgram, Program};

/// How size and speed are traded for registry programs. Part of the cache's key.
const PROFILE: [(&str, &str); 6] = [
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "debuginfo"),
];

/// The workspace of the programs that were written here.
const OWN: &str = "userland";

/// The component `BINARY.wasm` of a program that was written here.
pub fn build_own(paths: &Paths, program: &OwnProgram) -> Result<PathBuf> {
    let target = targets::ensure(paths, targets::WASM)?;
    let output = paths.source(OWN).join("target");
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(paths.source(&program.path))
        .args(["build", "--quiet", "--release", "--locked"])
        .env("CARGO_TARGET_DIR", &output);
    target.apply(&mut cargo);
    let what = format!("Building {} for {}", program.path, targets::WASM);
    progress::step(&what, || command::run(&mut cargo))?;
    let release = output.join(targets::WASM).join("release");
    Ok(release.join(format!("{}.wasm", program.binary)))
}

/// The component `BINARY.wasm` of a registry program, built now or kept from before.
pub fn build(paths: &Paths, program: &Program) -> Result<PathBuf> {
    let folder = paths.cache.join("programs").join(key(program)?);
    let wasm = folder.join("bin").join(format!("{}.wasm", program.binary));
    if !wasm.exists() {
        let target = targets::ensure(paths, targets::WASM)?;
        let what = format!(
            "Building {} {} for {}",
            program.package,
            program.version,
            targets::WASM
        );
        progress::step(&what, || install(paths, program, &target, &folder))?;
    }
    Ok(wasm)
}

/// The code of a component for the guest, compiled now or kept from before.
pub fn precompile(paths: &Paths, wasm: &Path) -> Result<PathBuf> {
    let compiler = paths.compiler();
    let key = digest::key(&[&paths::read(wasm)?, &paths::read(&compiler)?]);
    let compiled = paths.cache.join("compiled").join(format!("{key}.cwasm"));
    if compiled.exists() {
        mark_used(&compiled);
    } else {
        forget_unused(&paths.cache.join("compiled"));
        let what = format!(
            "Compiling {} for the guest",
            wasm.file_name().unwrap_or_default().display()
        );
        progress::step(&what, || compile(&compiler, wasm, &compiled))?;
    }
    Ok(compiled)
}

/// How long compiled code is kept after its last use.
const KEPT: Duration = Duration::from_secs(14 * 24 * 3600);

/// The time of a file's last use is kept as the time of its last change. Where that fails, it is compiled
/// again some day.
fn mark_used(file: &Path) {
    let _ = fs::File::open(file).and_then(|file| file.set_modified(SystemTime::now()));
}

/// Every change of the component compiler leaves all that the last one compiled behind.
fn forget_unused(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        if modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > KEPT)) {
            // Somebody else may have been quicker.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn key(program: &Program) -> Result<String> {
    let compiler = command::capture(Command::new("rustc").arg("-vV"))?;
    let recipe = format!("{} {PROFILE:?}", recipe(program));
    let digest = digest::key(&[compiler.as_bytes(), recipe.as_bytes()]);
    Ok(format!(
        "{}-{}-{}",
        program.package,
        program.version,
        &digest[..16]
    ))
}

/// All of the program's entry that its bytes depend on.
fn recipe(program: &Program) -> String {
    let Program {
        package,
        version,
        binary,
        default_features,
        features,
        function_names,
        names,
        may_spawn: _,
        limits: _,
    } = program;
    format!(
        "Program {{ package: {package:?}, version: {version:?}, binary: {binary:?}, default_features: {default_features}, \
         features: {features:?}, function_names: {function_names}, names: {names:?} }}"
    )
}

fn install(paths: &Paths, program: &Program, target: &Target, folder: &Path) -> Result<()> {
    let scratch = folder.with_extension(format!("partial-{}", std::process::id()));
    let result = command::run(&mut cargo_install(paths, program, target, &scratch));
    let result = result.and_then(|()| move_into_place(&scratch.join("root"), folder));
    // What is left is only scratch; if it cannot be removed, the cache is untidy and nothing else.
    let _ = fs::remove_dir_all(&scratch);
    result
}

fn cargo_install(paths: &Paths, program: &Program, target: &Target, scratch: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    // In the repository, so that its pinned toolchain is the one that builds.
    cargo.current_dir(&paths.root).args([
        "install",
        "--locked",
        "--no-track",
        "--bin",
        &program.binary,
    ]);
    cargo.args([
        &program.package,
        "--version",
        &format!("={}", program.version),
    ]);
    cargo
        .arg("--root")
        .arg(scratch.join("root"))
        .env("CARGO_TARGET_DIR", scratch.join("target"));
    cargo.envs(PROFILE);
    if !program.function_names {
        cargo.env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    }
    if !program.default_features {
        cargo.arg("--no-default-features");
    }
    if !program.features.is_empty() {
        cargo.args(["--features", &program.features.join(",")]);
    }
    target.apply(&mut cargo);
    cargo
}

fn move_into_place(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|e| Failure::io("put in place", to, e))
}

fn compile(compiler: &Path, wasm: &Path, to: &Path) -> Result<()> {
    paths::make_folder(to.parent().unwrap_or(to))?;
    let partial = to.with_extension(format!("partial-{}", std::process::id()));
    command::run(
        Command::new(compiler)
            .arg("compile")
            .arg(wasm)
            .arg(&partial),
    )?;
    move_into_place(&partial, to)
}
