//! Who runs: this machine's part of the scheduler whose decisions `lib/scheduler` makes.
//!
//! Law: everything here happens with interrupts off, for the CPU that runs. The time is read once per switch. The
//! timer is armed for the next timeout, and for the end of the slice only while somebody waits for the CPU; it is
//! never armed later than it is, nor stopped: what fires early finds nothing to do and arms it for what is next. So an
//! idle machine, and a CPU that runs one thread alone, gets at most one stray tick and then none.
//!
//! Idle threads stand in no queue, are left by their own switch only (an interrupt never preempts one), and have no
//! thread-locals.
//!
//! What other CPUs touch of a CPU ([`lib_scheduler::Cpu`], its timeouts) lies in other cache lines than what only
//! its own CPU touches ([`Own`]).

use alloc::boxed::Box;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use kernel_machine::checks::context;
use kernel_machine::cpu::{self, CPUS_MAX, interrupts, mailbox, trap::Trap};
use kernel_machine::sync::IrqLock;
use lib_deadline_queue::DeadlineQueue;
use lib_scheduler::fair::{Entities, Entity, FairQueue};
use lib_scheduler::poll::PollBudget;
use lib_scheduler::scheduler::{self as policy, Local};
use lib_scheduler::{Cpu, CpuSet, Exclusive, Leaving, Machine, NOBODY, Task, WakeHint, only};
use spin::Once;

use super::current_thread;
use super::slot::{self, THREADS_MAX, Thread, by_slot};
use super::wait::unpark;
use crate::memory::frames;
use crate::trace::{self, Kind};
use crate::{checks, interrupt, time};

/// Timeouts handled in one go, so that the lock is held shortly.
const TIMEOUT_BATCH: usize = 16;
/// How long a thread may wait for a waker that is expected to stop, in nanoseconds; then another CPU may have it.
const HAND_OVER_PATIENCE_NS: u64 = 1_000_000;
const UNARMED: u64 = u64::MAX;

/// A lock around a value that interrupts may touch, as the library wants it.
pub(crate) struct Locked<T>(IrqLock<T>);

impl<T: Send> Exclusive<T> for Locked<T> {
    fn new(value: T) -> Self {
        Self(IrqLock::new(value))
    }

    #[inline]
    fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        body(&mut self.0.lock())
    }
}

/// A CPU's part of the scheduler.
struct CpuState {
    shared: Cpu<AtomicU32, Locked<FairQueue>>,
    timeouts: IrqLock<DeadlineQueue>,
    /// Never later than the earliest of `timeouts`; written under their lock.
    next_timeout_ns: AtomicU64,
    own: Own,
}

/// What only the CPU itself touches, with interrupts off; counters are read by others.
#[repr(align(128))]
struct Own {
    idle_thread: AtomicU32,
    must_give_way: AtomicBool,
    in_interrupt: AtomicBool,
    /// What the timer is set to; [`UNARMED`] when it has fired.
    armed_ns: AtomicU64,
    switches: AtomicU64,
    idle_since_ns: AtomicU64,
    /// How long the next look for work is.
    poll_ns: AtomicU64,
    /// A thread that ended here and that this CPU has left since; see [`slot::settle`].
    departed: AtomicU32,
}

impl CpuState {
    fn new() -> Self {
        Self {
            shared: Cpu::new(),
            timeouts: IrqLock::new(DeadlineQueue::new(THREADS_MAX as u32)),
            next_timeout_ns: AtomicU64::new(UNARMED),
            own: Own {
                idle_thread: AtomicU32::new(NOBODY),
                must_give_way: AtomicBool::new(false),
                in_interrupt: AtomicBool::new(false),
                armed_ns: AtomicU64::new(UNARMED),
                switches: AtomicU64::new(0),
                idle_since_ns: AtomicU64::new(0),
                poll_ns: AtomicU64::new(0),
                departed: AtomicU32::new(NOBODY),
            },
        }
    }

    #[inline]
    fn is_idle_thread(&self, thread: &Thread) -> bool {
        self.own.idle_thread.load(Ordering::Relaxed) == thread.slot
    }
}

static CPUS: [Once<&'static CpuState>; CPUS_MAX] = [const { Once::new() }; CPUS_MAX];

#[inline]
fn state_of(cpu: u32) -> &'static CpuState {
    CPUS[cpu as usize]
        .get()
        .expect("a CPU is prepared before it runs threads")
}

#[inline]
fn here() -> &'static CpuState {
    state_of(cpu::index())
}

/// The machine as `lib/scheduler` sees it.
struct Kernel;

impl Entities for Kernel {
    #[inline]
    fn entity(&self, id: u32) -> &Entity {
        &by_slot(id).task.entity
    }
}

impl Machine for Kernel {
    type Word = AtomicU32;
    type Lock = Locked<FairQueue>;

    #[inline]
    fn task(&self, id: u32) -> &Task<AtomicU32> {
        &by_slot(id).task
    }

    #[inline]
    fn cpu(&self, cpu: u32) -> &Cpu<AtomicU32, Locked<FairQueue>> {
        &state_of(cpu).shared
    }

    #[inline]
    fn online(&self) -> CpuSet {
        mailbox::online_mask()
    }

    #[inline]
    fn is_on_cpu(&self, id: u32) -> bool {
        by_slot(id).context.is_on_cpu()
    }

    fn interrupt(&self, cpu: u32) {
        interrupt::send_reschedule(cpu);
    }
}

/// How often any CPU went from one thread to another.
pub fn switch_count() -> u64 {
    let states = CPUS.iter().filter_map(Once::get);
    states
        .map(|state| state.own.switches.load(Ordering::Relaxed))
        .sum()
}

/// Allocates what a CPU needs to schedule.
pub(super) fn prepare_cpu(cpu: u32) {
    if cpu == 0 || crate::cpu::is_expected(cpu) {
        CPUS[cpu as usize].call_once(|| Box::leak(Box::new(CpuState::new())));
    }
}

/// The code that boots is a thread now.
pub(super) fn begin_boot_thread(thread: &Thread) {
    let _interrupts = interrupts::Disabled::enter();
    let now_ns = time::monotonic_ns();
    thread.clock.start(now_ns);
    policy::begin(&Kernel, cpu::index(), thread.slot, now_ns);
}

/// Names the thread that runs on `cpu` when nobody else wants to.
pub(super) fn set_idle_thread(cpu: u32, thread: &Thread) {
    let own = &state_of(cpu).own;
    own.idle_thread.store(thread.slot, Ordering::Release);
}

/// Lets others run, if any want to.
pub fn yield_now() {
    context::about_to_wait();
    let _interrupts = interrupts::Disabled::enter();
    switch(Leaving::Yields);
}

/// Leaves the CPU; somebody else has to wake the caller. Interrupts are off.
pub(super) fn stop() {
    switch(Leaving::Stops);
}

/// Leaves the CPU for good. Interrupts are off.
pub(super) fn leave_for_ever() -> ! {
    switch(Leaving::Stops);
    unreachable!("a thread that ended was continued");
}

/// Remembers that the running thread has ended and is about to leave for ever; returns who did so before. Whoever
/// runs on this CPU afterwards knows that it has left. Interrupts are off.
pub(super) fn replace_departed(slot: u32) -> Option<u32> {
    let own = &here().own;
    let departed = own.departed.load(Ordering::Relaxed);
    if departed != slot {
        own.departed.store(slot, Ordering::Relaxed);
    }
    (departed != NOBODY).then_some(departed)
}

#[inline]
fn switch(leaving: Leaving) {
    let me = current_thread();
    let now_ns = time::monotonic_ns();
    if let Some(next) = decide(me, leaving, now_ns) {
        me.context.switch_to(&next.context);
    }
}

/// A handler of an interrupt begins.
pub(crate) fn enter_interrupt() {
    here().own.in_interrupt.store(true, Ordering::Relaxed);
}

/// The handler is done; the running thread gives way if it must, and where `may_switch` says that it was interrupted
/// with interrupts on.
pub(crate) fn leave_interrupt(trap: &mut Trap<'_>, may_switch: bool) {
    let own = &here().own;
    own.in_interrupt.store(false, Ordering::Relaxed);
    if !may_switch || !own.must_give_way.load(Ordering::Relaxed) {
        return;
    }
    let me = current_thread();
    if let Some(next) = decide(me, Leaving::Preempted, time::monotonic_ns()) {
        trap.switch_to(&me.context, &next.context);
    }
}

/// Chooses who runs next and does the bookkeeping of the switch; `None` if the caller goes on.
fn decide(me: &'static Thread, leaving: Leaving, now_ns: u64) -> Option<&'static Thread> {
    let cpu = cpu::index();
    let state = state_of(cpu);
    state.own.must_give_way.store(false, Ordering::Relaxed);
    let choice = policy::choose(&Kernel, cpu, me.slot, leaving, now_ns);
    if choice.has_displaced {
        interrupt::send_reschedule(cpu);
    }
    let idle = || state.own.idle_thread.load(Ordering::Relaxed);
    let next = by_slot(choice.next.unwrap_or_else(idle));
    if next.slot == me.slot {
        arm_timer(state, choice.slice_end_ns.unwrap_or(UNARMED), now_ns);
        return None;
    }
    note_switch(state, cpu, (me, leaving), next, now_ns);
    if leaving == Leaving::Idle {
        // Others may have put somebody into the queue, without an interrupt, since it was looked at.
        let slice_end_ns = policy::slice_end_ns(&Kernel, cpu);
        arm_timer(state, slice_end_ns.unwrap_or(UNARMED), now_ns);
    } else {
        arm_timer(state, choice.slice_end_ns.unwrap_or(UNARMED), now_ns);
    }
    Some(next)
}

#[inline]
fn note_switch(
    state: &CpuState,
    cpu: u32,
    (from, leaving): (&Thread, Leaving),
    to: &Thread,
    now_ns: u64,
) {
    let stint_ns = from.clock.stop(now_ns);
    from.task.note_stint(stint_ns, leaving == Leaving::Stops);
    to.clock.start(now_ns);
    to.task.set_last_cpu(cpu);
    to.context.set_on_cpu();
    trace::point(Kind::Switch, 0, from.id().as_u64(), to.id().as_u64());
    cpu::set_current_thread_slot(to.slot);
    let own = &state.own;
    let switches = own.switches.load(Ordering::Relaxed) + 1;
    own.switches.store(switches, Ordering::Relaxed);
    if leaving == Leaving::Idle {
        let idle_ns = now_ns.saturating_sub(own.idle_since_ns.load(Ordering::Relaxed));
        let budget = PollBudget::of_ns(own.poll_ns.load(Ordering::Relaxed)).after_work(idle_ns);
        own.poll_ns.store(budget.ns(), Ordering::Relaxed);
        // Before the timer is looked at: who puts somebody in the queue from here on asks by an interrupt.
        state.shared.attention.become_busy();
    } else if state.is_idle_thread(to) {
        own.idle_since_ns.store(now_ns, Ordering::Relaxed);
    }
}

/// Makes a new thread runnable.
pub(super) fn enqueue_new(thread: &Thread) {
    wake(thread, WakeHint::None, interrupts::Disabled::enter());
}

/// Makes a thread runnable that has announced its sleep and that the caller is to wake.
pub(super) fn wake(thread: &Thread, hint: WakeHint, interrupts: interrupts::Disabled) {
    let cpu = cpu::index();
    let state = state_of(cpu);
    let me = current_thread();
    let is_idle = state.is_idle_thread(me);
    let in_interrupt = state.own.in_interrupt.load(Ordering::Relaxed);
    let waker = (!is_idle && !in_interrupt).then_some(me.slot);
    let now_ns = time::monotonic_ns();
    let id = thread.id().as_u64();
    let local = policy::wake(&Kernel, cpu, waker, thread.slot, hint, now_ns);
    trace::point(Kind::Wake, 0, id, u64::from(local.cpu));
    follow_up(state, is_idle, local, now_ns);
    if !local.give_way || is_idle || in_interrupt {
        return;
    }
    if interrupts.were_enabled() {
        switch(Leaving::Preempted);
    } else {
        interrupt::send_reschedule(cpu);
    }
}

/// Does on this CPU what followed from putting a thread into its queue.
#[inline]
fn follow_up(state: &CpuState, is_idle: bool, local: Local, now_ns: u64) {
    let Some(slice_end_ns) = local.contended_until_ns else {
        if local.give_way && is_idle {
            // The idle loop looks before it halts, and the interrupt that brought us here ends its halt.
            state.shared.attention.ask();
        } else if local.give_way {
            state.own.must_give_way.store(true, Ordering::Relaxed);
        }
        return;
    };
    if local.hands_over {
        arm_timer(
            state,
            slice_end_ns.min(now_ns + HAND_OVER_PATIENCE_NS),
            now_ns,
        );
    } else {
        arm_timer(state, slice_end_ns, now_ns);
    }
}

/// Another CPU asked this one to look at its queue.
pub(crate) fn on_reschedule() {
    let cpu = cpu::index();
    look(state_of(cpu), cpu, time::monotonic_ns());
}

/// Finds out whether the running thread must give way, and arms the timer for what is next.
fn look(state: &CpuState, cpu: u32, now_ns: u64) {
    let me = current_thread();
    if state.is_idle_thread(me) {
        // The idle loop looks by itself; what was asked stays asked until then.
        return;
    }
    if policy::look(&Kernel, cpu, Some(me.slot), now_ns) {
        state.own.must_give_way.store(true, Ordering::Relaxed);
    }
    arm_timer(
        state,
        policy::slice_end_ns(&Kernel, cpu).unwrap_or(UNARMED),
        now_ns,
    );
}

/// Wakes the thread at `deadline_ns` if nothing else does. Returns the CPU that keeps the timeout.
pub(super) fn add_timeout(thread: &Thread, deadline_ns: u64) -> u32 {
    let cpu = cpu::index();
    let state = state_of(cpu);
    let mut timeouts = state.timeouts.lock();
    let added = timeouts.insert(thread.slot, deadline_ns);
    let next_ns = timeouts.next_deadline_ns().unwrap_or(UNARMED);
    state.next_timeout_ns.store(next_ns, Ordering::Relaxed);
    drop(timeouts);
    assert!(added.is_ok(), "a thread sleeps once at a time");
    cpu
}

/// Takes a timeout back. The timer is left as it is.
pub(super) fn remove_timeout(thread: &Thread, cpu: u32) {
    state_of(cpu).timeouts.lock().remove(thread.slot);
}

/// The timer fired: wakes who is due and ends the slice if others wait.
pub(crate) fn on_timer() {
    let cpu = cpu::index();
    let state = state_of(cpu);
    let now_ns = time::monotonic_ns();
    state.own.armed_ns.store(UNARMED, Ordering::Relaxed);
    interrupt::note_timer_fired();
    wake_due(state, now_ns);
    if state.shared.waiting() > 0 {
        policy::offer(&Kernel, cpu, CpuSet::MAX);
    }
    look(state, cpu, now_ns);
    // For the next timeout; `look` does it only where a thread runs.
    arm_timer(state, UNARMED, now_ns);
}

fn wake_due(state: &CpuState, now_ns: u64) {
    loop {
        let mut due = [NOBODY; TIMEOUT_BATCH];
        let mut count = 0;
        let mut timeouts = state.timeouts.lock();
        while count < TIMEOUT_BATCH
            && let Some(slot) = timeouts.pop_due(now_ns)
        {
            due[count] = slot;
            count += 1;
        }
        let next_ns = timeouts.next_deadline_ns().unwrap_or(UNARMED);
        state.next_timeout_ns.store(next_ns, Ordering::Relaxed);
        drop(timeouts);
        due[..count].iter().for_each(|slot| unpark(by_slot(*slot)));
        if count < TIMEOUT_BATCH {
            return;
        }
    }
}

/// Whether the timer would not fire by then. One that was set to a time that has passed is about to fire, or its
/// interrupt was lost: then it is set again.
#[inline]
fn is_timer_late_for(state: &CpuState, wanted_ns: u64, now_ns: u64) -> bool {
    let armed_ns = state.own.armed_ns.load(Ordering::Relaxed);
    wanted_ns < armed_ns || armed_ns <= now_ns
}

/// Sets this CPU's timer to the next timeout, or to `latest_ns` if that is earlier.
#[inline]
fn arm_timer(state: &CpuState, latest_ns: u64, now_ns: u64) {
    let timeout_ns = state.next_timeout_ns.load(Ordering::Relaxed);
    let look_ns = checks::next_look_ns().unwrap_or(UNARMED);
    let wanted_ns = timeout_ns.min(latest_ns).min(look_ns);
    if wanted_ns != UNARMED && is_timer_late_for(state, wanted_ns, now_ns) && interrupt::is_ready()
    {
        state.own.armed_ns.store(wanted_ns, Ordering::Relaxed);
        interrupt::arm_timer(wanted_ns);
    }
}

/// Makes every CPU on which the thread must not run any more look at what it runs.
pub(super) fn enforce_affinity(thread: &Thread) {
    let forbidden = mailbox::online_mask() & !thread.task.entity.affinity();
    let here = {
        let _interrupts = interrupts::Disabled::enter();
        let here = cpu::index();
        mailbox::bits(forbidden & !only(here)).for_each(interrupt::send_reschedule);
        forbidden & only(here) != 0
    };
    if here && thread.slot == current_thread().slot {
        yield_now();
    }
}

/// One round of an idle CPU: runs whoever can run, or looks for a while and then waits for an interrupt.
pub(super) fn idle_once() {
    let state = here();
    if runs_something(state) {
        return;
    }
    // Meanwhile giving this CPU work is a store: it looks whether it was asked.
    while !state.shared.attention.is_asked() && frames::zero_ahead() {}
    poll(state);
    let _interrupts = interrupts::Disabled::enter();
    if state.shared.attention.stop_polling() {
        mailbox::sleep_until_interrupt();
    }
}

fn runs_something(state: &CpuState) -> bool {
    let _interrupts = interrupts::Disabled::enter();
    let cpu = cpu::index();
    slot::settle();
    let me = current_thread();
    let now_ns = time::monotonic_ns();
    state.shared.attention.become_idle();
    if let Some(next) = decide(me, Leaving::Idle, now_ns) {
        me.context.switch_to(&next.context);
        return true;
    }
    let local = policy::move_displaced(&Kernel, cpu, now_ns);
    follow_up(state, true, local, now_ns);
    false
}

/// Looks for a while whether work comes, with interrupts on. A CPU that is alone gets work by interrupts only.
fn poll(state: &CpuState) {
    let budget_ns = state.own.poll_ns.load(Ordering::Relaxed);
    if budget_ns == 0 || mailbox::online_mask().count_ones() == 1 {
        return;
    }
    let end_ns = time::monotonic_ns() + budget_ns;
    while !state.shared.attention.is_asked() && time::monotonic_ns() < end_ns {
        core::hint::spin_loop();
    }
}
