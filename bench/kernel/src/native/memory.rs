//! Memory: mapping, faults, copying, the heap.

use std::hint::black_box;

use bench_sampling::{Clock, Elapsed, Meter, Plan};
use memmap2::{Advice, MmapMut};

const PAGE_BYTES: usize = 4096;
/// Pages of one mapping, at most.
const PAGES_MAX: u64 = 4096;
const COPY_BYTES: usize = 16 << 20;
const BLOCK_BYTES: usize = 64;

/// Takes the figures.
pub fn run(meter: &mut Meter<'_>) {
    let clock = meter.clock();
    meter.per_operation("mem.fault_4k", |count| touch_pages(clock, count));
    meter.try_each("mem.mmap_munmap_4k", || {
        MmapMut::map_anon(PAGE_BYTES).map(drop)
    });
    if meter.wants("mem.memcpy_16m") {
        let (mut to, from) = (vec![1_u8; COPY_BYTES], vec![2_u8; COPY_BYTES]);
        meter.throughput("mem.memcpy_16m", 8, COPY_BYTES as u64, |count| {
            let start = clock();
            for _ in 0..count {
                to.copy_from_slice(black_box(&from));
                black_box(&mut to);
            }
            Ok(clock() - start)
        });
    }
    meter.each("heap.malloc_free_64", allocate_and_free);
    if meter.plan() == Plan::Count {
        plant_a_slowdown(meter);
    }
}

fn allocate_and_free() {
    drop(black_box(Box::new([0_u8; BLOCK_BYTES])));
}

/// A figure that is a tenth too large, so that whoever judges figures by count can show that this is noticed.
fn plant_a_slowdown(meter: &mut Meter<'_>) {
    let mut number = 0_u64;
    meter.each("heap.malloc_free_64.slowed", || {
        allocate_and_free();
        number += 1;
        if number.is_multiple_of(10) {
            allocate_and_free();
        }
    });
}

/// One operation is one page: mapped with many others, touched once, unmapped with them.
fn touch_pages(clock: Clock, count: u64) -> Elapsed {
    let mut elapsed = 0;
    let mut left = count;
    while left > 0 {
        let pages = left.min(PAGES_MAX);
        let start = clock();
        touch_mapping(pages as usize).map_err(|error| error.to_string())?;
        elapsed += clock() - start;
        left -= pages;
    }
    Ok(elapsed)
}

fn touch_mapping(pages: usize) -> std::io::Result<()> {
    let mut mapping = MmapMut::map_anon(pages * PAGE_BYTES)?;
    // A kernel without large pages needs no such advice.
    let _advised = mapping.advise(Advice::NoHugePage);
    for page in mapping.chunks_exact_mut(PAGE_BYTES) {
        page[0] = 1;
    }
    black_box(&mut mapping);
    Ok(())
}
