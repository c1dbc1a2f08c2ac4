//! What a panic in the kernel means.
//!
//! Law: a panic in the core, the machine layer or while interrupts are off stops the machine, because whatever
//! was being changed is half changed. A panic in the runtime unwinds: it ends the process that is being served, and
//! the log says that it is a bug of ours.

use std::panic::PanicHookInfo;

use kernel_core::fault;
use kernel_machine::cpu::interrupts;

/// Sources whose panics stop the machine.
const KERNEL_SOURCES: &str = "kernel/";

/// From here on panics are judged.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(judge));
}

fn judge(info: &PanicHookInfo<'_>) {
    let in_kernel = info
        .location()
        .is_some_and(|location| location.file().starts_with(KERNEL_SOURCES));
    let message = info.payload_as_str().unwrap_or("a panic without a message");
    // Decided before anything that allocates or needs thread-locals: those may be what is broken.
    if in_kernel || !interrupts::are_enabled() {
        match info.location() {
            Some(location) => fault::stop_with(format_args!("panic at {location}: {message}")),
            None => fault::stop_with(format_args!("panic: {message}")),
        }
    }
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("?");
    let location = info.location().map_or("?".to_owned(), ToString::to_string);
    log::error!("bug in the runtime, thread {name}: panic at {location}: {message}");
}
