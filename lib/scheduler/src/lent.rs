//! Classes that a thread was lent by those who wait for what it does.
//!
//! Law: a thread's class is the most urgent of its own and those that it was lent and that were not taken back. Lending makes it be served
//! sooner, not more: its priority, and so its share, stays its own. Each lending is taken back once, by whoever lent; what is taken
//! back and was not lent, because the thread's number has a new owner, is ignored.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::Class;

/// Where the count of the interactive begins; that of the normal is below. Nobody needs to be lent the least class.
const INTERACTIVE_SHIFT: u32 = 32;
const NORMAL_MASK: u64 = (1 << INTERACTIVE_SHIFT) - 1;

/// How often a thread was lent each class. Lenders are fewer than 2³²: each holds memory.
#[derive(Debug, Default)]
pub struct Lent(AtomicU64);

impl Lent {
    /// Nothing.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Forgets all.
    pub fn reset(&self) {
        self.0.store(0, Relaxed);
    }

    /// The most urgent that was lent.
    #[inline]
    pub fn class(&self) -> Class {
        match self.0.load(Relaxed) {
            0 => Class::Batch,
            1..=NORMAL_MASK => Class::Normal,
            _ => Class::Interactive,
        }
    }

    /// Lends a class.
    pub fn lend(&self, class: Class) {
        self.0.fetch_add(one(class), Relaxed);
    }

    /// Takes it back.
    pub fn take_back(&self, class: Class) {
        let less = |counts: u64| {
            let count = match class {
                Class::Batch => return None,
                Class::Normal => counts & NORMAL_MASK,
                Class::Interactive => counts >> INTERACTIVE_SHIFT,
            };
            (count > 0).then(|| counts - one(class))
        };
        // Refused for what was not lent.
        let _before = self.0.fetch_update(Relaxed, Relaxed, less);
    }
}

const fn one(class: Class) -> u64 {
    match class {
        Class::Batch => 0,
        Class::Normal => 1,
        Class::Interactive => 1 << INTERACTIVE_SHIFT,
    }
}
