//! What the tests came to.

use std::env;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::failure::{Failure, Result};
use crate::paths::Paths;

/// Counts and prints.
#[derive(Debug)]
pub struct Report {
    suite: String,
    logs: PathBuf,
    passed: usize,
    failed: Vec<String>,
    skipped: usize,
    is_long: bool,
    seed: u64,
}

impl Report {
    /// Nothing run yet. Suites that have a long form run that if `is_long`; what is random in suites follows from `seed`, from
    /// the environment's `KPIO_SEED`, or from the time.
    pub fn new(paths: &Paths, is_long: bool, seed: Option<u64>) -> Self {
        Self {
            suite: String::new(),
            logs: paths.out().join("logs"),
            passed: 0,
            failed: Vec::new(),
            skipped: 0,
            is_long,
            seed: seed.unwrap_or_else(seed_from_outside),
        }
    }

    /// Whether suites run their long form.
    pub fn is_long(&self) -> bool {
        self.is_long
    }

    /// What random numbers of suites are made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The tests that follow belong to this suite.
    pub fn begin(&mut self, suite: &str, about: &str) {
        println!("\n{suite}: {about}");
        suite.clone_into(&mut self.suite);
    }

    /// Runs one test.
    pub fn test(&mut self, name: &str, body: impl FnOnce() -> Result<()>) {
        let started = Instant::now();
        match body() {
            Ok(()) => self.passed(name, started.elapsed().as_secs()),
            Err(failure) => self.failed(name, &failure.to_string()),
        }
    }

    /// A test that succeeded, after so many seconds (they are information, not part of the test).
    pub fn passed(&mut self, name: &str, seconds: u64) {
        self.passed += 1;
        let time = if seconds > 0 {
            format!(" ({seconds} s)")
        } else {
            String::new()
        };
        println!("test {}::{name} ... ok{time}", self.suite);
    }

    /// A test that failed.
    pub fn failed(&mut self, name: &str, why: &str) {
        println!("test {}::{name} ... FAILED\n{}", self.suite, indented(why));
        self.failed.push(format!("{}::{name}", self.suite));
    }

    /// A test that cannot be run here.
    pub fn skipped(&mut self, name: &str, why: &str) {
        self.skipped += 1;
        println!("test {}::{name} ... skipped: {why}", self.suite);
    }

    /// Where the console of a test's guest is written.
    pub fn log_file(&self, test: &str) -> PathBuf {
        self.logs.join(format!("{}-{test}.log", self.suite))
    }

    /// Prints the counts; whether nothing failed.
    pub fn close(self) -> bool {
        println!();
        self.failed
            .iter()
            .for_each(|name| println!("failed: {name}"));
        let skipped = if self.skipped > 0 {
            format!(", {} skipped", self.skipped)
        } else {
            String::new()
        };
        println!(
            "{} passed, {} failed{skipped}",
            self.passed,
            self.failed.len()
        );
        self.failed.is_empty()
    }
}

fn seed_from_outside() -> u64 {
    let given = env::var("KPIO_SEED").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        u64::from(now.unwrap_or_default().subsec_nanos())
    })
}

/// An expectation of a test that was not met.
pub fn unmet(sentence: impl Into<String>) -> Failure {
    Failure::Guest(sentence.into())
}

fn indented(text: &str) -> String {
    text.lines()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
