//! No operation takes more instructions than its budget allows.
//!
//! Law: each figure is one test; it fails where it has grown over its budget, and where it has none. A figure that
//! has shrunk passes, and says that the budget is to be written anew. The guest plants a slowdown of a tenth
//! in every run, which must be found.

use super::Report;
use super::report::unmet;
use crate::bench::budgets::{self, Budgets, Counts, FILE, PLANTED, Verdict};
use crate::failure::Result;
use crate::paths::Paths;
use crate::progress;
use crate::run::NEEDS;
use crate::setup::ensure_packages;

/// Counts, and judges each figure.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    let budgets = Budgets::load(paths)?;
    let counts = budgets::count(paths)?;
    for finding in budgets.judge(&counts.figures) {
        match finding.verdict {
            Verdict::Kept => report.passed(&finding.name, 0),
            Verdict::Shrunk => {
                progress::note(&format!(
                    "{finding}: less; `cargo xtask bench --bless-budgets` keeps it so"
                ));
                report.passed(&finding.name, 0);
            }
            Verdict::Grown | Verdict::New | Verdict::Missing => {
                report.failed(
                    &finding.name,
                    &format!("{finding}. Where this is meant, bless {FILE}"),
                );
            }
        }
    }
    report.test("defect-a-slowdown-is-noticed", || is_noticed(&counts));
    Ok(())
}

/// The figure with the planted slowdown is over what the same figure takes without it.
fn is_noticed(counts: &Counts) -> Result<()> {
    let (slowed, figure) = PLANTED;
    let budget = counts.figures.get(figure).copied();
    match budgets::verdict(budget, counts.planted) {
        Verdict::Grown => Ok(()),
        other => Err(unmet(format!(
            "{slowed} took {:?} instructions, {figure} {budget:?}: {other:?}",
            counts.planted
        ))),
    }
}
