//! One program in a machine of its own, as a person at a shell sees it: output, exit code, input, tree.
//!
//! The tool is run as a command of its own, so that what is tested includes that nothing else is printed.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::Report;
use super::report::unmet;
use crate::build;
use crate::command;
use crate::failure::{Failure, Result};
use crate::paths::{self, Paths};
use crate::programs;
use crate::run::NEEDS;
use crate::setup::ensure_packages;
use crate::system::System;

/// Runs the utilities in every way that the command line offers.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    build::build_all(paths)?;
    let jobs = Jobs {
        utilities: utilities(paths)?,
        scratch: paths.out().join("jobs-suite"),
    };
    report.test("output-and-success", || jobs.output_and_success());
    report.test("failure-code", || jobs.failure_code());
    report.test("own-stdin", || jobs.own_stdin());
    report.test("long-stdin-from-a-file", || jobs.long_stdin());
    report.test("tree-in-and-out", || jobs.tree());
    report.test("garbage-is-refused", || jobs.garbage(&[]));
    report.test("garbage-is-refused-by-the-kernel", || {
        jobs.garbage(&["--jit"])
    });
    report.test("a-file-that-is-not-there", || jobs.missing());
    Ok(())
}

/// The component that holds all of coreutils; its second argument says which.
fn utilities(paths: &Paths) -> Result<PathBuf> {
    let system = System::load(paths, "base")?;
    let program = system
        .programs
        .iter()
        .find(|program| program.binary == "coreutils");
    programs::build(
        paths,
        program.ok_or_else(|| unmet("the base system has no coreutils"))?,
    )
}

struct Jobs {
    utilities: PathBuf,
    /// Files of the host that tests make.
    scratch: PathBuf,
}

impl Jobs {
    fn output_and_success(&self) -> Result<()> {
        let output = self.utility(&[], &["echo", "two", "words"], Stdio::null())?;
        check(&output, 0, "two words\n", "")
    }

    fn failure_code(&self) -> Result<()> {
        let output = self.utility(&[], &["cat", "/absent"], Stdio::null())?;
        check(&output, 1, "", "/absent")
    }

    fn own_stdin(&self) -> Result<()> {
        let input = self.file("lines", b"b\nc\na\n")?;
        let input = File::open(&input).map_err(|e| Failure::io("read", &input, e))?;
        let output = self.utility(&[], &["sort"], input.into())?;
        check(&output, 0, "a\nb\nc\n", "")
    }

    /// More than the guest has room for at once.
    fn long_stdin(&self) -> Result<()> {
        let bytes: Vec<u8> = (0..300_000_u32)
            .map(|number| (number % 251) as u8)
            .collect();
        let file = self.file("long", &bytes)?;
        let output = self.utility(&["--stdin", text(&file)], &["sha256sum"], Stdio::null())?;
        check(
            &output,
            0,
            &format!("{}  -\n", crate::digest::hex(&bytes)),
            "",
        )
    }

    fn tree(&self) -> Result<()> {
        let (tree_in, tree_out) = (self.scratch.join("in"), self.scratch.join("out"));
        if tree_out.exists() {
            fs::remove_dir_all(&tree_out).map_err(|e| Failure::io("remove", &tree_out, e))?;
        }
        paths::write(&tree_in.join("folder/original"), b"contents")?;
        let options = ["--dir", text(&tree_in), "--out", text(&tree_out)];
        let output = self.utility(
            &options,
            &["mv", "/folder/original", "/moved"],
            Stdio::null(),
        )?;
        check(&output, 0, "", "")?;
        let moved = paths::read(&tree_out.join("moved"))?;
        if moved != b"contents"
            || tree_out.join("folder/original").exists()
            || !tree_out.join("folder").is_dir()
        {
            return Err(unmet("the tree that came out is not what `mv` left"));
        }
        Ok(())
    }

    fn garbage(&self, options: &[&str]) -> Result<()> {
        let file = self.file("garbage.wasm", b"this is no component\n")?;
        let output = xtask_run(options, &file, &[], Stdio::null())?;
        check(&output, 126, "", "garbage.wasm")
    }

    fn missing(&self) -> Result<()> {
        let output = xtask_run(&[], &self.scratch.join("absent.wasm"), &[], Stdio::null())?;
        check(&output, 126, "", "absent.wasm")
    }

    fn utility(&self, options: &[&str], words: &[&str], stdin: Stdio) -> Result<Output> {
        xtask_run(options, &self.utilities, words, stdin)
    }

    fn file(&self, name: &str, contents: &[u8]) -> Result<PathBuf> {
        let file = self.scratch.join(name);
        paths::write(&file, contents)?;
        Ok(file)
    }
}

/// Runs this tool's `run` on a program.
fn xtask_run(options: &[&str], program: &Path, words: &[&str], stdin: Stdio) -> Result<Output> {
    let this = env::current_exe().map_err(|e| Failure::io("find", "this program", e))?;
    let mut run = Command::new(this);
    run.args(["run", "--headless"])
        .args(options)
        .arg("--")
        .arg(program)
        .args(words);
    let output = run.stdin(stdin).output();
    output.map_err(|e| Failure::io("start", command::display(&run), e))
}

/// The exit code and all of stdout, and a part of stderr; where no part is expected, there is none.
fn check(output: &Output, code: i32, stdout: &str, in_stderr: &str) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    let stderr_fits =
        complained.contains(in_stderr) && complained.is_empty() == in_stderr.is_empty();
    if output.status.code() == Some(code) && said == stdout && stderr_fits {
        return Ok(());
    }
    Err(unmet(format!(
        "expected code {code}, {stdout:?} and {in_stderr:?} on stderr; got {}, {said:?} and {complained:?}",
        output.status
    )))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}
