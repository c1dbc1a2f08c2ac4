//! Small free blocks that each CPU keeps for itself, by size class.
//!
//! Law: a block stands in one list of one CPU, linked through its own first bytes. A list is bounded
//! (`lib_size_class::kept_blocks`); half of it goes to or comes from the heap behind it in one go. Lists are changed
//! under their CPU's lock, which other CPUs take only when memory is short. Lock order: a CPU's lists,
//! then the heap.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicI64, Ordering};

use lib_size_class::{CLASS_COUNT, kept_blocks, len_bytes};

use super::checks;
use crate::cpu::{self, CPUS_MAX, mailbox};
use crate::sync::IrqLock;

/// What one CPU has, in cache lines of its own.
#[repr(align(128))]
struct PerCpu {
    lists: IrqLock<[FreeList; CLASS_COUNT]>,
    /// Bytes handed out here less bytes given back here: only the sum over all CPUs means anything.
    in_use_bytes: AtomicI64,
}

static CPUS: [PerCpu; CPUS_MAX] = [const {
    PerCpu {
        lists: IrqLock::named("heap lists", [const { FreeList::EMPTY }; CLASS_COUNT]),
        in_use_bytes: AtomicI64::new(0),
    }
}; CPUS_MAX];

fn here() -> &'static PerCpu {
    &CPUS[cpu::index() as usize]
}

/// Where lists get blocks from and give them to.
pub(super) trait Backing {
    /// A block of this length. `None` when memory is out.
    fn allocate(&mut self, len_bytes: usize) -> Option<NonNull<u8>>;
    /// Takes such a block back.
    fn release(&mut self, block: NonNull<u8>, len_bytes: usize);
}

/// A block of a class; `backing` is only opened when this CPU has none.
pub(super) fn take<B: Backing>(class: usize, backing: impl FnOnce() -> B) -> Option<NonNull<u8>> {
    let mut lists = here().lists.lock();
    let list = &mut lists[class];
    list.pop(class)
        .or_else(|| list.refill(class, &mut backing()))
}

/// Takes a block of a class back; `backing` is only opened when this CPU has too many.
///
/// # Safety
/// The block has the class's length, nobody uses it, and it came from the backing.
pub(super) unsafe fn give<B: Backing>(
    class: usize,
    block: NonNull<u8>,
    backing: impl FnOnce() -> B,
) {
    let mut lists = here().lists.lock();
    let list = &mut lists[class];
    // SAFETY: by this function's contract.
    unsafe { list.push(class, block) };
    if list.count > kept_blocks(class) {
        list.shed(class, kept_blocks(class) / 2, &mut backing());
    }
}

/// Gives all blocks of all CPUs to the backing.
pub(super) fn drain<B: Backing>(mut backing: impl FnMut() -> B) {
    for cpu in &CPUS {
        let mut lists = cpu.lists.lock();
        for (class, list) in lists.iter_mut().enumerate() {
            if list.count > 0 {
                list.shed(class, 0, &mut backing());
            }
        }
    }
}

/// Counts bytes as handed out; negative ones as given back.
pub(super) fn account(bytes: i64) {
    here().in_use_bytes.fetch_add(bytes, Ordering::Relaxed);
}

/// Bytes in live blocks.
pub(super) fn in_use_bytes() -> usize {
    let cpus = mailbox::bits(mailbox::online_mask());
    let sum: i64 = cpus
        .map(|cpu| CPUS[cpu as usize].in_use_bytes.load(Ordering::Relaxed))
        .sum();
    // A block that is freed elsewhere while the rows are read may be seen to go before it came.
    sum.max(0) as usize
}

/// The head of a free block. What follows is poison in a kernel with checks.
#[repr(C)]
struct FreeBlock {
    next: Option<NonNull<FreeBlock>>,
    /// Which thread's slot freed it, for the sentence about a write that came later.
    freed_by: usize,
}

struct FreeList {
    first: Option<NonNull<FreeBlock>>,
    count: usize,
}

// SAFETY: the blocks belong to the list alone, and the list to whoever holds its CPU's lock.
unsafe impl Send for FreeList {}

impl FreeList {
    const EMPTY: Self = Self {
        first: None,
        count: 0,
    };

    fn pop(&mut self, class: usize) -> Option<NonNull<u8>> {
        let block = self.first?;
        // SAFETY: a listed block is live memory of the heap that only this list refers to.
        let FreeBlock { next, freed_by } = unsafe { block.read() };
        self.first = next;
        self.count -= 1;
        let block = block.cast();
        // SAFETY: as above; the block has its class's length.
        unsafe { checks::expect_poison(block, size_of::<FreeBlock>(), len_bytes(class), freed_by) };
        Some(block)
    }

    /// # Safety
    /// The block has the class's length and is the caller's alone.
    unsafe fn push(&mut self, class: usize, block: NonNull<u8>) {
        // SAFETY: by this function's contract; every class has room for the head.
        unsafe {
            checks::poison(block, size_of::<FreeBlock>(), len_bytes(class));
            block.cast().write(FreeBlock {
                next: self.first,
                freed_by: cpu::current_thread_slot() as usize,
            });
        }
        self.first = Some(block.cast());
        self.count += 1;
    }

    /// Takes half a list from the backing and hands one block of it out.
    fn refill(&mut self, class: usize, backing: &mut impl Backing) -> Option<NonNull<u8>> {
        let block = backing.allocate(len_bytes(class))?;
        for _ in 1..kept_blocks(class) / 2 {
            let Some(spare) = backing.allocate(len_bytes(class)) else {
                break;
            };
            // SAFETY: the block is fresh and of that length.
            unsafe { self.push(class, spare) };
        }
        Some(block)
    }

    /// Gives blocks back until `left` remain.
    fn shed(&mut self, class: usize, left: usize, backing: &mut impl Backing) {
        while self.count > left
            && let Some(block) = self.pop(class)
        {
            backing.release(block, len_bytes(class));
        }
    }
}
