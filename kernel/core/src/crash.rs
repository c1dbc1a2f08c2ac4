//! Every way in which the kernel can fail, on demand: for tests of the report.
//!
//! Law: only an image whose command line has the word `test` gets a [`Licence`], and without one nothing here
//! can be reached. What is illegal at the level of the machine is done there ([`provoke`]); what is a bug of safe
//! code stands here.

mod defects;

use alloc::vec::Vec;
use core::fmt;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use contract_boot::BootInfo;
use kernel_machine::cpu::{self, interrupts, mailbox, provoke};
use kernel_machine::memory::{Frame, FrameOwner, PAGE_LEN};
use kernel_machine::platform::local_apic::Destination;
use kernel_machine::sync::IrqLock;
use spin::Once;

use crate::interrupt::{self, vector};
use crate::memory::frames;
use crate::thread::{self, SpawnRequest};
use crate::time;

pub use kernel_machine::cpu::provoke::Licence;

/// The set of the CPU that firmware started.
const BOOT_CPU: thread::CpuSet = 1;
/// An ISA line that no device of a virtual machine uses.
const FREE_LINE: u8 = 5;
const FREE_VECTOR: u8 = vector::ISA.start + FREE_LINE;
const HELPER_STACK_BYTES: usize = 64 * 1024;
/// No CPU's cache holds more free frames.
const FRAMES_CACHED_MAX: usize = 128;
/// How long helpers on other CPUs are waited for.
const PATIENCE_NS: u64 = 10_000_000_000;

/// For handlers of interrupts, which are told nothing.
static LICENCE: Once<Licence> = Once::new();
static HOARD: IrqLock<Option<Vec<Frame>>> = IrqLock::new(None);
static LOCK: IrqLock<()> = IrqLock::new(());
/// CPUs that were seen by [`census`], as a bit mask.
static SEEN: AtomicU64 = AtomicU64::new(0);
/// Of those, the CPUs on which a protection that exists is off.
static UNPROTECTED: AtomicU64 = AtomicU64::new(0);

/// One way to fail.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// How it is asked for.
    pub name: &'static str,
    run: fn(&Licence),
}

const fn kind(name: &'static str, run: fn(&Licence)) -> Kind {
    Kind { name, run }
}

/// Those that every kernel notices; the others are found by checks.
const KINDS: &[Kind] = &[
    kind("panic", panic_in_kernel),
    kind("null-read", provoke::null_read),
    kind("null-write", provoke::null_write),
    kind("wild-jump", provoke::wild_jump),
    kind("stack-overflow", overflow_stack),
    kind("lost-stack", provoke::lost_stack),
    kind("division", provoke::division),
    kind("invalid-instruction", provoke::invalid_instruction),
    kind("breakpoint", provoke::breakpoint),
    kind("general-protection", provoke::general_protection),
    kind("page-fault-interrupts-off", fault_with_interrupts_off),
    kind("deadlock", lock_twice),
    kind("double-free", provoke::double_free),
    kind("frame-freed-twice", free_frame_twice),
    kind("heap-overrun", provoke::heap_overrun),
    kind("heap-written-after-free", provoke::heap_write_after_free),
    kind("frame-written-after-free", write_to_free_frame),
    kind("double-fault", provoke::double_fault),
    kind("nested-trap", nest_interrupts),
    kind("nmi", interrupt_oneself),
    kind("other-cpu", fault_on_another_cpu),
    kind("spinning-cpu", panic_while_another_cpu_spins),
    kind("interrupt-handler", panic_in_interrupt_handler),
    kind("heap-exhaustion", exhaust_heap),
    kind("write-text", provoke::write_to_text),
    kind("write-text-alias", provoke::write_to_text_alias),
    kind("execute-heap", provoke::execute_heap),
];

/// All of them.
pub fn kinds() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().chain(defects::KINDS)
}

/// The licence of a test image; other images get none.
pub fn licence(info: &BootInfo) -> Option<Licence> {
    let licence = Licence::for_test_image(crate::log::command_line(info))?;
    Some(*LICENCE.call_once(|| licence))
}

/// Fails in this way. Coming back means that a protection does not work.
pub fn crash(licence: &Licence, kind: Kind) {
    log::info!("crash: {}", kind.name);
    (kind.run)(licence);
    log::error!("crash: the machine survived {}", kind.name);
}

fn panic_in_kernel(_: &Licence) {
    let day = black_box(32);
    assert!(day < 32, "there is no day {day}");
}

fn overflow_stack(_: &Licence) {
    black_box(recurse(0));
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let room = black_box([depth; 32]);
    if black_box(depth) == u64::MAX {
        return depth;
    }
    recurse(depth + 1) + room[depth as usize % room.len()]
}

fn fault_with_interrupts_off(licence: &Licence) {
    let _interrupts = interrupts::Disabled::enter();
    provoke::null_read(licence);
}

fn lock_twice(_: &Licence) {
    let first = LOCK.lock();
    let second = LOCK.lock();
    drop((first, second));
}

fn free_frame_twice(licence: &Licence) {
    let _interrupts = interrupts::Disabled::enter();
    if let Some(frame) = frames::allocate(FrameOwner::Regions) {
        let again = provoke::duplicate(licence, &frame);
        frames::free(frame);
        frames::free(again);
    }
}

/// Takes all memory that ordinary requests may have, until [`give_hoard_back`]; returns how many frames it is.
/// None when memory is hoarded already, or the list of the frames cannot be had.
pub fn hoard(_: &Licence) -> Option<usize> {
    let mut frames = Vec::new();
    let free = usize::try_from(frames::statistics().free).ok()?;
    frames.try_reserve_exact(free).ok()?;
    while frames.len() < free
        && let Some(frame) = frames::allocate(FrameOwner::Regions)
    {
        frames.push(frame);
    }
    let mut hoard = HOARD.lock();
    if hoard.is_some() {
        drop(hoard);
        frames.into_iter().for_each(frames::free);
        return None;
    }
    Some(hoard.insert(frames).len())
}

/// Gives back what [`hoard`] took; returns how many frames it was.
pub fn give_hoard_back(_: &Licence) -> usize {
    let hoard = HOARD.lock().take();
    let count = hoard.as_ref().map_or(0, Vec::len);
    hoard.into_iter().flatten().for_each(frames::free);
    count
}

/// Loses one frame for ever: what a comparison with a mark has to name.
pub fn lose_frame(_: &Licence) -> bool {
    frames::allocate(FrameOwner::Regions)
        .map(core::mem::forget)
        .is_some()
}

/// The frame lies in this CPU's cache, so one of the next requests meets it.
fn write_to_free_frame(licence: &Licence) {
    let _interrupts = interrupts::Disabled::enter();
    let Some(frame) = frames::allocate(FrameOwner::Stacks) else {
        return;
    };
    let mut late = provoke::duplicate(licence, &frame);
    frames::free(frame);
    late.bytes_mut()[PAGE_LEN / 2] = 1;
    let requests = (0..FRAMES_CACHED_MAX).map_while(|_| frames::allocate(FrameOwner::Regions));
    requests
        .collect::<Vec<_>>()
        .into_iter()
        .for_each(frames::free);
}

fn nest_interrupts(licence: &Licence) {
    if interrupt::register_isa(FREE_LINE, raise_again) {
        provoke::interrupt::<FREE_VECTOR>(licence);
    }
}

fn raise_again() {
    if let Some(licence) = LICENCE.get() {
        provoke::interrupt::<FREE_VECTOR>(licence);
        log::error!("crash: the machine survived a nested trap");
    }
}

fn panic_in_interrupt_handler(licence: &Licence) {
    if interrupt::register_isa(FREE_LINE, panicking_handler) {
        provoke::interrupt::<FREE_VECTOR>(licence);
    }
}

fn panicking_handler() {
    assert!(black_box(false), "the handler of a device has a bug");
}

fn interrupt_oneself(_: &Licence) {
    let local_apic = interrupt::local_apic();
    if local_apic
        .send_nmi(Destination::One(local_apic.id()))
        .is_ok()
    {
        wait_until(|| false);
    }
}

fn fault_on_another_cpu(_: &Licence) {
    spawn(fault_away_from_boot_cpu, 0);
    wait_until(|| false);
}

extern "C" fn fault_away_from_boot_cpu(_: usize) {
    // Whether it would come there by itself is chance: who waits for it is busy on a CPU too.
    if thread::set_affinity(thread::current(), !BOOT_CPU).is_err() {
        return;
    }
    let _interrupts = interrupts::Disabled::enter();
    if let Some(licence) = LICENCE.get() {
        provoke::null_write(licence);
    }
}

fn panic_while_another_cpu_spins(licence: &Licence) {
    SEEN.store(0, Ordering::SeqCst);
    spawn(spin_for_ever, 0);
    if wait_until(|| SEEN.load(Ordering::SeqCst) != 0) {
        panic_in_kernel(licence);
    }
}

extern "C" fn spin_for_ever(_: usize) {
    let _interrupts = interrupts::Disabled::enter();
    SEEN.fetch_or(1 << cpu::index(), Ordering::SeqCst);
    loop {
        core::hint::spin_loop();
    }
}

fn exhaust_heap(_: &Licence) {
    const BLOCK_BYTES: usize = 32 * 1024;
    loop {
        let block: Vec<u8> = Vec::with_capacity(BLOCK_BYTES);
        core::mem::forget(black_box(block));
    }
}

fn spawn(entry: extern "C" fn(usize), argument: usize) {
    let request = SpawnRequest {
        entry,
        argument,
        stack_len_bytes: HELPER_STACK_BYTES,
        name: "crash helper",
    };
    match thread::spawn(request) {
        Ok(helper) => drop(thread::detach(helper)),
        Err(error) => log::error!("crash: {error}"),
    }
}

/// Looks at `condition` until it holds or patience ends; whether it holds.
fn wait_until(mut condition: impl FnMut() -> bool) -> bool {
    let deadline_ns = time::monotonic_ns() + PATIENCE_NS;
    while time::monotonic_ns() < deadline_ns {
        if condition() {
            return true;
        }
        core::hint::spin_loop();
    }
    false
}

/// What the processors protect the kernel with.
#[derive(Clone, Copy, Debug)]
pub struct ProtectionCensus {
    /// Those of the CPU that was asked.
    pub here: [provoke::Protection; 5],
    /// CPUs that were looked at.
    pub cpus: u32,
    /// CPUs on which one that exists is off.
    pub unprotected_cpus: u32,
}

impl fmt::Display for ProtectionCensus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for protection in self.here {
            let state = match (protection.exists, protection.is_on) {
                (true, true) => "on",
                (true, false) => "off",
                (false, _) => "missing",
            };
            write!(out, "{} {state}, ", protection.name)?;
        }
        let Self {
            cpus,
            unprotected_cpus,
            ..
        } = self;
        write!(
            out,
            "the same on {} of {cpus} cpus",
            cpus - unprotected_cpus
        )
    }
}

/// Asks every CPU for its protections.
pub fn census(_: &Licence) -> ProtectionCensus {
    SEEN.store(0, Ordering::SeqCst);
    UNPROTECTED.store(0, Ordering::SeqCst);
    for cpu in mailbox::bits(mailbox::online_mask()) {
        spawn(take_census, cpu as usize);
    }
    wait_until(is_census_complete);
    ProtectionCensus {
        here: provoke::protections(),
        cpus: SEEN.load(Ordering::SeqCst).count_ones(),
        unprotected_cpus: UNPROTECTED.load(Ordering::SeqCst).count_ones(),
    }
}

fn is_census_complete() -> bool {
    SEEN.load(Ordering::SeqCst).count_ones() as usize == crate::cpu::online_count()
}

/// Goes to the CPU of that index and looks at it.
extern "C" fn take_census(cpu: usize) {
    let bit = 1 << cpu;
    if thread::set_affinity(thread::current(), bit).is_err() {
        return;
    }
    let lacks = |protection: &provoke::Protection| protection.exists && !protection.is_on;
    if provoke::protections().iter().any(lacks) {
        UNPROTECTED.fetch_or(bit, Ordering::SeqCst);
    }
    SEEN.fetch_or(bit, Ordering::SeqCst);
}
