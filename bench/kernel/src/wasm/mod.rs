//! What WebAssembly pays in this kernel: compiling, loading, instantiating, calling, computing, starting a process.
//!
//! Law: a figure has the name, the unit and the meaning that the Linux peer gives it. The engine's settings are the product's
//! ([`engines`]); nothing is switched off for speed.

mod calls;
mod components;
mod compute;
mod engines;
mod loading;
mod memory;
mod modules;
mod process;

use bench_sampling::Meter;

use crate::bundle::Files;
use engines::Engines;

/// Takes all figures of the suite.
pub fn run(meter: &mut Meter<'_>, files: &Files) {
    match Engines::new() {
        Ok(engines) => {
            println!("bench: settings {}", engines::description());
            run_parts(meter, files, &engines);
        }
        Err(error) => meter.error("engine", &format!("{error:#}")),
    }
    process::run(meter, files);
}

/// Figures that use one engine or more, under the name of the part where the part itself fails.
type Part = fn(&mut Meter<'_>, &Engines, &Files) -> wasmtime::Result<()>;

const PARTS: [(&str, Part); 5] = [
    ("call", calls::run),
    ("component", components::run),
    ("memory", memory::run),
    ("compute", compute::run),
    ("load", loading::run),
];

fn run_parts(meter: &mut Meter<'_>, files: &Files, engines: &Engines) {
    for (name, run) in PARTS {
        if let Err(error) = run(meter, engines, files) {
            meter.error(name, &format!("{error:#}"));
        }
    }
}
