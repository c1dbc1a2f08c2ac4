//! The heap from all CPUs at once: blocks of every size and alignment, grown, shrunk, checked, and freed by others.

use std::sync::Mutex;
use std::thread;

use kernel_machine::cpu::provoke;

use crate::Storm;
use crate::random::Random;

const THREADS_PER_CPU: usize = 2;
/// Steps of each thread in one round.
const STEPS: usize = 800;
/// Blocks that a thread holds at a time.
const HELD_MAX: usize = 48;
const LEN_BYTES_MAX: usize = 512 << 10;
/// Longer blocks are looked at in some places only.
const WHOLE_BYTES: usize = 4096;

#[repr(align(4096))]
struct Page([u8; 4096]);

#[repr(align(128))]
struct Line([u8; 128]);

/// A block and the byte that all of it holds.
enum Block {
    Bytes(Vec<u8>, u8),
    Page(Box<Page>, u8),
    Line(Box<Line>, u8),
}

impl Block {
    fn new(random: &mut Random) -> Self {
        let fill = random.next() as u8;
        match random.below(8) {
            0 => Self::Page(Box::new(Page([fill; 4096])), fill),
            1 => Self::Line(Box::new(Line([fill; 128])), fill),
            _ => Self::Bytes(vec![fill; random.length(LEN_BYTES_MAX)], fill),
        }
    }

    fn bytes(&self) -> (&[u8], u8) {
        match self {
            Self::Bytes(bytes, fill) => (bytes, *fill),
            Self::Page(page, fill) => (&page.0, *fill),
            Self::Line(line, fill) => (&line.0, *fill),
        }
    }

    fn check(&self) -> Result<(), String> {
        let (bytes, fill) = self.bytes();
        let step = bytes.len() / WHOLE_BYTES + 1;
        match bytes
            .iter()
            .step_by(step)
            .chain(bytes.last())
            .find(|byte| **byte != fill)
        {
            None => Ok(()),
            Some(byte) => Err(format!(
                "a block of {} bytes of {fill:#x} has {byte:#x}",
                bytes.len()
            )),
        }
    }

    /// Grows or shrinks; what was there stays.
    fn resize(&mut self, random: &mut Random) {
        if let Self::Bytes(bytes, fill) = self {
            bytes.resize(random.length(LEN_BYTES_MAX), *fill);
            bytes.shrink_to_fit();
        }
    }
}

/// One round.
pub fn storm(storm: &Storm) -> Result<(), String> {
    let shared = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let workers: Vec<_> = (0..storm.cpus * THREADS_PER_CPU)
            .map(|number| {
                let (random, shared) = (storm.random(number as u64), &shared);
                scope.spawn(move || work(random, shared))
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| Err("a panic".to_owned())))
    })?;
    if storm.has_defect("free-twice") {
        provoke::double_free(&storm.licence);
    }
    if storm.has_defect("leak-heap") {
        std::mem::forget(std::hint::black_box(vec![1_u8; 200 << 10]));
    }
    Ok(())
}

fn work(mut random: Random, shared: &Mutex<Vec<Block>>) -> Result<(), String> {
    let mut held: Vec<Block> = Vec::with_capacity(HELD_MAX);
    for _ in 0..STEPS {
        if held.is_empty() || held.len() < HELD_MAX && random.below(3) == 0 {
            held.push(Block::new(&mut random));
            continue;
        }
        let index = random.below(held.len());
        held[index].check()?;
        match random.below(4) {
            0 => held[index].resize(&mut random),
            1 => give_and_take(&mut held[index], &mut random, shared),
            _ => drop(held.swap_remove(index)),
        }
    }
    held.iter().try_for_each(Block::check)
}

/// Changes the block for one that another thread made.
fn give_and_take(block: &mut Block, random: &mut Random, shared: &Mutex<Vec<Block>>) {
    let Ok(mut shared) = shared.lock() else {
        return;
    };
    if shared.len() < HELD_MAX {
        let own = std::mem::replace(block, Block::new(random));
        shared.push(own);
    } else {
        let index = random.below(shared.len());
        std::mem::swap(block, &mut shared[index]);
    }
}
