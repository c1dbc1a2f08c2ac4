//! How a thread is made to leave compiled code: the engine's `Interrupter`, by the kernel's detours.

use std::ops::Range;
use std::sync::Arc;

use kernel_core::thread::ThreadId;
use kernel_core::thread::{self, detour};

/// Names the calling thread to [`divert`].
pub fn current_thread() -> u32 {
    thread::current().as_u32()
}

/// Makes the thread go on at `landing` where it is in one of the bodies, or when it returns there.
pub fn divert(thread: u32, bodies: &Arc<[Range<usize>]>, landing: usize) {
    ask(thread, bodies, detour::Goal::Landing(landing));
}

/// Makes the thread call `handler` where it is in one of the bodies, and go on.
pub fn visit(thread: u32, bodies: &Arc<[Range<usize>]>, handler: extern "C" fn(i32, usize, usize)) {
    ask(thread, bodies, detour::Goal::Handler(handler));
}

fn ask(thread: u32, bodies: &Arc<[Range<usize>]>, goal: detour::Goal) {
    let detour = detour::Detour {
        bodies: Arc::clone(bodies),
        goal,
    };
    // A thread that is gone needs no diversion.
    let _exists = detour::divert(ThreadId::from_u32(thread), detour);
}

/// The calling thread is not to be diverted or visited any more.
pub fn stay() {
    detour::stay();
}
