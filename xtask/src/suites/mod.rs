//! The test suites: `cargo xtask test [SUITE…]`.
//!
//! Law: a suite is one file here and one line in [`SUITES`]. Every test prints one line; what fails prints why, and
//! the run ends with the counts. No test asserts on time: deadlines guard against hanging only. A test that
//! cannot be run here is skipped with its reason, never silently. Suites that boot guests run side by side ([`lanes`]).

mod boot;
mod budgets;
mod check;
mod checks;
mod console;
mod console_service;
mod crashes;
mod damage;
mod demo;
mod faults;
mod fuzz;
pub mod guests;
mod host;
mod hostile;
mod interrupts;
mod jobs;
mod keys;
mod lanes;
mod loader;
mod oracle;
mod pictures;
mod report;
mod screen;
mod services;
mod shell;
mod spec;
mod stress;
mod sysroot;
mod trace;

pub use report::Report;

use std::process::ExitCode;
use std::time::Instant;

use crate::failure::{Failure, Result};
use crate::paths::Paths;

/// A group of tests that is run by name.
pub struct Suite {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it shows, in a few words.
    pub about: &'static str,
    /// Whether it keeps all processors busy by itself: then nothing runs beside it.
    pub is_alone: bool,
    /// Runs its tests. An error means that they could not be run, and counts as a failure.
    pub run: fn(&Paths, &mut Report) -> Result<()>,
}

/// All suites, cheap ones first.
pub const SUITES: &[Suite] = &[
    Suite {
        name: "host",
        about: "what runs on the host: cargo's tests of every crate",
        is_alone: true,
        run: host::run,
    },
    Suite {
        name: "check",
        about: "formatting, lints, layers, unsafe code, the linked kernel",
        is_alone: true,
        run: check::run,
    },
    Suite {
        name: "fuzz",
        about: "bad input to everything that reads bytes of others: a fixed number of cases, and planted defects",
        is_alone: true,
        run: fuzz::run,
    },
    Suite {
        name: "sysroot",
        about: "a target's standard library is made from its sources",
        is_alone: true,
        run: sysroot::run,
    },
    Suite {
        name: "loader",
        about: "damaged boot volumes are refused with a sentence",
        is_alone: false,
        run: loader::run,
    },
    Suite {
        name: "damage",
        about: "damaged contents of an image are refused with a sentence, and the system goes on",
        is_alone: false,
        run: damage::run,
    },
    Suite {
        name: "boot",
        about: "machines of many kinds boot to the prompt and run ripgrep",
        is_alone: false,
        run: boot::run,
    },
    Suite {
        name: "crashes",
        about: "a kernel that fails says why, where and with what names",
        is_alone: false,
        run: crashes::run,
    },
    Suite {
        name: "checks",
        about: "a kernel that watches itself finds bugs that do no harm yet",
        is_alone: false,
        run: checks::run,
    },
    Suite {
        name: "interrupts",
        about: "exceptions and interrupts that go wrong come to what they must, and nobody else notices",
        is_alone: false,
        run: interrupts::run,
    },
    Suite {
        name: "screen",
        about: "the terminal on the screen: keys, mouse, layouts, golden pictures",
        is_alone: false,
        run: screen::run,
    },
    Suite {
        name: "shell",
        about: "the shell does what bash does, and a person can live in it",
        is_alone: false,
        run: shell::run,
    },
    Suite {
        name: "services",
        about: "services start in order, come back, are given up, stop, are replaced and reloaded",
        is_alone: false,
        run: services::run,
    },
    Suite {
        name: "demo",
        about: "services call each other, and nobody minds a kill, an upgrade, a revocation",
        is_alone: false,
        run: demo::run,
    },
    Suite {
        name: "console-service",
        about: "the console is a service: four terminals, and nobody on them minds that it is killed",
        is_alone: false,
        run: console_service::run,
    },
    Suite {
        name: "faults",
        about: "services survive faults of every kind in every state of a call, from a seed; all of it comes back",
        is_alone: false,
        run: faults::run,
    },
    Suite {
        name: "hostile",
        about: "programs that misbehave end with a sentence, and all their memory comes back",
        is_alone: false,
        run: hostile::run,
    },
    Suite {
        name: "stress",
        about: "storms of everything that the kernel hands out, from a seed; all of it comes back",
        is_alone: false,
        run: stress::run,
    },
    Suite {
        name: "jobs",
        about: "one program in a machine of its own: output, exit code, input, tree",
        is_alone: false,
        run: jobs::run,
    },
    Suite {
        name: "trace",
        about: "the log's levels, traces and profiles, at the prompt and of recorded runs",
        is_alone: false,
        run: trace::run,
    },
    Suite {
        name: "budgets",
        about: "no operation takes more instructions than bench/budgets.toml allows",
        is_alone: false,
        run: budgets::run,
    },
    Suite {
        name: "oracle",
        about: "programs do here what they do under Wasmtime on this machine, byte for byte",
        is_alone: false,
        run: oracle::run,
    },
    Suite {
        name: "spec",
        about: "WebAssembly's own tests with every proposal's, and those of components, inside the kernel",
        is_alone: false,
        run: spec::run,
    },
];

/// Asks suites for their long form.
const LONG: &str = "--long";
/// Decides what is random in suites that have a seed.
const SEED: &str = "--seed";

/// Runs the suites of those names, or all; fails if a test did.
pub fn run(paths: &Paths, names: &[String]) -> Result<ExitCode> {
    let Chosen {
        names,
        is_long,
        seed,
    } = Chosen::parse(names)?;
    let chosen = choose(&names)?;
    let mut report = Report::new(paths, is_long, seed);
    // One alone needs no lane, and is what a lane runs.
    let (first, beside): (Vec<_>, Vec<_>) = chosen
        .iter()
        .partition(|suite| suite.is_alone || chosen.len() == 1);
    for suite in first {
        run_suite(paths, suite, &mut report);
    }
    lanes::run(&beside, &mut report);
    Ok(if report.close() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn run_suite(paths: &Paths, suite: &Suite, report: &mut Report) {
    report.begin(suite.name, suite.about);
    let started = Instant::now();
    if let Err(failure) = (suite.run)(paths, report) {
        report.failed("the suite itself", &failure.to_string());
    }
    println!("{} took {} s", suite.name, started.elapsed().as_secs());
}

/// What is asked for on the command line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Chosen<'a> {
    names: Vec<&'a String>,
    is_long: bool,
    seed: Option<u64>,
}

impl<'a> Chosen<'a> {
    fn parse(words: &'a [String]) -> Result<Chosen<'a>> {
        let mut chosen = Chosen::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                LONG => chosen.is_long = true,
                SEED => {
                    let number = words.next().and_then(|number| number.parse().ok());
                    let missing = || Failure::Usage(format!("`{SEED}` needs a number"));
                    chosen.seed = Some(number.ok_or_else(missing)?);
                }
                _ => chosen.names.push(word),
            }
        }
        Ok(chosen)
    }
}

fn choose(names: &[&String]) -> Result<Vec<&'static Suite>> {
    if names.is_empty() {
        return Ok(SUITES.iter().collect());
    }
    names.iter().map(|name| find(name)).collect()
}

fn find(name: &str) -> Result<&'static Suite> {
    let all = || {
        SUITES
            .iter()
            .map(|suite| suite.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let found = SUITES.iter().find(|suite| suite.name == name);
    found.ok_or_else(|| Failure::Usage(format!("there is no suite `{name}`; there are {}", all())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stand_anywhere() {
        let words = ["--seed", "7", "faults", "--long"].map(str::to_owned);
        let chosen = Chosen::parse(&words);
        let expected = Chosen {
            names: vec![&words[2]],
            is_long: true,
            seed: Some(7),
        };
        assert!(chosen.is_ok_and(|chosen| chosen == expected));
        for wrong in [&["--seed"][..], &["--seed", "faults"]] {
            let words: Vec<String> = wrong.iter().map(|&word| word.to_owned()).collect();
            assert!(Chosen::parse(&words).is_err(), "{wrong:?}");
        }
    }
}
