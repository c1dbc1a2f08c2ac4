//! Sleeping and waking: the one way in which threads stop and go on.
//!
//! Law: a thread parks itself; anybody unparks it. An unpark that comes first is remembered by one token, so
//! none is lost; a park may also end without cause, so callers look again at what they wait for. From
//! the moment a thread has said that it is parked until it has left its CPU, interrupts are off.

use kernel_machine::checks::context;
use kernel_machine::cpu::interrupts;

use super::current_thread;
use super::scheduler;
use super::slot::Thread;
use crate::time;

/// Whether a thread sleeps.
#[derive(Debug, Default)]
pub(crate) struct WaitState {
    parked: bool,
    token: bool,
}

/// Sleeps until unparked or until the monotonic clock reaches `deadline_ns`. May end without cause.
pub(crate) fn park(deadline_ns: Option<u64>) {
    context::about_to_wait();
    let me = current_thread();
    let _interrupts = interrupts::Disabled::enter();
    if !announce(me) {
        return;
    }
    let timeout_cpu = deadline_ns.map(|deadline| scheduler::add_timeout(me, deadline));
    scheduler::switch_away();
    if let Some(cpu) = timeout_cpu {
        scheduler::remove_timeout(me, cpu);
    }
}

/// False if an unpark came first, which is consumed.
fn announce(me: &Thread) -> bool {
    let mut wait = me.wait.lock();
    if wait.token {
        wait.token = false;
        return false;
    }
    wait.parked = true;
    true
}

/// Ends a park, now or the next one.
pub(crate) fn unpark(thread: &Thread) {
    // Between the two steps below the thread is neither parked nor in a queue: nobody may be let in.
    let _interrupts = interrupts::Disabled::enter();
    let mut wait = thread.wait.lock();
    if !wait.parked {
        wait.token = true;
        return;
    }
    wait.parked = false;
    drop(wait);
    scheduler::enqueue_woken(thread);
}

/// Sleeps until the monotonic clock reaches `deadline_ns`.
pub fn sleep_until(deadline_ns: u64) {
    while time::monotonic_ns() < deadline_ns {
        park(Some(deadline_ns));
    }
}
