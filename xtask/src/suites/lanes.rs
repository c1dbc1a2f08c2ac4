//! Suites side by side, each as a run of this tool of its own, so that one that waits for a guest does not keep
//! a processor idle.
//!
//! Law: a lane takes the next suite when it is done with one; there are as many lanes as processors, and a few at most. Builds
//! wait for one another (`crate::build`), files come into their places whole (`crate::paths`), and every machine has a folder of its
//! own, so suites do not see each other. What a suite prints passes through line by line; its closing lines are kept and
//! added up.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use super::report::{Closing, Report};
use super::{LONG, SEED, Suite};
use crate::failure::{Failure, Result};
use crate::qemu::tied_to_this_thread;

/// More guests at a time than this only take memory from each other.
const LANES_MAX: usize = 4;

/// Runs the suites.
pub fn run(suites: &[&'static Suite], report: &mut Report) {
    let (is_long, seed) = (report.is_long(), report.seed());
    let queue = Mutex::new(suites.iter());
    let report = Mutex::new(report);
    let lane = || {
        while let Some(suite) = take(&queue) {
            let result = run_one(suite, is_long, seed);
            let mut report = report
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            match result {
                Ok(closing) => report.add(closing),
                Err(failure) => report.failed_whole(suite.name, &failure.to_string()),
            }
        }
    };
    let lanes = count().min(suites.len());
    thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(lane);
        }
    });
}

fn count() -> usize {
    thread::available_parallelism().map_or(1, |processors| processors.get().min(LANES_MAX))
}

fn take<'a>(queue: &Mutex<std::slice::Iter<'a, &'static Suite>>) -> Option<&'a &'static Suite> {
    let mut queue = queue
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    queue.next()
}

/// One suite, to its end.
fn run_one(suite: &Suite, is_long: bool, seed: u64) -> Result<Closing> {
    let mut tool = command(suite, is_long, seed)?;
    let name = crate::command::display(&tool);
    let mut child = tool.spawn().map_err(|e| Failure::io("start", &name, e))?;
    let output = child.stdout.take().map(BufReader::new);
    let lines = output.into_iter().flat_map(BufRead::lines);
    let mut closing = Closing::default();
    for line in lines.map_while(std::io::Result::ok) {
        if !closing.take(&line) {
            println!("{line}");
        }
    }
    let status = child
        .wait()
        .map_err(|e| Failure::io("wait for", &name, e))?;
    if closing.is_complete() && status.success() == closing.is_success() {
        return Ok(closing);
    }
    Err(Failure::Program {
        command: name,
        status: format!("ended without saying what its tests came to ({status})"),
        output: String::new(),
    })
}

fn command(suite: &Suite, is_long: bool, seed: u64) -> Result<Command> {
    let this = env::current_exe().map_err(|e| Failure::io("find", "this program", e))?;
    let mut tool = tied_to_this_thread(this);
    tool.args(["test", suite.name, SEED, &seed.to_string()]);
    if is_long {
        tool.arg(LONG);
    }
    tool.stdin(Stdio::null()).stdout(Stdio::piped());
    Ok(tool)
}
