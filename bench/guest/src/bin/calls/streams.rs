//! `wasi:io/streams`, over a file that is long enough for none of the calls to meet its end.

use std::hint::black_box;

use bench_sampling::{Elapsed, Meter};
use wasip2::clocks::monotonic_clock;
use wasip2::filesystem::types::Descriptor;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use crate::{PAGE_BYTES, file, said};

/// Calls on one stream before it is opened anew at the file's start.
const CALLS: u64 = 1024;
const FILE: &str = "calls-stream";
const COPY: &str = "calls-copy";

/// Takes the figures.
pub fn run(meter: &mut Meter<'_>, folder: &Descriptor) -> Result<(), String> {
    let long = file(folder, FILE, CALLS * PAGE_BYTES).map_err(said)?;
    let copy = file(folder, COPY, 0).map_err(said)?;
    reading(meter, &long);
    writing(meter, &long, &copy);
    for name in [FILE, COPY] {
        folder.unlink_file_at(name).map_err(said)?;
    }
    Ok(())
}

fn reading(meter: &mut Meter<'_>, file: &Descriptor) {
    meter.per_operation("streams.subscribe_drop", |count| {
        on(
            count,
            || reader(file),
            |stream| {
                drop(stream.subscribe());
                Ok(())
            },
        )
    });
    meter.per_operation("streams.blocking_read_4k", |count| {
        on(
            count,
            || reader(file),
            |stream| stream.blocking_read(PAGE_BYTES).map(black_box).map(drop),
        )
    });
    meter.per_operation("streams.blocking_skip_4k", |count| {
        on(
            count,
            || reader(file),
            |stream| stream.blocking_skip(PAGE_BYTES).map(drop),
        )
    });
}

fn writing(meter: &mut Meter<'_>, file: &Descriptor, copy: &Descriptor) {
    let page = [7; PAGE_BYTES as usize];
    meter.per_operation("streams.check_write", |count| {
        on(
            count,
            || writer(copy),
            |stream| stream.check_write().map(black_box).map(drop),
        )
    });
    meter.per_operation("streams.blocking_write_and_flush_4k", |count| {
        on(
            count,
            || writer(copy),
            |stream| stream.blocking_write_and_flush(&page),
        )
    });
    meter.per_operation("streams.blocking_write_zeroes_and_flush_4k", |count| {
        on(
            count,
            || writer(copy),
            |stream| stream.blocking_write_zeroes_and_flush(PAGE_BYTES),
        )
    });
    let both = || Ok((reader(file)?, writer(copy)?));
    meter.per_operation("streams.blocking_splice_4k", |count| {
        on(count, both, |(from, to)| {
            to.blocking_splice(from, PAGE_BYTES).map(drop)
        })
    });
}

fn reader(file: &Descriptor) -> Result<InputStream, String> {
    file.read_via_stream(0).map_err(said)
}

fn writer(file: &Descriptor) -> Result<OutputStream, String> {
    file.write_via_stream(0).map_err(said)
}

/// Does an operation so often, each time on what `open` gave last.
fn on<T>(
    count: u64,
    open: impl Fn() -> Result<T, String>,
    operation: impl Fn(&T) -> Result<(), StreamError>,
) -> Elapsed {
    let mut opened = open()?;
    let start = monotonic_clock::now();
    for number in 1..=count {
        operation(&opened).map_err(|error| error.to_string())?;
        if number % CALLS == 0 {
            opened = open()?;
        }
    }
    Ok(monotonic_clock::now() - start)
}
