//! What the calls of WASI 0.2 cost that programs make most, each by itself, on its fast path. Arguments: a folder that may be
//! written to, what names of figures contain, and "time" or "count". Prints one line of JSON per figure.
//!
//! Law: a figure is named after its interface and function. What a call leaves behind is tidied up in the same operation, and the
//! figure's name says so (`create_directory_at_remove`). The component runs as it is on every host: streams over files are read and written by
//! the blocking calls, because hosts may do the others' work behind the caller's back.

mod environment;
mod filesystem;
mod polling;
mod streams;
mod throughput;

use std::process::ExitCode;

use bench_sampling::{Meter, Plan};
use wasip2::clocks::monotonic_clock;
use wasip2::filesystem::preopens;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

const READ: DescriptorFlags = DescriptorFlags::READ;
const WRITE: DescriptorFlags = DescriptorFlags::WRITE;
const STAY: PathFlags = PathFlags::empty();
const PAGE_BYTES: u64 = 4096;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, filter, plan] = &arguments[..] else {
        eprintln!("usage: calls FOLDER FILTER time|count");
        return ExitCode::from(2);
    };
    let plan = if plan == "count" {
        Plan::Count
    } else {
        Plan::Time
    };
    let mut output = |line: &str| println!("{line}");
    let mut meter = Meter::new("calls", filter, plan, monotonic_clock::now, &mut output);
    environment::run(&mut meter);
    polling::run(&mut meter);
    if let Err(why) = in_folder(&mut meter, folder) {
        meter.error("filesystem", &why);
    }
    ExitCode::SUCCESS
}

/// Figures that need files.
fn in_folder(meter: &mut Meter<'_>, path: &str) -> Result<(), String> {
    let folder = folder(path)?;
    filesystem::run(meter, &folder).map_err(said)?;
    streams::run(meter, &folder)?;
    throughput::run(meter, &folder).map_err(said)
}

/// The folder of that path, wherever the host's preopens begin.
fn folder(path: &str) -> Result<Descriptor, String> {
    for (preopen, at) in preopens::get_directories() {
        match path.strip_prefix(&at) {
            Some("") => return Ok(preopen),
            Some(rest) => {
                let flags = READ | DescriptorFlags::MUTATE_DIRECTORY;
                let rest = rest.trim_start_matches('/');
                return preopen
                    .open_at(STAY, rest, OpenFlags::DIRECTORY, flags)
                    .map_err(said);
            }
            None => {}
        }
    }
    Err(format!("no folder was given that holds {path}"))
}

/// A file open for reading and writing, of so many bytes.
fn file(folder: &Descriptor, name: &str, len_bytes: u64) -> Result<Descriptor, ErrorCode> {
    let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let file = folder.open_at(STAY, name, flags, READ | WRITE)?;
    let page = [1; PAGE_BYTES as usize];
    for offset in (0..len_bytes).step_by(page.len()) {
        file.write(&page, offset)?;
    }
    Ok(file)
}

fn said(error: ErrorCode) -> String {
    error.message().to_owned()
}
