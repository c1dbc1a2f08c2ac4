//! One case for each function of WASI 0.2, by interface. A case prints lines that must be the same on every host;
//! what differs by nature (times, hashes, random bytes) is turned into a statement about it, such as whether two are equal.
//!
//! Which functions there are is read from the WIT when this is built: see `build.rs`.

mod cli;
mod clocks;
mod filesystem;
mod http;
mod io;
mod random;
mod sockets;

include!(concat!(env!("OUT_DIR"), "/functions.rs"));

/// The test of one function.
pub struct Case {
    /// `wasi:io/poll#[method]pollable.ready`.
    pub function: &'static str,
    /// Does it and prints what was found.
    pub run: fn(),
}

/// Implements the traits, one per interface.
pub struct Cases;

/// Runs what the arguments name among `cases`: `list`, which prints their names; `all`, which runs those that
/// return; or names.
pub fn main(cases: &[Case]) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("list") => cases.iter().for_each(|case| println!("{}", case.function)),
        Some("list-gated") => GATED.iter().for_each(|function| println!("{function}")),
        Some("all") => cases.iter().filter(|case| returns(case)).for_each(run),
        _ => arguments.iter().for_each(|name| run(find(cases, name))),
    }
}

fn find<'a>(cases: &'a [Case], name: &str) -> &'a Case {
    let found = cases.iter().find(|case| case.function == name);
    found.unwrap_or_else(|| panic!("there is no function {name}"))
}

fn run(case: &Case) {
    println!("{}", case.function);
    (case.run)();
}

/// Whether a case comes back, so that others can follow it in the same process.
fn returns(case: &Case) -> bool {
    !case.function.starts_with("wasi:cli/exit#")
}

/// Prints what was found under a label.
macro_rules! say {
    ($label:expr, $found:expr) => {
        println!("  {}: {:?}", $label, $found)
    };
}
pub(crate) use say;
