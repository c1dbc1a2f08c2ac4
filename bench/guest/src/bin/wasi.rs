//! What a program pays for WASI. Arguments: the folder with `bench.dat`, what names of figures contain, and "time" or
//! "count". Prints one line of JSON per figure.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use bench_sampling::{Elapsed, Meter, Plan};
use wasip2::clocks::monotonic_clock;
use wasip2::filesystem::preopens;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use wasip2::random::random;

const PAGE_BYTES: usize = 4096;
const BLOCK_BYTES: usize = 64 << 10;
/// Pages of the file that are read in turn.
const PAGES: u64 = 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, filter, plan] = &arguments[..] else {
        eprintln!("usage: wasi FOLDER FILTER time|count");
        return ExitCode::from(2);
    };
    let plan = if plan == "count" {
        Plan::Count
    } else {
        Plan::Time
    };
    let mut output = |line: &str| println!("{line}");
    let mut meter = Meter::new("wasi", filter, plan, monotonic_clock::now, &mut output);
    calls(&mut meter);
    let file = format!("{folder}/bench.dat");
    if Path::new(&file).exists() {
        files(&mut meter, folder, &file);
    } else {
        meter.error("file", "there is no bench.dat");
    }
    ExitCode::SUCCESS
}

fn calls(meter: &mut Meter<'_>) {
    meter.each("clock_time_get", || {
        black_box(monotonic_clock::now());
    });
    meter.each("random_get_16", || {
        black_box(random::get_random_bytes(16));
    });
    meter.each("malloc_memset_free_64k", || {
        black_box(vec![1_u8; BLOCK_BYTES]);
    });
}

fn files(meter: &mut Meter<'_>, folder: &str, file: &str) {
    meter.try_each("open_close", || File::open(file).map(drop));
    meter.try_each("stat", || fs::metadata(file).map(drop));
    match open(file) {
        Ok(descriptor) => {
            meter.per_operation("pread_4k_cached", |count| read_pages(&descriptor, count))
        }
        Err(why) => meter.error("pread_4k_cached", &why),
    }
    let len_bytes = fs::metadata(file).map_or(0, |metadata| metadata.len());
    let clock = meter.clock();
    meter.throughput("seq_read_64k_warm", 1, len_bytes, |count| {
        let start = clock();
        for _ in 0..count {
            read_all(file).map_err(|error| error.to_string())?;
        }
        Ok(clock() - start)
    });
    let scratch = format!("{folder}/scratch");
    meter.try_each("create_write_unlink_4k", || {
        fs::write(&scratch, [1_u8; PAGE_BYTES])?;
        fs::remove_file(&scratch)
    });
}

/// The file by its descriptor: reading at an offset needs one call.
fn open(file: &str) -> Result<Descriptor, String> {
    let (root, _) = preopens::get_directories()
        .pop()
        .ok_or("no folder was given")?;
    let path = file.trim_start_matches('/');
    let opened = root.open_at(
        PathFlags::empty(),
        path,
        OpenFlags::empty(),
        DescriptorFlags::READ,
    );
    opened.map_err(|error| error.message().to_owned())
}

fn read_pages(descriptor: &Descriptor, count: u64) -> Elapsed {
    let start = monotonic_clock::now();
    for number in 0..count {
        let offset = (number % PAGES) * PAGE_BYTES as u64;
        let page = descriptor.read(PAGE_BYTES as u64, offset);
        black_box(page.map_err(|error| error.message().to_owned())?);
    }
    Ok(monotonic_clock::now() - start)
}

fn read_all(file: &str) -> std::io::Result<()> {
    let mut file = File::open(file)?;
    let mut block = vec![0; BLOCK_BYTES];
    while file.read(&mut block)? > 0 {}
    Ok(())
}
