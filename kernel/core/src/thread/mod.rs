//! Threads: creation, end, joining, and what each knows of itself.
//!
//! Law: a thread lives in a slot ([`slot`]); its id is the slot with a generation, so that a stale id
//! names nobody. A thread ends by [`exit`]; its remains are kept for the next one, or unmapped by the reaper.
//! [`scheduler`] decides who runs, [`wait`] lets threads sleep and be woken.
//!
//! A new thread is of class normal and priority 0 and may run anywhere, whoever starts it: what the prompt is
//! entitled to, the programs that it starts are not.
//!
//! Locks: each CPU's run queue, each CPU's timeouts, the cache and the list of the dead. None is taken under another;
//! all are short and spin with interrupts off.

pub mod detour;
mod idle;
pub(crate) mod scheduler;
pub(crate) mod slot;
pub(crate) mod wait;

use core::ops::Range;
use core::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use kernel_machine::cpu::interrupts;

use crate::memory::reclaim::{self, Stage};
use crate::memory::{held, regions};
use slot::Thread;

pub use lib_scheduler::{Class, CpuSet, Priority, Share};
pub use scheduler::{switch_count, yield_now};
pub use slot::THREADS_MAX;
pub use wait::sleep_until;

/// The least stack that a thread gets, in bytes: several times what the kernel itself reserves on it.
const STACK_BYTES_MIN: usize = 64 * 1024;

/// Names a thread; of a thread that has ended it names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadId(u32);

impl ThreadId {
    /// The number behind the id; never 0.
    pub fn as_u32(self) -> u32 {
        self.0
    }

    /// The same as a wider number, for traces.
    pub(crate) fn as_u64(self) -> u64 {
        u64::from(self.0)
    }

    /// The id behind a number, which may name nobody.
    pub fn from_u32(number: u32) -> Self {
        Self(number)
    }
}

/// What a thread owns for the C library: plain words that the kernel keeps for it.
#[derive(Debug)]
pub struct LocalState {
    /// The C library's `errno`.
    pub errno: AtomicI32,
    /// Values of thread-specific keys.
    pub keys: [AtomicUsize; 64],
    /// Where the alternate stack for trap handlers starts.
    pub alternate_stack_start: AtomicUsize,
    /// Its length in bytes; 0 when there is none.
    pub alternate_stack_len_bytes: AtomicUsize,
    /// Head of the C library's list of functions to run at the thread's end.
    pub exit_functions: AtomicUsize,
}

impl LocalState {
    const fn new() -> Self {
        Self {
            errno: AtomicI32::new(0),
            keys: [const { AtomicUsize::new(0) }; 64],
            alternate_stack_start: AtomicUsize::new(0),
            alternate_stack_len_bytes: AtomicUsize::new(0),
            exit_functions: AtomicUsize::new(0),
        }
    }

    fn reset(&self) {
        self.errno.store(0, Ordering::Relaxed);
        self.keys
            .iter()
            .for_each(|key| key.store(0, Ordering::Relaxed));
        for word in [
            &self.alternate_stack_start,
            &self.alternate_stack_len_bytes,
            &self.exit_functions,
        ] {
            word.store(0, Ordering::Relaxed);
        }
    }
}

/// What a new thread is to be.
#[derive(Clone, Copy, Debug)]
pub struct SpawnRequest<'a> {
    /// What it runs; when that returns, the thread ends.
    pub entry: extern "C" fn(usize),
    /// Handed to `entry`.
    pub argument: usize,
    /// Length of its stack in bytes; pages are backed when they are touched.
    pub stack_len_bytes: usize,
    /// Its name, cut to 31 bytes.
    pub name: &'a str,
}

/// Why a thread could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// All [`THREADS_MAX`] threads exist.
    TooMany,
    /// There is no memory for its stack or its state.
    NoMemory,
}

impl core::fmt::Display for SpawnError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(match self {
            Self::TooMany => "too many threads are running",
            Self::NoMemory => "no memory is left for another thread",
        })
    }
}

/// Why a thread could not be joined or detached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinError {
    /// The id names no thread.
    NoThread,
    /// The thread was detached.
    Detached,
}

/// One line of the list of threads.
#[derive(Clone, Copy, Debug)]
pub struct ThreadRow {
    /// The thread.
    pub id: ThreadId,
    /// Its name, in the first `name_len_bytes`.
    pub name: [u8; slot::NAME_BYTES],
    /// Length of the name.
    pub name_len_bytes: usize,
    /// The CPU it ran on last.
    pub cpu: u32,
    /// CPU time so far, in nanoseconds.
    pub cpu_time_ns: u64,
    /// Its class and priority.
    pub share: Share,
    /// Where it may run.
    pub affinity: CpuSet,
}

/// Turns the code that runs now into the first thread, and gives every CPU its idle thread.
pub fn init(thread_pointer: u64) {
    for cpu in 0..kernel_machine::cpu::CPUS_MAX as u32 {
        scheduler::prepare_cpu(cpu);
    }
    scheduler::begin_boot_thread(slot::adopt_boot_thread(thread_pointer));
    idle::prepare(0);
}

/// Starts the thread that unmaps what nobody else has time to. Needs interrupts.
///
/// # Errors
/// As [`spawn`].
pub fn start_reaper() -> Result<(), SpawnError> {
    let registered = reclaim::register(Stage::Spare, slot::drop_cached);
    debug_assert!(registered, "registered once, at boot");
    let reaper = spawn(SpawnRequest {
        entry: slot::reap_for_ever,
        argument: 0,
        stack_len_bytes: 64 * 1024,
        name: "reaper",
    })?;
    let _detached = detach(reaper);
    Ok(())
}

pub use idle::{prepare as prepare_idle, run as run_idle, stack_end as idle_stack_end};

/// Starts a thread.
///
/// # Errors
/// See [`SpawnError`].
pub fn spawn(request: SpawnRequest<'_>) -> Result<ThreadId, SpawnError> {
    slot::settle();
    let stack_len_bytes = request.stack_len_bytes.max(STACK_BYTES_MIN);
    let thread = match slot::take_cached(stack_len_bytes) {
        Some(thread) => thread,
        None => claim_with_stack(stack_len_bytes)?,
    };
    thread.prepare(thread.stack(), request.name);
    thread.set_entry(request.entry, request.argument);
    if !thread.start_at(run_thread) {
        slot::dismantle(thread);
        return Err(SpawnError::NoMemory);
    }
    let id = thread.id();
    scheduler::enqueue_new(thread);
    Ok(id)
}

fn claim_with_stack(stack_len_bytes: usize) -> Result<&'static Thread, SpawnError> {
    let claimed = slot::claim().or_else(|| {
        // Kept stacks hold slots too.
        slot::drop_cached(u64::MAX);
        slot::claim()
    });
    let thread = claimed.ok_or(SpawnError::TooMany)?;
    match regions::map_stack(stack_len_bytes) {
        Ok(stack) => thread.set_stack(stack),
        Err(_) => {
            slot::give_back(thread);
            return Err(SpawnError::NoMemory);
        }
    }
    Ok(thread)
}

extern "C" fn run_thread(slot: usize) -> ! {
    let thread = slot::by_slot(slot as u32);
    let (entry, argument) = thread.entry();
    entry(argument);
    exit()
}

/// Ends the calling thread.
pub fn exit() -> ! {
    crate::trace::note_thread_end();
    let thread = current_thread();
    slot::trim_own_stack(thread);
    // Once joiners can see the end, only `leave_for_ever` may take the CPU away: it is left for good.
    let _interrupts = interrupts::Disabled::enter();
    slot::depart(thread);
    thread.life.end();
    scheduler::leave_for_ever()
}

/// Waits until the thread has ended, and frees what it had.
///
/// # Errors
/// [`JoinError::NoThread`] or [`JoinError::Detached`].
pub fn join(id: ThreadId) -> Result<(), JoinError> {
    slot::join(id)
}

/// Lets the thread be cleaned up by itself when it ends.
///
/// # Errors
/// [`JoinError::NoThread`] or [`JoinError::Detached`].
pub fn detach(id: ThreadId) -> Result<(), JoinError> {
    slot::detach(id)
}

/// Why a thread's scheduling could not be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchedulingError {
    /// The id names no thread.
    NoThread,
    /// No CPU of the set runs.
    NoCpu,
}

impl core::fmt::Display for SchedulingError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(match self {
            Self::NoThread => "there is no such thread",
            Self::NoCpu => "none of the CPUs that the thread may use is running",
        })
    }
}

/// A thread's class and priority, with what it was lent.
pub fn share(id: ThreadId) -> Option<Share> {
    slot::by_id(id).map(|thread| thread.task.entity.share())
}

/// Changes a thread's own class and priority; takes effect when its CPU next decides.
///
/// # Errors
/// [`SchedulingError::NoThread`].
pub fn set_share(id: ThreadId, share: Share) -> Result<(), SchedulingError> {
    let thread = slot::by_id(id).ok_or(SchedulingError::NoThread)?;
    thread.task.entity.set_share(share);
    Ok(())
}

/// Changes the calling thread's own class, for life.
pub fn set_class(class: Class) {
    let entity = &current_thread().task.entity;
    entity.set_share(Share {
        class,
        ..entity.own_share()
    });
}

/// Lends a thread a class, because somebody waits for what it does; takes effect when its CPU next decides, or it next wakes.
///
/// # Errors
/// [`SchedulingError::NoThread`]: then there is nothing to take back.
pub fn lend_class(id: ThreadId, class: Class) -> Result<(), SchedulingError> {
    let thread = slot::by_id(id).ok_or(SchedulingError::NoThread)?;
    thread.task.entity.lent().lend(class);
    // Its slot may have got a new owner meanwhile, who would keep it.
    if slot::by_id(id).is_none() {
        thread.task.entity.lent().take_back(class);
        return Err(SchedulingError::NoThread);
    }
    Ok(())
}

/// Takes back a class that [`lend_class`] lent; a thread that has ended has nothing to give back.
pub fn take_back_class(id: ThreadId, class: Class) {
    if let Some(thread) = slot::by_id(id) {
        thread.task.entity.lent().take_back(class);
    }
}

/// The CPUs on which a thread may run, as a bit mask by index.
pub fn affinity(id: ThreadId) -> Option<CpuSet> {
    slot::by_id(id).map(|thread| thread.task.entity.affinity())
}

/// Changes the CPUs on which a thread may run. The calling thread runs on one of them when this returns; another
/// one leaves a forbidden CPU soon.
///
/// # Errors
/// See [`SchedulingError`].
pub fn set_affinity(id: ThreadId, cpus: CpuSet) -> Result<(), SchedulingError> {
    let thread = slot::by_id(id).ok_or(SchedulingError::NoThread)?;
    if cpus & kernel_machine::cpu::mailbox::online_mask() == 0 {
        return Err(SchedulingError::NoCpu);
    }
    thread.task.entity.set_affinity(cpus);
    scheduler::enforce_affinity(thread);
    Ok(())
}

/// The calling thread.
pub fn current() -> ThreadId {
    current_thread().id()
}

/// The calling thread's stack, without its guard.
pub fn stack_bounds() -> Range<usize> {
    current_thread().stack()
}

/// Names the calling thread, for lists and dumps.
pub fn set_name(name: &str) {
    current_thread().set_name(name);
}

/// The words that the kernel keeps for the calling thread.
pub fn local() -> &'static LocalState {
    &current_thread().local
}

/// CPU time that a thread has used until now, in nanoseconds. `None` if there is no such thread.
pub fn cpu_time_ns(id: ThreadId) -> Option<u64> {
    slot::by_id(id).map(|thread| thread.clock.read(crate::time::monotonic_ns))
}

/// Physical memory that a thread holds: what it had brought into regions and has not given back, and its stack. `None` if there is
/// no such thread. May wait for a lock for each part of the stack.
pub fn resident_bytes(id: ThreadId) -> Option<u64> {
    slot::by_id(id).map(|thread| held::of_thread_bytes(thread.slot, thread.stack()))
}

/// Physical memory that threads which have ended left behind, their stacks that are kept included, in bytes.
pub fn nobodys_resident_bytes() -> u64 {
    held::nobodys_bytes(slot::cached_stacks())
}

/// Visits every thread that exists.
pub fn for_each(visit: &mut dyn FnMut(ThreadRow)) {
    slot::for_each_used(&mut |thread| visit(thread.row()));
}

/// Whether this CPU runs its idle thread. Interrupts are off.
pub(crate) fn is_idle() -> bool {
    idle::is_running()
}

pub(crate) fn current_thread() -> &'static Thread {
    slot::by_slot(kernel_machine::cpu::current_thread_slot())
}

/// The calling thread's row, for a kernel that is stopping; see [`slot::row_now`].
pub(crate) fn current_row_now() -> Option<ThreadRow> {
    slot::row_now(kernel_machine::cpu::current_thread_slot())
}
