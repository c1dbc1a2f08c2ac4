//! The project's tool: everything that is done on the host is `cargo xtask COMMAND`.
//!
//! Law: people type two commands, `cargo xtask run` and `cargo xtask test`; what is missing is got by this tool.
//! Results go to stdout, talk goes to stderr. One folder or file per concern, in the order of work: [`setup`],
//! [`build`], [`programs`], [`image`], [`qemu`], [`run`].

mod bench;
mod build;
mod c_programs;
mod check;
mod command;
mod digest;
mod failure;
mod image;
mod oracle;
mod paths;
mod programs;
mod progress;
mod qemu;
mod run;
mod setup;
mod suites;
mod system;
mod workspace;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use failure::{Failure, Result};
use paths::{Paths, Variant};
use run::Recording;
use setup::{Need, ensure_packages};

const HELP: &str = "\
cargo xtask run [--headless] [--cpus N] [--memory MIB] [--checks] [--gdb] [--system NAME]
    Builds everything, boots it, and gives its prompt on this terminal; --checks: a kernel that watches itself;
    --system: what `system/NAME.toml` describes.
cargo xtask run [OPTION…] [--dir HOST_DIR] [--out HOST_DIR] [--stdin FILE] [--jit] -- PROGRAM.wasm ARG…
    Boots, runs one program with HOST_DIR as its `/`, and exits with its exit code; --jit: compiled there, with
    --compiler baseline|cranelift by that compiler only.
cargo xtask run [OPTION…] --invoke FUNCTION -- PROGRAM.wasm ARG…
    Calls one exported function of a core module and prints its results.
cargo xtask trace [--trace FILE] [--events CATEGORY,CATEGORY…] [OPTION…] -- PROGRAM.wasm ARG…
    The same, and writes what the kernel traced meanwhile: FILE, or target/kpio/trace.json, for ui.perfetto.dev.
cargo xtask profile [--profile FILE.svg] [--hz N] [OPTION…] -- PROGRAM.wasm ARG…
    The same, and writes what ran meanwhile: a flame graph, FILE.svg or target/kpio/profile.svg, and FILE.folded.
cargo xtask test [SUITE…] [--long] [--seed N]
    Runs all test suites, or those named; --long: for hours, where a suite (`stress`, `fuzz`, `faults`) can; --seed: what is
    random in `faults`, `hostile` and `stress`.
cargo xtask check
    Formatting, lints, layers, unsafe code, and what the linked kernel may hold.
cargo xtask bench [SUITE…] [--filter TEXT] [--rounds N] [--peer DIR [--large] [--results FILE]… [--write-docs]]
    Measures boot, memory, native, wasm and wasi: one line of JSON per figure. With a Linux guest in DIR, both.
cargo xtask bench --bless-budgets
    Counts instructions and writes bench/budgets.toml.
cargo xtask build
    Builds kernel and loader.
cargo xtask image [--checks]
    Writes target/kpio.img, and .vdi and .vmdk of it; --checks: target/kpio/base-checks.img instead.
";

fn main() -> ExitCode {
    match dispatch(env::args().skip(1)) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(mut words: impl Iterator<Item = String>) -> Result<ExitCode> {
    let command = words.next().unwrap_or_else(|| "help".into());
    let paths = Paths::find()?;
    match command.as_str() {
        "run" => run::run(&paths, &run::Options::parse(words)?),
        "trace" => run::run(
            &paths,
            &recorded(&paths, "trace.json", Recording::trace, words)?,
        ),
        "profile" => run::run(
            &paths,
            &recorded(&paths, "profile.svg", Recording::profile, words)?,
        ),
        "test" => suites::run(&paths, &words.collect::<Vec<_>>()),
        "check" => check::run(&paths),
        "bench" => bench::run(&paths, &bench::Options::parse(words)?),
        "build" => build::build_all(&paths).map(|()| ExitCode::SUCCESS),
        "image" => write_images(&paths, words.next().as_deref()).map(|()| ExitCode::SUCCESS),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        _ => Err(Failure::Usage(format!("there is no command `{command}`"))),
    }
}

/// The options of a run that is recorded, into a file of the target folder unless they name another.
fn recorded(
    paths: &Paths,
    file: &str,
    recording: fn(PathBuf) -> Recording,
    words: impl Iterator<Item = String>,
) -> Result<run::Options> {
    let recording = recording(paths.out().join(file));
    let options = run::Options::parse_with(Some(recording), words)?;
    if options.program.is_none() {
        return Err(Failure::Usage(
            "what is recorded is the run of a program, `-- PROGRAM.wasm ARG…`".into(),
        ));
    }
    Ok(options)
}

fn write_images(paths: &Paths, option: Option<&str>) -> Result<()> {
    match option {
        None => write_product_images(paths),
        Some("--checks") => write_checks_image(paths),
        Some(other) => Err(Failure::Usage(format!("`image` does not know `{other}`"))),
    }
}

fn write_checks_image(paths: &Paths) -> Result<()> {
    build::build_all_of(paths, Variant::Checks)?;
    let image = image::system_image(paths, "base", Variant::Checks)?;
    println!("{}", image.display());
    Ok(())
}

fn write_product_images(paths: &Paths) -> Result<()> {
    ensure_packages(&[Need::Program("qemu-img")])?;
    build::build_all(paths)?;
    let image = image::system_image(paths, "base", Variant::Plain)?;
    let converted = image::convert(&image)?;
    println!("{}", image.display());
    converted
        .iter()
        .for_each(|file| println!("{}", file.display()));
    Ok(())
}
