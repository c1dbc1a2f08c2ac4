//! Who runs: one queue per CPU, round robin with a time slice, stealing when a CPU has nothing to do.
//!
//! Law: a runnable thread that does not run stands in exactly one run queue. A thread that has not yet left
//! its CPU (`context.is_on_cpu`) stands at most in the queue of that CPU, and nobody steals it; so no two CPUs
//! ever wait for each other's threads. Idle threads stand in no queue. Decisions are made with interrupts
//! off; at most one queue's lock is held at a time. The timer is armed for the next timeout, and for the end
//! of the slice only while somebody waits for the CPU: an idle machine gets no ticks.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use kernel_machine::checks::context;
use kernel_machine::cpu::{self, CPUS_MAX, interrupts, mailbox, trap::Trap};
use kernel_machine::sync::IrqLock;
use lib_deadline_queue::DeadlineQueue;
use lib_index_list::{LinkTable, List};
use spin::Once;

use super::current_thread;
use super::slot::{THREADS_MAX, Thread, by_slot};
use super::wait::unpark;
use crate::trace::{self, Kind};
use crate::{interrupt, time};

/// How long a thread runs while others wait for its CPU, in nanoseconds.
const SLICE_NS: u64 = 4_000_000;
/// Timeouts handled in one go, so that the lock is held shortly.
const TIMEOUT_BATCH: usize = 16;
const NO_THREAD: u32 = u32::MAX;
const UNARMED: u64 = u64::MAX;

struct CpuState {
    queue: IrqLock<List>,
    timeouts: IrqLock<Option<DeadlineQueue>>,
    idle_thread: AtomicU32,
    must_reschedule: AtomicBool,
    // Written by its own CPU only.
    switched_at_ns: AtomicU64,
    slice_end_ns: AtomicU64,
    /// What the timer is set to; [`UNARMED`] when it is off.
    armed_ns: AtomicU64,
}

static CPUS: [CpuState; CPUS_MAX] = {
    let mut cpus = [const {
        CpuState {
            queue: IrqLock::new(List::new(0)),
            timeouts: IrqLock::new(None),
            idle_thread: AtomicU32::new(NO_THREAD),
            must_reschedule: AtomicBool::new(false),
            switched_at_ns: AtomicU64::new(0),
            slice_end_ns: AtomicU64::new(0),
            armed_ns: AtomicU64::new(UNARMED),
        }
    }; CPUS_MAX];
    let mut cpu = 0;
    while cpu < CPUS_MAX {
        cpus[cpu].queue = IrqLock::new(List::new(cpu as u32));
        cpu += 1;
    }
    cpus
};
static LINKS: Once<LinkTable> = Once::new();
/// CPUs that have nothing to run, as a bit mask. A CPU sets its bit before it looks for work for the last
/// time; who gives it work clears the bit, so that the next one asks another CPU.
static IDLE: AtomicU64 = AtomicU64::new(0);
static SWITCHES: AtomicU64 = AtomicU64::new(0);

pub(super) fn init() {
    LINKS.call_once(|| LinkTable::new(THREADS_MAX as u32));
}

/// The links that run queues and the list of the dead share.
pub(super) fn links() -> &'static LinkTable {
    LINKS.call_once(|| LinkTable::new(THREADS_MAX as u32))
}

/// How often any CPU went from one thread to another.
pub fn switch_count() -> u64 {
    SWITCHES.load(Ordering::Relaxed)
}

/// Allocates what a CPU needs to schedule.
pub(super) fn prepare_cpu(cpu: u32) {
    if cpu == 0 || crate::cpu::is_expected(cpu) {
        let timeouts = DeadlineQueue::new(THREADS_MAX as u32);
        *CPUS[cpu as usize].timeouts.lock() = Some(timeouts);
    }
}

/// Names the thread that runs on `cpu` when nobody else wants to.
pub(super) fn set_idle_thread(cpu: u32, thread: &Thread) {
    CPUS[cpu as usize]
        .idle_thread
        .store(thread.slot, Ordering::Release);
}

fn here() -> &'static CpuState {
    &CPUS[cpu::index() as usize]
}

fn is_idle_thread(thread: &Thread, state: &CpuState) -> bool {
    state.idle_thread.load(Ordering::Acquire) == thread.slot
}

/// Lets others run, if any want to.
pub fn yield_now() {
    context::about_to_wait();
    let _interrupts = interrupts::Disabled::enter();
    switch(true);
}

/// Leaves the CPU; somebody else has to enqueue the caller again. Interrupts are off.
pub(super) fn switch_away() {
    switch(false);
}

/// Leaves the CPU for good.
pub(super) fn leave_for_ever() -> ! {
    let _interrupts = interrupts::Disabled::enter();
    switch(false);
    unreachable!("a thread that ended was continued");
}

/// Called at the end of an interrupt that came while interrupts were on.
pub(crate) fn preempt(trap: &mut Trap<'_>) {
    let state = here();
    if !state.must_reschedule.swap(false, Ordering::AcqRel) {
        return;
    }
    let me = current_thread();
    let next = choose(me, true);
    if next.slot != me.slot {
        begin(me, next);
        trap.switch_to(&me.context, &next.context);
    }
    arm_timer();
}

fn switch(still_runnable: bool) {
    let me = current_thread();
    let next = choose(me, still_runnable);
    if next.slot == me.slot {
        return;
    }
    begin(me, next);
    me.context.switch_to(&next.context);
}

/// Picks who runs next; the caller is put in the queue if it can still run.
fn choose(me: &'static Thread, still_runnable: bool) -> &'static Thread {
    let state = here();
    let idle = is_idle_thread(me, state);
    if let Some(slot) = rotate(state, (still_runnable && !idle).then_some(me)) {
        return by_slot(slot);
    }
    if let Some(slot) = steal() {
        return by_slot(slot);
    }
    by_slot(state.idle_thread.load(Ordering::Acquire))
}

fn rotate(state: &CpuState, runnable: Option<&Thread>) -> Option<u32> {
    let mut queue = state.queue.lock();
    if let Some(me) = runnable {
        let pushed = queue.push_back(links(), me.slot);
        assert!(pushed.is_ok(), "a running thread stands in no queue");
    }
    queue.pop_front(links())
}

/// Takes a waiting thread from another CPU's queue.
fn steal() -> Option<u32> {
    let me = cpu::index();
    mailbox::bits(mailbox::online_mask() & !(1 << me)).find_map(|victim| {
        let mut queue = CPUS[victim as usize].queue.lock();
        let stealable = queue
            .iter(links())
            .find(|slot| !by_slot(*slot).context.is_on_cpu());
        stealable.filter(|slot| queue.remove(links(), *slot))
    })
}

/// The bookkeeping of a switch, on the CPU that switches, right before it.
fn begin(from: &Thread, to: &Thread) {
    let state = here();
    let now_ns = time::monotonic_ns();
    let since = state.switched_at_ns.swap(now_ns, Ordering::Relaxed);
    from.cpu_time_ns
        .fetch_add(now_ns.saturating_sub(since), Ordering::Relaxed);
    state
        .slice_end_ns
        .store(now_ns + SLICE_NS, Ordering::Relaxed);
    SWITCHES.fetch_add(1, Ordering::Relaxed);
    trace::point(Kind::Switch, 0, from.id().as_u64(), to.id().as_u64());
    to.cpu.store(cpu::index(), Ordering::Release);
    to.context.set_on_cpu();
    if !is_idle_thread(to, state) {
        IDLE.fetch_and(!(1 << cpu::index()), Ordering::SeqCst);
    }
    cpu::set_current_thread_slot(to.slot);
    arm_timer();
}

/// Makes a new thread runnable.
pub(super) fn enqueue_new(thread: &Thread) {
    let _interrupts = interrupts::Disabled::enter();
    let cpu = claim_idle_cpu().unwrap_or_else(cpu::index);
    enqueue_on(cpu, thread);
}

/// Makes a parked thread runnable: where it still is, else where it was if that is idle, else where
/// anybody is idle.
pub(super) fn enqueue_woken(thread: &Thread) {
    let _interrupts = interrupts::Disabled::enter();
    let last = thread.cpu.load(Ordering::Acquire);
    let settled = !thread.context.is_on_cpu();
    let cpu = if settled && !claim_idle(last) {
        claim_idle_cpu().unwrap_or(last)
    } else {
        last
    };
    enqueue_on(cpu, thread);
}

/// Claims any idle CPU.
fn claim_idle_cpu() -> Option<u32> {
    mailbox::bits(IDLE.load(Ordering::Acquire)).find(|cpu| claim_idle(*cpu))
}

/// True for the one caller that may give the idle CPU work.
fn claim_idle(cpu: u32) -> bool {
    IDLE.fetch_and(!(1 << cpu), Ordering::SeqCst) & (1 << cpu) != 0
}

/// Somebody waits here for a CPU: an idle one is told to come and steal.
fn offer_work() {
    if let Some(cpu) = claim_idle_cpu() {
        interrupt::send_reschedule(cpu);
    }
}

fn enqueue_on(cpu: u32, thread: &Thread) {
    trace::point(Kind::Wake, 0, thread.id().as_u64(), u64::from(cpu));
    let state = &CPUS[cpu as usize];
    let pushed = state.queue.lock().push_back(links(), thread.slot);
    assert!(pushed.is_ok(), "a thread is made runnable twice");
    if cpu != cpu::index() {
        interrupt::send_reschedule(cpu);
    } else {
        note_waiting_thread();
    }
}

/// Somebody stands in this CPU's queue: an idle CPU switches at once, a busy one when the slice ends.
pub(crate) fn note_waiting_thread() {
    let state = here();
    if is_idle_thread(current_thread(), state) {
        state.must_reschedule.store(true, Ordering::Release);
    }
    arm_timer();
}

/// Wakes the thread at `deadline_ns` if nothing else does. Returns the CPU that keeps the timeout.
pub(super) fn add_timeout(thread: &Thread, deadline_ns: u64) -> u32 {
    let cpu = cpu::index();
    let mut timeouts = CPUS[cpu as usize].timeouts.lock();
    let added = timeouts
        .as_mut()
        .map(|timeouts| timeouts.insert(thread.slot, deadline_ns));
    drop(timeouts);
    assert!(
        matches!(added, Some(Ok(()))),
        "a thread sleeps once at a time"
    );
    arm_timer();
    cpu
}

pub(super) fn remove_timeout(thread: &Thread, cpu: u32) {
    if let Some(timeouts) = CPUS[cpu as usize].timeouts.lock().as_mut() {
        timeouts.remove(thread.slot);
    }
}

/// The timer fired: wakes who is due and ends the slice if others wait.
pub(crate) fn on_timer() {
    let state = here();
    let now_ns = time::monotonic_ns();
    wake_due(state, now_ns);
    let slice_is_over = now_ns >= state.slice_end_ns.load(Ordering::Relaxed);
    state.armed_ns.store(UNARMED, Ordering::Relaxed);
    if !state.queue.lock().is_empty() {
        offer_work();
        if slice_is_over {
            state.must_reschedule.store(true, Ordering::Release);
        }
    }
    arm_timer();
}

fn wake_due(state: &CpuState, now_ns: u64) {
    loop {
        let mut due = [NO_THREAD; TIMEOUT_BATCH];
        let mut count = 0;
        if let Some(timeouts) = state.timeouts.lock().as_mut() {
            while count < TIMEOUT_BATCH
                && let Some(slot) = timeouts.pop_due(now_ns)
            {
                due[count] = slot;
                count += 1;
            }
        }
        due[..count].iter().for_each(|slot| unpark(by_slot(*slot)));
        if count < TIMEOUT_BATCH {
            return;
        }
    }
}

/// Sets this CPU's timer to the next thing that time brings.
fn arm_timer() {
    let state = here();
    let timeout_ns = state
        .timeouts
        .lock()
        .as_ref()
        .and_then(DeadlineQueue::next_deadline_ns);
    let contended = !state.queue.lock().is_empty();
    let slice_ns = contended.then(|| state.slice_end_ns.load(Ordering::Relaxed));
    let next_ns = match (timeout_ns, slice_ns) {
        (Some(timeout), Some(slice)) => Some(timeout.min(slice)),
        (timeout, slice) => timeout.or(slice),
    };
    let wanted_ns = next_ns.unwrap_or(UNARMED);
    if state.armed_ns.swap(wanted_ns, Ordering::Relaxed) != wanted_ns {
        interrupt::arm_timer(next_ns);
    }
}

/// One round of an idle CPU: runs whoever can run, or waits for an interrupt.
pub(super) fn idle_once() {
    let _interrupts = interrupts::Disabled::enter();
    let bit = 1 << cpu::index();
    IDLE.fetch_or(bit, Ordering::SeqCst);
    let next = choose(current_thread(), true);
    if next.slot == current_thread().slot {
        interrupts::wait_for_one();
        return;
    }
    let me = current_thread();
    begin(me, next);
    me.context.switch_to(&next.context);
}
