//! Processes as a whole: starting one, two that talk through pipes, what one that waits holds, a program that nobody has seen before, and
//! one that reads a large tree.
//!
//! Law: programs, arguments and trees are those that `bench/linux/launcher.rs` runs on Linux, and so are the figures' names and units.

use std::sync::Arc;

use bench_sampling::Meter;
use kernel_core::memory::frames;
use lib_tmpfs::Tmpfs;
use runtime_host::{
    Cancellation, PIPE_DEFAULT_BYTES, PipeReader, PipeWriter, pipe, read_blocking,
    write_all_blocking,
};
use runtime_supervisor::Process;

use crate::bundle::Files;
use crate::programs::{EPOCH, Kept, Programs, Streams, quiet, succeeded};
use crate::wasi::{make_folder, plan_word};

/// Programs, by their names in the bundle.
const HELLO: &str = "hello";
const PIPES: &str = "pipes";
const TREE: &str = "tree";
const SEARCH: &str = "rg";
const UNKNOWN: &str = "diffutils";

/// Processes that wait while memory is looked at, and how often that is done.
const IDLE_PROCESSES: usize = 8;
const IDLE_SAMPLES: usize = 3;
const KIB_PER_FRAME: f64 = 4.0;
/// A message that is answered by itself.
const MESSAGE: [u8; 64] = [b's'; 64];

/// Takes the figures.
pub fn run(meter: &mut Meter<'_>, files: &Files) {
    if !files.has_program(PIPES) {
        return;
    }
    if let Err(why) = Programs::new(files).and_then(|programs| figures(meter, files, &programs)) {
        meter.error("programs", &why);
    }
}

fn figures(meter: &mut Meter<'_>, files: &Files, programs: &Programs) -> Result<(), String> {
    plant(&mut programs.root().write()).map_err(|error| error.to_string())?;
    meter.long("start_precompiled_hello", || {
        programs.run(HELLO, &[], quiet())
    });
    pipes(meter, programs)?;
    idle(meter, programs)?;
    first_start(meter, files, programs);
    search(meter, programs)
}

/// What the programs find: a folder with an empty file.
fn plant(tree: &mut Tmpfs) -> Result<(), lib_tmpfs::Error> {
    let folder = make_folder(tree)?;
    tree.create_file(folder, "same", EPOCH).map(drop)
}

/// Two processes, each with the other's output as its input.
fn pipes(meter: &mut Meter<'_>, programs: &Programs) -> Result<(), String> {
    if !["pipe_rtt_64", "pipe_bw_64k"]
        .iter()
        .any(|name| meter.wants(name))
    {
        return Ok(());
    }
    let (there_reader, there) = new_pipe(programs)?;
    let (back_reader, back) = new_pipe(programs)?;
    let echo = programs.start(PIPES, &["echo"], between(there_reader, back))?;
    let lines = Arc::new(Kept::default());
    let streams = Streams {
        stderr: Arc::clone(&lines) as _,
        ..between(back_reader, there)
    };
    let arguments = ["measure", meter.filter(), plan_word(meter.plan())];
    succeeded(&programs.start(PIPES, &arguments, streams)?)?;
    succeeded(&echo)?;
    lines.text().lines().for_each(|line| meter.pass_on(line));
    Ok(())
}

fn new_pipe(programs: &Programs) -> Result<(PipeReader, PipeWriter), String> {
    pipe(PIPE_DEFAULT_BYTES, programs.budget()).map_err(|error| error.to_string())
}

fn between(from: PipeReader, to: PipeWriter) -> Streams {
    Streams {
        stdin: Arc::new(from),
        stdout: Arc::new(to),
        stderr: quiet(),
    }
}

/// Memory that processes hold which have answered once and wait for more input.
fn idle(meter: &mut Meter<'_>, programs: &Programs) -> Result<(), String> {
    const FIGURE: &str = "idle_memory";
    if !meter.wants(FIGURE) {
        return Ok(());
    }
    let mut samples = Vec::new();
    for _ in 0..IDLE_SAMPLES {
        let before = frames::statistics().free;
        let processes: Vec<Waiting> = (0..IDLE_PROCESSES)
            .map(|_| waiting(programs))
            .collect::<Result<_, _>>()?;
        let used = before.saturating_sub(frames::statistics().free);
        samples.push(used as f64 * KIB_PER_FRAME / IDLE_PROCESSES as f64);
        for waiting in processes {
            drop(waiting.input);
            succeeded(&waiting.process)?;
        }
    }
    meter.taken(FIGURE, "KiB", &samples);
    Ok(())
}

/// A process that has answered once and waits for more input.
struct Waiting {
    process: Process,
    input: PipeWriter,
    /// Held because it may still be busy with its answer when that has arrived.
    _output: PipeReader,
}

fn waiting(programs: &Programs) -> Result<Waiting, String> {
    let never = Cancellation::new();
    let (input_end, input) = new_pipe(programs)?;
    let (output, output_end) = new_pipe(programs)?;
    let process = programs.start(PIPES, &["echo"], between(input_end, output_end))?;
    let sent = write_all_blocking(&input, &MESSAGE, &never).map_err(|_| "it was cancelled")?;
    sent.map_err(|failure| failure.to_string())?;
    let mut answer = MESSAGE;
    let read = read_blocking(&output, &mut answer, &never).map_err(|_| "it was cancelled")?;
    read.map_err(|failure| failure.to_string())?;
    Ok(Waiting {
        process,
        input,
        _output: output,
    })
}

/// A program of a megabyte that is seen for the first time: each time its bytes are others, by a section that means nothing.
fn first_start(meter: &mut Meter<'_>, files: &Files, programs: &Programs) {
    let Some(program) = files.program(UNKNOWN, "wasm") else {
        return;
    };
    let mut starts = 0;
    meter.long("first_start_1m", || {
        starts += 1;
        let wasm = [program.contents(), &custom_section(starts)].concat();
        programs.run_unknown(UNKNOWN, wasm, &["cmp", "/data/same", "/data/same"])
    });
}

/// A custom section (core specification, 5.5.3, and the same in components): its length, an empty name, a number.
fn custom_section(number: u8) -> [u8; 4] {
    const CUSTOM: u8 = 0;
    const LEN_BYTES: u8 = 2;
    const NAME_LEN_BYTES: u8 = 0;
    [CUSTOM, LEN_BYTES, NAME_LEN_BYTES, number]
}

/// A search through 50 MB.
fn search(meter: &mut Meter<'_>, programs: &Programs) -> Result<(), String> {
    const FIGURE: &str = "rg_50m";
    if !meter.wants(FIGURE) {
        return Ok(());
    }
    programs.run(TREE, &["/data/tree"], quiet())?;
    meter.long(FIGURE, || {
        programs.run(SEARCH, &["quicksilver", "/data/tree"], quiet())
    });
    Ok(())
}
