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

/// Runs the tests of every crate.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    let members = workspace::members(paths)?;
    let testable = members.iter().filter(|member| runs_on_the_host(member));
    let (release, dev): (Vec<&Member>, Vec<&Member>) =
        testable.partition(|member| member.closure.contains(WASMTIME));
    cargo_test(paths, report, &dev, &[])?;
    cargo_test(paths, report, &release, &["--release"])
}

fn runs_on_the_host(member: &Member) -> bool {
    member.name != KERNEL_LIBC && !member.closure.contains(KERNEL_LIBC)
}

fn cargo_test(
    paths: &Paths,
    report: &mut Report,
    members: &[&Member],
    options: &[&str],
) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(&paths.root)
        .args(["test", "--no-fail-fast"])
        .args(options);
    cargo.args(members.iter().flat_map(|member| ["-p", &member.name]));
    let mut lines = Lines::default();
    let mut child = cargo
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| Failure::io("start", "cargo", e))?;
    if let Some(output) = child.stdout.take() {
        BufReader::new(output)
            .lines()
            .map_while(std::io::Result::ok)
            .for_each(|line| lines.take(report, line));
    }
    let status = child
        .wait()
        .map_err(|e| Failure::io("wait for", "cargo", e))?;
    lines.finish(report);
    // A test program that dies prints no line for its test; a crate that does not compile has no program.
    if !status.success() && lines.failures == 0 {
        return Err(Failure::Program {
            command: command::display(&cargo),
            status: status.to_string(),
            output: String::new(),
        });
    }
    Ok(())
}

/// Reads the output of Rust's test programs line by line.
#[derive(Default)]
struct Lines {
    /// Tests that failed in the program whose output is being read.
    open: BTreeSet<String>,
    /// All that the program printed behind the line "failures:".
    details: Vec<String>,
    in_details: bool,
    failures: usize,
}

impl Lines {
    fn take(&mut self, report: &mut Report, line: String) {
        if line == "failures:" {
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
        }
    }

    fn verdict(&mut self, report: &mut Report, name: &str, verdict: &str) {
        match verdict {
            "ok" => report.passed(name, 0),
            "FAILED" => drop(self.open.insert(name.to_owned())),
            _ => report.skipped(name, verdict),
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
