//! What a program pays for WASI: a program measures it, by the clock that WASI gives it.
//!
//! The program gets three arguments: the folder with the file that it reads, what names of figures contain, and
//! "time" or "count". It prints lines as [`Meter::line`] makes them. The Linux peer runs the same bytes where they are the
//! peer's; that program looks at the first argument only.

use std::sync::Arc;

use bench_sampling::{Meter, Plan};
use lib_tmpfs::Timestamp;

use crate::bundle::Files;
use crate::programs::{Kept, Programs};

const PROGRAM: &str = "wasi";
const FOLDER: &str = "data";
const FILE: &str = "bench.dat";
/// The file's length, in pieces of 1 MiB.
const FILE_MIB: u64 = 64;
const MIB: usize = 1 << 20;

/// Runs the program and passes its lines on.
pub fn run(meter: &mut Meter<'_>, files: &Files) {
    if !files.has_program(PROGRAM) {
        return;
    }
    let output = Arc::new(Kept::default());
    if let Err(why) = run_program(meter, files, &output) {
        meter.error(PROGRAM, &why);
    }
    for line in output.text().lines() {
        meter.pass_on(line);
    }
}

fn run_program(meter: &Meter<'_>, files: &Files, output: &Arc<Kept>) -> Result<(), String> {
    let programs = Programs::new(files)?;
    fill(&programs).map_err(|error| error.to_string())?;
    let plan = match meter.plan() {
        Plan::Time => "time",
        Plan::Count => "count",
    };
    let arguments = [
        format!("/{FOLDER}"),
        meter.filter().to_owned(),
        plan.to_owned(),
    ];
    programs.run(PROGRAM, &arguments, Arc::clone(output) as _)
}

/// Writes the file.
fn fill(programs: &Programs) -> Result<(), lib_tmpfs::Error> {
    let now = Timestamp {
        seconds: 0,
        nanoseconds: 0,
    };
    let piece: Vec<u8> = (0..MIB)
        .map(|index| (index as u8).wrapping_mul(7))
        .collect();
    let mut tree = programs.root().write();
    let root = tree.root();
    let folder = tree.create_directory(root, FOLDER, now)?;
    let file = tree.create_file(folder, FILE, now)?;
    for number in 0..FILE_MIB {
        tree.write(file, number * MIB as u64, &piece, now)?;
    }
    Ok(())
}
