//! What the tests came to.

use std::path::PathBuf;
use std::time::Instant;

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
}

impl Report {
    /// Nothing run yet. Suites that have a long form run that if `is_long`.
    pub fn new(paths: &Paths, is_long: bool) -> Self {
        Self {
            suite: String::new(),
            logs: paths.out().join("logs"),
            passed: 0,
            failed: Vec::new(),
            skipped: 0,
            is_long,
        }
    }

    /// Whether suites run their long form.
    pub fn is_long(&self) -> bool {
        self.is_long
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
