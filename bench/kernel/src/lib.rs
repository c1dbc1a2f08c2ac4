//! A kernel that measures itself instead of giving a prompt.
//!
//! Law: it is the product's kernel up to and with the supervisor; only the top differs. Results go to the terminal line,
//! one line of JSON each, in the form and under the names that the Linux peer prints them; then comes a last
//! line, and the machine is switched off:
//!
//! ```text
//! bench: end RESULTS
//! ```
//!
//! Words of the command line: `suites=A,B,…` says which suites run, `filter=TEXT` runs only figures whose names contain it,
//! `count` reads the time-stamp counter instead of the clock: on a machine whose counter counts instructions, so do
//! the figures.

mod bundle;
mod channels;
mod native;
mod options;
mod placement;
mod processes;
mod programs;
mod wasi;
mod wasm;

use std::thread;

use bench_sampling::{Clock, Meter, Plan};
use kernel_core::{fault, log as kernel_log, power};
use kernel_machine::cpu::entry::HandOver;
use runtime_platform::failure;

use bundle::Files;
use options::Options;

kernel_machine::entry_point!(main);

/// Stack of the thread that measures, in bytes.
const STACK_BYTES: usize = 2 << 20;

/// The start, as a table of contents.
fn main(hand_over: HandOver) -> ! {
    failure::install_panic_hook();
    let info = kernel_core::start(&hand_over);
    let options = Options::parse(kernel_log::command_line(&info));
    let files = Files::open(&info).unwrap_or_else(|sentence| fault::stop(&sentence));
    let measuring = thread::Builder::new()
        .name("bench".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || measure(&options, &files));
    match measuring.map(thread::JoinHandle::join) {
        Ok(Ok(results)) => println!("bench: end {results}"),
        Ok(Err(_)) => fault::stop("the measuring thread has panicked"),
        Err(error) => fault::stop_with(format_args!("no thread to measure on: {error}")),
    }
    power::power_off()
}

/// One suite: its name, and what runs it.
type Suite = (&'static str, fn(&mut Meter<'_>, &Files));

const SUITES: [Suite; 6] = [
    ("native", |meter, _| native::run(meter)),
    ("wasm", wasm::run),
    ("wasi", wasi::run),
    ("calls", wasi::run_calls),
    ("processes", processes::run),
    ("channels", channels::run),
];

/// Runs the suites that are asked for; returns how many results there were.
fn measure(options: &Options, files: &Files) -> usize {
    let mut results = 0;
    let mut output = |line: &str| {
        results += 1;
        println!("{line}");
    };
    for (name, run) in SUITES {
        if options.wants(name) {
            let clock = clock_of(options.plan);
            let mut meter = Meter::new(name, &options.filter, options.plan, clock, &mut output);
            run(&mut meter, files);
        }
    }
    results
}

fn clock_of(plan: Plan) -> Clock {
    match plan {
        Plan::Time => kernel_core::time::monotonic_ns,
        Plan::Count => kernel_machine::cpu::time_stamp,
    }
}
