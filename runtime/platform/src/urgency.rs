//! How a thread is made as urgent as those who wait for it: `runtime/host`'s urgencies are this kernel's classes.

use kernel_core::thread::{self, Class, ThreadId};

/// Names the calling thread.
pub fn current_thread() -> u32 {
    thread::current().as_u32()
}

/// How urgent the calling thread is, with what it was lent.
pub fn urgency() -> u8 {
    let share = thread::share(thread::current());
    share.map_or(0, |share| share.class as u8)
}

/// Lends it to a thread; tells whether there is such a thread.
pub fn lend(thread: u32, urgency: u8) -> bool {
    thread::lend_class(ThreadId::from_u32(thread), class(urgency)).is_ok()
}

/// Takes it back from a thread.
pub fn take_back(thread: u32, urgency: u8) {
    thread::take_back_class(ThreadId::from_u32(thread), class(urgency));
}

/// The class of an urgency that [`urgency`] told.
fn class(urgency: u8) -> Class {
    let at = usize::from(urgency).min(Class::ALL.len() - 1);
    Class::ALL[at]
}
