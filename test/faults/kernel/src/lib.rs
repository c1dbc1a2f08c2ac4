//! A kernel that injects faults into services that talk to each other, and says what came of them.
//!
//! Law: it is the product's kernel up to and with the supervisor; the faults are those of `test-faults`. After each batch of them the
//! [`Ledger`] must be as it was before: frames, regions, threads, and the heap's bytes. One line for each kind and state goes to the
//! terminal line, and one with the totals; then the machine is switched off:
//!
//! ```text
//! faults: pair KIND STATE INJECTED RECOVERED MINIMUM
//! faults: failed WHY
//! faults: end INJECTED RECOVERED SERVICES
//! ```
//!
//! Words of the command line: `faults=N`, `seed=N`, `skip=N` (begins with a later fault), `defect=NAME` (plants a [`Defect`]).

use std::sync::OnceLock;
use std::thread;

use contract_boot::BootInfo;
use kernel_core::memory::frames;
use kernel_core::{fault, log as kernel_log, power};
use kernel_machine::cpu::entry::HandOver;
use kernel_machine::memory::PAGE_BYTES;
use runtime_engine::interrupt::Interrupter;
use runtime_engine::{Engine, EngineOptions};
use runtime_exchange::image::{self, Programs};
use runtime_host::Budget;
use runtime_platform::{code_memory, failure, interruption};
use runtime_supervisor::{ProgramFinder, ProgramImage, Supervisor, SupervisorOptions};
use test_faults::table::pairs;
use test_faults::{Defect, Machine, Order, Tally};
use test_ledger::Ledger;

kernel_machine::entry_point!(main);

/// Stack of the thread that injects, in bytes.
const STACK_BYTES: usize = 1 << 20;
/// Processes at a time, those that were killed and whose threads are not gone yet among them.
const PROCESSES_MAX: usize = 24;
/// Memory of one process, in bytes.
const PROCESS_BYTES: u64 = 24 << 20;
/// What all processes may have, in bytes: a part of the machine's memory, so that it is a budget that is exhausted.
const PROCESSES_BYTES: u64 = 256 << 20;

/// The start, as a table of contents.
fn main(hand_over: HandOver) -> ! {
    let info = kernel_core::start(&hand_over);
    failure::install_panic_hook();
    let running = thread::Builder::new()
        .name("faults".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || run(&info));
    match running.map(thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => power::power_off(),
        Ok(Ok(Err(sentence))) => fault::stop(&sentence),
        Ok(Err(_)) => fault::stop("a panic in what injects faults"),
        Err(error) => fault::stop_with(format_args!("no thread to inject faults: {error}")),
    }
}

fn run(info: &BootInfo) -> Result<(), String> {
    let words = kernel_log::command_line(info);
    let defect = value(words, "defect=");
    let order = Order {
        faults: number(words, "faults=", 100)?,
        seed: number(words, "seed=", 1)?,
        skip: number(words, "skip=", 0)?,
        defect: defect
            .map(|name| Defect::named(name).ok_or(format!("there is no defect {name}")))
            .transpose()?,
    };
    let machine = machine(info)?;
    let mut tally = Tally::default();
    let first = OnceLock::new();
    let start = Ledger::now();
    // The line shows that there is progress.
    let mut settled = || match first.get() {
        None => {
            start.await_threads();
            let _is_first = first.set(Ledger::now());
            Ok(())
        }
        Some(ledger) => {
            println!("faults: batch");
            Ledger::settle(ledger)
        }
    };
    let ran = test_faults::run(&machine, &order, &mut tally, &mut settled);
    report(&order, &tally, ran);
    Ok(())
}

fn report(order: &Order, tally: &Tally, ran: Result<(), String>) {
    for pair in pairs() {
        let count = tally.count(pair.kind, pair.state);
        let minimum = order.minimum();
        println!(
            "faults: pair {pair} {} {} {minimum}",
            count.injected, count.recovered
        );
    }
    if let Err(why) = ran {
        println!("faults: failed {why}");
    }
    let total = tally.total();
    println!(
        "faults: end {} {} {}",
        total.injected, total.recovered, tally.services
    );
}

fn machine(info: &BootInfo) -> Result<Machine, String> {
    let bundle = image::open("system's bundle", &info.bundle)?.ok_or("there is no bundle")?;
    let programs = Programs::new(bundle)?;
    let program = |name: &str| -> Result<ProgramImage, String> {
        programs
            .find(name)
            .ok_or(format!("there is no program {name}"))?
    };
    let engine = Engine::new(EngineOptions {
        code_memory: Some(code_memory::new()),
        interrupter: Some(Interrupter {
            current_thread: interruption::current_thread,
            divert: interruption::divert,
            visit: interruption::visit,
            stay: interruption::stay,
        }),
        cache_bytes: 0,
        compile_threads: None,
        compile_thread_start: None,
        pooled_processes: PROCESSES_MAX as u32,
    });
    let free_bytes = frames::statistics().free * PAGE_BYTES;
    let options = SupervisorOptions {
        budget: Budget::new(PROCESSES_BYTES.min(free_bytes / 2)),
        processes_max: PROCESSES_MAX,
        interfaces: Vec::new(),
        meter: None,
        programs: None,
    };
    let engine = engine.map_err(|error| error.to_string())?;
    let supervisor = Supervisor::new(engine, options).map_err(|error| error.to_string())?;
    Ok(Machine {
        supervisor,
        process_bytes: PROCESS_BYTES,
        relay: program("relay")?,
        caller: program("caller")?,
    })
}

fn value<'a>(words: &'a str, key: &str) -> Option<&'a str> {
    words.split(' ').find_map(|word| word.strip_prefix(key))
}

fn number<N: std::str::FromStr>(words: &str, key: &str, otherwise: N) -> Result<N, String> {
    let Some(text) = value(words, key) else {
        return Ok(otherwise);
    };
    let number = text.parse();
    number.map_err(|_| format!("{key} has no number, but {text:?}"))
}
