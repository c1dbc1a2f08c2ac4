//! `cargo xtask bench`: how fast KPIO is, and how fast in comparison.
//!
//! Law: results are lines of JSON on stdout, under the names and in the form of the Linux peer; talk goes to stderr.
//! Times are the guest's own. What the host did meanwhile stands beside each result, because a time that was
//! taken on a busy host says little. With a peer, both sides run in turn, within seconds of each other, and the
//! order alternates from round to round; the table of ratios comes last.

mod aims;
pub mod budgets;
mod compare;
mod guest;
mod host;
mod kpio;
mod launcher;
mod options;
mod peer;
mod programs;
mod record;
mod statistics;
mod table;

pub use options::Options;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::command;
use crate::failure::{Failure, Result};
use crate::paths::{self, Paths};
use crate::progress;
use crate::qemu::accelerator::{self, Accelerator};
use crate::run::NEEDS;
use crate::setup::ensure_packages;
use compare::{Results, Side};
use kpio::Kpio;
use launcher::Launcher;
use peer::Peer;
use programs::Contents;
use record::Record;

/// The document that has the figures.
const DOCUMENT: &str = "docs/performance.md";
/// Rounds of a comparison, where nobody says how many.
const ROUNDS: u32 = 3;
/// Rounds of one file of results, at most.
const ROUNDS_MAX: u32 = 1000;

/// Measures what the options say.
pub fn run(paths: &Paths, options: &Options) -> Result<ExitCode> {
    ensure_packages(&NEEDS)?;
    if options.bless_budgets {
        return bless(paths).map(|()| ExitCode::SUCCESS);
    }
    match &options.peer {
        Some(folder) => compare_with(paths, options, Peer::build(paths, folder)?)?,
        None => measure(paths, options)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the budgets anew, and says what has changed.
fn bless(paths: &Paths) -> Result<()> {
    for finding in budgets::bless(paths)? {
        println!("{finding}");
    }
    Ok(())
}

fn measure(paths: &Paths, options: &Options) -> Result<()> {
    let suites: Vec<&str> = options.suites().collect();
    let contents = Contents::own(paths, &suites)?;
    let kpio = Kpio::build(paths, &contents, accelerator::choose(paths)?)?;
    for round in 0..options.rounds.unwrap_or(1) {
        for suite in options.suites() {
            run_kpio(&kpio, suite, options, round, &mut |_| ())?;
        }
    }
    Ok(())
}

fn run_kpio(
    kpio: &Kpio,
    suite: &str,
    options: &Options,
    round: u32,
    visit: &mut dyn FnMut(&Record),
) -> Result<()> {
    progress::step(&format!("Round {}, KPIO: {suite}", round + 1), || {
        kpio.run(suite, options, &mut |record| visit(&print(record, round)))
    })
}

fn run_peer(
    peer: &Peer,
    suite: &str,
    options: &Options,
    round: u32,
    visit: &mut dyn FnMut(&Record),
) -> Result<()> {
    progress::step(&format!("Round {}, Linux: {suite}", round + 1), || {
        peer.run(suite, options, &mut |record| visit(&print(record, round)))
    })
}

fn print(mut record: Record, round: u32) -> Record {
    record.run = Some(round);
    println!("{}", record.to_line());
    record
}

/// Runs both sides, or takes what earlier comparisons have said, and shows the table.
fn compare_with(paths: &Paths, options: &Options, mut peer: Peer) -> Result<()> {
    let mut comparison = InTurn::default();
    if options.results.is_empty() {
        comparison.measure(paths, options, &mut peer)?;
    } else {
        comparison.read(&options.results)?;
    }
    let InTurn {
        mut results,
        engine,
    } = comparison;
    results.add_difference("boot.loader_to_prompt", "boot.prompt", "boot.loader");
    let table = table::markdown(&results, &settings(&peer, engine)?);
    eprintln!("{table}");
    if options.write_docs {
        write_document(paths, &table)?;
    }
    Ok(())
}

/// A comparison in the making.
#[derive(Default)]
struct InTurn {
    results: Results,
    /// The settings of KPIO's engine.
    engine: Option<String>,
}

impl InTurn {
    /// Both sides under translation, which is what the peer's driver asks QEMU for.
    fn measure(&mut self, paths: &Paths, options: &Options, peer: &mut Peer) -> Result<()> {
        let suites: Vec<&str> = options.suites().collect();
        let contents = Contents::of_peer(paths, &peer.wasm(), &suites, options.large)?;
        if suites.iter().any(|suite| Launcher::has(suite)) {
            peer.add_launcher(paths, &contents)?;
        }
        let kpio = Kpio::build(paths, &contents, Accelerator::Tcg)?;
        for round in 0..options.rounds.unwrap_or(ROUNDS) {
            for suite in options.suites() {
                for side in order(round) {
                    let mut visit = |record: &Record| self.add(side, round, record);
                    match side {
                        Side::Linux => run_peer(peer, suite, options, round, &mut visit)?,
                        Side::Kpio => run_kpio(&kpio, suite, options, round, &mut visit)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// Each file's rounds are rounds of their own.
    fn read(&mut self, files: &[PathBuf]) -> Result<()> {
        for (number, file) in (0_u32..).zip(files) {
            let text = paths::read_text(file)?;
            for record in text.lines().filter_map(Record::parse) {
                let side = if record.guest.as_deref() == Some(kpio::GUEST) {
                    Side::Kpio
                } else {
                    Side::Linux
                };
                let round = number * ROUNDS_MAX + record.run.unwrap_or_default();
                self.add(side, round, &record);
            }
        }
        Ok(())
    }

    fn add(&mut self, side: Side, round: u32, record: &Record) {
        match &record.text {
            Some(text) => self.engine = Some(text.clone()),
            None => self.results.add(side, round, record),
        }
    }
}

/// Who comes second profits from what the first has warmed up on the host, so they take turns.
fn order(round: u32) -> [Side; 2] {
    if round.is_multiple_of(2) {
        [Side::Linux, Side::Kpio]
    } else {
        [Side::Kpio, Side::Linux]
    }
}

/// What was compared, and on what.
fn settings(peer: &Peer, engine: Option<String>) -> Result<Vec<String>> {
    let qemu = command::capture(Command::new("qemu-system-x86_64").arg("--version"))?;
    let qemu = qemu.lines().next().unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
    Ok(vec![
        format!(
            "Host: {processors} processors, {qemu}, `-accel {} -cpu max -smp 2 -m 1024`, q35",
            Accelerator::Tcg.option()
        ),
        format!(
            "Linux: {}, with Wasmtime's defaults for the host's processor: no interruption of WebAssembly, copy-on-write memory images; \
             booted with `clearcpuid=cx16` for the suites that run inside it",
            peer.versions().join(", ")
        ),
        format!("KPIO: {}", engine.unwrap_or_default()),
        "A round's value is its best sample; the columns show the median of the rounds. A ratio is taken within a round; \
         below 1 KPIO is ahead, whichever way the unit counts. A boot's time is without the time for which \
         virtual CPU 0 was ready and had no processor of the host."
            .into(),
    ])
}

fn write_document(paths: &Paths, table: &str) -> Result<()> {
    let file = paths.source(DOCUMENT);
    let document = paths::read_text(&file)?;
    let written = table::replaced(&document, table)
        .ok_or_else(|| Failure::input(file.display(), "it has no place for the figures"))?;
    paths::write(&file, written.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sides_take_turns_in_coming_first() {
        assert_eq!(order(0)[0], order(1)[1]);
        assert_ne!(order(0)[0], order(1)[0]);
    }
}
