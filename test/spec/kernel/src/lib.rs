//! A kernel that runs WebAssembly's own tests, and those about components, instead of a prompt.
//!
//! Law: it is the product's kernel up to and with the engine: the same start, the same code memory, the same settings.
//! Above that there is only the suite. One line per file goes to the terminal line as soon as the file has ended, or
//! at once if it does not run, and one with the counts at the end; then the machine is switched off:
//!
//! ```text
//! spec: left-out FILE: WHY
//! spec: ok FILE ASSERTIONS
//! spec: failed FILE: WHY
//! spec: end FILES ASSERTIONS FAILED LEFT-OUT
//! ```
//!
//! Words of the command line: `files=A,B,…` runs only those, `rounds=N` runs them N times over, which makes a stress
//! test of traps and of code that comes and goes, `defect=NAME` plants a [`Defect`].

mod defect;
mod workers;

use kernel_core::{fault, log as kernel_log, power};
use kernel_machine::cpu::entry::HandOver;
use runtime_platform::{code_memory, failure};
use test_spec::{Catalogue, Engines, SpecFile};

use defect::Defect;
use workers::Totals;

kernel_machine::entry_point!(main);

/// The start, as a table of contents.
fn main(hand_over: HandOver) -> ! {
    let info = kernel_core::start(&hand_over);
    failure::install_panic_hook();
    let command_line = kernel_log::command_line(&info);
    let engines = Engines::new(Some(code_memory::new()))
        .unwrap_or_else(|error| fault::stop(&error.to_string()));
    let mut chosen = chosen_files(value(command_line, "files="));
    if let Some(defect) = value(command_line, "defect=").map(defect_of) {
        defect.plant(&mut chosen.files);
    }
    let rounds = value(command_line, "rounds=").map_or(1, rounds_of);
    let totals = Totals::without(&chosen.left_out);
    workers::run_all(&engines, &chosen.files, rounds, &totals);
    println!("spec: end {totals}");
    power::power_off()
}

fn value<'a>(command_line: &'a str, key: &str) -> Option<&'a str> {
    command_line
        .split(' ')
        .find_map(|word| word.strip_prefix(key))
}

/// The files of those names, or all. A name that there is not would shorten the run silently: it stops the machine.
fn chosen_files(names: Option<&str>) -> Catalogue {
    let all = Catalogue::read().unwrap_or_else(|error| fault::stop(&error));
    let Some(names) = names else {
        return all;
    };
    let files = names.split(',').map(|name| file_of(&all.files, name));
    Catalogue {
        files: files.collect(),
        ..Catalogue::default()
    }
}

fn file_of(all: &[SpecFile], name: &str) -> SpecFile {
    let found = all.iter().find(|file| file.name == name).cloned();
    found.unwrap_or_else(|| fault::stop(&format!("there is no file {name}")))
}

fn rounds_of(number: &str) -> usize {
    let number = number.parse();
    number.unwrap_or_else(|error| fault::stop(&format!("rounds= is no number: {error}")))
}

fn defect_of(name: &str) -> Defect {
    Defect::named(name).unwrap_or_else(|| fault::stop(&format!("there is no defect {name}")))
}
