//! A kernel that makes storms of everything that it hands out, and says whether all of it came back.
//!
//! Law: it is the product's kernel up to and with the supervisor. A storm is a function that returns an error where
//! something was not as it had to be; after every round of it the [`Ledger`] must be as it was after the first, in
//! which caches fill: so what is left behind adds up, however little it is in each round. What a storm does follows
//! from the seed; in which order threads do it does not. One line per storm goes to the terminal line, and one with the
//! counts at the end; then the machine is switched off:
//!
//! ```text
//! stress: ok NAME ROUNDS
//! stress: failed NAME: WHY
//! stress: end STORMS FAILED
//! ```
//!
//! Words of the command line: `only=A,B,…`, `seed=N`, `rounds=N`, `minutes=N` (more rounds until so much time has passed),
//! `defect=NAME`. The defects are planted by the storm
//! that has to notice them.

mod heap;
mod mappings;
mod processes;
mod random;
mod threads;
mod translations;
mod wakes;
mod watch;

use std::sync::OnceLock;
use std::thread;

use kernel_core::crash::{self, Licence};
use kernel_core::{cpu, fault, log as kernel_log, power, time};
use kernel_machine::cpu::entry::HandOver;
use runtime_platform::failure;
use test_ledger::Ledger;

use processes::Processes;
use random::Random;

kernel_machine::entry_point!(main);

/// A storm: an error is a sentence.
type Make = fn(&Storm) -> Result<(), String>;

const STORMS: &[(&str, Make)] = &[
    ("heap", heap::storm),
    ("mappings", mappings::storm),
    ("translations", translations::storm),
    ("wakes", wakes::storm),
    ("threads", threads::storm),
    ("processes", processes::storm),
    ("exhaustion", processes::exhaustion),
    ("everything", everything),
];

/// Stack of the thread that makes the storms, in bytes.
const STACK_BYTES: usize = 1 << 20;

/// What a storm is made with.
pub struct Storm {
    licence: Licence,
    cpus: usize,
    seed: u64,
    round: u64,
    defect: Option<String>,
    processes: OnceLock<Result<Processes, String>>,
}

impl Storm {
    /// Random numbers of its own for each number, in each round.
    fn random(&self, number: u64) -> Random {
        Random::new(self.seed.wrapping_add(self.round << 32), number)
    }

    fn has_defect(&self, name: &str) -> bool {
        self.round > 0 && self.defect.as_deref() == Some(name)
    }

    fn processes(&self) -> Result<&Processes, String> {
        let processes = self.processes.get_or_init(Processes::start);
        processes.as_ref().map_err(Clone::clone)
    }
}

/// The start, as a table of contents.
fn main(hand_over: HandOver) -> ! {
    let info = kernel_core::start(&hand_over);
    failure::install_panic_hook();
    let words = kernel_log::command_line(&info).to_owned();
    let licence = crash::licence(&info).unwrap_or_else(|| fault::stop("this is no test image"));
    let running = thread::Builder::new()
        .name("storms".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || run(licence, &words));
    match running.map(thread::JoinHandle::join) {
        Ok(Ok(())) => power::power_off(),
        Ok(Err(_)) => fault::stop("a panic in a storm"),
        Err(error) => fault::stop_with(format_args!("no thread for the storms: {error}")),
    }
}

fn run(licence: Licence, words: &str) {
    let mut storm = Storm {
        licence,
        cpus: cpu::online_count(),
        seed: number(words, "seed=", 1),
        round: 0,
        defect: value(words, "defect=").map(str::to_owned),
        processes: OnceLock::new(),
    };
    let rounds = number(words, "rounds=", 1);
    let minutes = number(words, "minutes=", 0);
    let only: Option<Vec<&str>> = value(words, "only=").map(|names| names.split(',').collect());
    let chosen = STORMS
        .iter()
        .filter(|(name, _)| only.as_ref().is_none_or(|only| only.contains(name)));
    let (mut count, mut failed) = (0, 0);
    for (name, make) in chosen {
        count += 1;
        match repeat(&mut storm, rounds, minutes, *make) {
            Ok(rounds) => println!("stress: ok {name} {rounds}"),
            Err(why) => {
                failed += 1;
                println!("stress: failed {name}: {why}");
            }
        }
    }
    println!("stress: end {count} {failed}");
}

/// One round to fill caches, then the rounds that count; returns how many there were.
fn repeat(storm: &mut Storm, rounds: u64, minutes: u64, make: Make) -> Result<u64, String> {
    let end_ns = time::monotonic_ns() + minutes * 60_000_000_000;
    let start = Ledger::now();
    storm.round = 0;
    make(storm)?;
    start.await_threads();
    let before = Ledger::now();
    let mut round = 0;
    while round < rounds || time::monotonic_ns() < end_ns {
        round += 1;
        storm.round = round;
        make(storm).map_err(|why| format!("round {round}: {why}"))?;
        before
            .settle()
            .map_err(|why| format!("round {round}: not given back: {why}"))?;
    }
    Ok(round)
}

/// All other storms at the same time.
fn everything(storm: &Storm) -> Result<(), String> {
    if storm.round == 0 {
        threads::warm()?;
    }
    thread::scope(|scope| {
        let others = STORMS.iter().filter(|(name, _)| *name != "everything");
        let running: Vec<_> = others
            .map(|(name, make)| (name, scope.spawn(|| make(storm))))
            .collect();
        running.into_iter().try_for_each(|(name, running)| {
            let ended = running.join().unwrap_or_else(|_| Err("a panic".to_owned()));
            ended.map_err(|why| format!("{name}: {why}"))
        })
    })
}

fn value<'a>(words: &'a str, key: &str) -> Option<&'a str> {
    words.split(' ').find_map(|word| word.strip_prefix(key))
}

fn number(words: &str, key: &str, otherwise: u64) -> u64 {
    let value = value(words, key);
    value
        .map_or(Ok(otherwise), str::parse)
        .unwrap_or_else(|error| fault::stop(&format!("{key} is no number: {error}")))
}
