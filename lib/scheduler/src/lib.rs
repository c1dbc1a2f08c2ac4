//! The scheduler without a machine: who runs next on each CPU, and where a woken thread goes.
//!
//! Everything here is decided from numbers that the caller hands in: no clock is read, nothing is allocated, and
//! what the machine does (interrupting a CPU, leaving a stack) is behind the trait [`Machine`]. So the kernel, the
//! simulation in `tests/` and the models of its protocols run the same code.
//!
//! From the bottom up:
//! - [`share`]: classes, priorities, weights, slices; [`lent`]: classes lent by those who wait;
//! - [`heap`]: the order in which the threads of a queue stand, without allocation;
//! - [`fair`]: one CPU's queue by earliest eligible virtual deadline;
//! - [`parking`], [`attention`]: the two words by which sleeping and idling lose no wake-up;
//! - [`placement`]: which CPU a woken thread goes to; [`poll`]: how long an idle CPU looks before it halts;
//! - [`cpu_clock`]: CPU time that is exact while the thread runs;
//! - [`scheduler`]: the queues of all CPUs: choosing, waking, stealing, moving;
//! - [`futex`]: the lines of those that sleep on a word.
//!
//! Units: nanoseconds, and virtual nanoseconds: those of a thread of priority 0.
//!
//! Locks: one queue's at a time, through [`Exclusive`]. Fields of a [`fair::Entity`] that belong to a queue are
//! atomics only so that threads can share the table; they are read and written under that queue's lock.

#![no_std]

pub mod attention;
pub mod cpu_clock;
pub mod fair;
pub mod futex;
pub mod heap;
pub mod lent;
pub mod parking;
pub mod placement;
pub mod poll;
pub mod scheduler;
pub mod share;

use core::sync::atomic::{AtomicU32, Ordering, fence};

pub use scheduler::{Cpu, Leaving, Machine, Task, WakeHint};
pub use share::{Class, Priority, Share};

/// In place of a thread's number: nobody.
pub const NOBODY: u32 = u32::MAX;

/// A set of CPUs as a bit mask by index.
pub type CpuSet = u64;

/// An atomic word. The kernel's is [`AtomicU32`]; models bring one that shows every interleaving.
pub trait Word: Send + Sync {
    /// A word that holds `value`.
    fn new(value: u32) -> Self;
    /// Reads it.
    fn load(&self, order: Ordering) -> u32;
    /// Writes it.
    fn store(&self, value: u32, order: Ordering);
    /// Writes it and returns what it held.
    fn swap(&self, value: u32, order: Ordering) -> u32;
    /// Writes `new` if it holds `old`; tells whether it did.
    fn exchange(&self, old: u32, new: u32) -> bool;
    /// Sets bits and returns what it held.
    fn set_bits(&self, bits: u32) -> u32;
    /// Clears bits and returns what it held.
    fn clear_bits(&self, bits: u32) -> u32;
    /// Adds, wrapping.
    fn add(&self, value: u32);
    /// Subtracts, wrapping.
    fn subtract(&self, value: u32);
    /// A full fence among all words.
    fn fence();
}

impl Word for AtomicU32 {
    fn new(value: u32) -> Self {
        Self::new(value)
    }

    #[inline]
    fn load(&self, order: Ordering) -> u32 {
        self.load(order)
    }

    #[inline]
    fn store(&self, value: u32, order: Ordering) {
        self.store(value, order);
    }

    #[inline]
    fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.swap(value, order)
    }

    #[inline]
    fn exchange(&self, old: u32, new: u32) -> bool {
        self.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    #[inline]
    fn set_bits(&self, bits: u32) -> u32 {
        self.fetch_or(bits, Ordering::SeqCst)
    }

    #[inline]
    fn clear_bits(&self, bits: u32) -> u32 {
        self.fetch_and(!bits, Ordering::SeqCst)
    }

    #[inline]
    fn add(&self, value: u32) {
        self.fetch_add(value, Ordering::SeqCst);
    }

    #[inline]
    fn subtract(&self, value: u32) {
        self.fetch_sub(value, Ordering::SeqCst);
    }

    #[inline]
    fn fence() {
        fence(Ordering::SeqCst);
    }
}

/// A lock around a value; in the kernel one that keeps interrupts off.
pub trait Exclusive<T>: Send + Sync {
    /// A free lock.
    fn new(value: T) -> Self;
    /// Runs `body` while the lock is held.
    fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R;
}

/// The indices of the CPUs in a set, beginning behind `after` and wrapping around.
#[inline]
pub fn cpus_behind(after: u32, set: CpuSet) -> impl Iterator<Item = u32> {
    let mut rest = set.rotate_right(after + 1);
    core::iter::from_fn(move || {
        let offset = (rest != 0).then(|| rest.trailing_zeros())?;
        rest &= rest - 1;
        Some((after + 1 + offset) % CpuSet::BITS)
    })
}

/// The set of one CPU.
#[inline]
pub const fn only(cpu: u32) -> CpuSet {
    1 << cpu
}
