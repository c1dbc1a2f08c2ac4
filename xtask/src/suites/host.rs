//! Everything that is tested without a guest: cargo's tests of every crate that can run on the host.
//!
//! Crates that contain Wasmtime are tested in the release profile, so that it is built once. What contains the
//! kernel's libc cannot run here: it would take the host's place.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::Report;
use crate::command;
use crate::failure::{Failure, Result};
use crate::paths::Paths;
use crate::workspace::{self, Member};

/// The crate that replaces the host's C library wherever it is linked.
const KERNEL_LIBC: &str = "kernel-libc";
const WASMTIME: &str = "wasmtime";

/// Programs of the system, whose logic is tested here too: a workspace of their own.
const USERLAND: &str = "userland/Cargo.toml";
/// What only generated bindings are made of has no tests, and no meaning outside a guest.
const BINDINGS: &str = "sdk";

/// Runs the tests of every crate.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    let members = workspace::members(paths)?;
    let testable = members.iter().filter(|member| runs_on_the_host(member));
    let (release, dev): (Vec<&Member>, Vec<&Member>) =
        testable.partition(|member| member.closure.contains(WASMTIME));
    cargo_test(paths, report, "dev", &packages(&dev))?;
    cargo_test(paths, report, "release", &packages(&release))?;
    let userland = [
        "--manifest-path",
        USERLAND,
        "--workspace",
        "--exclude",
        BINDINGS,
    ];
    cargo_test(paths, report, "dev", &userland)
}

fn packages<'a>(members: &[&'a Member]) -> Vec<&'a str> {
    let words = members.iter().flat_map(|member| ["-p", &member.name]);
    words.collect()
}

fn runs_on_the_host(member: &Member) -> bool {
    member.name != KERNEL_LIBC && !member.closure.contains(KERNEL_LIBC)
}

/// One invocation for all crates of a profile and workspace: features are then resolved once, and nothing is built twice.
fn cargo_test(paths: &Paths, report: &mut Report, profile: &str, which: &[&str]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(&paths.root)
        .args(["test", "--no-fail-fast", "--profile", profile]);
    cargo.args(which);
    // Names of the test programs come over stderr, the tests' over stdout: one pipe keeps their order.
    let broken = |e| Failure::io("read the output of", "cargo", e);
    let (output, input) = std::io::pipe().map_err(broken)?;
    cargo
        .stdin(Stdio::null())
        .stdout(input.try_clone().map_err(broken)?)
        .stderr(input);
    let mut child = cargo
        .spawn()
        .map_err(|e| Failure::io("start", "cargo", e))?;
    let name = command::display(&cargo);
    // The command holds ends of the pipe, which would never be at its end.
    drop(cargo);
    let mut lines = Lines::default();
    let output = BufReader::new(output)
        .lines()
        .map_while(std::io::Result::ok);
    output.for_each(|line| lines.take(report, line));
    let status = child
        .wait()
        .map_err(|e| Failure::io("wait for", "cargo", e))?;
    lines.finish(report);
    // A test program that dies prints no line for its test; a crate that does not compile has no program.
    if !status.success() && lines.failures == 0 {
        report.failed(
            &format!("all tests in the {profile} profile"),
            &format!("`{name}` failed ({status})"),
        );
    }
    Ok(())
}

/// Reads the output of cargo and of Rust's test programs line by line.
#[derive(Default)]
struct Lines {
    /// The test program whose output is being read.
    program: String,
    /// Tests of it that failed.
    open: BTreeSet<String>,
    /// All that it printed behind the line "failures:".
    details: Vec<String>,
    in_details: bool,
    failures: usize,
}

impl Lines {
    fn take(&mut self, report: &mut Report, line: String) {
        if let Some(program) = program_name(&line) {
            self.program = program;
        } else if line == "failures:" {
            self.in_details = true;
        } else if line.starts_with("test result:") {
            self.finish(report);
        } else if self.in_details {
            self.details.push(line);
        } else if let Some((name, verdict)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.rsplit_once(" ... "))
        {
            self.verdict(report, name, verdict);
        } else if !line.is_empty() && !line.starts_with("running ") {
            eprintln!("{line}");
        }
    }

    fn verdict(&mut self, report: &mut Report, name: &str, verdict: &str) {
        let name = format!("{}::{name}", self.program);
        match verdict {
            "ok" => report.passed(&name, 0),
            "FAILED" => drop(self.open.insert(name)),
            _ => report.skipped(&name, verdict),
        }
    }

    /// The program is at its end: its failures are reported together with what they printed.
    fn finish(&mut self, report: &mut Report) {
        self.failures += self.open.len();
        let details = self.details.join("\n");
        for (number, name) in std::mem::take(&mut self.open).iter().enumerate() {
            report.failed(name, if number == 0 { &details } else { "see above" });
        }
        self.details.clear();
        self.in_details = false;
    }
}

/// The program that cargo says it starts now: `Running unittests src/lib.rs (…/deps/lib_pipe-0123)`.
fn program_name(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(documented) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{documented} (in its documentation)"));
    }
    let file = line.strip_prefix("Running ")?.rsplit_once("/deps/")?.1;
    Some(file.rsplit_once('-')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_named_as_its_crate() {
        let line = "     Running unittests src/lib.rs (target/debug/deps/lib_pipe-0ab1)";
        assert_eq!(program_name(line).as_deref(), Some("lib_pipe"));
        assert_eq!(program_name("test a ... ok"), None);
    }
}
