//! WebAssembly's own tests, and those about components, inside the kernel on two CPUs: every file is a test of its own.
//!
//! Law: the guest says how each file ended, or why it does not run, and counts at the end (`test/spec/kernel` has the
//! format); what it says is held against the numbers written down here, so that nothing drops out silently. The
//! suite also boots a few files with defects planted, and demands that each is noticed.

use std::path::{Path, PathBuf};

use super::report::unmet;
use super::{Report, console};
use crate::build;
use crate::failure::Result;
use crate::image::Parts;
use crate::paths::{Paths, Variant};
use crate::qemu::accelerator::{self, Accelerator};
use crate::qemu::{Ending, Guest, Machine};
use crate::run::NEEDS;
use crate::setup::ensure_packages;

/// The image, and the package at the top of its kernel.
const SYSTEM: &str = "spec";
const KERNEL: &str = "test-spec-kernel";
/// What begins a line of the suite's own; the log has others.
const MARK: &str = "spec: ";

/// Everything that `test/spec` has.
const WHOLE: Expected = Expected {
    files: 319,
    assertions: 68_835,
    left_out: 18,
};
/// Files that end soon: between them every planted defect's victim, and every way to an instance.
const FEW: &str = "files=latest/fac.wast,latest/unreachable.wast,multi-memory/load0.wast,\
    simd/simd_i32x4_dot_i16x8.wast,component/resources.wast";
const FEW_EXPECTED: Expected = Expected {
    files: 5,
    assertions: 140,
    left_out: 0,
};
/// Planted defects, and how each must show.
const DEFECTS: [(&str, &str); 5] = [
    ("lost-trap", "invalid instruction"),
    ("skipped-file", "files: 4"),
    ("wrong-result", "latest/fac.wast"),
    ("wrong-vector", "simd/simd_i32x4_dot_i16x8.wast"),
    ("wrong-component", "component/resources.wast"),
];

/// What a run comes to when all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expected {
    files: usize,
    assertions: usize,
    left_out: usize,
}

/// Runs all files, then a few with defects.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    build::build_kernel_of(paths, KERNEL, Variant::Checks)?;
    build::build_loader(paths)?;
    let boots = Boots {
        parts: Parts::collect(paths, SYSTEM, Variant::Checks)?,
        image: paths.out().join(format!("{SYSTEM}.img")),
        accelerator: accelerator::choose(paths)?,
    };
    let log = report.log_file("all-files");
    let ended = boots.start("", &log).and_then(|mut guest| {
        follow(&mut guest, |end| tell(report, end)).and_then(|totals| totals.check(WHOLE))
    });
    report.test("the-counts-are-complete", || ended);
    let log = report.log_file("few-files");
    report.test("a-few-files-alone-pass", || boots.few("", &log));
    for (defect, sign) in DEFECTS {
        let log = report.log_file(defect);
        report.test(&format!("{defect}-is-noticed"), || {
            notices(boots.few(&format!("defect={defect}"), &log), sign)
        });
    }
    Ok(())
}

/// The run must have failed, and for the defect's reason.
fn notices(run: Result<()>, sign: &str) -> Result<()> {
    let Err(failure) = run else {
        return Err(unmet("the planted defect was not noticed"));
    };
    let failure = failure.to_string();
    if failure.contains(sign) {
        Ok(())
    } else {
        Err(unmet(format!(
            "expected {sign:?} in the failure, which was:\n{failure}"
        )))
    }
}

/// What is booted again and again, each time with other words.
struct Boots {
    parts: Parts,
    image: PathBuf,
    accelerator: Accelerator,
}

impl Boots {
    /// Boots with these words added to the command line.
    fn start(&self, words: &str, log: &Path) -> Result<Guest> {
        let mut parts = self.parts.clone();
        parts.command_line = format!("{} {words}", parts.command_line).trim().to_owned();
        parts.write_disk(&self.image)?;
        Guest::boot(&Machine::new(self.accelerator, self.image.clone()), log)
    }

    /// Runs the few files; an error unless all is well with them.
    fn few(&self, words: &str, log: &Path) -> Result<()> {
        let mut guest = self.start(&format!("{FEW} {words}"), log)?;
        let mut first_failure = None;
        let totals = follow(&mut guest, |end| {
            if let FileEnd::Failed { name, why } = end {
                first_failure.get_or_insert(format!("{name}: {why}"));
            }
        })?;
        match first_failure {
            Some(failure) => Err(unmet(failure)),
            None => totals.check(FEW_EXPECTED),
        }
    }
}

/// One line of the guest's.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    File(FileEnd<'a>),
    /// The run's own end, as the guest counted.
    End(Totals),
}

/// How a file ended, or that it does not run.
#[derive(Debug, PartialEq, Eq)]
enum FileEnd<'a> {
    Passed { name: &'a str, assertions: usize },
    Failed { name: &'a str, why: &'a str },
    LeftOut { name: &'a str, why: &'a str },
}

/// Files that ended, assertions of those that passed, and files that do not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    files: usize,
    assertions: usize,
    failed: usize,
    left_out: usize,
}

impl Totals {
    fn add(&mut self, end: &FileEnd<'_>) {
        self.files += usize::from(!matches!(end, FileEnd::LeftOut { .. }));
        match end {
            FileEnd::Passed { assertions, .. } => self.assertions += assertions,
            FileEnd::Failed { .. } => self.failed += 1,
            FileEnd::LeftOut { .. } => self.left_out += 1,
        }
    }

    fn check(self, expected: Expected) -> Result<()> {
        let found = Expected {
            files: self.files,
            assertions: self.assertions,
            left_out: self.left_out,
        };
        if self.failed > 0 || found != expected {
            return Err(unmet(format!(
                "expected {expected:?} and no failure, but it came to {self:?}"
            )));
        }
        Ok(())
    }
}

fn tell(report: &mut Report, end: &FileEnd<'_>) {
    match end {
        FileEnd::Passed { name, .. } => report.passed(name, 0),
        FileEnd::Failed { name, why } => report.failed(name, why),
        FileEnd::LeftOut { name, why } => report.skipped(name, why),
    }
}

/// Shows every end to `visit` until the guest has counted and powered off. What it counted must be what it said.
fn follow(guest: &mut Guest, mut visit: impl FnMut(&FileEnd<'_>)) -> Result<Totals> {
    let mut said = Totals::default();
    let mut others = String::new();
    loop {
        let line = console::expect(guest, "\r\n")
            .map_err(|failure| unmet(format!("{others}{failure}")))?;
        match parse(&line) {
            None => keep(&mut others, &line),
            Some(Line::End(counted)) if counted == said => break,
            Some(Line::End(counted)) => {
                return Err(unmet(format!("it said {said:?} and counted {counted:?}")));
            }
            Some(Line::File(end)) => {
                said.add(&end);
                visit(&end);
            }
        }
    }
    match guest.wait()? {
        Ending::PowerOff => Ok(said),
        other => Err(unmet(format!("the machine ended otherwise: {other:?}"))),
    }
}

/// Keeps a line for the case that the run fails; the firmware's, which move the cursor, help nobody.
fn keep(others: &mut String, line: &str) {
    if !line.contains('\x1b') {
        others.push_str(line);
        others.push('\n');
    }
}

/// What a line says; `None` for lines that are not the suite's.
fn parse(line: &str) -> Option<Line<'_>> {
    let (_, line) = line.split_once(MARK)?;
    let (verdict, rest) = line.split_once(' ')?;
    match verdict {
        "ok" => {
            let (name, assertions) = rest.split_once(' ')?;
            let assertions = assertions.parse().ok()?;
            Some(Line::File(FileEnd::Passed { name, assertions }))
        }
        "failed" => {
            let (name, why) = rest.split_once(": ")?;
            Some(Line::File(FileEnd::Failed { name, why }))
        }
        "left-out" => {
            let (name, why) = rest.split_once(": ")?;
            Some(Line::File(FileEnd::LeftOut { name, why }))
        }
        "end" => parse_totals(rest).map(Line::End),
        _ => None,
    }
}

fn parse_totals(text: &str) -> Option<Totals> {
    let mut numbers = text.split(' ').map(|word| word.parse().ok());
    Some(Totals {
        files: numbers.next()??,
        assertions: numbers.next()??,
        failed: numbers.next()??,
        left_out: numbers.next()??,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_guest_are_understood_and_others_are_not() {
        assert_eq!(
            parse("spec: ok i32.wast 444"),
            Some(Line::File(FileEnd::Passed {
                name: "i32.wast",
                assertions: 444
            }))
        );
        assert_eq!(
            parse("spec: failed i32.wast: it: broke"),
            Some(Line::File(FileEnd::Failed {
                name: "i32.wast",
                why: "it: broke"
            }))
        );
        assert_eq!(
            parse("spec: left-out a/b.wast: it is: young"),
            Some(Line::File(FileEnd::LeftOut {
                name: "a/b.wast",
                why: "it is: young"
            }))
        );
        assert_eq!(
            parse("spec: end 2 30 1 4"),
            Some(Line::End(Totals {
                files: 2,
                assertions: 30,
                failed: 1,
                left_out: 4
            }))
        );
        for other in [
            "",
            "[    1.2] ready",
            "spec: ok",
            "spec: ok a b",
            "spec: end 1 2 3",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_file_too_few_an_assertion_too_few_and_a_failure_are_no_success() {
        let expected = Expected {
            files: 3,
            assertions: 10,
            left_out: 2,
        };
        let good = Totals {
            files: 3,
            assertions: 10,
            failed: 0,
            left_out: 2,
        };
        let few_assertions = Totals {
            assertions: 9,
            ..good
        };
        let silent = Totals {
            left_out: 1,
            ..good
        };
        assert!(good.check(expected).is_ok());
        assert!(Totals { files: 2, ..good }.check(expected).is_err());
        assert!(few_assertions.check(expected).is_err());
        assert!(silent.check(expected).is_err());
        assert!(Totals { failed: 1, ..good }.check(expected).is_err());
    }
}
