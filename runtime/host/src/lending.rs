//! Whoever serves is as urgent as those who wait for it.
//!
//! Law: from the moment that a call is made until the server is done with it, the thread that serves the channel is lent the urgency of the
//! thread that calls, with what that one was itself lent. So it is lent along a chain of calls, and a call that waits behind another
//! hastens that one. The thread that serves a channel is the one that last looked for something to receive; where another one receives the
//! call, it goes over to that.
//!
//! What urgency is, and how a thread has it, is the system's below, which says so once ([`set_urgencies`]); without one, nothing is lent. It is
//! asked with a channel's lock held, so it neither blocks nor calls back.
//!
//! What is lent to a thread after it has itself made a call does not go on to whom it waits for.

use std::sync::OnceLock;

/// How threads are lent urgency. Threads are numbers other than 0; a higher urgency is more urgent.
pub struct Urgencies {
    /// Who calls this.
    pub current_thread: fn() -> u32,
    /// How urgent the calling thread is.
    pub urgency: fn() -> u8,
    /// Lends it to a thread; tells whether there is such a thread.
    pub lend: fn(u32, u8) -> bool,
    /// Takes it back from a thread, which may have ended.
    pub take_back: fn(u32, u8),
}

static URGENCIES: OnceLock<Urgencies> = OnceLock::new();

/// Says how threads are lent urgency. Only the first one who says so is heard.
pub fn set_urgencies(urgencies: Urgencies) {
    let _already_set = URGENCIES.set(urgencies);
}

/// In place of a thread: nobody.
pub(crate) const NOBODY: u32 = 0;

/// The calling thread.
pub(crate) fn current_thread() -> u32 {
    let urgencies = URGENCIES.get();
    urgencies.map_or(NOBODY, |urgencies| (urgencies.current_thread)())
}

/// One thread's urgency, lent to another until it is dropped.
#[derive(Debug)]
pub(crate) struct LentUrgency {
    urgency: u8,
    to: u32,
}

impl LentUrgency {
    /// The calling thread's, for `thread`.
    pub(crate) fn of_caller(thread: u32) -> Self {
        let urgency = URGENCIES.get().map_or(0, |urgencies| (urgencies.urgency)());
        Self {
            urgency,
            to: lend(thread, urgency),
        }
    }

    /// For `thread` from now on.
    pub(crate) fn go_to(&mut self, thread: u32) {
        if self.to != thread {
            let before = std::mem::replace(&mut self.to, lend(thread, self.urgency));
            take_back(before, self.urgency);
        }
    }
}

impl Drop for LentUrgency {
    fn drop(&mut self) {
        take_back(self.to, self.urgency);
    }
}

/// To whom it was lent.
fn lend(thread: u32, urgency: u8) -> u32 {
    let urgencies = URGENCIES.get().filter(|_| thread != NOBODY);
    let is_lent = urgencies.is_some_and(|urgencies| (urgencies.lend)(thread, urgency));
    if is_lent { thread } else { NOBODY }
}

fn take_back(thread: u32, urgency: u8) {
    if let Some(urgencies) = URGENCIES.get().filter(|_| thread != NOBODY) {
        (urgencies.take_back)(thread, urgency);
    }
}
