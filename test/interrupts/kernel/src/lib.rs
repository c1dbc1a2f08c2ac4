//! A kernel that has exceptions and interrupts go wrong, and says what came of it.
//!
//! Law: it is the product's kernel up to and with the engine. Nothing here judges an exception: every cell of the
//! matrix is told to the host, whose suite has the table. What can be judged here, is. One line per test goes to
//! the terminal line, and one with the counts at the end; then the machine is switched off:
//!
//! ```text
//! interrupts: cell VECTOR PLACE on|off OUTCOME
//! interrupts: ok NAME
//! interrupts: failed NAME: WHY
//! interrupts: end TESTS FAILED
//! ```
//!
//! Words of the command line: `only=A,B,…` runs only those tests, `scene=NAME` sets a [`scene`] and waits in it for
//! what the host does, `defect=NAME` plants a [`defect`].

mod cells;
mod defect;
mod detours;
mod gates;
mod lost;
mod scene;
mod spurious;
mod storms;
mod wasm;

use std::thread;

use kernel_core::crash::{self, Licence};
use kernel_core::{fault, log as kernel_log, power};
use kernel_machine::cpu::entry::HandOver;
use runtime_platform::failure;

use defect::Defect;

kernel_machine::entry_point!(main);

/// A test: an error is a sentence.
type Test = fn(&Licence) -> Result<(), String>;

/// All tests. Those that provoke single exceptions come before the engine is started, which sets handlers of its own.
const TESTS: &[(&str, Test)] = &[
    ("matrix", cells::tell),
    ("busy-landing-pads", gates::busy_pads),
    ("clean-state-at-gates", gates::state),
    ("spurious-by-instruction", spurious::by_instruction),
    ("spurious-by-message", spurious::by_message),
    ("late-interrupts", lost::late),
    ("lost-timer-interrupts", lost::timer),
    ("lost-messages", lost::messages),
    ("masked-serial-line", lost::serial),
    ("registers-in-a-storm", storms::registers),
    ("wasm-in-a-storm", storms::wasm),
    ("page-faults-in-a-storm", storms::page_faults),
    ("diverted-again-in-a-call", detours::again_in_a_call),
];

/// Stack of the thread that runs the tests, in bytes.
const STACK_BYTES: usize = 1 << 20;

/// The start, as a table of contents.
fn main(hand_over: HandOver) -> ! {
    let info = kernel_core::start(&hand_over);
    failure::install_panic_hook();
    let words = kernel_log::command_line(&info).to_owned();
    let licence = crash::licence(&info).unwrap_or_else(|| fault::stop("this is no test image"));
    let running = thread::Builder::new()
        .name("tests".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || run(&licence, &words));
    match running.map(thread::JoinHandle::join) {
        Ok(Ok(())) => power::power_off(),
        Ok(Err(_)) => fault::stop("a panic in a test"),
        Err(error) => fault::stop_with(format_args!("no thread for the tests: {error}")),
    }
}

fn run(licence: &Licence, words: &str) {
    // What publishes code sets the handlers, so it comes before a defect that takes one away.
    if let Some(name) = value(words, "defect=") {
        cells::publish(licence).unwrap_or_else(|error| fault::stop(&error));
        Defect::named(name).plant(licence);
    }
    if let Some(name) = value(words, "scene=") {
        scene::set(licence, name);
    }
    let only: Option<Vec<&str>> = value(words, "only=").map(|names| names.split(',').collect());
    let chosen = TESTS
        .iter()
        .filter(|(name, _)| only.as_ref().is_none_or(|only| only.contains(name)));
    let (mut count, mut failed) = (0, 0);
    for (name, test) in chosen {
        count += 1;
        match test(licence) {
            Ok(()) => println!("interrupts: ok {name}"),
            Err(why) => {
                failed += 1;
                println!("interrupts: failed {name}: {why}");
            }
        }
    }
    println!("interrupts: end {count} {failed}");
}

fn value<'a>(words: &'a str, key: &str) -> Option<&'a str> {
    words.split(' ').find_map(|word| word.strip_prefix(key))
}

/// Waits until `condition` holds; a sentence if it does not for a very long time.
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) -> Result<(), String> {
    /// A guard against hanging: 1000 pauses of 30 ms.
    const PAUSES: u32 = 1000;
    for _ in 0..PAUSES {
        if condition() {
            return Ok(());
        }
        thread::sleep(std::time::Duration::from_millis(30));
    }
    Err(format!("it never happened that {what}"))
}
