//! How fast bytes move to and from files.

use std::hint::black_box;

use bench_sampling::{Elapsed, Meter};
use wasip2::clocks::monotonic_clock;
use wasip2::filesystem::types::{Descriptor, ErrorCode};

use crate::{file, said};

const BLOCK_BYTES: u64 = 64 << 10;
/// Blocks of one sample: 16 MiB.
const BLOCKS: u64 = 256;
const FILE: &str = "calls-throughput";

/// Takes the figures.
pub fn run(meter: &mut Meter<'_>, folder: &Descriptor) -> Result<(), ErrorCode> {
    let file = file(folder, FILE, 0)?;
    let block = vec![7; BLOCK_BYTES as usize];
    meter.throughput("tmpfs.write_new_64k", BLOCKS, BLOCK_BYTES, |count| {
        file.set_size(0).map_err(said)?;
        each_block(count, |offset| file.write(&block, offset).map(drop))
    });
    meter.throughput("tmpfs.overwrite_64k", BLOCKS, BLOCK_BYTES, |count| {
        each_block(count, |offset| file.write(&block, offset).map(drop))
    });
    meter.throughput("tmpfs.read_64k", BLOCKS, BLOCK_BYTES, |count| {
        each_block(count, |offset| {
            file.read(BLOCK_BYTES, offset).map(black_box).map(drop)
        })
    });
    folder.unlink_file_at(FILE)
}

/// Does an operation at the offset of each block.
fn each_block(count: u64, operation: impl Fn(u64) -> Result<(), ErrorCode>) -> Elapsed {
    let start = monotonic_clock::now();
    for number in 0..count {
        operation(number * BLOCK_BYTES).map_err(said)?;
    }
    Ok(monotonic_clock::now() - start)
}
