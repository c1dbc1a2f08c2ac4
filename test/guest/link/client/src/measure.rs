//! Calls that are measured by who makes them, by the rules of `bench/sampling`. Each figure is a line on standard output.
//!
//! A call of so many bytes gives that many and gets a number; `_in_buffer` they are written into a buffer, which is handed over, and
//! the other side reads them out. One of a handle gives a stream and gets it back.

use std::io::{Read, Write};

use bench_sampling::{Elapsed, Meter, Plan};
use wasip2::cli::stdin::get_stdin;
use wasip2::clocks::monotonic_clock;

use crate::bulk::{self, BLOCK_BYTES, Device, PACKET_BYTES, WINDOW_HEIGHT, WINDOW_WIDTH};
use crate::kpio::bulk::buffers::{Buffer, Rectangle};
use crate::kpio::link_probe::{counters, shapes};

/// Bytes that are given in a call, by the figures' names.
const SIZES: [(&str, usize); 3] = [("64", 64), ("4k", 4 << 10), ("64k", 64 << 10)];
/// Operations in a sample of throughput.
const READS: u64 = 64;
/// Blocks of the device, every second of which is a file's.
const DEVICE_BLOCKS: u32 = 64;
const READ_BYTES: u32 = 64 << 10;
const BATCH_PACKETS: u32 = 64;
/// What goes through a buffer in place of a message, by the figures' names.
const IN_BUFFER: [(&str, u32); 2] = [("4k", 4 << 10), ("64k", 64 << 10)];

/// Takes all figures that the filter names; `suffix` is what their names end with.
pub fn figures(suffix: &str, filter: &str, plan: &str) {
    // At the end of the input the other side has been placed.
    let mut input = Vec::new();
    let _at_end = std::io::stdin().read_to_end(&mut input);
    // Not measured: the first call connects.
    counters::live();
    let plan = match plan {
        "count" => Plan::Count,
        _ => Plan::Time,
    };
    let mut output = |line: &str| println!("{line}");
    let mut meter = Meter::new("channels", filter, plan, monotonic_clock::now, &mut output);
    calls(&mut meter, suffix);
    if suffix.is_empty() {
        throughput(&mut meter);
    }
}

fn calls(meter: &mut Meter<'_>, suffix: &str) {
    meter.each(&format!("call_0{suffix}"), || {
        counters::live();
    });
    for (name, len_bytes) in SIZES {
        let bytes = vec![7; len_bytes];
        let call = || shapes::consume(&bytes).map(drop);
        meter.try_each(&format!("call_{name}{suffix}"), call);
    }
    for (name, len_bytes) in IN_BUFFER {
        let buffer = Buffer::make(len_bytes).expect("there is room");
        let bytes = vec![7; len_bytes as usize];
        meter.try_each(&format!("call_{name}_in_buffer{suffix}"), || {
            buffer.write(0, &bytes).map_err(|error| error.to_string())?;
            let sent = bulk::transmit(&buffer, &[len_bytes]);
            sent.map(drop).map_err(|error| error.to_string())
        });
    }
    meter.try_each(&format!("call_handle{suffix}"), || {
        shapes::pass_back(get_stdin()).map(drop)
    });
}

/// Much data, as decision 31 has it.
fn throughput(meter: &mut Meter<'_>) {
    let pages = Buffer::make(READ_BYTES).expect("there is room");
    let device = Device::new(DEVICE_BLOCKS);
    let half = u64::from(DEVICE_BLOCKS * BLOCK_BYTES / 4);
    meter.throughput("bulk_file", READS, u64::from(READ_BYTES), |count| {
        timed(count, |number| {
            let offset = number * u64::from(BLOCK_BYTES) % half;
            let read = device.read(0, offset, &pages);
            read.map(drop).map_err(|error| error.to_string())
        })
    });
    let frames = Buffer::make(BATCH_PACKETS * PACKET_BYTES).expect("there is room");
    let bytes = vec![7; frames.len() as usize];
    let packets = [PACKET_BYTES; BATCH_PACKETS as usize];
    meter.throughput("bulk_packets", READS, u64::from(frames.len()), |count| {
        timed(count, |_| {
            frames.write(0, &bytes).map_err(|error| error.to_string())?;
            let sent = bulk::transmit(&frames, &packets);
            sent.map(drop).map_err(|error| error.to_string())
        })
    });
    let window = Buffer::make(WINDOW_WIDTH * WINDOW_HEIGHT * 4).expect("there is room");
    let pixels = vec![7; window.len() as usize];
    let all = Rectangle {
        x: 0,
        y: 0,
        width: WINDOW_WIDTH,
        height: WINDOW_HEIGHT,
    };
    meter.throughput("bulk_window", READS, u64::from(window.len()), |count| {
        timed(count, |_| {
            window
                .write(0, &pixels)
                .map_err(|error| error.to_string())?;
            bulk::present(&window, all).map_err(|error| error.to_string())
        })
    });
}

fn timed(count: u64, mut operation: impl FnMut(u64) -> Result<(), String>) -> Elapsed {
    let start = monotonic_clock::now();
    (0..count).try_for_each(&mut operation)?;
    Ok(monotonic_clock::now() - start)
}

/// Connects, waits until its input ends, and then calls so often.
pub fn burst(count: u64) {
    counters::live();
    println!("ready");
    let mut input = Vec::new();
    let _at_end = std::io::stdin().read_to_end(&mut input);
    for _ in 0..count {
        counters::live();
    }
}

/// One call for each byte of its input, which is its answer.
pub fn on_demand() {
    let mut byte = [0];
    while std::io::stdin().read_exact(&mut byte).is_ok() {
        counters::live();
        std::io::stdout().write_all(&byte).expect("writable");
        std::io::stdout().flush().expect("writable");
    }
}
