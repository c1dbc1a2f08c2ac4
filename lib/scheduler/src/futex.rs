//! Sleeping on the value of a word: the lines in which sleepers stand.
//!
//! Law: sleepers stand in buckets by address, each with its own lock; a thread stands in one line at a time.
//! Looking at the word and standing in line is one step under the bucket's lock, so a wake that follows a change of
//! the word is not lost. A bucket counts who stands in it or is about to: the count grows *before* the word is
//! looked at, and a waker changes the word *before* it reads the count; with a full fence on both sides one sees
//! the other. So a wake that finds the count at 0 takes no lock.
//!
//! Who takes a sleeper out of the line says so in the sleeper's own word, so a sleeper that was woken takes no lock.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use lib_index_list::{LinkTable, List};

use crate::{Exclusive, Word};

const IN_LINE: u32 = 0;
const OUT: u32 = 1;

/// What a thread brings to stand in line.
#[derive(Debug)]
pub struct Sleeper<W> {
    // By the lock of the bucket in which it stands.
    address: AtomicUsize,
    mask: AtomicU32,
    // Written by who takes it out, read by the sleeper.
    state: W,
}

impl<W: Word> Default for Sleeper<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W: Word> Sleeper<W> {
    /// Of a thread that stands in no line.
    pub fn new() -> Self {
        Self {
            address: AtomicUsize::new(0),
            mask: AtomicU32::new(0),
            state: W::new(OUT),
        }
    }

    /// Whether somebody took it out of its line.
    #[inline]
    pub fn is_out(&self) -> bool {
        self.state.load(Ordering::Acquire) == OUT
    }
}

/// Who knows the sleepers by their numbers, and the links of the lines.
pub trait Sleepers {
    /// Atomic words.
    type Word: Word;
    /// The sleeper `id`.
    fn sleeper(&self, id: u32) -> &Sleeper<Self::Word>;
    /// Links for all of them.
    fn links(&self) -> &LinkTable;
}

/// The sleepers of some addresses, in a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
pub struct Bucket<W, L> {
    line: L,
    count: W,
}

impl<W: Word, L: Exclusive<List>> Bucket<W, L> {
    /// An empty one; `tag` tells its line from all others over the same links.
    pub fn new(tag: u32) -> Self {
        Self {
            line: L::new(List::new(tag)),
            count: W::new(0),
        }
    }

    /// Puts `id` in line for `address` if `is_expected` holds under the lock; tells whether it did.
    pub fn stand<S: Sleepers<Word = W>>(
        &self,
        all: &S,
        id: u32,
        address: usize,
        mask: u32,
        is_expected: impl FnOnce() -> bool,
    ) -> bool {
        self.count.add(1);
        W::fence();
        let stands = self.line.with(|line| {
            if !is_expected() {
                return false;
            }
            let sleeper = all.sleeper(id);
            sleeper.address.store(address, Ordering::Relaxed);
            sleeper.mask.store(mask, Ordering::Relaxed);
            sleeper.state.store(IN_LINE, Ordering::Relaxed);
            let queued = line.push_back(all.links(), id);
            assert!(queued.is_ok(), "a thread sleeps on one word at a time");
            true
        });
        if !stands {
            self.count.subtract(1);
        }
        stands
    }

    /// Takes `id` out of the line; false if somebody else did.
    #[inline]
    pub fn leave<S: Sleepers<Word = W>>(&self, all: &S, id: u32) -> bool {
        self.line.with(|line| self.take_out(all, line, id))
    }

    /// Takes out at most as many as `batch` has room for, of those that stand for `address` with a common bit in
    /// `mask`, the longest standing first. Returns how many.
    pub fn take<S: Sleepers<Word = W>>(
        &self,
        all: &S,
        address: usize,
        mask: u32,
        batch: &mut [u32],
    ) -> usize {
        W::fence();
        if self.count.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        self.line.with(|line| {
            let mut taken = 0;
            while taken < batch.len() {
                let matches = |id: &u32| {
                    let sleeper = all.sleeper(*id);
                    sleeper.address.load(Ordering::Relaxed) == address
                        && sleeper.mask.load(Ordering::Relaxed) & mask != 0
                };
                let Some(id) = line.iter(all.links()).find(matches) else {
                    break;
                };
                self.take_out(all, line, id);
                batch[taken] = id;
                taken += 1;
            }
            taken
        })
    }

    #[inline]
    fn take_out<S: Sleepers<Word = W>>(&self, all: &S, line: &mut List, id: u32) -> bool {
        if !line.remove(all.links(), id) {
            return false;
        }
        self.count.subtract(1);
        all.sleeper(id).state.store(OUT, Ordering::Release);
        true
    }
}
