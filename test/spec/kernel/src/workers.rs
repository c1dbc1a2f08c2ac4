//! As many threads as there are CPUs take files off one list.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kernel_core::{cpu, fault};
use test_spec::{Engines, SpecFile};

/// Parser, compiler and wasm take turns on it; deep nesting is part of the suite. Pages come on demand.
const STACK_BYTES: usize = 4 << 20;

/// What the run came to.
#[derive(Default)]
pub struct Totals {
    files: AtomicUsize,
    assertions: AtomicUsize,
    failed: AtomicUsize,
    left_out: usize,
}

impl fmt::Display for Totals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [files, assertions, failed] = [&self.files, &self.assertions, &self.failed]
            .map(|count| count.load(Ordering::Relaxed));
        write!(out, "{files} {assertions} {failed} {}", self.left_out)
    }
}

/// Runs every file as often as that and says each time how it ended.
pub fn run_all(engines: &Engines, files: &[SpecFile], rounds: usize, totals: &Totals) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..cpu::online_count() {
            let work = || {
                while let Some(file) = take(files, rounds, &next) {
                    totals.add(file, run_one(engines, file));
                }
            };
            thread::Builder::new()
                .name(format!("spec {number}"))
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, work)
                .unwrap_or_else(|error| fault::stop(&format!("no thread for the suite: {error}")));
        }
    });
}

fn take<'a>(files: &'a [SpecFile], rounds: usize, next: &AtomicUsize) -> Option<&'a SpecFile> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    files.iter().cycle().take(files.len() * rounds).nth(number)
}

/// A panic, which would be a bug of ours, fails the file and not the run.
fn run_one(engines: &Engines, file: &SpecFile) -> Result<usize, String> {
    panic::catch_unwind(AssertUnwindSafe(|| test_spec::run(engines, file)))
        .unwrap_or_else(|_| Err("a panic; the log says where".to_owned()))
}

impl Totals {
    /// Says what does not run.
    pub fn without(left_out: &[(SpecFile, &str)]) -> Self {
        for (file, why) in left_out {
            println!("spec: left-out {}: {why}", file.name);
        }
        Self {
            left_out: left_out.len(),
            ..Self::default()
        }
    }

    fn add(&self, file: &SpecFile, result: Result<usize, String>) {
        self.files.fetch_add(1, Ordering::Relaxed);
        match result {
            Ok(assertions) => {
                self.assertions.fetch_add(assertions, Ordering::Relaxed);
                println!("spec: ok {} {assertions}", file.name);
            }
            Err(why) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                let why = why.replace('\n', " ");
                println!("spec: failed {}: {why}", file.name);
            }
        }
    }
}
