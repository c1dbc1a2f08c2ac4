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
//!   exception's handler). The frame that returns there has to be a trampoline's, published code that is no body, as the engine has it
//!   for all that takes long: else the walk has gone astray, as it does from the last instructions of a `throw`;
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
use lib_unwind::Frame as Call;

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
    fn covers(&self, address: u64) -> bool {
        let address = address as usize;
        let after = self.bodies.partition_point(|body| body.start <= address);
        after > 0 && address < self.bodies[after - 1].end
    }
}

/// The search for the innermost return address into a body, from the inside outwards.
struct Search<'d> {
    detour: &'d Detour,
    landing: usize,
    /// Whether an address is in published code.
    is_published: fn(usize) -> bool,
    /// Whether the frame that was seen last, of what is called by the next one, is a trampoline's.
    from_trampoline: bool,
    found: Option<u64>,
}

impl<'d> Search<'d> {
    fn new(detour: &'d Detour, landing: usize, is_published: fn(usize) -> bool) -> Self {
        Self {
            detour,
            landing,
            is_published,
            from_trampoline: false,
            found: None,
        }
    }

    /// Looks at the next call; whether the walk is to go on. It ends where the thread returns to the landing already.
    fn see(&mut self, call: &Call) -> bool {
        if call.address as usize == self.landing {
            return false;
        }
        if self.detour.covers(call.lookup_address) {
            let at = call.stack_pointer.wrapping_sub(8);
            self.found = self.from_trampoline.then_some(at);
            return false;
        }
        self.from_trampoline = (self.is_published)(call.lookup_address as usize);
        true
    }
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
    let Some(handler) = divert_or_handler(thread, trap) else {
        return;
    };
    // It backs the stack that it needs, which must not be done under the lock. Where it cannot be called now, the next request may
    // find the thread elsewhere.
    let _is_called = trap_delivery::call(trap, handler as usize);
}

/// Diverts the thread, or answers what it is to call at this place.
fn divert_or_handler(
    thread: &Thread,
    trap: &mut Trap<'_>,
) -> Option<extern "C" fn(i32, usize, usize)> {
    let pending = thread.detour.detour.lock();
    let detour = pending.as_ref()?;
    match detour.goal {
        Goal::Landing(landing) => {
            divert_here(thread, detour, landing, trap);
            None
        }
        Goal::Handler(handler) => detour.covers(trap.instruction_pointer()).then_some(handler),
    }
}

fn divert_here(thread: &Thread, detour: &Detour, landing: usize, trap: &mut Trap<'_>) {
    if detour.covers(trap.instruction_pointer()) {
        return trap.redirect(landing);
    }
    if code::contains(trap.instruction_pointer() as usize) {
        // Where its frame is half made, the walk would miss the innermost return address, and others are read by more than returns.
        return;
    }
    let mut search = Search::new(detour, landing, code::contains);
    backtrace::walk_calls(trap.frame(), FRAMES_MAX, &mut |call| search.see(&call));
    if let Some(at) = search.found {
        trap.replace_return_address(at, landing, thread.stack());
    }
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

    const BODY: u64 = 0x1001;
    const TRAMPOLINE: u64 = 0x2001;
    const KERNEL: u64 = 0x9001;
    const LANDING: u64 = 0x5000;

    /// Where the return address is that a walk over returns to these addresses finds, as a number of the call.
    fn found(addresses: &[u64]) -> Option<u64> {
        let detour = Detour {
            bodies: Arc::new([0x1000..0x1400, 0x1400..0x1800]),
            goal: Goal::Landing(LANDING as usize),
        };
        let mut search = Search::new(&detour, LANDING as usize, |address| address < 0x9000);
        let mut calls = (1..).zip(addresses).map(|(number, &address)| Call {
            address,
            lookup_address: address - 1,
            stack_pointer: number * 8,
        });
        while calls.next().is_some_and(|call| search.see(&call)) {}
        search.found.map(|at| at / 8)
    }

    #[test]
    fn the_innermost_return_into_a_body_is_found() {
        assert_eq!(found(&[KERNEL, KERNEL, TRAMPOLINE, BODY, BODY]), Some(3));
        assert_eq!(
            found(&[TRAMPOLINE, 0x1800, BODY]),
            Some(1),
            "a call that ends its body"
        );
        assert_eq!(found(&[KERNEL, TRAMPOLINE, 0x1801, BODY]), Some(3));
        assert_eq!(found(&[KERNEL, TRAMPOLINE, KERNEL]), None);
        assert_eq!(found(&[]), None);
    }

    #[test]
    fn a_return_to_the_landing_ends_the_walk() {
        assert_eq!(found(&[KERNEL, TRAMPOLINE, LANDING, BODY]), None);
        assert_eq!(
            found(&[KERNEL, TRAMPOLINE, BODY, KERNEL, TRAMPOLINE, LANDING]),
            Some(2),
            "what was called from there is diverted itself"
        );
    }

    /// As from the instruction that has the handler's stack pointer already.
    #[test]
    fn a_walk_that_went_astray_finds_nothing() {
        assert_eq!(found(&[BODY, BODY]), None);
        assert_eq!(found(&[KERNEL, BODY]), None);
        assert_eq!(found(&[TRAMPOLINE, KERNEL, BODY]), None);
    }
}
