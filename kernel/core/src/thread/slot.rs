//! Where threads live.
//!
//! Law: a slot's [`Thread`] is made when it is first needed and stays for ever; which slots are in use is a
//! bit map of atomics. A claimed slot belongs to its claimer until the thread is enqueued; afterwards each
//! field says who may touch it. A slot is given back only when its thread has ended, has left its CPU,
//! and is referred to by nobody.

use alloc::boxed::Box;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use kernel_machine::cpu::context::Context;
use kernel_machine::cpu::thread_pointer::ThreadBlock;
use kernel_machine::sync::IrqLock;
use lib_index_list::List;
use spin::Once;

use super::wait::WaitState;
use super::{JoinError, LocalState, ThreadId, ThreadRow, scheduler};
use crate::futex;
use crate::memory::regions;

/// The most threads that exist at a time.
pub const THREADS_MAX: usize = 2048;
/// Bytes kept of a thread's name.
pub(super) const NAME_BYTES: usize = 31;
/// Tag of the list of dead threads among the lists that share the scheduler's links.
const DEAD_TAG: u32 = u32::MAX - 1;
const GENERATION_SHIFT: u32 = THREADS_MAX.trailing_zeros();

static SLOTS: [Once<&'static Thread>; THREADS_MAX] = [const { Once::new() }; THREADS_MAX];
static USED: [AtomicU64; THREADS_MAX / 64] = [const { AtomicU64::new(0) }; THREADS_MAX / 64];
static DEAD: IrqLock<List> = IrqLock::new(List::new(DEAD_TAG));
/// Counts burials, for the reaper to wait on.
static BURIALS: AtomicU32 = AtomicU32::new(0);

/// One thread.
pub(crate) struct Thread {
    /// Never changes.
    pub slot: u32,
    generation: AtomicU32,

    // The CPU that runs the thread or switches to it.
    pub context: Context,
    pub cpu: AtomicU32,
    pub cpu_time_ns: AtomicU64,

    // Its waker and itself, by `wait`'s lock.
    pub wait: IrqLock<WaitState>,

    // Its futex's bucket lock.
    pub futex_address: AtomicUsize,
    pub futex_mask: AtomicU32,

    // Who claimed the slot, before the start; then nobody writes.
    block: IrqLock<Option<ThreadBlock>>,
    stack_start: AtomicUsize,
    stack_len_bytes: AtomicUsize,
    entry: IrqLock<Option<(extern "C" fn(usize), usize)>>,

    // Anybody.
    pub life: Life,
    name: IrqLock<Name>,

    // The thread itself.
    pub local: LocalState,
}

/// Whether the thread has ended and who cares: one word, which joiners wait on.
#[derive(Debug)]
pub(crate) struct Life(AtomicU32);

/// Who cleans up after a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    Joinable,
    Detached,
}

impl Life {
    pub const RUNNING: u32 = 0;
    pub const DETACHED: u32 = 1;
    pub const ENDED: u32 = 2;
    const RECLAIMED: u32 = 3;

    pub fn end(&self) -> Disposition {
        match self.0.swap(Self::ENDED, Ordering::AcqRel) {
            Self::DETACHED => Disposition::Detached,
            _ => Disposition::Joinable,
        }
    }

    pub fn wake_joiners(&self) {
        futex::wake(&self.0, u32::MAX, u32::MAX);
    }

    /// True for the one caller that is to clean up after a thread that has ended.
    pub fn claim_remains(&self) -> bool {
        self.0
            .compare_exchange(
                Self::ENDED,
                Self::RECLAIMED,
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .is_ok()
    }

    /// Returns what it was: [`Self::RUNNING`] means that it is detached now.
    pub fn detach(&self) -> u32 {
        self.0
            .compare_exchange(
                Self::RUNNING,
                Self::DETACHED,
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .unwrap_or_else(|was| was)
    }

    pub fn wait_for_end(&self) -> Result<(), JoinError> {
        loop {
            match self.0.load(Ordering::Acquire) {
                Self::ENDED => return Ok(()),
                Self::RUNNING => futex::wait(&self.0, Self::RUNNING, None, u32::MAX),
                _ => return Err(JoinError::Detached),
            };
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Name {
    bytes: [u8; NAME_BYTES],
    len_bytes: usize,
}

impl Name {
    const EMPTY: Self = Self {
        bytes: [0; NAME_BYTES],
        len_bytes: 0,
    };

    fn new(text: &str) -> Self {
        let len_bytes = text.floor_char_boundary(NAME_BYTES);
        let mut name = Self::EMPTY;
        name.bytes[..len_bytes].copy_from_slice(&text.as_bytes()[..len_bytes]);
        name.len_bytes = len_bytes;
        name
    }
}

impl Thread {
    fn new(slot: u32) -> Self {
        Self {
            slot,
            generation: AtomicU32::new(0),
            context: Context::new(),
            cpu: AtomicU32::new(0),
            cpu_time_ns: AtomicU64::new(0),
            wait: IrqLock::new(WaitState::default()),
            futex_address: AtomicUsize::new(0),
            futex_mask: AtomicU32::new(0),
            block: IrqLock::new(ThreadBlock::allocate()),
            stack_start: AtomicUsize::new(0),
            stack_len_bytes: AtomicUsize::new(0),
            entry: IrqLock::new(None),
            life: Life(AtomicU32::new(Life::RUNNING)),
            name: IrqLock::new(Name::EMPTY),
            local: LocalState::new(),
        }
    }

    pub fn id(&self) -> ThreadId {
        ThreadId(self.number().wrapping_add(1))
    }

    fn number(&self) -> u32 {
        (self.generation.load(Ordering::Acquire) << GENERATION_SHIFT) | self.slot
    }

    pub fn stack(&self) -> Range<usize> {
        let start = self.stack_start.load(Ordering::Relaxed);
        start..start + self.stack_len_bytes.load(Ordering::Relaxed)
    }

    pub fn set_name(&self, name: &str) {
        *self.name.lock() = Name::new(name);
    }

    pub fn entry(&self) -> (extern "C" fn(usize), usize) {
        let entry = *self.entry.lock();
        entry.unwrap_or((do_nothing, 0))
    }

    pub fn set_entry(&self, entry: extern "C" fn(usize), argument: usize) {
        *self.entry.lock() = Some((entry, argument));
    }

    /// Brings a claimed slot to the state of a thread that has not run.
    pub fn prepare(&self, stack: Range<usize>, name: &str) {
        self.stack_start.store(stack.start, Ordering::Relaxed);
        self.stack_len_bytes.store(stack.len(), Ordering::Relaxed);
        self.cpu_time_ns.store(0, Ordering::Relaxed);
        self.life.0.store(Life::RUNNING, Ordering::Release);
        *self.wait.lock() = WaitState::default();
        self.local.reset();
        self.set_name(name);
    }

    /// Makes the thread start in `main(slot)`.
    pub fn start_at(&self, main: extern "C" fn(usize) -> !) {
        let mut block = self.block.lock();
        let thread_pointer = block.as_mut().map_or(0, |block| {
            block.reset();
            block.thread_pointer()
        });
        drop(block);
        let stack_end = self.stack().end;
        self.context
            .prepare(main, self.slot as usize, stack_end, thread_pointer);
    }

    pub fn thread_pointer(&self) -> u64 {
        self.block
            .lock()
            .as_ref()
            .map_or(0, ThreadBlock::thread_pointer)
    }

    pub fn row(&self) -> ThreadRow {
        let name = *self.name.lock();
        self.row_named(name)
    }

    fn row_named(&self, name: Name) -> ThreadRow {
        ThreadRow {
            id: self.id(),
            name: name.bytes,
            name_len_bytes: name.len_bytes,
            cpu: self.cpu.load(Ordering::Relaxed),
            cpu_time_ns: self.cpu_time_ns.load(Ordering::Relaxed),
        }
    }
}

extern "C" fn do_nothing(_argument: usize) {}

/// The row of the thread in `slot`, for a kernel that is stopping: nothing is made and no lock is waited for,
/// so there may be no thread yet, or it shows without its name.
pub(super) fn row_now(slot: u32) -> Option<ThreadRow> {
    let thread = SLOTS.get(slot as usize)?.get()?;
    let name = thread.name.try_lock().map_or(Name::EMPTY, |name| *name);
    Some(thread.row_named(name))
}

/// The thread in a slot that is in use.
pub(crate) fn by_slot(slot: u32) -> &'static Thread {
    SLOTS[slot as usize].call_once(|| Box::leak(Box::new(Thread::new(slot))))
}

/// The thread that an id names, if it names one.
pub(super) fn by_id(id: ThreadId) -> Option<&'static Thread> {
    let number = id.0.wrapping_sub(1);
    let slot = number & (THREADS_MAX as u32 - 1);
    let used = USED[slot as usize / 64].load(Ordering::Acquire) & 1 << (slot % 64) != 0;
    let thread = used.then(|| by_slot(slot))?;
    (thread.id() == id).then_some(thread)
}

/// The code that boots is the first thread; its stack is the loader's.
pub(super) fn adopt_boot_thread(thread_pointer: u64) {
    let thread = claim().map(|thread| {
        thread.set_name("main");
        thread.context.adopt_running(thread_pointer);
        thread.slot
    });
    assert!(thread == Some(0), "the first thread has slot 0");
}

/// Takes a free slot. `None` when all are in use or memory is out.
pub(super) fn claim() -> Option<&'static Thread> {
    let slot = (0..THREADS_MAX as u32).find(|slot| try_claim(*slot))?;
    let thread = by_slot(slot);
    if thread.thread_pointer() == 0 {
        give_back(thread);
        return None;
    }
    Some(thread)
}

fn try_claim(slot: u32) -> bool {
    let bit = 1 << (slot % 64);
    let word = &USED[slot as usize / 64];
    word.load(Ordering::Relaxed) & bit == 0 && word.fetch_or(bit, Ordering::AcqRel) & bit == 0
}

/// Makes the slot free. Its thread never ran or is gone.
pub(super) fn give_back(thread: &Thread) {
    thread.generation.fetch_add(1, Ordering::AcqRel);
    USED[thread.slot as usize / 64].fetch_and(!(1 << (thread.slot % 64)), Ordering::AcqRel);
}

/// Frees the stack and the slot of a thread that has ended, once it has left its CPU.
pub(super) fn reclaim(thread: &Thread) {
    while thread.context.is_on_cpu() {
        scheduler::yield_now();
    }
    regions::unmap_stack(thread.stack());
    give_back(thread);
}

/// Hands a detached thread that is ending to the reaper.
pub(super) fn bury(thread: &Thread) {
    let buried = DEAD.lock().push_back(scheduler::links(), thread.slot);
    assert!(buried.is_ok(), "a running thread stands in no list");
    BURIALS.fetch_add(1, Ordering::AcqRel);
    futex::wake(&BURIALS, 1, u32::MAX);
}

/// The reaper thread.
pub(super) extern "C" fn reap_for_ever(_argument: usize) {
    loop {
        let seen = BURIALS.load(Ordering::Acquire);
        while let Some(thread) = pop_dead().map(by_slot) {
            if thread.life.claim_remains() {
                reclaim(thread);
            }
        }
        futex::wait(&BURIALS, seen, None, u32::MAX);
    }
}

fn pop_dead() -> Option<u32> {
    DEAD.lock().pop_front(scheduler::links())
}

pub(super) fn for_each_used(visit: &mut dyn FnMut(&Thread)) {
    for slot in 0..THREADS_MAX as u32 {
        if USED[slot as usize / 64].load(Ordering::Acquire) & 1 << (slot % 64) != 0 {
            visit(by_slot(slot));
        }
    }
}
