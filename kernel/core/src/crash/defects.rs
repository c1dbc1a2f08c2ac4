//! Bugs that a kernel with checks finds: each breaks one rule, and none of them would stop a kernel without checks
//! when it happens.

use alloc::vec::Vec;
use core::hint::black_box;
use core::mem;
use core::sync::atomic::Ordering;

use kernel_machine::cpu::{interrupts, mailbox, provoke};
use kernel_machine::memory::PAGE_BYTES;
use kernel_machine::memory::frame::{FrameOwner, StaleFrame};
use kernel_machine::memory::page_table::{self, Rights};
use kernel_machine::sync::{IrqLock, STACK_RESERVE_BYTES};

use super::{FREE_LINE, FREE_VECTOR, Kind, Licence, SEEN, kind, spawn, wait_until};
use crate::memory::{self, MapRequest, Protection, frames};
use crate::{fault, interrupt, thread, time};

/// All of them.
pub(super) const KINDS: &[Kind] = &[
    kind("lock-inversion", invert_two_locks),
    kind("lock-inversion-of-three", invert_three_locks),
    kind("lock-order-declared", contradict_the_text),
    kind("locks-of-one-kind", take_two_of_one_kind),
    kind("allocate-under-lock", allocate_under_lock),
    kind("allocate-in-handler", |licence| {
        handle(licence, allocate);
    }),
    kind("sleep-under-lock", sleep_under_lock),
    kind("sleep-in-handler", |licence| {
        handle(licence, sleep_a_moment);
    }),
    kind("interrupts-on-under-lock", turn_interrupts_on_under_lock),
    kind("interrupts-on-in-handler", |licence| {
        handle(licence, interrupts::enable);
    }),
    kind("handler-keeps-lock", |licence| handle(licence, keep_lock)),
    kind("pad-overrun", |licence| handle(licence, use_up_pad)),
    kind("stack-reserve", use_up_reserve),
    kind("stale-frame-freed", free_stale_frame),
    kind("uncovered-page", map_without_region),
    kind("too-many-rights", allow_what_region_forbids),
    kind("lost-stack-frame", lose_stack_frame),
    kind("stuck-cpu", stick_another_cpu),
    kind("deadlock-of-two", wait_for_each_other),
    kind("lost-lock", wait_for_lost_lock),
];

const MOMENT_NS: u64 = 1_000_000;

static ONE: IrqLock<()> = IrqLock::named("crash one", ());
static TWO: IrqLock<()> = IrqLock::named("crash two", ());
static THREE: IrqLock<()> = IrqLock::named("crash three", ());
static OF_ONE_KIND: [IrqLock<()>; 2] = [const { IrqLock::new(()) }; 2];
/// Declared to be taken in this order.
static OUTER: IrqLock<()> = IrqLock::named("crash outer", ());
static INNER: IrqLock<()> = IrqLock::named("crash inner", ());

/// One thread takes them in one order, and when it is long done another in the other.
fn invert_two_locks(_: &Licence) {
    run_in_another_thread(one_before_two);
    let two = TWO.lock();
    let one = ONE.lock();
    drop((one, two));
}

extern "C" fn one_before_two(_: usize) {
    take_both(&ONE, &TWO);
    SEEN.store(1, Ordering::SeqCst);
}

fn take_both(outer: &IrqLock<()>, inner: &IrqLock<()>) {
    let outer = outer.lock();
    let inner = inner.lock();
    drop((inner, outer));
}

fn invert_three_locks(_: &Licence) {
    take_both(&ONE, &TWO);
    take_both(&TWO, &THREE);
    take_both(&THREE, &ONE);
}

fn contradict_the_text(_: &Licence) {
    take_both(&INNER, &OUTER);
}

fn take_two_of_one_kind(_: &Licence) {
    take_both(&OF_ONE_KIND[0], &OF_ONE_KIND[1]);
}

fn allocate() {
    drop(black_box(Vec::<u8>::with_capacity(black_box(64))));
}

fn allocate_under_lock(_: &Licence) {
    let _one = ONE.lock();
    allocate();
}

fn sleep_a_moment() {
    thread::sleep_until(time::monotonic_ns() + MOMENT_NS);
}

fn sleep_under_lock(_: &Licence) {
    let _one = ONE.lock();
    sleep_a_moment();
}

fn turn_interrupts_on_under_lock(_: &Licence) {
    let _one = ONE.lock();
    interrupts::enable();
}

fn keep_lock() {
    mem::forget(ONE.lock());
}

#[inline(never)]
fn use_up_pad() {
    black_box([0_u64; 32 * 1024 / 8]);
}

#[inline(never)]
fn use_up_reserve(_: &Licence) {
    let _interrupts = interrupts::Disabled::enter();
    take_far_below();
}

#[inline(never)]
fn take_far_below() {
    let mut room = [0_u8; STACK_RESERVE_BYTES - 1536];
    black_box(&mut room);
    drop(ONE.lock());
    black_box(&mut room);
}

/// A page of the window that no region ever covers.
const NO_REGIONS_PAGE: u64 = page_table::DYNAMIC_WINDOW.end - PAGE_BYTES;

fn map_and_unmap() -> Option<StaleFrame> {
    let rights = Rights {
        write: true,
        execute: false,
    };
    let frame = frames::allocate(FrameOwner::Regions)?;
    page_table::map(NO_REGIONS_PAGE, frame, Some(rights)).ok()?;
    page_table::unmap(NO_REGIONS_PAGE)
}

/// The proof is from before the page was unmapped.
fn free_stale_frame(_: &Licence) {
    let flushed = mailbox::flush_everywhere(None);
    if let Some(stale) = map_and_unmap() {
        frames::free(stale.reclaim(&flushed));
    }
}

fn audit() {
    if let Err(finding) = memory::audit::audit() {
        fault::stop_with(format_args!("{finding}"));
    }
}

const WRITABLE: Rights = Rights {
    write: true,
    execute: false,
};

fn map_without_region(_: &Licence) {
    let page = memory::REGION_WINDOW.end - PAGE_BYTES;
    if let Some(frame) = frames::allocate(FrameOwner::Regions) {
        let _mapped = page_table::map(page, frame, Some(WRITABLE)).map_err(mem::forget);
    }
    audit();
}

fn allow_what_region_forbids(_: &Licence) {
    let region = memory::map(MapRequest {
        len_bytes: PAGE_BYTES as usize,
        protection: Protection {
            write: false,
            ..Protection::READ_WRITE
        },
        at: None,
        populate: true,
        fault_around: false,
    });
    if let Ok(start) = region {
        let _set = page_table::set_rights(start as u64, Some(WRITABLE));
    }
    audit();
}

fn lose_stack_frame(_: &Licence) {
    // A frame that is not freed is lost.
    let _lost = frames::allocate(FrameOwner::Stacks);
    audit();
}

/// Longer than the watchdog needs, on the slowest host.
const LONG_NS: u64 = 3_600_000_000_000;

fn sleep_long() {
    thread::sleep_until(time::monotonic_ns() + LONG_NS);
}

fn stick_another_cpu(_: &Licence) {
    spawn(spin_with_interrupts_off, 0);
    sleep_long();
}

extern "C" fn spin_with_interrupts_off(_: usize) {
    let _interrupts = interrupts::Disabled::enter();
    spin();
}

#[inline(never)]
fn spin() {
    while black_box(true) {
        core::hint::spin_loop();
    }
}

/// One waits under a lock for a word that the other sets under the same lock: what the order of locks cannot show.
fn wait_for_each_other(_: &Licence) {
    run_in_another_thread(wait_for_word_under_lock);
    drop(ONE.lock());
}

extern "C" fn wait_for_word_under_lock(_: usize) {
    let _one = ONE.lock();
    SEEN.store(1, Ordering::SeqCst);
    while SEEN.load(Ordering::SeqCst) != 2 {
        core::hint::spin_loop();
    }
}

fn wait_for_lost_lock(licence: &Licence) {
    ONE.lose(licence);
    spawn(take_one, 0);
    sleep_long();
}

extern "C" fn take_one(_: usize) {
    drop(ONE.lock());
}

/// Lets a device's handler do it.
fn handle(licence: &Licence, handler: fn()) {
    if interrupt::register_isa(FREE_LINE, handler) {
        provoke::interrupt::<FREE_VECTOR>(licence);
    }
}

fn run_in_another_thread(entry: extern "C" fn(usize)) {
    SEEN.store(0, Ordering::SeqCst);
    spawn(entry, 0);
    wait_until(|| SEEN.load(Ordering::SeqCst) != 0);
}
