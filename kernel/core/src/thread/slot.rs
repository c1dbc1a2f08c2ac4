//! Where threads live.
//!
//! Law: a slot's [`Thread`] is made when it is first needed and stays for ever, and so does its thread-local block;
//! which slots are in use is a bit map of atomics. A claimed slot belongs to its claimer until the thread is enqueued;
//! afterwards each field says who may touch it.
//!
//! A thread's remains (slot, block and stack) are taken over by one party only: whichever is last of the CPU, which
//! has left the thread's stack for good, and of whoever joins or detaches it ([`Life`]). So nobody waits for a CPU to
//! leave a stack: a CPU knows that it has left when it does anything else ([`settle`]).
//!
//! Remains are kept in a small cache with their stacks and given to the next thread that wants a stack of that
//! length; an ending thread gives back the deep part of its stack first ([`trim_own_stack`]), so what is kept is small and
//! [`drop_cached`] gives it back when memory is short. What falls out of the cache is unmapped by the reaper, or by
//! whoever may wait.

use alloc::boxed::Box;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use kernel_machine::cpu::context::Context;
use kernel_machine::cpu::interrupts;
use kernel_machine::cpu::thread_pointer::ThreadBlock;
use kernel_machine::memory::{PAGE_LEN, page_table};
use kernel_machine::sync::{IrqLock, STACK_RESERVE_BYTES};
use lib_index_list::List;
use lib_scheduler::cpu_clock::CpuClock;
use lib_scheduler::futex::Sleeper;
use lib_scheduler::{NOBODY, Task};
use spin::Once;

use super::detour::Pending;
use super::{JoinError, LocalState, ThreadId, ThreadRow, scheduler};
use crate::memory::{held, regions};
use crate::{futex, time};

/// The most threads that exist at a time.
pub const THREADS_MAX: usize = 2048;
/// Bytes kept of a thread's name.
pub(super) const NAME_BYTES: usize = 31;
/// Stacks that are kept for the next threads; each has at most [`KEPT_STACK_BYTES`] of memory.
const CACHED_MAX: usize = 8;
/// Memory below an ending thread's stack pointer that is not given back, in bytes: its end needs that much.
const KEPT_STACK_BYTES: usize = STACK_RESERVE_BYTES + 8 * 1024;
/// Tag of the list of dead threads among the lists that share the futexes' links.
const DEAD_TAG: u32 = u32::MAX - 1;
const GENERATION_SHIFT: u32 = THREADS_MAX.trailing_zeros();
const WORDS: usize = THREADS_MAX / 64;

static SLOTS: [Once<&'static Thread>; THREADS_MAX] = [const { Once::new() }; THREADS_MAX];
static USED: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];
/// Words of [`USED`] that were full when somebody last looked, as bits.
static FULL: AtomicU32 = AtomicU32::new(0);
const _: () = assert!(WORDS == 32);
static CACHE: IrqLock<Cache> = IrqLock::new(Cache::EMPTY);
static DEAD: IrqLock<List> = IrqLock::new(List::new(DEAD_TAG));
/// Counts burials, for the reaper to wait on.
static BURIALS: AtomicU32 = AtomicU32::new(0);

/// One thread.
pub(crate) struct Thread {
    /// Never changes.
    pub slot: u32,
    generation: AtomicU32,

    // The CPU that runs the thread or switches to it; the scheduler's part says more.
    pub context: Context,
    pub clock: CpuClock,
    pub task: Task<AtomicU32>,

    // Its futex's bucket lock.
    pub sleeper: Sleeper<AtomicU32>,

    // Who claimed the slot, before the start; then nobody writes.
    block: IrqLock<Option<ThreadBlock>>,
    stack_start: AtomicUsize,
    stack_len_bytes: AtomicUsize,
    entry: IrqLock<Option<(extern "C" fn(usize), usize)>>,

    // Anybody.
    pub life: Life,
    name: IrqLock<Name>,
    pub(super) detour: Pending,

    // The thread itself.
    pub local: LocalState,
}

/// How far a thread's end has come: one word, which joiners wait on.
#[derive(Debug)]
pub(crate) struct Life(AtomicU32);

/// It has ended; joiners need not wait.
const ENDED: u32 = 1;
/// Nobody needs its id any more: it was joined or detached.
const RELEASED: u32 = 2;
/// Its CPU has left its stack for good.
const LEFT: u32 = 4;
/// There is no thread: the slot waits in the cache or is free.
const VACANT: u32 = 8;

impl Life {
    fn is_vacant(&self) -> bool {
        self.0.load(Ordering::Acquire) & VACANT != 0
    }

    pub fn end(&self) {
        self.0.fetch_or(ENDED, Ordering::AcqRel);
        futex::wake_before_stopping(&self.0);
    }

    /// The id is needed no more. Returns what was so before.
    fn release(&self) -> u32 {
        self.0.fetch_or(RELEASED, Ordering::AcqRel)
    }

    /// True for the CPU if it is the one that must clean up.
    fn leave(&self) -> bool {
        self.0.fetch_or(LEFT, Ordering::AcqRel) & RELEASED != 0
    }

    fn wait_for_end(&self) -> Result<(), JoinError> {
        loop {
            match self.0.load(Ordering::Acquire) {
                seen if seen & RELEASED != 0 => return Err(JoinError::Detached),
                seen if seen & ENDED != 0 => return Ok(()),
                seen => futex::wait(&self.0, seen, None, u32::MAX),
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
            clock: CpuClock::new(),
            task: Task::new(),
            sleeper: Sleeper::new(),
            block: IrqLock::new(ThreadBlock::allocate()),
            stack_start: AtomicUsize::new(0),
            stack_len_bytes: AtomicUsize::new(0),
            entry: IrqLock::new(None),
            life: Life(AtomicU32::new(0)),
            name: IrqLock::new(Name::EMPTY),
            detour: Pending::new(),
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

    pub fn set_stack(&self, stack: Range<usize>) {
        self.stack_start.store(stack.start, Ordering::Relaxed);
        self.stack_len_bytes.store(stack.len(), Ordering::Relaxed);
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
        self.set_stack(stack);
        self.clock.reset();
        self.task.reset();
        self.local.reset();
        self.detour.clear();
        self.set_name(name);
        self.life.0.store(0, Ordering::Release);
    }

    /// Makes the thread start in `main(slot)`. False when there is no memory for the end of its stack.
    pub fn start_at(&self, main: extern "C" fn(usize) -> !) -> bool {
        let mut block = self.block.lock();
        let thread_pointer = block.as_mut().map_or(0, |block| {
            block.reset();
            block.thread_pointer()
        });
        drop(block);
        self.start_with(main, thread_pointer)
    }

    /// As [`Self::start_at`], of a thread that has no thread-locals.
    pub fn start_idle_at(&self, main: extern "C" fn(usize) -> !) -> bool {
        self.start_with(main, 0)
    }

    fn start_with(&self, main: extern "C" fn(usize) -> !, thread_pointer: u64) -> bool {
        let end = self.stack().end;
        if regions::populate(end - PAGE_LEN, PAGE_LEN).is_err() {
            return false;
        }
        self.context
            .prepare(main, self.slot as usize, end, thread_pointer);
        true
    }

    pub fn thread_pointer(&self) -> u64 {
        self.block
            .lock()
            .as_ref()
            .map_or(0, ThreadBlock::thread_pointer)
    }

    pub fn row(&self) -> ThreadRow {
        let name = *self.name.lock();
        self.row_of(name, self.clock.read(time::monotonic_ns))
    }

    fn row_of(&self, name: Name, cpu_time_ns: u64) -> ThreadRow {
        ThreadRow {
            id: self.id(),
            name: name.bytes,
            name_len_bytes: name.len_bytes,
            cpu: self.task.last_cpu(),
            cpu_time_ns,
            share: self.task.entity.share(),
            affinity: self.task.entity.affinity(),
        }
    }
}

extern "C" fn do_nothing(_argument: usize) {}

/// The row of the thread in `slot`, for a kernel that is stopping: nothing is made and no lock is waited for,
/// so there may be no thread yet, or it shows without its name, or without its CPU time if its CPU stopped while it wrote that.
pub(super) fn row_now(slot: u32) -> Option<ThreadRow> {
    let thread = SLOTS.get(slot as usize)?.get()?;
    let name = thread.name.try_lock().map_or(Name::EMPTY, |name| *name);
    let cpu_time_ns = thread.clock.try_read(time::monotonic_ns).unwrap_or(0);
    Some(thread.row_of(name, cpu_time_ns))
}

/// The thread in a slot that is in use.
#[inline]
pub(crate) fn by_slot(slot: u32) -> &'static Thread {
    match SLOTS[slot as usize].get() {
        Some(thread) => thread,
        None => make(slot),
    }
}

#[cold]
#[inline(never)]
fn make(slot: u32) -> &'static Thread {
    SLOTS[slot as usize].call_once(|| Box::leak(Box::new(Thread::new(slot))))
}

/// The thread that an id names, if it names one.
pub(super) fn by_id(id: ThreadId) -> Option<&'static Thread> {
    let number = id.0.wrapping_sub(1);
    let slot = number & (THREADS_MAX as u32 - 1);
    let used = USED[slot as usize / 64].load(Ordering::Acquire) & 1 << (slot % 64) != 0;
    let thread = used.then(|| by_slot(slot))?;
    (thread.id() == id && !thread.life.is_vacant()).then_some(thread)
}

/// The code that boots is the first thread; its stack is the loader's.
pub(super) fn adopt_boot_thread(thread_pointer: u64) -> &'static Thread {
    let thread = claim().filter(|thread| thread.slot == 0);
    let thread = thread.expect("the first thread has slot 0");
    thread.set_name("main");
    thread.context.adopt_running(thread_pointer);
    thread
}

/// Takes a free slot. `None` when all are in use or memory is out.
pub(super) fn claim() -> Option<&'static Thread> {
    let slot = claim_below_full().or_else(|| {
        // A word may have got room since it was noted as full.
        FULL.store(0, Ordering::Relaxed);
        claim_below_full()
    })?;
    let thread = by_slot(slot);
    if thread.thread_pointer() == 0 {
        give_back(thread);
        return None;
    }
    Some(thread)
}

/// The lowest free slot in words that are not noted as full.
fn claim_below_full() -> Option<u32> {
    loop {
        let word = FULL.load(Ordering::Relaxed).trailing_ones();
        if word as usize == WORDS {
            return None;
        }
        if let Some(slot) = claim_in(word) {
            return Some(slot);
        }
        FULL.fetch_or(1 << word, Ordering::Relaxed);
    }
}

fn claim_in(word: u32) -> Option<u32> {
    let used = &USED[word as usize];
    loop {
        let bit = used.load(Ordering::Relaxed).trailing_ones();
        if bit == 64 {
            return None;
        }
        if used.fetch_or(1 << bit, Ordering::AcqRel) & 1 << bit == 0 {
            return Some(word * 64 + bit);
        }
    }
}

/// Makes the slot free. Its thread never ran or is gone.
pub(super) fn give_back(thread: &Thread) {
    thread.vacate();
    let word = thread.slot as usize / 64;
    USED[word].fetch_and(!(1 << (thread.slot % 64)), Ordering::AcqRel);
    FULL.fetch_and(!(1 << word), Ordering::Relaxed);
}

impl Thread {
    /// From here on its id names nobody.
    fn vacate(&self) {
        if self.life.0.swap(VACANT, Ordering::AcqRel) & VACANT == 0 {
            self.generation.fetch_add(1, Ordering::AcqRel);
            held::leave(self.slot);
        }
    }
}

/// Slots whose stacks are kept, the oldest first.
struct Cache {
    slots: [u32; CACHED_MAX],
    len: usize,
}

impl Cache {
    const EMPTY: Self = Self {
        slots: [NOBODY; CACHED_MAX],
        len: 0,
    };

    /// Puts a slot in; returns the one that falls out.
    fn insert(&mut self, slot: u32) -> Option<u32> {
        let out = (self.len == CACHED_MAX).then(|| self.remove(0));
        self.slots[self.len] = slot;
        self.len += 1;
        out
    }

    fn remove(&mut self, at: usize) -> u32 {
        let slot = self.slots[at];
        self.slots.copy_within(at + 1..self.len, at);
        self.len -= 1;
        slot
    }

    /// The newest one for which `suits` holds.
    fn take(&mut self, suits: impl Fn(u32) -> bool) -> Option<u32> {
        let at = self.slots[..self.len]
            .iter()
            .rposition(|slot| suits(*slot))?;
        Some(self.remove(at))
    }
}

/// A slot with a stack of that length, from the cache.
pub(super) fn take_cached(stack_len_bytes: usize) -> Option<&'static Thread> {
    let slot = CACHE
        .lock()
        .take(|slot| by_slot(slot).stack().len() == stack_len_bytes)?;
    Some(by_slot(slot))
}

/// The stacks that are kept for later threads.
pub(super) fn cached_stacks() -> impl Iterator<Item = Range<usize>> {
    let (slots, len) = {
        let cache = CACHE.lock();
        (cache.slots, cache.len)
    };
    slots
        .into_iter()
        .take(len)
        .map(|slot| by_slot(slot).stack())
}

/// Unmaps stacks that are kept for later threads until that has given back about `wanted_frames`; returns how many
/// frames at most. Called when memory is short; waits for shoot-downs.
pub(super) fn drop_cached(wanted_frames: u64) -> u64 {
    let mut freed = 0;
    while freed < wanted_frames
        && let Some(slot) = pop_cached()
    {
        dismantle(by_slot(slot));
        freed += (KEPT_STACK_BYTES / PAGE_LEN) as u64;
    }
    freed
}

fn pop_cached() -> Option<u32> {
    CACHE.lock().take(|_| true)
}

/// Frees the stack and the slot of a thread that is gone. May wait for other CPUs.
pub(super) fn dismantle(thread: &Thread) {
    regions::unmap_stack(thread.stack());
    give_back(thread);
}

/// Waits until the thread has ended and takes over its remains if its CPU has left it, else leaves them to the CPU.
pub(super) fn join(id: ThreadId) -> Result<(), JoinError> {
    let thread = by_id(id).ok_or(JoinError::NoThread)?;
    thread.life.wait_for_end()?;
    match thread.life.release() {
        was if was & RELEASED != 0 => return Err(JoinError::NoThread),
        was if was & LEFT != 0 => recycle(thread),
        _ => {}
    }
    Ok(())
}

/// Nobody will join the thread.
pub(super) fn detach(id: ThreadId) -> Result<(), JoinError> {
    let thread = by_id(id).ok_or(JoinError::NoThread)?;
    match thread.life.release() {
        was if was & RELEASED != 0 => return Err(JoinError::Detached),
        was if was & LEFT != 0 => recycle(thread),
        _ => {}
    }
    Ok(())
}

/// Keeps the remains of a thread that is gone for the next one; what falls out of the cache goes to the reaper.
fn recycle(thread: &Thread) {
    thread.vacate();
    let out = CACHE.lock().insert(thread.slot);
    if let Some(slot) = out {
        bury(slot);
    }
}

/// The calling thread ends: whoever ended here before it has left for certain, and whoever runs here next will know
/// the same of the caller. Interrupts are off.
pub(super) fn depart(thread: &Thread) {
    if let Some(slot) = scheduler::replace_departed(thread.slot) {
        note_left(slot);
    }
}

/// This CPU has left the stack of the thread that ended here last.
pub(super) fn settle() {
    let _interrupts = interrupts::Disabled::enter();
    if let Some(slot) = scheduler::replace_departed(NOBODY) {
        note_left(slot);
    }
}

fn note_left(slot: u32) {
    let thread = by_slot(slot);
    if thread.life.leave() {
        recycle(thread);
    }
}

/// Gives back the memory of the calling thread's stack that lies deeper than its end will need.
pub(super) fn trim_own_stack(thread: &Thread) {
    let marker = 0u8;
    let depth = &raw const marker as usize;
    let stack = thread.stack();
    let kept_from = depth.saturating_sub(KEPT_STACK_BYTES) & !(PAGE_LEN - 1);
    // A stack is touched page by page (compilers probe large frames), so one look tells whether it was deeper.
    let was_deeper = || page_table::peek(kept_from as u64 - 8).is_some();
    if stack.contains(&depth) && kept_from > stack.start && was_deeper() {
        // Fails only for a range that is not ours.
        let _trimmed = regions::discard(stack.start, kept_from - stack.start);
    }
}

/// Hands what is to be unmapped to the reaper.
fn bury(slot: u32) {
    let buried = DEAD.lock().push_back(futex::links(), slot);
    assert!(buried.is_ok(), "a dead thread stands in no list");
    BURIALS.fetch_add(1, Ordering::AcqRel);
    futex::wake(&BURIALS, 1, u32::MAX);
}

/// The reaper thread.
pub(super) extern "C" fn reap_for_ever(_argument: usize) {
    loop {
        let seen = BURIALS.load(Ordering::Acquire);
        while let Some(slot) = pop_dead() {
            dismantle(by_slot(slot));
        }
        futex::wait(&BURIALS, seen, None, u32::MAX);
    }
}

fn pop_dead() -> Option<u32> {
    DEAD.lock().pop_front(futex::links())
}

pub(super) fn for_each_used(visit: &mut dyn FnMut(&Thread)) {
    for slot in 0..THREADS_MAX as u32 {
        let used = USED[slot as usize / 64].load(Ordering::Acquire) & 1 << (slot % 64) != 0;
        if used && !by_slot(slot).life.is_vacant() {
            visit(by_slot(slot));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_falls_out_of_the_cache() {
        let mut cache = Cache::EMPTY;
        for slot in 0..CACHED_MAX as u32 {
            assert_eq!(cache.insert(slot), None);
        }
        assert_eq!(cache.insert(100), Some(0));
        assert_eq!(cache.take(|slot| slot < 100), Some(CACHED_MAX as u32 - 1));
        assert_eq!(cache.take(|slot| slot == 1), Some(1));
        assert_eq!(cache.take(|slot| slot == 1), None);
        assert_eq!(cache.insert(101), None);
        let rest: [u32; CACHED_MAX - 1] = core::array::from_fn(|_| cache.remove(0));
        assert_eq!((rest[0], rest[CACHED_MAX - 2], cache.len), (2, 101, 0));
    }
}
