//! Programs that nobody here wrote, and those of `test/guest`, do on KPIO what they do under Wasmtime on this machine.
//!
//! Law: every case of `test/oracle` is a test: no byte of its output, its errors and its tree, nor its exit code, may differ
//! from the reference's, save what [`crate::oracle`]'s one table allows. A case that is excluded is skipped with its reason,
//! and a program of `test/guest` without a case fails. One case is run again with its result spoilt in every way; each
//! must be noticed. `KPIO_CASES=TEXT` runs only the cases whose names hold TEXT.

use std::env;

use super::Report;
use super::report::unmet;
use crate::build;
use crate::failure::Result;
use crate::image::Parts;
use crate::oracle::{Case, Cases, Guest, Outcome, Programs, Reference, differences, normalised};
use crate::paths::{Paths, Variant};
use crate::qemu::accelerator;
use crate::run::NEEDS;
use crate::setup::ensure_packages;
use crate::system::System;

/// The image, and the package at the top of its kernel.
const SYSTEM: &str = "oracle";
const KERNEL: &str = "test-oracle-kernel";
/// The case whose result is spoilt: it has output, errors, an exit code, and in its tree a directory, a file and a link.
const VICTIM: &str = "cat-a-file-and-one-that-is-not-there";
/// Planted defects, and what of the difference must be said.
const DEFECTS: [(&str, &str); 8] = [
    ("flip-stdout", "stdout, from byte 0"),
    ("flip-stderr", "stderr, from byte 0"),
    ("exit-code", "exit code"),
    ("drop-file", "KPIO:      not there"),
    ("change-file", ", from byte 0"),
    ("move-time", "KPIO:      changed 1000000000 ns"),
    ("retarget", "KPIO:      elsewhere"),
    ("change-kind", "KPIO:      a file"),
];
/// The least number of cases that are compared.
const CASES_MIN: usize = 300;

/// Runs all cases on both sides, then one with defects.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    let stage = Stage::set(paths)?;
    println!("the reference is {}", stage.reference.version()?);
    let wanted = env::var("KPIO_CASES").unwrap_or_default();
    let of_this_run = |case: &&Case| case.name.contains(&wanted);
    let mut chosen = Vec::new();
    for case in stage.cases.all.iter().filter(of_this_run) {
        match &case.excluded {
            Some(reason) => report.skipped(&case.name, reason),
            None => chosen.push(case),
        }
    }
    stage.compare(&chosen, report)?;
    if wanted.is_empty() {
        report.test("nothing-has-dropped-out", || stage.is_complete(&chosen));
        stage.notices_defects(report)?;
    }
    Ok(())
}

/// Both sides, ready to run.
struct Stage<'a> {
    paths: &'a Paths,
    cases: Cases,
    programs: Programs,
    reference: Reference,
    guest: Guest,
}

impl<'a> Stage<'a> {
    fn set(paths: &'a Paths) -> Result<Self> {
        ensure_packages(&NEEDS)?;
        build::build_kernel_of(paths, KERNEL, Variant::Plain)?;
        build::build_loader(paths)?;
        let system = System::load(paths, SYSTEM)?;
        let programs = Programs::build(paths, &system)?;
        let reference = Reference::install(paths)?;
        Ok(Self {
            paths,
            cases: all_cases(paths, &reference, &programs)?,
            programs,
            reference,
            guest: Guest {
                parts: Parts::of(paths, &system, Variant::Plain)?,
                image: paths.out().join(format!("{SYSTEM}.img")),
                accelerator: accelerator::choose(paths)?,
            },
        })
    }

    /// Every case is a test.
    fn compare(&self, chosen: &[&Case], report: &mut Report) -> Result<()> {
        let reference = self.reference.run(&self.cases, chosen, &self.programs)?;
        let log = report.log_file("cases");
        let cases = (&self.cases, chosen);
        let kpio = self
            .guest
            .run(self.paths, cases, &self.programs, "", &log)?;
        let mut outcomes = kpio.outcomes.into_iter();
        for (case, reference) in chosen.iter().zip(reference) {
            let kpio = outcomes.next();
            report.test(&case.name, || match kpio {
                Some(kpio) => is_same(case, kpio, reference),
                None => Err(unmet("the machine did not come to it")),
            });
        }
        let ended = kpio.failure.map_or(Ok(()), Err);
        report.test("the-machine-ends-well", || ended);
        Ok(())
    }

    /// Every program of `test/guest` has a case, and there are as many cases as there must be.
    fn is_complete(&self, chosen: &[&Case]) -> Result<()> {
        let is_run = |name: &str| chosen.iter().any(|case| case.program() == name);
        if let Some(name) = self.programs.guest_names().find(|name| !is_run(name)) {
            return Err(unmet(format!("no case runs `{name}` of test/guest")));
        }
        match chosen.len() {
            count if count < CASES_MIN => Err(unmet(format!("{count} cases of {CASES_MIN}"))),
            _ => Ok(()),
        }
    }

    /// The victim's result, spoilt in every way, must differ for each way's own reason.
    fn notices_defects(&self, report: &mut Report) -> Result<()> {
        let victim = self.cases.all.iter().find(|case| case.name == VICTIM);
        let victim = victim.ok_or_else(|| unmet(format!("there is no case {VICTIM}")))?;
        let reference = self.reference.run(&self.cases, &[victim], &self.programs)?;
        let names = DEFECTS.map(|(name, _)| name).join(",");
        let log = report.log_file("defects");
        let victims = [victim; DEFECTS.len()];
        let words = format!("defects={names}");
        let cases = (&self.cases, victims.as_slice());
        let kpio = self
            .guest
            .run(self.paths, cases, &self.programs, &words, &log)?;
        let mut outcomes = kpio.outcomes.into_iter();
        for (defect, sign) in DEFECTS {
            let (kpio, reference) = (outcomes.next(), reference[0].clone());
            report.test(&format!("{defect}-is-noticed"), || {
                notices(victim, kpio.unwrap_or_default(), reference, sign)
            });
        }
        Ok(())
    }
}

/// The cases that are written down, and those that programs name.
fn all_cases(paths: &Paths, reference: &Reference, programs: &Programs) -> Result<Cases> {
    let mut cases = Cases::load(paths)?;
    for each in cases.each.clone() {
        let listing = each.listing();
        let lines = reference.run(&cases, &[&listing], programs)?.remove(0);
        let named = each.cases(&String::from_utf8_lossy(&lines.stdout));
        if named.is_empty() {
            return Err(unmet(format!("{:?} lists nothing", each.list)));
        }
        cases.all.extend(named);
    }
    Ok(cases)
}

fn is_same(case: &Case, kpio: Outcome, reference: Outcome) -> Result<()> {
    let found = differences(&normalised(case, kpio), &normalised(case, reference));
    if found.is_empty() {
        return Ok(());
    }
    Err(unmet(format!("{:?}\n{}", case.run, found.join("\n"))))
}

/// There is one difference, and it is of this kind.
fn notices(case: &Case, kpio: Outcome, reference: Outcome, sign: &str) -> Result<()> {
    let found = differences(&normalised(case, kpio), &normalised(case, reference));
    match found.as_slice() {
        [one] if one.contains(sign) => Ok(()),
        _ => Err(unmet(format!(
            "expected {sign:?} alone, but found:\n{}",
            found.join("\n")
        ))),
    }
}
