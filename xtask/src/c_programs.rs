//! Components that are written in C: by Debian's clang and its C library, with bindings of the WIT that they speak.
//!
//! Law: nothing that is generated is kept in the repository; bindings are made anew for every build, which takes a second.
//! `xtask-c-component` makes them, and the component of what clang has linked.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command;
use crate::failure::{Failure, Result};
use crate::paths::{self, Paths};
use crate::progress;
use crate::setup::{Need, ensure_packages};
use crate::system::CProgram;

/// The compiler, its linker, the C library, and what the compiler's code itself calls.
const NEEDS: [Need; 4] = [
    Need::Program("clang"),
    Need::Program("wasm-ld"),
    Need::File("wasi-libc", "/usr/include/wasm32-wasi/stdio.h"),
    Need::File(
        "libclang-rt-dev-wasm32",
        "/usr/share/doc/libclang-rt-dev-wasm32",
    ),
];
/// Where our own WIT lies.
const WIT: &str = "contract/wit";
const TARGET: &str = "--target=wasm32-wasi";
const WARNINGS: [&str; 3] = ["-Wall", "-Wextra", "-Werror"];

/// Gets what programs in C are built with; an error says why it cannot be had.
pub fn ensure() -> Result<()> {
    ensure_packages(&NEEDS)
}

/// The component of a program.
pub fn build(paths: &Paths, program: &CProgram) -> Result<PathBuf> {
    ensure()?;
    progress::step(&format!("Building {}", program.source), || {
        let tool = build_tool(paths)?;
        let folder = paths.out().join("c").join(&program.binary);
        bindings(paths, program, &tool, &folder)?;
        let module = folder.join("module.wasm");
        compile(paths, program, &folder, &module)?;
        let component = folder.join(format!("{}.wasm", program.binary));
        let kind = if program.is_library {
            "library"
        } else {
            "program"
        };
        let mut encode = Command::new(tool);
        encode.args(["encode", kind]).args([&module, &component]);
        command::run(&mut encode)?;
        Ok(component)
    })
}

/// Not in the release profile: that takes longer to build than it ever runs.
fn build_tool(paths: &Paths) -> Result<PathBuf> {
    const TOOL: &str = "xtask-c-component";
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(&paths.root)
        .args(["build", "--quiet", "--package", TOOL]);
    command::run(&mut cargo)?;
    Ok(paths.target.join("debug").join(TOOL))
}

fn bindings(paths: &Paths, program: &CProgram, tool: &Path, folder: &Path) -> Result<()> {
    let wit = paths.source(WIT);
    let mut command = Command::new(tool);
    command.args(["bindings", &program.world]).arg(folder);
    command.args(program.wit.iter().map(|package| wit.join(package)));
    command::run(&mut command)
}

fn compile(paths: &Paths, program: &CProgram, folder: &Path, module: &Path) -> Result<()> {
    let (_, world) = program.world.rsplit_once('/').ok_or_else(|| {
        Failure::input(
            &program.world,
            "a world is named as in `kpio:demo/provider`",
        )
    })?;
    paths::make_folder(folder)?;
    let mut clang = Command::new("clang");
    clang
        .args([TARGET, "-Os", "-Wl,--strip-debug"])
        .args(WARNINGS);
    if program.is_library {
        clang.arg("-mexec-model=reactor");
    }
    clang
        .arg("-I")
        .arg(folder)
        .arg(paths.source(&program.source));
    clang.arg(folder.join(format!("{world}.c")));
    clang.arg(folder.join(format!("{world}_component_type.o")));
    command::run(clang.arg("-o").arg(module))
}
