//! What holds for the whole tree and no compiler says: `cargo xtask check`.
//!
//! Law: a check lists all that it finds before it fails, each finding with its place.

mod docs;
mod kernel;
mod layers;
mod lints;
mod services;
mod unsafety;
mod words;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::build;
use crate::command;
use crate::failure::{Failure, Result};
use crate::paths::Paths;

/// One check.
pub struct Check {
    /// Its name, as tests print it.
    pub name: &'static str,
    /// Runs it; the error says all that was found.
    pub run: fn(&Paths) -> Result<()>,
}

/// All checks, cheap ones first. The last ones need a linked kernel.
pub const CHECKS: &[Check] = &[
    Check {
        name: "format",
        run: lints::format,
    },
    Check {
        name: "layers",
        run: layers::check,
    },
    Check {
        name: "unsafe-code",
        run: unsafety::check,
    },
    Check {
        name: "words",
        run: words::check,
    },
    Check {
        name: "services",
        run: services::check,
    },
    Check {
        name: "paths-in-docs",
        run: docs::check,
    },
    Check {
        name: "third-party-notices",
        run: notices,
    },
    Check {
        name: "kernel-symbols",
        run: kernel::symbols,
    },
    Check {
        name: "kernel-relocations",
        run: kernel::relocations,
    },
    Check {
        name: "kernel-syscalls",
        run: kernel::syscalls,
    },
    Check {
        name: "clippy",
        run: lints::clippy,
    },
];

/// Runs all of them and says how each went.
pub fn run(paths: &Paths) -> Result<ExitCode> {
    build::build_kernel(paths)?;
    let mut failed = false;
    for check in CHECKS {
        match (check.run)(paths) {
            Ok(()) => println!("{}: ok", check.name),
            Err(failure) => {
                println!("{}: FAILED\n{failure}", check.name);
                failed = true;
            }
        }
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// What an image holds of others is named, and may be used.
fn notices(paths: &Paths) -> Result<()> {
    let mut tool = Command::new("cargo");
    tool.current_dir(&paths.root);
    tool.args(["run", "--quiet", "-p", "xtask-notices", "--", "check"]);
    command::capture(&mut tool).map(drop)
}

/// No findings, or an error that lists them.
fn verdict<F: Display>(findings: impl IntoIterator<Item = F>) -> Result<()> {
    let list: Vec<String> = findings
        .into_iter()
        .map(|finding| format!("  {finding}"))
        .collect();
    if list.is_empty() {
        Ok(())
    } else {
        Err(Failure::Findings(list.join("\n")))
    }
}

/// Files that belong to the repository (tracked, or new and not ignored) with one of these endings.
fn files(paths: &Paths, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    git.current_dir(&paths.root)
        .args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let listed = command::capture(&mut git)?;
    let wanted = |file: &&str| endings.iter().any(|ending| file.ends_with(ending));
    let files = listed.lines().filter(wanted).map(PathBuf::from);
    // Deleted but not yet committed files are still listed.
    Ok(files
        .filter(|file| paths.root.join(file).is_file())
        .collect())
}

/// A place in a file, for findings.
fn place(file: &Path, line_index: usize) -> String {
    format!("{}:{}", file.display(), line_index + 1)
}
