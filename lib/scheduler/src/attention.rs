//! Whether a CPU has something to do and must be told of more: one word per CPU.
//!
//! Law: a CPU that runs out of work says so ([`Attention::become_idle`]) *before* it looks for work for the last
//! time; who makes a thread runnable puts it in a queue *before* it looks who is idle. So one of the two sees the
//! other, given a full fence on both sides ([`Attention::become_idle`] has one). While a CPU polls, asking it is a store; before it halts it stops polling and looks once more, with
//! interrupts off until the halt, and from then on asking is an interrupt.
//!
//! A CPU takes a request back ([`Attention::begin_look`], [`Attention::become_busy`]) before it looks at its queue,
//! so a request that comes during the look leads to another one.

use core::sync::atomic::Ordering;

use crate::Word;

/// The CPU has nothing to run, and nobody has promised it anything.
const IDLE: u32 = 1;
/// The CPU looks at this word by itself.
const POLLING: u32 = 2;
/// The CPU is to look at its queue.
const ASKED: u32 = 4;

/// A CPU's word.
#[derive(Debug)]
pub struct Attention<W>(W);

impl<W: Word> Default for Attention<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W: Word> Attention<W> {
    /// Of a CPU that is busy.
    pub fn new() -> Self {
        Self(W::new(0))
    }

    // The CPU itself.

    /// From here on others may claim this CPU, and asking it needs no interrupt.
    pub fn become_idle(&self) {
        self.0.set_bits(IDLE | POLLING);
        W::fence();
    }

    /// The CPU looks at its queue now: what was asked before is answered by that.
    #[inline]
    pub fn begin_look(&self) {
        if self.0.load(Ordering::Relaxed) & ASKED != 0 {
            self.0.clear_bits(ASKED);
        }
    }

    /// The CPU found something to run. From here on asking it needs an interrupt.
    #[inline]
    pub fn become_busy(&self) {
        self.0.swap(0, Ordering::SeqCst);
    }

    /// Whether somebody asked, for a CPU that polls.
    #[inline]
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Acquire) & ASKED != 0
    }

    /// The CPU is about to halt, with interrupts off. False if somebody asked meanwhile: then it must not.
    pub fn stop_polling(&self) -> bool {
        self.0.clear_bits(POLLING) & ASKED == 0
    }

    // Anybody.

    /// Whether nobody has given the CPU anything to do.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.0.load(Ordering::Relaxed) & IDLE != 0
    }

    /// Whether giving the CPU work needs no interrupt.
    #[inline]
    pub fn is_polling(&self) -> bool {
        self.0.load(Ordering::Relaxed) & POLLING != 0
    }

    /// True for the one caller that may give the idle CPU work; it must do so, or ask it to look for some.
    #[inline]
    pub fn claim(&self) -> bool {
        self.is_idle() && self.0.clear_bits(IDLE) & IDLE != 0
    }

    /// Makes the CPU look at its queue. True if it must be interrupted for that.
    #[inline]
    pub fn ask(&self) -> bool {
        self.0.set_bits(ASKED) & (POLLING | ASKED) == 0
    }
}
