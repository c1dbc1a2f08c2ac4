//! The machine's CPUs.
//!
//! Law: CPUs are started once, one after another, at boot, in the order of firmware's list; the boot CPU has
//! index 0. One that does not arrive is left out and the log says so.

use core::sync::atomic::{AtomicU32, Ordering};

use contract_boot::BootInfo;
use kernel_machine::cpu::startup::{self, NewCpu};
use kernel_machine::cpu::{CPUS_MAX, mailbox};
use kernel_machine::memory::page_table;

use crate::{interrupt, platform, thread, time};

/// How long a CPU may take from the start signal to Rust: generous, since virtual machines are slow.
const ARRIVAL_NS: u64 = 5_000_000_000;

static EXPECTED: AtomicU32 = AtomicU32::new(1);

/// How many CPUs run.
pub fn online_count() -> usize {
    mailbox::online_mask().count_ones() as usize
}

/// Finds out how many CPUs are to be started.
pub(crate) fn count() {
    let listed = platform::platform()
        .processors
        .iter()
        .filter(|cpu| cpu.enabled)
        .count();
    EXPECTED.store(listed.clamp(1, CPUS_MAX) as u32, Ordering::Relaxed);
}

/// Whether a CPU of this index may come up.
pub(crate) fn is_expected(cpu: u32) -> bool {
    cpu < EXPECTED.load(Ordering::Relaxed)
}

/// Starts all CPUs but the one that runs.
pub(crate) fn start_others(info: &BootInfo) {
    let page = info.trampoline;
    let own = interrupt::local_apic().id();
    let others = platform::platform().processors.iter();
    let others = others.filter(|cpu| cpu.enabled && cpu.apic_id != own);
    if page.len_bytes == 0 || page.start >= 1 << 20 {
        log::warn!("no page below 1 MiB was free: only one CPU runs");
        return;
    }
    if page_table::root() >= 1 << 32 {
        log::warn!("the page tables lie above 4 GiB, where a starting CPU cannot load them");
        return;
    }
    if page_table::set_identity_window(true).is_err() {
        return;
    }
    for (index, cpu) in (1..EXPECTED.load(Ordering::Relaxed)).zip(others) {
        if !start_one(page.start, index, cpu.apic_id) {
            log::error!("the CPU with APIC id {} does not start", cpu.apic_id);
            break;
        }
    }
    let _cannot_fail = page_table::set_identity_window(false);
    let _flushed = mailbox::flush_everywhere(None);
    log::info!("{} running", online_count());
}

fn start_one(page: u64, index: u32, apic_id: u32) -> bool {
    let Some(clock) = time::clock() else {
        return false;
    };
    if !thread::prepare_idle(index) {
        return false;
    }
    let (stack_end, thread_pointer) = thread::idle_stack_end(index);
    let cpu = NewCpu {
        index,
        apic_id,
        stack_end,
        thread_pointer,
        main: run,
    };
    time::prepare_comparison();
    let started = startup::start_cpu(interrupt::local_apic(), clock, page, cpu);
    if started.is_err() {
        return false;
    }
    if let Some(skew) = time::compare_counters(time::monotonic_ns() + ARRIVAL_NS) {
        time::note_skew(index, skew);
    }
    let arrived = has_arrived(index);
    if !arrived {
        startup::hold_back(interrupt::local_apic(), apic_id);
    }
    arrived
}

fn has_arrived(index: u32) -> bool {
    let deadline = time::monotonic_ns() + ARRIVAL_NS;
    while mailbox::online_mask() & 1 << index == 0 {
        if time::monotonic_ns() > deadline {
            return false;
        }
        core::hint::spin_loop();
    }
    true
}

/// Where a started CPU begins.
fn run(_index: u32) -> ! {
    interrupt::init_other();
    time::answer_comparison();
    mailbox::join();
    thread::run_idle()
}
