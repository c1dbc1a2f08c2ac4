//! The queues of all CPUs: choosing, waking, stealing, moving.
//!
//! Law:
//! - A thread that can run and does not stands in exactly one queue. Idle threads stand in none.
//! - A thread that has not yet left its CPU ([`Machine::is_on_cpu`]) is put only into that CPU's queue, and nobody
//!   takes it from there but that CPU. So no CPU ever waits for another one to finish a switch, and no stack
//!   has two users.
//! - A CPU says that it is idle before it looks for work for the last time; who makes work looks for idle CPUs
//!   after putting it in a queue ([`crate::attention`]).
//! - Affinity is looked at when a thread is chosen. One that must not run here is set aside, and moved when it
//!   has left its CPU ([`move_displaced`]).
//!
//! All functions are called with interrupts off, for the CPU that calls them. One queue's lock is held at a time.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::attention::Attention;
use crate::fair::{Entities, Entity, FairQueue, Joined};
use crate::parking::Parking;
use crate::placement::{self, Loads, Place, Situation};
use crate::{CpuSet, Exclusive, Word, cpus_behind, only};

/// A thread that sleeps this soon after it woke another one hands over; in nanoseconds.
const HAND_OVER_NS: u64 = 50_000;
/// From this many hand-overs in a row on, the next wake is taken for one.
const HABIT: u32 = 2;
const HABIT_MAX: u32 = 4;

/// What the scheduler keeps of a thread.
#[derive(Debug)]
pub struct Task<W> {
    /// For the queues.
    pub entity: Entity,
    /// Whether it sleeps.
    pub parking: Parking<W>,
    /// The CPU that runs it or ran it last.
    last_cpu: AtomicU32,
    // Written by the CPU that runs the thread.
    has_woken: AtomicU32,
    hand_overs: AtomicU32,
}

impl<W: Word> Default for Task<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W: Word> Task<W> {
    /// Of a thread that has not run.
    pub fn new() -> Self {
        Self {
            entity: Entity::new(),
            parking: Parking::new(),
            last_cpu: AtomicU32::new(0),
            has_woken: AtomicU32::new(0),
            hand_overs: AtomicU32::new(0),
        }
    }

    /// Back to the state of a thread that has not run.
    pub fn reset(&self) {
        self.entity.reset();
        self.parking.reset();
        self.has_woken.store(0, Ordering::Relaxed);
        self.hand_overs.store(0, Ordering::Relaxed);
    }

    /// The CPU that runs it or ran it last.
    #[inline]
    pub fn last_cpu(&self) -> u32 {
        self.last_cpu.load(Ordering::Acquire)
    }

    /// Says on which CPU it is about to run; before it counts as being on it.
    #[inline]
    pub fn set_last_cpu(&self, cpu: u32) {
        self.last_cpu.store(cpu, Ordering::Release);
    }

    /// It leaves its CPU after a stint of `stint_ns`: whether wakes by it are hand-overs is learnt from that.
    #[inline]
    pub fn note_stint(&self, stint_ns: u64, sleeps: bool) {
        if self.has_woken.load(Ordering::Relaxed) == 0 {
            return;
        }
        self.has_woken.store(0, Ordering::Relaxed);
        let seen = self.hand_overs.load(Ordering::Relaxed);
        let seen = if sleeps && stint_ns < HAND_OVER_NS {
            (seen + 1).min(HABIT_MAX)
        } else {
            seen / 2
        };
        self.hand_overs.store(seen, Ordering::Relaxed);
    }

    #[inline]
    fn hands_over(&self) -> bool {
        self.hand_overs.load(Ordering::Relaxed) >= HABIT
    }
}

/// What others may touch of a CPU, in cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub struct Cpu<W, L> {
    queue: L,
    /// How many wait in the queue: written under its lock, read by who has nothing to do.
    waiting: W,
    /// See there.
    pub attention: Attention<W>,
}

impl<W: Word, L: Exclusive<FairQueue>> Default for Cpu<W, L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W: Word, L: Exclusive<FairQueue>> Cpu<W, L> {
    /// A CPU that is busy with nothing that is in its queue.
    pub fn new() -> Self {
        Self {
            queue: L::new(FairQueue::new()),
            waiting: W::new(0),
            attention: Attention::new(),
        }
    }

    /// How many threads wait for it.
    #[inline]
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Changes the queue and shows its length to others.
    #[inline]
    fn change<R>(&self, body: impl FnOnce(&mut FairQueue) -> R) -> R {
        self.queue.with(|queue| {
            let result = body(queue);
            if self.waiting.load(Ordering::Relaxed) != queue.len() {
                self.waiting.store(queue.len(), Ordering::Relaxed);
            }
            result
        })
    }
}

/// The machine below: threads, CPUs, and how one is interrupted.
pub trait Machine: Entities {
    /// Atomic words.
    type Word: Word;
    /// Locks of queues.
    type Lock: Exclusive<FairQueue>;

    /// The thread `id`.
    fn task(&self, id: u32) -> &Task<Self::Word>;
    /// The CPU of this index, which runs or has run.
    fn cpu(&self, cpu: u32) -> &Cpu<Self::Word, Self::Lock>;
    /// The CPUs that run.
    fn online(&self) -> CpuSet;
    /// Whether a CPU still uses the thread's stack.
    fn is_on_cpu(&self, id: u32) -> bool;
    /// Makes another CPU call [`look`] soon.
    fn interrupt(&self, cpu: u32);
}

/// Why the running thread gives up its CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// It sleeps or has ended.
    Stops,
    /// It wants others to run.
    Yields,
    /// It was interrupted and could go on.
    Preempted,
    /// It is the idle thread.
    Idle,
}

/// What [`choose`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Who runs next; `None`: the idle thread.
    pub next: Option<u32>,
    /// Threads were set aside: [`move_displaced`] must be called on this CPU as soon as another thread runs.
    pub has_displaced: bool,
    /// When the next thread's slice ends, if others wait for it.
    pub slice_end_ns: Option<u64>,
}

/// Decides who runs next on `cpu`, where `me` runs.
pub fn choose<M: Machine>(machine: &M, cpu: u32, me: u32, leaving: Leaving, now_ns: u64) -> Choice {
    let state = machine.cpu(cpu);
    state.attention.begin_look();
    let mut choice = state.change(|queue| {
        queue.charge(machine, now_ns);
        let next = rotate(machine, queue, cpu, me, leaving, now_ns);
        Choice {
            next,
            has_displaced: queue.has_misplaced(),
            slice_end_ns: queue.slice_end_ns(machine),
        }
    });
    if choice.next.is_none() {
        choice.next = steal(machine, cpu, now_ns);
    }
    choice
}

#[inline]
fn rotate<M: Machine>(
    machine: &M,
    queue: &mut FairQueue,
    cpu: u32,
    me: u32,
    leaving: Leaving,
    now_ns: u64,
) -> Option<u32> {
    let may_stay = machine.entity(me).may_run_on(cpu);
    match leaving {
        Leaving::Idle => {}
        Leaving::Stops => queue.stop(machine, now_ns),
        Leaving::Yields | Leaving::Preempted if !may_stay => {
            queue.leave(machine, now_ns);
            queue.set_aside(machine, me);
        }
        Leaving::Preempted => queue.put_back(machine),
        // Whoever yields is put back only after another one was picked.
        Leaving::Yields => {}
    }
    let mut next = pick_for(machine, queue, cpu, now_ns);
    if leaving == Leaving::Yields && may_stay {
        match next {
            Some(_) => queue.put_back(machine),
            None => next = Some(me),
        }
    }
    if let Some(next) = next {
        queue.start(next, now_ns);
    }
    next
}

#[inline]
fn pick_for<M: Machine>(machine: &M, queue: &mut FairQueue, cpu: u32, now_ns: u64) -> Option<u32> {
    while let Some(id) = queue.pick(machine) {
        if machine.entity(id).may_run_on(cpu) {
            return Some(id);
        }
        queue.set_aside_picked(machine, id, now_ns);
    }
    None
}

/// Takes a waiting thread from another CPU's queue and makes it this one's.
fn steal<M: Machine>(machine: &M, cpu: u32, now_ns: u64) -> Option<u32> {
    cpus_behind(cpu, machine.online() & !only(cpu)).find_map(|victim| {
        let victim = machine.cpu(victim);
        if victim.waiting() == 0 {
            return None;
        }
        let stolen = victim.change(|queue| {
            queue.take(machine, now_ns, |id| {
                !machine.is_on_cpu(id) && machine.entity(id).may_run_on(cpu)
            })
        })?;
        machine
            .cpu(cpu)
            .change(|queue| queue.adopt(machine, stolen, now_ns));
        Some(stolen)
    })
}

/// What the waker says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeHint {
    /// Nothing: whether it hands over is guessed from what it did before.
    None,
    /// It is about to stop.
    WakerStops,
}

/// What remains to be done on the CPU that made a thread runnable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Local {
    /// The CPU whose queue the thread stands in.
    pub cpu: u32,
    /// The running thread must give way as soon as it may.
    pub give_way: bool,
    /// Somebody began to wait here: the end of the slice must be timed, and this is when it is.
    pub contended_until_ns: Option<u64>,
    /// It waits although others may be idle, because the running thread is expected to stop.
    pub hands_over: bool,
}

/// Makes a thread runnable that has announced its sleep and was told to be woken, or has never run. `waker` is the
/// running thread, `None` in an interrupt.
pub fn wake<M: Machine>(
    machine: &M,
    here: u32,
    waker: Option<u32>,
    id: u32,
    hint: WakeHint,
    now_ns: u64,
) -> Local {
    let hands_over = hint == WakeHint::WakerStops || notes_wake(machine, waker);
    if machine.is_on_cpu(id) {
        let cpu = machine.task(id).last_cpu();
        return enqueue(machine, here, cpu, id, now_ns);
    }
    place(machine, here, id, hands_over, now_ns)
}

/// Remembers that the waker woke somebody; tells whether it usually sleeps right after that.
#[inline]
fn notes_wake<M: Machine>(machine: &M, waker: Option<u32>) -> bool {
    let Some(waker) = waker else {
        return false;
    };
    let waker = machine.task(waker);
    waker.has_woken.store(1, Ordering::Relaxed);
    waker.hands_over()
}

struct Cpus<'a, M>(&'a M);

impl<M: Machine> Loads for Cpus<'_, M> {
    #[inline]
    fn is_idle(&self, cpu: u32) -> bool {
        self.0.cpu(cpu).attention.is_idle()
    }

    #[inline]
    fn is_polling(&self, cpu: u32) -> bool {
        self.0.cpu(cpu).attention.is_polling()
    }

    #[inline]
    fn waiting(&self, cpu: u32) -> u32 {
        self.0.cpu(cpu).waiting()
    }
}

/// Puts a thread that is on no CPU and in no queue where it runs soonest.
fn place<M: Machine>(machine: &M, here: u32, id: u32, waker_sleeps: bool, now_ns: u64) -> Local {
    let task = machine.task(id);
    let situation = Situation {
        allowed: task.entity.affinity() & machine.online(),
        last: task.last_cpu(),
        here,
        waker_sleeps,
    };
    loop {
        match placement::choose(situation, &Cpus(machine)) {
            Place::Idle(cpu) if !machine.cpu(cpu).attention.claim() => {}
            Place::Idle(cpu) => return enqueue(machine, here, cpu, id, now_ns),
            Place::Waker(cpu) => {
                let local = enqueue(machine, here, cpu, id, now_ns);
                return Local {
                    hands_over: true,
                    ..local
                };
            }
            Place::Busy(cpu) => {
                let local = enqueue(machine, here, cpu, id, now_ns);
                offer(machine, here, situation.allowed);
                return local;
            }
        }
    }
}

#[inline]
fn enqueue<M: Machine>(machine: &M, here: u32, cpu: u32, id: u32, now_ns: u64) -> Local {
    let state = machine.cpu(cpu);
    let (joined, is_free, slice_end_ns) = state.change(|queue| {
        let joined = queue.join(machine, id, now_ns);
        let is_free = queue.current().is_none();
        (joined, is_free, queue.slice_end_ns(machine))
    });
    let give_way = is_free || joined == Joined::Preempts;
    let contended = joined == (Joined::Waits { is_first: true });
    if cpu == here {
        return Local {
            cpu,
            give_way,
            contended_until_ns: slice_end_ns.filter(|_| contended),
            hands_over: false,
        };
    }
    if (contended || give_way) && state.attention.ask() {
        machine.interrupt(cpu);
    }
    Local {
        cpu,
        ..Local::default()
    }
}

/// Somebody waits in a queue: an idle CPU among `allowed` is told to come and steal.
pub fn offer<M: Machine>(machine: &M, here: u32, allowed: CpuSet) {
    // Between showing that somebody waits and looking who is idle: see `attention`.
    M::Word::fence();
    let others = allowed & machine.online() & !only(here);
    let idle = cpus_behind(here, others).find(|cpu| machine.cpu(*cpu).attention.claim());
    if let Some(cpu) = idle
        && machine.cpu(cpu).attention.ask()
    {
        machine.interrupt(cpu);
    }
}

/// What a CPU does when it was asked to look, or its timer fired: tells whether the running thread must give way.
/// `running` is `None` for the idle thread.
pub fn look<M: Machine>(machine: &M, cpu: u32, running: Option<u32>, now_ns: u64) -> bool {
    let state = machine.cpu(cpu);
    state.attention.begin_look();
    let (must, displaced) = state.change(|queue| {
        queue.charge(machine, now_ns);
        (queue.must_give_way(machine), queue.has_misplaced())
    });
    let strayed = running.is_some_and(|id| !machine.entity(id).may_run_on(cpu));
    let local = if displaced {
        move_displaced(machine, cpu, now_ns)
    } else {
        Local::default()
    };
    must || strayed || local.give_way
}

/// Sends threads that must not run here to where they may. They have left this CPU, since it runs another thread.
pub fn move_displaced<M: Machine>(machine: &M, cpu: u32, now_ns: u64) -> Local {
    let mut all = Local::default();
    while let Some(id) = machine
        .cpu(cpu)
        .change(|queue| queue.take_misplaced(machine, |id| !machine.is_on_cpu(id)))
    {
        let local = place(machine, cpu, id, false, now_ns);
        all.give_way |= local.give_way;
        all.contended_until_ns = all.contended_until_ns.or(local.contended_until_ns);
    }
    all
}

/// When the slice of the thread that runs on `cpu` ends, if others wait for it.
#[inline]
pub fn slice_end_ns<M: Machine>(machine: &M, cpu: u32) -> Option<u64> {
    let state = machine.cpu(cpu);
    if state.waiting.load(Ordering::Relaxed) == 0 {
        return None;
    }
    state.queue.with(|queue| queue.slice_end_ns(machine))
}

/// Makes the code that runs on `cpu` its running thread, when threads begin on a CPU.
pub fn begin<M: Machine>(machine: &M, cpu: u32, id: u32, now_ns: u64) {
    machine.task(id).set_last_cpu(cpu);
    machine
        .cpu(cpu)
        .change(|queue| queue.adopt(machine, id, now_ns));
}
