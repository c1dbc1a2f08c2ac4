//! TLB shoot-down: how a CPU makes the others forget translations, without the hardware.
//!
//! Law: when [`Mailboxes::request`] returns, no CPU uses a translation any more that was changed before the call. Each CPU
//! has one request at a time, in its own mailbox, which others read until they have answered; so requests of several CPUs
//! do not wait for each other, and whoever waits answers meanwhile ([`Mailboxes::answer`]). A CPU answers by forgetting
//! first and saying so after.
//!
//! A CPU that sleeps is not asked: it is noted that its translations are stale, and it forgets all of them before it
//! does anything else when it wakes ([`Mailboxes::wake`]). Sleeping and noting are exchanges of one word, so either
//! the note is seen at the waking, or the CPU is seen awake and asked.
//!
//! Ordering: a request is published by the release of `asked_by`, its answer by the release of `awaited`, a note
//! by the release of `presence`. Whoever changed page tables did so before.
//!
//! Units: page addresses; CPUs are bits of a word.

#![no_std]

use core::sync::atomic::{AtomicU64, Ordering};

/// Up to this many pages are forgotten one by one; for more, everything is.
pub const PAGES_MAX: usize = 32;

/// Runs and is asked.
const AWAKE: u64 = 0;
/// Sleeps, and no translation changed since.
const ASLEEP: u64 = 1;
/// Sleeps, and translations changed since.
const STALE: u64 = 2;

/// A word that several CPUs change; a trait, so that tests can watch every access.
pub trait Word {
    /// A word that is 0.
    fn zero() -> Self;
    /// See [`AtomicU64::load`].
    fn load(&self, ordering: Ordering) -> u64;
    /// See [`AtomicU64::store`].
    fn store(&self, value: u64, ordering: Ordering);
    /// See [`AtomicU64::swap`].
    fn swap(&self, value: u64, ordering: Ordering) -> u64;
    /// See [`AtomicU64::fetch_or`].
    fn fetch_or(&self, bits: u64, ordering: Ordering) -> u64;
    /// See [`AtomicU64::fetch_and`].
    fn fetch_and(&self, bits: u64, ordering: Ordering) -> u64;
    /// Whether `from` was found and replaced, with [`Ordering::AcqRel`].
    fn replace(&self, from: u64, to: u64) -> bool;
}

impl Word for AtomicU64 {
    fn zero() -> Self {
        Self::new(0)
    }
    fn load(&self, ordering: Ordering) -> u64 {
        self.load(ordering)
    }
    fn store(&self, value: u64, ordering: Ordering) {
        self.store(value, ordering);
    }
    fn swap(&self, value: u64, ordering: Ordering) -> u64 {
        self.swap(value, ordering)
    }
    fn fetch_or(&self, bits: u64, ordering: Ordering) -> u64 {
        self.fetch_or(bits, ordering)
    }
    fn fetch_and(&self, bits: u64, ordering: Ordering) -> u64 {
        self.fetch_and(bits, ordering)
    }
    fn replace(&self, from: u64, to: u64) -> bool {
        self.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
}

/// What is to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale<'a> {
    /// Every translation.
    All,
    /// Those of these pages.
    Pages(&'a [u64]),
}

/// One CPU's mailbox.
#[repr(align(64))]
pub struct Mailbox<W> {
    presence: W,
    /// The CPUs that wait for this one's answer.
    asked_by: W,
    /// The CPUs whose answers this one waits for.
    awaited: W,
    /// This CPU's request: how many pages, 0 for all; and which.
    page_count: W,
    pages: [W; PAGES_MAX],
}

impl<W: Word> Mailbox<W> {
    /// A mailbox of a CPU that is awake and asks for nothing.
    pub fn empty() -> Self {
        Self {
            presence: W::zero(),
            asked_by: W::zero(),
            awaited: W::zero(),
            page_count: W::zero(),
            pages: core::array::from_fn(|_| W::zero()),
        }
    }
}

impl Mailbox<AtomicU64> {
    /// As [`Mailbox::empty`], for statics.
    pub const fn awake() -> Self {
        Self {
            presence: AtomicU64::new(AWAKE),
            asked_by: AtomicU64::new(0),
            awaited: AtomicU64::new(0),
            page_count: AtomicU64::new(0),
            pages: [const { AtomicU64::new(0) }; PAGES_MAX],
        }
    }
}

/// The mailboxes of all CPUs, by index.
pub struct Mailboxes<W, const CPUS: usize>(pub [Mailbox<W>; CPUS]);

impl<W: Word, const CPUS: usize> Mailboxes<W, CPUS> {
    /// Makes the CPUs of `others` forget. `send` interrupts a CPU; `meanwhile` is called again and again while answers are
    /// awaited, and answers what others ask of this CPU. Answers how many CPUs were interrupted. The caller stays on this
    /// CPU, and has forgotten itself.
    pub fn request(
        &self,
        me: usize,
        others: u64,
        stale: Stale<'_>,
        mut send: impl FnMut(usize),
        mut meanwhile: impl FnMut(),
    ) -> u32 {
        let awake = bits(others)
            .filter(|cpu| !self.leave_a_note(*cpu))
            .fold(0, |mask, cpu| mask | 1 << cpu);
        if awake == 0 {
            return 0;
        }
        let mine = &self.0[me];
        self.write_request(me, stale);
        mine.awaited.store(awake, Ordering::Relaxed);
        for cpu in bits(awake) {
            self.0[cpu].asked_by.fetch_or(1 << me, Ordering::AcqRel);
            send(cpu);
        }
        while mine.awaited.load(Ordering::Acquire) != 0 {
            meanwhile();
        }
        awake.count_ones()
    }

    fn write_request(&self, me: usize, stale: Stale<'_>) {
        let mine = &self.0[me];
        let pages = match stale {
            Stale::Pages(pages) if pages.len() <= PAGES_MAX => pages,
            _ => &[],
        };
        for (word, page) in mine.pages.iter().zip(pages) {
            word.store(*page, Ordering::Relaxed);
        }
        mine.page_count.store(pages.len() as u64, Ordering::Relaxed);
    }

    /// Notes on a sleeping CPU that its translations are stale. False if it is awake.
    fn leave_a_note(&self, cpu: usize) -> bool {
        let presence = &self.0[cpu].presence;
        loop {
            let now = presence.load(Ordering::Relaxed);
            if now == AWAKE {
                return false;
            }
            // Also where a note stands already: the new change must be seen by whoever finds it.
            if presence.replace(now, STALE) {
                return true;
            }
        }
    }

    /// Answers what other CPUs ask of this one.
    pub fn answer(&self, me: usize, mut forget: impl FnMut(Stale<'_>)) {
        let mine = &self.0[me];
        if mine.asked_by.load(Ordering::Relaxed) == 0 {
            return;
        }
        let asking = mine.asked_by.swap(0, Ordering::AcqRel);
        for cpu in bits(asking) {
            self.forget_for(cpu, &mut forget);
        }
        for cpu in bits(asking) {
            self.0[cpu].awaited.fetch_and(!(1 << me), Ordering::AcqRel);
        }
    }

    fn forget_for(&self, cpu: usize, forget: &mut impl FnMut(Stale<'_>)) {
        let theirs = &self.0[cpu];
        let count = theirs.page_count.load(Ordering::Relaxed) as usize;
        let mut pages = [0; PAGES_MAX];
        let Some(pages) = pages.get_mut(..count).filter(|pages| !pages.is_empty()) else {
            forget(Stale::All);
            return;
        };
        for (page, word) in pages.iter_mut().zip(&theirs.pages) {
            *page = word.load(Ordering::Relaxed);
        }
        forget(Stale::Pages(pages));
    }

    /// This CPU sleeps from here on: it touches nothing whose translation may change until it wakes.
    pub fn sleep(&self, me: usize) {
        self.0[me].presence.store(ASLEEP, Ordering::Release);
    }

    /// The first thing that a CPU does when it may have slept.
    pub fn wake(&self, me: usize, forget_all: impl FnOnce()) {
        let presence = &self.0[me].presence;
        if presence.load(Ordering::Relaxed) == AWAKE {
            return;
        }
        if presence.swap(AWAKE, Ordering::AcqRel) == STALE {
            forget_all();
        }
    }
}

/// The indices of the bits set in `mask`, lowest first.
pub fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let lowest = (mask != 0).then(|| mask.trailing_zeros())?;
        mask &= mask - 1;
        Some(lowest as usize)
    })
}
