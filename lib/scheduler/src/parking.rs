//! Sleeping and waking of one thread: one word.
//!
//! Law: a thread announces that it is about to sleep; anybody wakes it. A wake that comes first leaves a token,
//! which the next announcement consumes, so none is lost and none counts twice. Of all that wake a sleeper,
//! exactly one is told to make it runnable.

use core::sync::atomic::Ordering;

use crate::Word;

const AWAKE: u32 = 0;
const TOKEN: u32 = 1;
const ASLEEP: u32 = 2;

/// Whether a thread sleeps.
#[derive(Debug)]
pub struct Parking<W>(W);

impl<W: Word> Default for Parking<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W: Word> Parking<W> {
    /// Of a thread that is awake.
    pub fn new() -> Self {
        Self(W::new(AWAKE))
    }

    /// Back to the state of a thread that has not run.
    pub fn reset(&self) {
        self.0.store(AWAKE, Ordering::Release);
    }

    /// The thread itself says that it goes to sleep. False if a wake came first: then it stays awake.
    #[inline]
    pub fn announce(&self) -> bool {
        if self.0.exchange(AWAKE, ASLEEP) {
            return true;
        }
        // Only a token can stand there, and only this thread takes it away.
        self.0.store(AWAKE, Ordering::SeqCst);
        false
    }

    /// True for the one caller that must make the thread runnable.
    #[inline]
    pub fn wake(&self) -> bool {
        loop {
            match self.0.load(Ordering::SeqCst) {
                ASLEEP if self.0.exchange(ASLEEP, AWAKE) => return true,
                // A read alone would not order what was written before the wake; the exchange does.
                TOKEN if self.0.exchange(TOKEN, TOKEN) => return false,
                AWAKE if self.0.exchange(AWAKE, TOKEN) => return false,
                _ => {}
            }
        }
    }
}
