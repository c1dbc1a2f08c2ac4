//! Faults that are injected into services that talk to each other, inside the kernel, from a seed that is printed.
//!
//! Law: the faults are the guest's (`test/faults`), and so is the judgement of what follows from each; here it is held that none is
//! missing: as many as were asked for, each kind in each state at least so often, all recovered from. What the planted defects spoil
//! has to be noticed. The short form injects 2,000, the long form 100,000.

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
const SYSTEM: &str = "faults";
const KERNEL: &str = "test-faults-kernel";
/// What begins a line of the guest's own.
const MARK: &str = "faults: ";
/// How many there are in one machine, and how many machines.
const FAULTS: usize = 2_000;
const MACHINES_LONG: usize = 50;
/// Kinds of faults in states where they can happen, as `test/faults` has them.
const PAIRS: usize = 71;
/// Planted defects, in how many faults they must show, and a part of what must be said.
const DEFECTS: [(&str, usize, &str); 5] = [
    ("leak-end", 1, "bytes are left"),
    ("leak-process", 1, "processes and"),
    ("lost-answer", 100, "waited in vain"),
    (
        "lost-entry",
        100,
        "was acknowledged, and is entered 0 times",
    ),
    ("skipped-kind", 100, "faults of"),
];

/// Injects the faults, then a few with defects.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    build::build_kernel_of(paths, KERNEL, Variant::Checks)?;
    build::build_all_of(paths, Variant::Checks)?;
    let seed = report.seed();
    println!("seed {seed}; --seed {seed} replays which faults there are");
    let boots = Boots {
        parts: Parts::collect(paths, SYSTEM, Variant::Checks)?,
        image: paths.out().join(format!("{SYSTEM}.img")),
        accelerator: accelerator::choose(paths)?,
        seed,
    };
    let machines = if report.is_long() { MACHINES_LONG } else { 1 };
    let mut sum = Totals::default();
    for machine in 0..machines {
        let name = format!("all-are-recovered-from-{machine}");
        let log = report.log_file(&name);
        report.test(&name, || boots.machine(machine, &log, &mut sum));
    }
    println!(
        "{} faults, {} recovered from, {} services started",
        sum.injected, sum.recovered, sum.services
    );
    for (defect, faults, sign) in DEFECTS {
        let name = format!("{defect}-is-noticed");
        let log = report.log_file(&name);
        report.test(&name, || boots.notices(defect, faults, sign, &log));
    }
    Ok(())
}

/// What is booted again and again, each time with other words.
struct Boots {
    parts: Parts,
    image: PathBuf,
    accelerator: Accelerator,
    seed: u64,
}

/// What all machines came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    injected: usize,
    recovered: usize,
    services: usize,
}

/// What one machine said.
#[derive(Debug, Default)]
struct Told {
    pairs: Vec<Pair>,
    failure: Option<String>,
    totals: Totals,
}

/// One kind of fault in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pair {
    name: String,
    injected: usize,
    recovered: usize,
    minimum: usize,
}

impl Boots {
    fn machine(&self, machine: usize, log: &Path, sum: &mut Totals) -> Result<()> {
        let words = format!("faults={FAULTS} skip={}", machine * FAULTS);
        let told = follow(&mut self.start(&words, log)?)?;
        println!("{}", told.table());
        sum.injected += told.totals.injected;
        sum.recovered += told.totals.recovered;
        sum.services += told.totals.services;
        told.complaint(FAULTS).map_or(Ok(()), |why| Err(unmet(why)))
    }

    /// The planted defect must be seen, and for its own reason.
    fn notices(&self, defect: &str, faults: usize, sign: &str, log: &Path) -> Result<()> {
        let words = format!("faults={faults} skip=0 defect={defect}");
        let told = follow(&mut self.start(&words, log)?)?;
        match told.complaint(faults) {
            Some(why) if why.contains(sign) => Ok(()),
            other => Err(unmet(format!("expected {sign:?}, but it was: {other:?}"))),
        }
    }

    fn start(&self, words: &str, log: &Path) -> Result<Guest> {
        let mut parts = self.parts.clone();
        parts.command_line = format!("{} seed={} {words}", parts.command_line, self.seed);
        parts.write_disk(&self.image)?;
        let machine = Machine {
            cpus: 2,
            memory_mib: 512,
            ..Machine::new(self.accelerator, self.image.clone())
        };
        Guest::boot(&machine, log)
    }
}

impl Told {
    /// What is missing, as a sentence.
    fn complaint(&self, asked: usize) -> Option<String> {
        if let Some(why) = &self.failure {
            return Some(why.clone());
        }
        let sums = self.pairs.iter().fold((0, 0), |sums, pair| {
            (sums.0 + pair.injected, sums.1 + pair.recovered)
        });
        let Totals {
            injected,
            recovered,
            ..
        } = self.totals;
        if self.pairs.len() != PAIRS {
            return Some(format!("{} pairs of {PAIRS}", self.pairs.len()));
        }
        if (injected, recovered) != (asked, asked) || sums != (asked, asked) {
            return Some(format!(
                "{injected} faults of {asked}, {recovered} recovered from; by pairs {sums:?}"
            ));
        }
        let mut pairs = self.pairs.iter();
        let rare = pairs.find(|pair| pair.injected < pair.minimum.max(1));
        rare.map(|pair| format!("{} came {} times only", pair.name, pair.injected))
    }

    fn table(&self) -> String {
        let lines = self.pairs.iter().map(|pair| {
            let Pair {
                name,
                injected,
                recovered,
                minimum,
            } = pair;
            format!(
                "    {name:28} {injected:5} injected {recovered:5} recovered (at least {minimum})"
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// All that the guest says until it has powered off.
fn follow(guest: &mut Guest) -> Result<Told> {
    let mut told = Told::default();
    loop {
        let line = console::expect(guest, "\r\n")?;
        match parse(&line) {
            None => {}
            Some(Line::Pair(pair)) => told.pairs.push(pair),
            Some(Line::Failed(why)) => told.failure = Some(why.to_owned()),
            Some(Line::End(totals)) => {
                told.totals = totals;
                break;
            }
        }
    }
    match guest.wait()? {
        Ending::PowerOff => Ok(told),
        other => Err(unmet(format!("the machine ended otherwise: {other:?}"))),
    }
}

/// One line of the guest's.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Pair(Pair),
    Failed(&'a str),
    End(Totals),
}

/// What a line says; `None` for lines that are not the guest's own.
fn parse(line: &str) -> Option<Line<'_>> {
    let (_, line) = line.split_once(MARK)?;
    let (kind, rest) = line.split_once(' ')?;
    if kind == "failed" {
        return Some(Line::Failed(rest.trim_end()));
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    let number = |place: usize| words.get(place)?.parse().ok();
    match kind {
        "pair" => Some(Line::Pair(Pair {
            name: words.get(..2)?.join(" "),
            injected: number(2)?,
            recovered: number(3)?,
            minimum: number(4)?,
        })),
        "end" => Some(Line::End(Totals {
            injected: number(0)?,
            recovered: number(1)?,
            services: number(2)?,
        })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        let pairs = (0..PAIRS).map(|number| Pair {
            name: format!("kind state-{number}"),
            injected: 2,
            recovered: 2,
            minimum: 2,
        });
        Told {
            pairs: pairs.collect(),
            failure: None,
            totals: Totals {
                injected: 2 * PAIRS,
                recovered: 2 * PAIRS,
                services: 9,
            },
        }
    }

    #[test]
    fn lines_are_told_apart() {
        assert_eq!(parse("[    1.0] INFO cpu: 2 running"), None);
        let pair = Pair {
            name: "trap serving".to_owned(),
            injected: 30,
            recovered: 29,
            minimum: 28,
        };
        let line = "faults: pair trap serving 30 29 28";
        assert_eq!(parse(line), Some(Line::Pair(pair)));
        let failed = "faults: failed fault 3, trap idle: a: b";
        assert_eq!(
            parse(failed),
            Some(Line::Failed("fault 3, trap idle: a: b"))
        );
        let totals = Totals {
            injected: 3,
            recovered: 2,
            services: 1,
        };
        assert_eq!(parse("faults: end 3 2 1"), Some(Line::End(totals)));
    }

    #[test]
    fn whatever_is_missing_is_said() {
        assert_eq!(told().complaint(2 * PAIRS), None);
        let spoilers: [fn(&mut Told); 5] = [
            |told| told.pairs[3].recovered -= 1,
            |told| told.totals.recovered -= 1,
            |told| told.failure = Some("a fault".to_owned()),
            |told| drop(told.pairs.pop()),
            |told| {
                told.pairs[0].injected += 1;
                told.pairs[0].recovered += 1;
                told.pairs[1].injected -= 1;
                told.pairs[1].recovered -= 1;
            },
        ];
        for spoil in spoilers {
            let mut told = told();
            spoil(&mut told);
            assert!(told.complaint(2 * PAIRS).is_some(), "{told:?}");
        }
    }
}
