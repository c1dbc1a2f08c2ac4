//! The end of the "process" is the end of the machine's run: whoever aborts has found a bug in
//! native code, which rule 9 of the architecture answers by stopping with a dump.

use core::ffi::{c_int, c_void};

use kernel_core::{fault, thread};

/// The one process id.
const PROCESS_ID: c_int = 1;

#[unsafe(no_mangle)]
extern "C" fn abort() -> ! {
    fault::stop("abort: native code gave up (a panic that could not unwind, or memory ran out)")
}

#[unsafe(no_mangle)]
extern "C" fn exit(_code: c_int) -> ! {
    fault::stop("exit: native code tried to end the process, which is the kernel")
}

#[unsafe(no_mangle)]
extern "C" fn _exit(_code: c_int) -> ! {
    fault::stop("_exit: native code tried to end the process, which is the kernel")
}

#[unsafe(no_mangle)]
extern "C" fn getpid() -> c_int {
    PROCESS_ID
}

/// The kernel never exits in order, so nothing registered is ever run.
#[unsafe(no_mangle)]
extern "C" fn __cxa_finalize(_object: *mut c_void) {}

/// Waits for a signal: for ever, since none is ever sent. `std` parks threads here whose process
/// is on its way out.
#[unsafe(no_mangle)]
extern "C" fn pause() -> c_int {
    loop {
        thread::sleep_until(u64::MAX);
    }
}
