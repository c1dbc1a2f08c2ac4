//! How much physical memory each thread holds in regions and in its stack.
//!
//! Law: a frame that comes into a region is charged to the thread that has it brought in, and credited to the one that gives it
//! back, wherever frames are handed out and taken back ([`super::frames`]) and nowhere else. What a thread that ends leaves behind (code that
//! others run, memory that it passed on) is nobody's from then on. So the sum over all threads and nobody is what all regions
//! take, at any moment, and a process, whose memory its own thread touches and gives back, is told to the page.
//! A stack is counted where it lies: it is made by one thread, used by another and given back by a third.
//!
//! Counters are kept by a thread's slot and are never read to decide anything. They need no lock.
//!
//! The alternative that lost is an owner for each region: every memory of a process would have to carry its number through
//! the engine, which maps memories ahead of the processes that get them.

use core::ops::Range;
use core::sync::atomic::{AtomicI64, Ordering};

use kernel_machine::cpu;
use kernel_machine::memory::frame::FrameOwner;
use kernel_machine::memory::{PAGE_BYTES, page_table};

use super::regions::SPACE;
use crate::thread::THREADS_MAX;

/// Frames by slot. A thread that gives back what others took is below zero.
static FRAMES: [AtomicI64; THREADS_MAX] = [const { AtomicI64::new(0) }; THREADS_MAX];
/// Frames of threads that have ended.
static NOBODYS_FRAMES: AtomicI64 = AtomicI64::new(0);
/// Pages of a stack that are looked at in one holding of the regions' lock.
const BATCH_PAGES: usize = 256;

/// The calling thread takes so many frames.
pub(super) fn take(owner: FrameOwner, frame_count: u64) {
    if owner == FrameOwner::Regions {
        of_caller().fetch_add(frame_count as i64, Ordering::Relaxed);
    }
}

/// The calling thread gives so many frames back.
pub(super) fn give(owner: FrameOwner, frame_count: u64) {
    if owner == FrameOwner::Regions {
        of_caller().fetch_sub(frame_count as i64, Ordering::Relaxed);
    }
}

fn of_caller() -> &'static AtomicI64 {
    &FRAMES[cpu::current_thread_slot() as usize % THREADS_MAX]
}

/// The thread of the slot has ended.
pub(crate) fn leave(slot: u32) {
    let left = FRAMES[slot as usize % THREADS_MAX].swap(0, Ordering::Relaxed);
    NOBODYS_FRAMES.fetch_add(left, Ordering::Relaxed);
}

/// What the thread of the slot holds, its stack included, in bytes.
pub(crate) fn of_thread_bytes(slot: u32, stack: Range<usize>) -> u64 {
    let frames = FRAMES[slot as usize % THREADS_MAX].load(Ordering::Relaxed);
    (frames.max(0) as u64 + backed_pages(stack)) * PAGE_BYTES
}

/// What threads that have ended left in regions, and in the stacks that are kept of them, in bytes.
pub(crate) fn nobodys_bytes(stacks: impl Iterator<Item = Range<usize>>) -> u64 {
    let frames = NOBODYS_FRAMES.load(Ordering::Relaxed).max(0) as u64;
    (frames + stacks.map(backed_pages).sum::<u64>()) * PAGE_BYTES
}

fn backed_pages(stack: Range<usize>) -> u64 {
    let mut pages = 0;
    let mut next = Some(stack.start as u64);
    while let Some(from) = next {
        let _space = SPACE.lock();
        next = page_table::visit_mapped(from, stack.end as u64, BATCH_PAGES, &mut |_| pages += 1);
    }
    pages
}
