//! One program in a machine of its own: `cargo xtask run -- PROGRAM.wasm ARG…`.
//!
//! Law: stdout and stderr of this command are the program's and nobody else's, and so is the exit code.
//! What this tool has to say comes on stderr, and only when the program could not be run:
//! [`UNUSABLE`] if that is the program's fault, [`MACHINE_FAILED`] if it is ours.
//!
//! The kernel learns what to do by words of its command line: [`WORD_JOB`], [`WORD_TREE`] and [`WORD_EXIT`].

mod input;
mod output;
mod recording;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Compiler, NEEDS, Options, Recording, interactive, terminal};
use crate::build;
use crate::failure::{Failure, Result};
use crate::image::{self, Job, Parts};
use crate::paths::Paths;
use crate::programs;
use crate::progress;
use crate::qemu::{Guest, Machine};
use crate::setup::ensure_packages;

/// The image of jobs: their programs bring their own tree.
const SYSTEM: &str = "job";
/// Run the job over the host link, then power off.
const WORD_JOB: &str = "job";
/// Send the job's tree back at the end.
const WORD_TREE: &str = "job-tree";
/// End the machine when the kernel fails, instead of showing the report for ever.
const WORD_EXIT: &str = "fault=exit";
/// What loader and firmware say before they wait for a key that nobody presses.
const GIVEN_UP: [&str; 2] = ["KPIO cannot start: ", "BdsDxe: failed to "];
/// Exit code for a program that cannot be run, as shells have it.
const UNUSABLE: u8 = 126;
/// Exit code where the machine, or what it is built from, failed: there is none of the program.
const MACHINE_FAILED: u8 = 125;

/// Runs the program; the exit code is its own, or one that says that there is none.
pub fn run(paths: &Paths, options: &Options, program: &Path, arguments: &[String]) -> ExitCode {
    run_program(paths, options, program, arguments).unwrap_or_else(|failure| {
        eprintln!("{failure}");
        ExitCode::from(MACHINE_FAILED)
    })
}

fn run_program(
    paths: &Paths,
    options: &Options,
    program: &Path,
    arguments: &[String],
) -> Result<ExitCode> {
    progress::make_transient();
    ensure_packages(&NEEDS)?;
    options
        .tree_out
        .as_deref()
        .map(tree::check_free)
        .transpose()?;
    if let Err(failure) =
        fs::File::open(program).map_err(|e| Failure::io("read the program", program, e))
    {
        return Ok(unusable(&failure));
    }
    build::build_all_of(paths, options.variant)?;
    let compiled = match precompiled(paths, options, program) {
        Ok(compiled) => compiled,
        Err(failure) => return Ok(unusable(&failure)),
    };
    let job = Job {
        wasm: program.into(),
        compiled,
        arguments: named(program, arguments),
        function: options.invoke.clone(),
        tree: options.tree_in.clone(),
    };
    let image = JobImage::write(paths, options, &job)?;
    let machine = Machine {
        display: None,
        ..interactive::machine(paths, options, image.0.clone())?
    };
    if options.gdb {
        eprintln!("{}", interactive::debugger_line(paths, options));
    }
    converse(paths, options, &machine)
}

fn precompiled(paths: &Paths, options: &Options, program: &Path) -> Result<Option<PathBuf>> {
    if options.jit || options.compiler.is_some() {
        return Ok(None);
    }
    programs::precompile(paths, program).map(Some)
}

/// What the compiler said is the sentence; how it was started is not.
fn unusable(failure: &Failure) -> ExitCode {
    match failure {
        Failure::Program { output, .. } if !output.trim().is_empty() => {
            eprintln!("{}", output.trim_end())
        }
        other => eprintln!("{other}"),
    }
    ExitCode::from(UNUSABLE)
}

/// Arguments with the program's name in front.
fn named(program: &Path, arguments: &[String]) -> Vec<String> {
    let name = program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    std::iter::once(name)
        .chain(arguments.iter().cloned())
        .collect()
}

/// A disk image that is removed when the run ends.
struct JobImage(PathBuf);

impl JobImage {
    fn write(paths: &Paths, options: &Options, job: &Job) -> Result<Self> {
        let mut parts = Parts::collect(paths, SYSTEM, options.variant)?;
        parts.job = Some(image::job_bundle(job)?);
        let tree = if options.tree_out.is_some() {
            WORD_TREE
        } else {
            ""
        };
        let recording = options
            .recording
            .as_ref()
            .map_or(String::new(), Recording::word);
        let compiler = options.compiler.map_or("", Compiler::word);
        parts.command_line = format!(
            "{} {WORD_EXIT} {WORD_JOB} {tree} {compiler} {recording}",
            parts.command_line
        )
        .trim()
        .to_owned();
        let file = paths
            .out()
            .join("jobs")
            .join(format!("{}.img", std::process::id()));
        parts.write_disk(&file)?;
        Ok(Self(file))
    }
}

impl Drop for JobImage {
    fn drop(&mut self) {
        // It lies among other things that are built; the next `cargo clean` takes it.
        let _ = fs::remove_file(&self.0);
    }
}

/// In the words of whoever gave up, or by how the machine ended.
fn how_it_failed(guest: &mut Guest) -> Result<String> {
    match guest.line_with(&GIVEN_UP) {
        Some(line) => Ok(line.trim().to_owned()),
        None => Ok(format!("{:?}", guest.wait()?)),
    }
}

/// Boots, and passes everything through until the guest says how the program ended.
fn converse(paths: &Paths, options: &Options, machine: &Machine) -> Result<ExitCode> {
    let log = paths
        .out()
        .join("logs")
        .join(format!("job-{}.log", std::process::id()));
    let (mut guest, link) = Guest::boot_linked(machine, &log)?;
    let to_guest = link
        .try_clone()
        .map_err(|e| Failure::io("share", "the host link", e))?;
    let input = input::Sender::start(options, to_guest)?;
    let code = output::receive(link, &input, options, || {
        guest.line_with(&GIVEN_UP).is_some()
    })?;
    let Some(code) = code else {
        eprintln!(
            "the machine failed before the program ended ({}); the kernel's log is in {}",
            how_it_failed(&mut guest)?,
            log.display()
        );
        return Ok(ExitCode::from(MACHINE_FAILED));
    };
    guest.wait()?;
    // Nobody needs the log of a run that went well.
    let _ = fs::remove_file(&log);
    Ok(terminal::exit_code(code))
}
