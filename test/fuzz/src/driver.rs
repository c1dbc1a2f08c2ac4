//! Runs cases and says what came of them, one line for each target.
//!
//! The lines begin with [`MARK`]; `xtask` reads them. A target ends at its first broken law. What a panic said is kept with its
//! place instead of being printed, since a spoiled subject panics on purpose.

use std::cell::RefCell;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

use crate::options::Options;
use crate::watchdog::Watchdog;
use crate::{Subject, Target, Verdict, cases};

/// How the driver's lines begin.
const MARK: &str = "fuzz:";
/// Where seeds are kept, a folder for each target.
const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/seeds");

thread_local! {
    /// What the latest panic on this thread said.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The whole program: runs the targets that the command line asks for. `program` is the package's
/// name, with the profile that it is to be built in.
pub fn run(program: &'static str, targets: &'static [Target]) -> ExitCode {
    match Options::parse(std::env::args().skip(1)) {
        Ok(options) => run_all(program, targets, &options),
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::from(2)
        }
    }
}

fn run_all(program: &'static str, targets: &'static [Target], options: &Options) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        PANIC.with_borrow_mut(|said| *said = panic.to_string());
    }));
    let is_chosen = |target: &&Target| {
        options
            .only
            .as_ref()
            .is_none_or(|only| target.name == only.as_str())
    };
    let chosen: Vec<_> = targets.iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        eprintln!("{program} has no such target");
        return ExitCode::from(2);
    }
    let mut is_good = true;
    for target in chosen {
        is_good &= run_target(program, target, options);
    }
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether it came out as it should: without a broken law, or with one that was planted.
fn run_target(program: &'static str, target: &'static Target, options: &Options) -> bool {
    let kept = match kept_seeds(target.name) {
        Ok(kept) => kept,
        Err(sentence) => {
            println!("{MARK} failed {} before its cases: {sentence}", target.name);
            return false;
        }
    };
    println!("{MARK} begins {}", target.name);
    match first_failure(program, target, options, &kept) {
        None if options.subject == Subject::Real => {
            let (name, seed) = (target.name, options.seed);
            println!(
                "{MARK} ok {name} {} cases, seed {seed}",
                count(target, options)
            );
            true
        }
        None => {
            println!("{MARK} missed {} {}", target.name, target.defect);
            false
        }
        Some(failure) if options.subject == Subject::Spoiled => {
            println!(
                "{MARK} found {} case {}: {}",
                target.name,
                failure.case,
                one_line(&failure.why)
            );
            true
        }
        Some(failure) => {
            print_failure(program, target, options, &failure);
            false
        }
    }
}

fn count(target: &Target, options: &Options) -> u64 {
    match options.case {
        Some(_) => 1,
        None => target.cases.saturating_mul(options.times),
    }
}

struct Broken {
    case: u64,
    bytes: Vec<u8>,
    why: String,
}

fn first_failure(
    program: &'static str,
    target: &'static Target,
    options: &Options,
    kept: &[Vec<u8>],
) -> Option<Broken> {
    let (seed, len_bytes_max) = (options.seed, target.len_bytes_max);
    let watchdog = Watchdog::start(move |case| {
        println!("{MARK} failed {} case {case}: it does not end", target.name);
        println!("again: {}", again(program, target, seed, case));
        std::process::exit(1);
    });
    let numbers = match options.case {
        Some(case) => case..case.saturating_add(1),
        None => 0..count(target, options),
    };
    for case in numbers {
        watchdog.begins(case);
        let bytes = cases::bytes(seed, target.name, case, kept, len_bytes_max);
        if let Err(why) = caught(target, options.subject, &bytes) {
            return Some(Broken { case, bytes, why });
        }
    }
    None
}

fn caught(target: &Target, subject: Subject, bytes: &[u8]) -> Verdict {
    // A target keeps nothing between cases, so nothing that a panic left half done is seen again.
    let verdict = catch_unwind(AssertUnwindSafe(|| (target.try_input)(subject, bytes)));
    verdict.unwrap_or_else(|_| Err(PANIC.with_borrow(String::clone)))
}

fn print_failure(program: &str, target: &Target, options: &Options, failure: &Broken) {
    let case = failure.case;
    println!(
        "{MARK} failed {} case {case}: {}",
        target.name,
        one_line(&failure.why)
    );
    println!("bytes: {}", hex(&failure.bytes));
    println!("again: {}", again(program, target, options.seed, case));
}

fn again(program: &str, target: &Target, seed: u64, case: u64) -> String {
    let name = target.name;
    format!("cargo run -p {program} -- --only {name} --seed {seed} --case {case}")
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

/// The target's seeds in the order of their names.
fn kept_seeds(name: &str) -> Result<Vec<Vec<u8>>, String> {
    let folder = Path::new(SEEDS).join(name);
    let unreadable = |error| format!("its seeds in {} cannot be read: {error}", folder.display());
    let entries = std::fs::read_dir(&folder).map_err(unreadable)?;
    let paths: Result<Vec<_>, _> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect();
    let mut paths = paths.map_err(unreadable)?;
    paths.sort();
    let contents = paths.iter().map(std::fs::read);
    contents.collect::<Result<_, _>>().map_err(unreadable)
}
