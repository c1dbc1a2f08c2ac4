//! Making a thread leave published code, wherever in it it is.
//!
//! Law: whoever asks says in which bodies of published code the thread may be stopped between any two instructions, and a
//! place to go on from there: the landing, code that expects nothing of the registers but the frame pointer. The thread
//! is diverted by the CPU that runs it, at the end of an interrupt that found interrupts on:
//!
//! - in a body, it goes on at the landing;
//! - in anything that a body has called, it goes on as if nothing were, and *returns* to the landing: the innermost return
//!   address into a body is replaced on its stack. So it never leaves a host call half done, and never gets back. No other is
//!   ever replaced, however often it is asked meanwhile: the engine reads them while the call lasts (its collector, and its search for an
//!   exception's handler);
//! - elsewhere, in published code that is no body too, and where the walk over its stack meets code that cannot be walked,
//!   nothing happens.
//!
//! A request may instead name a *handler*: in a body, and nowhere else, the thread calls it on its alternate stack, as if the
//! instruction had trapped, and when it returns goes on where it was.
//!
//! One interrupt is sent for each request; a thread that does not run, or cannot be diverted at that moment, is
//! diverted by the next interrupt that comes while it runs. Who wants to be sure repeats the request until the thread is gone.
//!
//! A request is kept with the thread, under a lock that is taken alone, and forgotten by [`stay`] and with the thread. The
//! interrupt's handler only looks at it: what frees memory is left to threads.

use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};

use kernel_machine::cpu::interrupts::Disabled;
use kernel_machine::cpu::trap::Trap;
use kernel_machine::sync::IrqLock;

use super::slot::{self, Thread};
use super::{ThreadId, current_thread};
use crate::memory::code;
use crate::{backtrace, interrupt, trap_delivery};

/// The most frames between the interrupted instruction and a body; host calls have about 40.
const FRAMES_MAX: usize = 96;

/// Where a thread may be diverted, and whereto.
#[derive(Clone, Debug)]
pub struct Detour {
    /// Published code that may be left at any instruction: disjoint, in ascending order.
    pub bodies: Arc<[Range<usize>]>,
    /// What the thread does then.
    pub goal: Goal,
}

/// What a diverted thread does.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// It goes on there.
    Landing(usize),
    /// It calls this, with a signal's number of 0, and goes on where it was.
    Handler(extern "C" fn(i32, usize, usize)),
}

impl Detour {
    /// What a return to `address`, of a call that lies at `call_address`, means to the walk.
    fn meaning(&self, landing: usize, address: u64, call_address: u64) -> Meaning {
        if address as usize == landing {
            Meaning::Diverted
        } else if self.covers(call_address) {
            Meaning::Body
        } else {
            Meaning::Other
        }
    }

    fn covers(&self, address: u64) -> bool {
        let address = address as usize;
        let after = self.bodies.partition_point(|body| body.start <= address);
        after > 0 && address < self.bodies[after - 1].end
    }
}

/// What a return address on the stack is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// It leads to the landing: a request before this one has put it there.
    Diverted,
    /// It leads into a body.
    Body,
    /// Neither: the walk goes on.
    Other,
}

/// What a thread keeps of a request.
pub(super) struct Pending {
    is_set: AtomicBool,
    detour: IrqLock<Option<Detour>>,
}

impl Pending {
    pub const fn new() -> Self {
        Self {
            is_set: AtomicBool::new(false),
            detour: IrqLock::new(None),
        }
    }

    /// Forgets the request.
    pub fn clear(&self) {
        if self.is_set.swap(false, Ordering::AcqRel) {
            let forgotten = self.detour.lock().take();
            drop(forgotten);
        }
    }

    fn set(&self, detour: Detour) {
        let before = self.detour.lock().replace(detour);
        self.is_set.store(true, Ordering::Release);
        drop(before);
    }
}

/// Asks for the thread to be diverted; false if there is no such thread. The caller sees to it that the thread does not
/// end meanwhile: otherwise the request may stay with its remains until the next thread takes them.
pub fn divert(id: ThreadId, detour: Detour) -> bool {
    let Some(thread) = slot::by_id(id) else {
        return false;
    };
    thread.detour.set(detour);
    let _interrupts = Disabled::enter();
    interrupt::send_reschedule(thread.task.last_cpu());
    true
}

/// The calling thread will not be diverted any more.
pub fn stay() {
    current_thread().detour.clear();
}

/// An interrupt with interrupts on has been served.
pub(crate) fn after_interrupt(trap: &mut Trap<'_>) {
    let thread = current_thread();
    if !thread.detour.is_set.load(Ordering::Acquire) {
        return;
    }
    if let Some(detour) = &*thread.detour.detour.lock() {
        divert_here(thread, detour, trap);
    }
}

fn divert_here(thread: &Thread, detour: &Detour, trap: &mut Trap<'_>) {
    let is_in_body = detour.covers(trap.instruction_pointer());
    match detour.goal {
        Goal::Landing(landing) if is_in_body => trap.redirect(landing),
        Goal::Landing(landing) => divert_return(thread, detour, landing, trap),
        // Where it cannot be called now, the next request may find it elsewhere.
        Goal::Handler(handler) if is_in_body => {
            let _is_called = trap_delivery::call(trap, handler as usize);
        }
        Goal::Handler(_) => {}
    }
}

/// Makes the thread go on at the landing when it returns into a body.
fn divert_return(thread: &Thread, detour: &Detour, landing: usize, trap: &mut Trap<'_>) {
    if code::contains(trap.instruction_pointer() as usize) {
        // Where its frame is half made, the walk would miss the innermost return address, and others are read by more than returns.
        return;
    }
    if let Some(at) = innermost_return(detour, landing, trap) {
        trap.replace_return_address(at, landing, thread.stack());
    }
}

/// Where on the stack the innermost return address into a body lies, unless the thread returns to the landing before.
fn innermost_return(detour: &Detour, landing: usize, trap: &Trap<'_>) -> Option<u64> {
    let mut found = None;
    backtrace::walk_calls(trap.frame(), FRAMES_MAX, &mut |call| {
        let meaning = detour.meaning(landing, call.address, call.lookup_address);
        if meaning == Meaning::Body {
            found = Some(call.stack_pointer.wrapping_sub(8));
        }
        meaning == Meaning::Other
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bodies_are_covered() {
        let detour = Detour {
            bodies: Arc::new([0x1000..0x1800, 0x2000..0x2001]),
            goal: Goal::Landing(0x5000),
        };
        for inside in [0x1000, 0x17ff, 0x2000] {
            assert!(detour.covers(inside), "{inside:#x}");
        }
        for outside in [0, 0xfff, 0x1800, 0x1fff, 0x2001, 0x5000, u64::MAX] {
            assert!(!detour.covers(outside), "{outside:#x}");
        }
    }

    #[test]
    fn a_return_to_the_landing_ends_the_walk_and_one_into_a_body_is_found() {
        const LANDING: usize = 0x5000;
        let detour = Detour {
            bodies: Arc::new([0x1000..0x1800]),
            goal: Goal::Landing(LANDING),
        };
        for (address, meaning) in [
            (0x1001, Meaning::Body),
            (0x1800, Meaning::Body),
            (0x1801, Meaning::Other),
            (LANDING as u64, Meaning::Diverted),
            (LANDING as u64 + 1, Meaning::Other),
        ] {
            assert_eq!(
                detour.meaning(LANDING, address, address - 1),
                meaning,
                "{address:#x}"
            );
        }
    }
}
