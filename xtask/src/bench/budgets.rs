//! Budgets: how many instructions an operation may take.
//!
//! Law: figures are counted on a machine whose clocks count instructions (QEMU's `-icount`), so they are the same on any
//! host, however busy, up to what [`TOLERANCE`] leaves room for. The budgets stand in [`FILE`], which only
//! [`bless`] writes: a figure that grows is a change that somebody made on purpose, or a failure.
//!
//! What a run counts is not only the operation: an interrupt may fall into a sample. A figure is therefore its least
//! sample.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::guest;
use super::kpio::Kpio;
use super::programs::Contents;
use super::statistics::best;
use crate::failure::{Failure, Result};
use crate::paths::{self, Paths};
use crate::qemu::accelerator::Accelerator;

/// Where the budgets stand.
pub const FILE: &str = "bench/budgets.toml";
/// How much a figure may be off its budget, as a share of it.
const TOLERANCE: f64 = 0.05;
const HEAD: &str = "\
# Instructions of one operation, as counted with QEMU's -icount on one CPU. The suite `budgets` fails where one takes over 5 %
# more. Written by `cargo xtask bench --bless-budgets`; change nothing by hand.

";

/// Figures that have a budget.
const FIGURES: &[&str] = &[
    "boot.loader",
    "boot.kernel_to_ready",
    "channels.call_0_same_cpu",
    "channels.call_4k_in_buffer_same_cpu",
    "channels.call_4k_same_cpu",
    "channels.kill_to_answer",
    "native.clock.gettime_user",
    "native.heap.malloc_free_64",
    "native.ipc.pipe_rtt_64_same_cpu",
    "native.mem.fault_4k",
    "native.mem.mmap_munmap_4k",
    "native.sched.futex_rtt_same_cpu",
    "native.sched.yield_switch_same_cpu",
    "native.thread.create_join",
    "wasi.clock_time_get",
    "wasi.open_close",
    "wasm.call.host_to_wasm",
    "wasm.call.wasm_to_host",
    "wasm.component.call_noop",
    "wasm.component.instantiate_pool",
    "wasm.run.hello_process",
];
/// A figure with a slowdown that the guest plants, and the one whose budget it must exceed.
pub const PLANTED: (&str, &str) = (
    "native.heap.malloc_free_64.slowed",
    "native.heap.malloc_free_64",
);

/// Instructions by figure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// Instructions of one operation.
    pub instructions: BTreeMap<String, u64>,
}

/// How a figure stands to its budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it was.
    Kept,
    /// Less by more than the tolerance.
    Shrunk,
    /// More by more than the tolerance.
    Grown,
    /// It has no budget yet.
    New,
    /// It has a budget and was not counted.
    Missing,
}

/// A figure, its budget, and how the two compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The figure.
    pub name: String,
    /// Its budget.
    pub budget: Option<u64>,
    /// What was counted.
    pub counted: Option<u64>,
    /// The comparison.
    pub verdict: Verdict,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match (self.budget, self.counted) {
            (Some(budget), Some(counted)) => {
                let change = (counted as f64 / budget.max(1) as f64 - 1.0) * 100.0;
                write!(
                    out,
                    "{name}: {counted} instructions, {change:+.1} % of {budget}"
                )
            }
            (Some(budget), None) => {
                write!(out, "{name}: it was not counted; its budget is {budget}")
            }
            (None, Some(counted)) => write!(
                out,
                "{name}: {counted} instructions, and no budget in {FILE}"
            ),
            (None, None) => write!(out, "{name}: neither a count nor a budget"),
        }
    }
}

impl Budgets {
    /// Reads them.
    pub fn load(paths: &Paths) -> Result<Self> {
        let file = paths.source(FILE);
        toml::from_str(&paths::read_text(&file)?)
            .map_err(|error| Failure::input(file.display(), error))
    }

    fn save(&self, paths: &Paths) -> Result<()> {
        let text = toml::to_string(self).map_err(|error| Failure::input(FILE, error))?;
        paths::write(&paths.source(FILE), format!("{HEAD}{text}").as_bytes())
    }

    /// Holds what was counted against the budgets.
    pub fn judge(&self, counted: &BTreeMap<String, u64>) -> Vec<Finding> {
        let mut names: Vec<&String> = self.instructions.keys().chain(counted.keys()).collect();
        names.sort();
        names.dedup();
        names
            .into_iter()
            .map(|name| {
                finding(
                    name,
                    self.instructions.get(name).copied(),
                    counted.get(name).copied(),
                )
            })
            .collect()
    }
}

fn finding(name: &str, budget: Option<u64>, counted: Option<u64>) -> Finding {
    Finding {
        name: name.to_owned(),
        budget,
        counted,
        verdict: verdict(budget, counted),
    }
}

/// Compares one figure with its budget.
pub fn verdict(budget: Option<u64>, counted: Option<u64>) -> Verdict {
    let (Some(budget), Some(counted)) = (budget, counted) else {
        return if budget.is_some() {
            Verdict::Missing
        } else {
            Verdict::New
        };
    };
    let room = budget as f64 * TOLERANCE;
    match counted as f64 - budget as f64 {
        growth if growth > room => Verdict::Grown,
        growth if growth < -room => Verdict::Shrunk,
        _ => Verdict::Kept,
    }
}

/// What one run counts.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Figures that have a budget.
    pub figures: BTreeMap<String, u64>,
    /// The one with the planted slowdown.
    pub planted: Option<u64>,
}

/// Builds all that is counted, and counts it.
pub fn count(paths: &Paths) -> Result<Counts> {
    let kpio = Kpio::build(
        paths,
        &Contents::own(paths, &["channels"])?,
        Accelerator::Tcg,
    )?;
    let mut counts = Counts::default();
    let machine = kpio.counting_machine("native,wasm,wasi,channels", &filter())?;
    guest::follow(&machine, &paths.out().join("logs/budgets.log"), |record| {
        let name = format!("{}.{}", record.suite, record.name);
        let value = best(&record.samples, false).map(|value| value.round() as u64);
        counts.add(&name, value);
    })?;
    for (name, value) in kpio.count_boot()? {
        counts.add(name, Some(value));
    }
    Ok(counts)
}

impl Counts {
    fn add(&mut self, name: &str, value: Option<u64>) {
        if name == PLANTED.0 {
            self.planted = value;
        } else if let (true, Some(value)) = (FIGURES.contains(&name), value) {
            self.figures.insert(name.to_owned(), value);
        }
    }
}

/// The names without their suites: what the guest is to count.
fn filter() -> String {
    let inside = FIGURES.iter().filter(|name| !name.starts_with("boot."));
    let names = inside.filter_map(|name| name.split_once('.').map(|(_, name)| name));
    names.collect::<Vec<_>>().join(",")
}

/// Counts, and makes what was counted the budgets. Returns what changed.
pub fn bless(paths: &Paths) -> Result<Vec<Finding>> {
    let counts = count(paths)?;
    let before = Budgets::load(paths).unwrap_or_default();
    let after = Budgets {
        instructions: counts.figures.clone(),
    };
    after.save(paths)?;
    let findings = before.judge(&counts.figures);
    Ok(findings
        .into_iter()
        .filter(|finding| finding.verdict != Verdict::Kept)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_percent_are_kept_and_more_is_said() {
        for (counted, expected) in [
            (1000, Verdict::Kept),
            (1050, Verdict::Kept),
            (1051, Verdict::Grown),
            (950, Verdict::Kept),
            (949, Verdict::Shrunk),
        ] {
            assert_eq!(verdict(Some(1000), Some(counted)), expected, "{counted}");
        }
        assert_eq!(verdict(None, Some(1)), Verdict::New);
        assert_eq!(verdict(Some(1), None), Verdict::Missing);
    }

    #[test]
    fn every_figure_of_either_side_is_judged_once() {
        let budgets = Budgets {
            instructions: [("a".to_owned(), 100), ("b".to_owned(), 100)].into(),
        };
        let counted = [("b".to_owned(), 200), ("c".to_owned(), 5)].into();
        let findings = budgets.judge(&counted);
        let verdicts: Vec<&Verdict> = findings.iter().map(|finding| &finding.verdict).collect();
        assert_eq!(
            verdicts,
            [&Verdict::Missing, &Verdict::Grown, &Verdict::New]
        );
        assert_eq!(
            findings[1].to_string(),
            "b: 200 instructions, +100.0 % of 100"
        );
    }

    #[test]
    fn the_file_is_read_as_it_was_written() {
        let budgets = Budgets {
            instructions: [("native.thread.create_join".to_owned(), 21_000)].into(),
        };
        let text = format!("{HEAD}{}", toml::to_string(&budgets).unwrap());
        assert_eq!(toml::from_str::<Budgets>(&text).unwrap(), budgets);
    }
}
