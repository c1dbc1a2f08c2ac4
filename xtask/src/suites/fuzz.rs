//! Bad input: a fixed number of cases of every target of `test/fuzz`, from kept seeds and mutations of them.
//!
//! Law: each target prints one line with its count. Then the same cases run once more with a defect planted in front of what they test,
//! which they must find: a target that finds nothing any more turns this suite red. `KPIO_SEED` decides other mutations than
//! those that are always run; `--long` runs a hundred times as many.
//!
//! What is without WebAssembly is built unoptimised, so that arithmetic that goes over is noticed; what contains Wasmtime in the release
//! profile, from the copy that everything else shares.

use std::env;
use std::process::Command;

use super::Report;
use super::report::unmet;
use crate::command;
use crate::failure::Result;
use crate::paths::Paths;

/// Packages of `test/fuzz` that are drivers, and the profile that each is built in.
const DRIVERS: &[(&str, &str)] = &[("test-fuzz-logic", "dev"), ("test-fuzz-runtime", "release")];
/// How the drivers' lines begin.
const MARK: &str = "fuzz: ";
/// So many times the usual cases in the long form.
const LONG_TIMES: &str = "100";

/// Runs all cases of all targets, and the planted defects.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    let mut choices = Vec::new();
    if let Ok(seed) = env::var("KPIO_SEED") {
        choices.extend(["--seed".to_owned(), seed]);
    }
    for (package, profile) in DRIVERS {
        let mut words = choices.clone();
        if report.is_long() {
            words.extend(["--times".to_owned(), LONG_TIMES.to_owned()]);
        }
        drive(paths, report, package, profile, &words)?;
        drive(paths, report, package, profile, &["--planted".to_owned()])?;
    }
    Ok(())
}

/// Runs one driver and reports each of its targets.
fn drive(
    paths: &Paths,
    report: &mut Report,
    package: &str,
    profile: &str,
    words: &[String],
) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&paths.root);
    cargo.args(["run", "--quiet", "--package", package, "--profile", profile]);
    cargo.arg("--").args(words);
    let output = command::output(&mut cargo)?;
    let said = String::from_utf8_lossy(&output.stdout);
    let targets = targets(&said);
    for target in &targets {
        match &target.end {
            Some(End::Good(how)) => report.passed(&format!("{}, {how}", target.name), 0),
            Some(End::Bad(why)) => report.failed(target.name, why),
            None => report.failed(target.name, &format!("the driver died ({})", output.status)),
        }
    }
    let is_told = targets
        .iter()
        .any(|target| !matches!(target.end, Some(End::Good(_))));
    if targets.is_empty() || !output.status.success() && !is_told {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(unmet(format!("{package} says nothing: {complaint}")));
    }
    Ok(())
}

/// What a driver said of one target.
#[derive(Debug, PartialEq, Eq)]
struct Heard<'a> {
    name: &'a str,
    /// None if it died on the way.
    end: Option<End>,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    /// All cases passed, or the defect was found.
    Good(String),
    /// With the lines that replay it.
    Bad(String),
}

fn targets(said: &str) -> Vec<Heard<'_>> {
    let mut targets: Vec<Heard<'_>> = Vec::new();
    for line in said.lines() {
        let words = line
            .strip_prefix(MARK)
            .and_then(|line| line.split_once(' '));
        let (verdict, rest) = words.unwrap_or(("", line));
        let (name, how) = rest.split_once(' ').unwrap_or((rest, ""));
        let end = match verdict {
            "begins" => {
                targets.push(Heard { name, end: None });
                continue;
            }
            "ok" => End::Good(how.to_owned()),
            "found" => End::Good(format!("the planted defect is found: {}", short(how))),
            "failed" => End::Bad(how.to_owned()),
            "missed" => End::Bad(format!("a planted defect is not found: {how}")),
            _ => {
                if let Some(Heard {
                    end: Some(End::Bad(why)),
                    ..
                }) = targets.last_mut()
                {
                    why.push_str(&format!("\n{line}"));
                }
                continue;
            }
        };
        match targets.last_mut() {
            Some(last) if last.name == name => last.end = Some(end),
            _ => targets.push(Heard {
                name,
                end: Some(end),
            }),
        }
    }
    targets
}

/// The case; what was seen there fills a screen.
fn short(how: &str) -> &str {
    how.split_once(':').map_or(how, |(case, _)| case)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_comes_to_one_end() {
        let said = "fuzz: begins a\nfuzz: ok a 10 cases, seed 1\nfuzz: begins b\n\
                    fuzz: failed b case 3: it broke\nbytes: 00\nagain: cargo run\n\
                    fuzz: failed c before its cases: no seeds\nfuzz: begins d\n\
                    fuzz: found d case 7: x: y\nfuzz: begins e\nfuzz: missed e a hole\nfuzz: begins f\n";
        let bad = |why: &str| Some(End::Bad(why.to_owned()));
        let good = |how: &str| Some(End::Good(how.to_owned()));
        let expected = [
            ("a", good("10 cases, seed 1")),
            ("b", bad("case 3: it broke\nbytes: 00\nagain: cargo run")),
            ("c", bad("before its cases: no seeds")),
            ("d", good("the planted defect is found: case 7")),
            ("e", bad("a planted defect is not found: a hole")),
            ("f", None),
        ];
        let expected = expected.map(|(name, end)| Heard { name, end });
        assert_eq!(targets(said), expected);
    }
}
