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

    /// A suite that did not come to its end.
    pub fn failed_whole(&mut self, suite: &str, why: &str) {
        suite.clone_into(&mut self.suite);
        self.failed("the suite itself", why);
    }

    /// Tests that were run, and reported, by another run of this tool.
    pub fn add(&mut self, closing: Closing) {
        let [passed, _, skipped] = closing.counts.unwrap_or_default();
        self.passed += passed;
        self.skipped += skipped;
        self.failed.extend(closing.failed);
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
            .for_each(|name| println!("{FAILED}{name}"));
        println!(
            "{}",
            closing_line([self.passed, self.failed.len(), self.skipped])
        );
        self.failed.is_empty()
    }
}

const FAILED: &str = "failed: ";

/// How many tests passed, failed and were skipped.
type Counts = [usize; 3];

fn closing_line([passed, failed, skipped]: Counts) -> String {
    let line = format!("{passed} passed, {failed} failed");
    match skipped {
        0 => line,
        _ => format!("{line}, {skipped} skipped"),
    }
}

/// The last lines of a run, as [`Report::close`] prints them.
#[derive(Debug, Default)]
pub struct Closing {
    failed: Vec<String>,
    counts: Option<Counts>,
}

impl Closing {
    /// Takes a line, if it is one of them.
    pub fn take(&mut self, line: &str) -> bool {
        if let Some(name) = line.strip_prefix(FAILED) {
            self.failed.push(name.to_owned());
            return true;
        }
        let counts = parse_closing_line(line);
        self.counts = counts.or(self.counts);
        counts.is_some()
    }

    /// Whether the run came to its end, and names every test that failed.
    pub fn is_complete(&self) -> bool {
        let failed = self.counts.map(|[_, failed, _]| failed);
        failed == Some(self.failed.len())
    }

    /// Whether nothing failed.
    pub fn is_success(&self) -> bool {
        self.failed.is_empty()
    }
}

fn parse_closing_line(line: &str) -> Option<Counts> {
    let mut counts = [0; 3];
    let words = ["passed", "failed", "skipped"];
    for (count, (part, word)) in counts.iter_mut().zip(line.split(", ").zip(words)) {
        *count = part.strip_suffix(word)?.trim_end().parse().ok()?;
    }
    (closing_line(counts) == line).then_some(counts)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_read_as_they_are_written() {
        for counts in [[0, 0, 0], [12, 0, 3], [1, 22, 0]] {
            assert_eq!(parse_closing_line(&closing_line(counts)), Some(counts));
        }
        for line in [
            "",
            "12 passed",
            "1 passed, x failed",
            "test a ... ok",
            "1 passed, 0 failed, 0 skipped",
        ] {
            assert_eq!(parse_closing_line(line), None);
        }
    }

    #[test]
    fn a_run_that_breaks_off_is_not_complete() {
        let mut closing = Closing::default();
        assert!(!closing.take("test boot::a ... FAILED"));
        assert!(closing.take("failed: boot::a"));
        assert!(!closing.is_complete());
        assert!(closing.take("3 passed, 1 failed"));
        assert!(closing.is_complete() && !closing.is_success());
        assert!(closing.take("failed: boot::b"));
        assert!(!closing.is_complete());
    }
}
