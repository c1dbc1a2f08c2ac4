//! The core's start, as a table of contents.

use contract_boot::BootInfo;
use kernel_machine::cpu::entry::HandOver;
use kernel_machine::cpu::{interrupts, trap};

use crate::{
    checks, console, cpu, fault, futex, interrupt, log as kernel_log, memory, platform, random,
    screen, thread, time, traps,
};

/// Brings the machine from the loader's hand-over to where threads run on all CPUs. What cannot be
/// stops the machine with a sentence.
pub fn start(hand_over: &HandOver) -> BootInfo {
    console::init();
    kernel_log::init();
    trap::init(traps::handle, fault::stop_at_lost_pad);
    checks::init();
    let info = hand_over
        .boot_info()
        .unwrap_or_else(|sentence| fault::stop(sentence));
    if let Err(error) = memory::init(&info) {
        fault::learn(&info);
        fault::stop_with(format_args!("{error}"));
    }
    fault::init(&info);
    kernel_log::configure(&info);
    screen::init(&info);
    platform::init(&info);
    time::init();
    random::init(&info);
    futex::init();
    cpu::count();
    thread::init(hand_over.thread_pointer);
    interrupt::init();
    interrupts::enable();
    cpu::start_others(&info);
    memory::serve_large_blocks();
    console::enable_interrupts();
    if let Err(error) = screen::start() {
        log::warn!("screen: it stays as it is, because no thread can draw on it: {error}");
    }
    if let Err(error) = thread::start_reaper() {
        fault::stop_with(format_args!(
            "the reaper thread could not be started: {error}"
        ));
    }
    info
}
