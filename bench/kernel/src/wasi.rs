//! What a program pays for WASI: programs measure it, by the clock that WASI gives them.
//!
//! A program gets three arguments: a folder, what names of figures contain, and "time" or "count". It prints lines as
//! [`Meter::line`] makes them. Linux runs the same bytes; the program of the suite `wasi` is the peer's own where there is one, and looks at
//! the first argument only.

use std::sync::Arc;

use bench_sampling::{Meter, Plan};
use lib_tmpfs::{NodeId, Tmpfs};

use crate::bundle::Files;
use crate::programs::{EPOCH, Kept, Programs};

/// The program that the peer has as well, and finds a file of its own in the folder.
const WASI: &str = "wasi";
/// Ours, which runs on both sides.
const CALLS: &str = "calls";
const FOLDER: &str = "data";
const FILE: &str = "bench.dat";
/// The file's length, in pieces of 1 MiB.
const FILE_MIB: u64 = 64;
const MIB: usize = 1 << 20;

/// Takes the figures of the suite `wasi`.
pub fn run(meter: &mut Meter<'_>, files: &Files) {
    run_and_pass_on(meter, files, WASI, fill);
}

/// Takes the figures of the suite `calls`.
pub fn run_calls(meter: &mut Meter<'_>, files: &Files) {
    run_and_pass_on(meter, files, CALLS, |tree| make_folder(tree).map(drop));
}

/// Runs a program in a tree that was prepared, and passes its lines on.
fn run_and_pass_on(
    meter: &mut Meter<'_>,
    files: &Files,
    program: &str,
    prepare: fn(&mut Tmpfs) -> Result<(), lib_tmpfs::Error>,
) {
    if !files.has_program(program) {
        return;
    }
    let output = Arc::new(Kept::default());
    let run = || -> Result<(), String> {
        let programs = Programs::new(files)?;
        prepare(&mut programs.root().write()).map_err(|error| error.to_string())?;
        let folder = format!("/{FOLDER}");
        let arguments = [folder.as_str(), meter.filter(), plan_word(meter.plan())];
        programs.run(program, &arguments, Arc::clone(&output) as _)
    };
    if let Err(why) = run() {
        meter.error(program, &why);
    }
    for line in output.text().lines() {
        meter.pass_on(line);
    }
}

/// How a program is told how samples are taken.
pub fn plan_word(plan: Plan) -> &'static str {
    match plan {
        Plan::Time => "time",
        Plan::Count => "count",
    }
}

/// The folder that programs are told of.
pub fn make_folder(tree: &mut Tmpfs) -> Result<NodeId, lib_tmpfs::Error> {
    let root = tree.root();
    tree.create_directory(root, FOLDER, EPOCH)
}

/// Writes the file.
fn fill(tree: &mut Tmpfs) -> Result<(), lib_tmpfs::Error> {
    let piece: Vec<u8> = (0..MIB)
        .map(|index| (index as u8).wrapping_mul(7))
        .collect();
    let folder = make_folder(tree)?;
    let file = tree.create_file(folder, FILE, EPOCH)?;
    for number in 0..FILE_MIB {
        tree.write(file, number * MIB as u64, &piece, EPOCH)?;
    }
    Ok(())
}
