//! Sleeping and waking: the one way in which threads stop and go on.
//!
//! Law: a thread parks itself; anybody unparks it. An unpark that comes first is remembered by one token, so
//! none is lost; a park may also end without cause, so callers look again at what they wait for. From
//! the moment a thread has said that it is parked until it has left its CPU, interrupts are off.

use kernel_machine::checks::context;
use kernel_machine::cpu::interrupts;
use lib_scheduler::WakeHint;

use super::current_thread;
use super::scheduler;
use super::slot::Thread;
use crate::time;

/// Sleeps until unparked or until the monotonic clock reaches `deadline_ns`. May end without cause.
pub(crate) fn park(deadline_ns: Option<u64>) {
    context::about_to_wait();
    let me = current_thread();
    let _interrupts = interrupts::Disabled::enter();
    if !me.task.parking.announce() {
        return;
    }
    let timeout_cpu = deadline_ns.map(|deadline| scheduler::add_timeout(me, deadline));
    scheduler::stop();
    if let Some(cpu) = timeout_cpu {
        scheduler::remove_timeout(me, cpu);
    }
}

/// Ends a park, now or the next one.
pub(crate) fn unpark(thread: &Thread) {
    unpark_with(thread, WakeHint::None);
}

/// As [`unpark`], by a thread that may be about to stop.
pub(crate) fn unpark_with(thread: &Thread, hint: WakeHint) {
    // Between the two steps below the thread is neither parked nor in a queue: nobody may be let in.
    let interrupts = interrupts::Disabled::enter();
    if !thread.task.parking.wake() {
        return;
    }
    scheduler::wake(thread, hint, interrupts);
}

/// Sleeps until the monotonic clock reaches `deadline_ns`.
pub fn sleep_until(deadline_ns: u64) {
    while time::monotonic_ns() < deadline_ns {
        park(Some(deadline_ns));
    }
}
