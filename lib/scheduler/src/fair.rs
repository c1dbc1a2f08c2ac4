//! One CPU's queue: earliest eligible virtual deadline first.
//!
//! Law. Each thread has a virtual time that grows, while it runs, by real time divided by its weight. *V* is the
//! average of the virtual times of all threads of the queue (the running one among them), weighted. A thread whose
//! virtual time is not beyond V has had no more than its share and is *eligible*; of the eligible ones the one with
//! the earliest deadline runs, and a deadline is virtual time plus slice. When a thread leaves, its *lag* (V minus
//! its virtual time: what it is owed) is kept, and where it joins, here or on another CPU, it gets it back. So nobody
//! gains by sleeping, waking or moving, and each thread's share is met within about one slice of the longest
//! running competitor (I. Stoica, H. Abdel-Wahab, *Earliest Eligible Virtual Deadline First*, 1995).
//!
//! A debt (negative lag) is also paid by sleeping as long as it is. Lags are limited to two slices.
//!
//! Numbers: virtual times are wrapping `u64`; only differences are ever compared. V is kept as `zero` plus
//! `weighted / weights`, and `zero` follows V ([`FairQueue::renormalise`]), so that sums stay small: with 2048 threads of
//! weight at most 9537 and differences below 2³⁷ they stay below 2⁶³. A thread that runs alone moves `zero` with it.
//!
//! Structure: those not known to be eligible stand in `waiting` by virtual time, the others in `eligible` by
//! deadline. Who was seen to be eligible stays so until it runs: V may fall a little when somebody joins.

use core::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::heap::{Heap, Link, Order};
use crate::lent::Lent;
use crate::share::{Class, Share, real_ns, virtual_ns};
use crate::{CpuSet, NOBODY};

/// The most that is charged in one go beside others, in nanoseconds: a longer time is one in which the machine stood
/// still.
const CHARGE_NS_MAX: u64 = 1 << 33;
/// The least time between choosing a thread and ending its slice, in nanoseconds.
const SLICE_REST_NS_MIN: u64 = 100_000;
/// Sums are renormalised when V is this far from `zero`, in virtual nanoseconds, as a power of two.
const RENORMALISE_SHIFT: u32 = 30;

/// In no heap.
const NOWHERE: u32 = 0;
const WAITING: u32 = 1;
const ELIGIBLE: u32 = 2;
const MISPLACED: u32 = 3;

/// What a queue knows of a thread.
#[derive(Debug)]
pub struct Entity {
    // By the lock of the queue that holds it.
    link: Link,
    place: AtomicU32,
    virtual_time: AtomicU64,
    deadline: AtomicU64,
    weight: AtomicU32,
    lag: AtomicI64,
    left_ns: AtomicU64,

    // Anybody.
    /// The wanted share; takes effect when the queue next looks at the thread.
    share: AtomicU32,
    /// Takes effect like the share.
    lent: Lent,
    /// Where it may run.
    affinity: AtomicU64,
}

impl Default for Entity {
    fn default() -> Self {
        Self::new()
    }
}

impl Entity {
    /// Of a thread that has not run.
    pub const fn new() -> Self {
        Self {
            link: Link::new(),
            place: AtomicU32::new(NOWHERE),
            virtual_time: AtomicU64::new(0),
            deadline: AtomicU64::new(0),
            weight: AtomicU32::new(0),
            lag: AtomicI64::new(0),
            left_ns: AtomicU64::new(0),
            share: AtomicU32::new(
                Share {
                    class: Class::Normal,
                    priority: crate::Priority::new(0),
                }
                .to_bits(),
            ),
            lent: Lent::new(),
            affinity: AtomicU64::new(CpuSet::MAX),
        }
    }

    /// Back to the state of a thread that has not run.
    pub fn reset(&self) {
        self.lag.store(0, Relaxed);
        self.left_ns.store(0, Relaxed);
        self.set_share(Share::default());
        self.lent.reset();
        self.set_affinity(CpuSet::MAX);
    }

    /// Its class and priority as they count: with what it was lent.
    #[inline]
    pub fn share(&self) -> Share {
        let own = self.own_share();
        Share {
            class: own.class.max(self.lent.class()),
            ..own
        }
    }

    /// Its own class and priority.
    #[inline]
    pub fn own_share(&self) -> Share {
        Share::from_bits(self.share.load(Relaxed))
    }

    /// What it was lent.
    pub fn lent(&self) -> &Lent {
        &self.lent
    }

    /// Changes its own class and priority.
    #[inline]
    pub fn set_share(&self, share: Share) {
        self.share.store(share.to_bits(), Relaxed);
    }

    /// The CPUs on which it may run.
    #[inline]
    pub fn affinity(&self) -> CpuSet {
        self.affinity.load(core::sync::atomic::Ordering::SeqCst)
    }

    /// Changes them; who calls sees to it that a CPU that must not run it any more looks.
    #[inline]
    pub fn set_affinity(&self, cpus: CpuSet) {
        self.affinity
            .store(cpus, core::sync::atomic::Ordering::SeqCst);
    }

    /// Whether it may run on `cpu`.
    #[inline]
    pub fn may_run_on(&self, cpu: u32) -> bool {
        self.affinity.load(Relaxed) & crate::only(cpu) != 0
    }

    #[inline]
    fn virtual_time(&self) -> u64 {
        self.virtual_time.load(Relaxed)
    }

    #[inline]
    fn deadline(&self) -> u64 {
        self.deadline.load(Relaxed)
    }

    #[inline]
    fn weight(&self) -> i64 {
        i64::from(self.weight.load(Relaxed))
    }

    #[inline]
    fn renew_deadline(&self) {
        let deadline = self
            .virtual_time()
            .wrapping_add(self.share().slice_virtual_ns());
        self.deadline.store(deadline, Relaxed);
    }

    /// The most that it may be owed or owe, in virtual nanoseconds.
    #[inline]
    fn lag_limit(&self) -> i64 {
        2 * self.share().slice_virtual_ns() as i64
    }
}

/// Who knows the threads by their numbers.
pub trait Entities {
    /// The thread `id`.
    fn entity(&self, id: u32) -> &Entity;
}

struct ByTime<'a, E>(&'a E);
struct ByDeadline<'a, E>(&'a E);

impl<E: Entities> Order for ByTime<'_, E> {
    #[inline]
    fn link(&self, id: u32) -> &Link {
        &self.0.entity(id).link
    }

    #[inline]
    fn is_before(&self, a: u32, b: u32) -> bool {
        is_earlier(
            self.0.entity(a).virtual_time(),
            self.0.entity(b).virtual_time(),
        )
    }
}

impl<E: Entities> Order for ByDeadline<'_, E> {
    #[inline]
    fn link(&self, id: u32) -> &Link {
        &self.0.entity(id).link
    }

    #[inline]
    fn is_before(&self, a: u32, b: u32) -> bool {
        is_earlier(self.0.entity(a).deadline(), self.0.entity(b).deadline())
    }
}

/// Orders two virtual times that are less than half the range apart.
#[inline]
fn is_earlier(a: u64, b: u64) -> bool {
    (a.wrapping_sub(b) as i64) < 0
}

/// What becomes of a thread that joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It is the running thread and goes on.
    Stays,
    /// It takes the CPU from the running thread.
    Preempts,
    /// It waits.
    Waits {
        /// It is the only one that does.
        is_first: bool,
    },
}

/// The threads that want one CPU: the one that runs, and those that wait. Idle threads are in none.
#[derive(Debug)]
pub struct FairQueue {
    zero: u64,
    weights: i64,
    weighted: i64,
    waiting: Heap,
    eligible: Heap,
    /// Threads that must leave for another CPU.
    misplaced: Heap,
    len: u32,
    current: u32,
    charged_ns: u64,
    /// A thread that takes the CPU from the running one.
    preemptor: u32,
    /// The running thread was woken after it announced its sleep and before it left.
    stays: bool,
}

impl Default for FairQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl FairQueue {
    /// An empty one.
    pub const fn new() -> Self {
        Self {
            zero: 0,
            weights: 0,
            weighted: 0,
            waiting: Heap::new(),
            eligible: Heap::new(),
            misplaced: Heap::new(),
            len: 0,
            current: NOBODY,
            charged_ns: 0,
            preemptor: NOBODY,
            stays: false,
        }
    }

    /// How many threads wait here.
    #[inline]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether nobody waits here.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Who runs.
    #[inline]
    pub fn current(&self) -> Option<u32> {
        (self.current != NOBODY).then_some(self.current)
    }

    /// Charges the running thread for the time until `now_ns`.
    pub fn charge(&mut self, all: &impl Entities, now_ns: u64) {
        // Another CPU's clock may lag a little.
        let ns = now_ns.saturating_sub(self.charged_ns);
        self.charged_ns = self.charged_ns.max(now_ns);
        if self.current == NOBODY || ns == 0 {
            return;
        }
        let entity = all.entity(self.current);
        let weight = entity.weight();
        let alone = self.weights == weight;
        let ns = if alone { ns } else { ns.min(CHARGE_NS_MAX) };
        let grown = virtual_ns(ns.min(1 << 52), weight as u32);
        let time = entity.virtual_time().wrapping_add(grown);
        entity.virtual_time.store(time, Relaxed);
        if alone {
            self.zero = self.zero.wrapping_add(grown);
        } else {
            self.weighted += weight * grown as i64;
            self.renormalise();
        }
        self.refresh(entity);
    }

    /// A running thread whose share was changed gets its new weight.
    #[inline]
    fn refresh(&mut self, entity: &Entity) {
        let wanted = i64::from(entity.share().priority.weight());
        if wanted == entity.weight() {
            return;
        }
        let average = self.average();
        let lag = average.wrapping_sub(entity.virtual_time()) as i64;
        self.subtract(entity, average);
        self.place(entity, lag);
    }

    /// A thread that can run joins; it stands in no other queue. If it is the running one, which was about to
    /// sleep, it will not leave.
    #[inline]
    pub fn join(&mut self, all: &impl Entities, id: u32, now_ns: u64) -> Joined {
        self.charge(all, now_ns);
        if id == self.current {
            self.stays = true;
            return Joined::Stays;
        }
        let is_first = self.len == 0;
        self.add(all.entity(id), now_ns);
        self.stand(all, id);
        if self.preempts(all, id) {
            self.preemptor = id;
            return Joined::Preempts;
        }
        Joined::Waits { is_first }
    }

    /// Gives a thread its virtual time here and counts it.
    #[inline]
    fn add(&mut self, entity: &Entity, now_ns: u64) {
        let mut lag = entity.lag.load(Relaxed);
        if lag < 0 {
            let rest_ns = now_ns.saturating_sub(entity.left_ns.load(Relaxed));
            lag = lag.saturating_add_unsigned(rest_ns).min(0);
        }
        self.place(entity, lag);
    }

    #[inline]
    fn place(&mut self, entity: &Entity, lag: i64) {
        let weight = entity.share().priority.weight();
        entity.weight.store(weight, Relaxed);
        let limit = entity.lag_limit();
        let mut lag = lag.clamp(-limit, limit);
        if self.weights > 0 && lag != 0 {
            // Joining moves V towards the thread: more is asked, so that what remains is its lag.
            lag = (lag * (self.weights + i64::from(weight)) / self.weights).clamp(-limit, limit);
        }
        let time = self.average().wrapping_sub(lag as u64);
        entity.virtual_time.store(time, Relaxed);
        entity.renew_deadline();
        self.weights += entity.weight();
        self.weighted += entity.weight() * time.wrapping_sub(self.zero) as i64;
        self.renormalise();
    }

    /// Uncounts a thread and keeps its lag.
    #[inline]
    fn forget(&mut self, entity: &Entity, now_ns: u64) {
        let limit = entity.lag_limit();
        let average = self.average();
        let lag = average.wrapping_sub(entity.virtual_time()) as i64;
        entity.lag.store(lag.clamp(-limit, limit), Relaxed);
        entity.left_ns.store(now_ns, Relaxed);
        self.subtract(entity, average);
    }

    #[inline]
    fn subtract(&mut self, entity: &Entity, average: u64) {
        self.weights -= entity.weight();
        self.weighted -= entity.weight() * entity.virtual_time().wrapping_sub(self.zero) as i64;
        if self.weights == 0 {
            self.zero = average;
            self.weighted = 0;
        }
    }

    /// V, rounded down.
    #[inline]
    fn average(&self) -> u64 {
        if self.weights == 0 || self.weighted == 0 {
            return self.zero;
        }
        self.zero
            .wrapping_add(self.weighted.div_euclid(self.weights) as u64)
    }

    /// Moves `zero` to V where it is far from it.
    #[inline]
    fn renormalise(&mut self) {
        if self.weighted.unsigned_abs() >> RENORMALISE_SHIFT >= self.weights.unsigned_abs() {
            let distance = self.weighted.div_euclid(self.weights.max(1));
            self.zero = self.zero.wrapping_add(distance as u64);
            self.weighted -= distance * self.weights;
        }
    }

    #[inline]
    fn is_eligible(&self, entity: &Entity) -> bool {
        let distance = entity.virtual_time().wrapping_sub(self.zero) as i64;
        i128::from(distance) * i128::from(self.weights) <= i128::from(self.weighted)
    }

    #[inline]
    fn preempts(&self, all: &impl Entities, id: u32) -> bool {
        if self.current == NOBODY {
            return false;
        }
        let (woken, running) = (all.entity(id), all.entity(self.current));
        woken.share().class > running.share().class && self.is_eligible(woken)
    }

    #[inline]
    fn stand(&mut self, all: &impl Entities, id: u32) {
        let entity = all.entity(id);
        debug_assert!(entity.place.load(Relaxed) == NOWHERE, "a thread waits once");
        if self.is_eligible(entity) {
            entity.place.store(ELIGIBLE, Relaxed);
            self.eligible.insert(&ByDeadline(all), id);
        } else {
            entity.place.store(WAITING, Relaxed);
            self.waiting.insert(&ByTime(all), id);
        }
        self.len += 1;
    }

    #[inline]
    fn unlink(&mut self, all: &impl Entities, id: u32) {
        let entity = all.entity(id);
        match entity.place.swap(NOWHERE, Relaxed) {
            WAITING => self.waiting.remove(&ByTime(all), id),
            ELIGIBLE => self.eligible.remove(&ByDeadline(all), id),
            _ => debug_assert!(false, "only who waits can be taken"),
        }
        self.len -= 1;
        if self.preemptor == id {
            self.preemptor = NOBODY;
        }
    }

    /// The running thread goes to sleep or ends. The caller has charged it. If it was woken in the meantime it is put
    /// back instead.
    #[inline]
    pub fn stop(&mut self, all: &impl Entities, now_ns: u64) {
        if core::mem::take(&mut self.stays) {
            self.put_back(all);
        } else {
            self.leave(all, now_ns);
        }
    }

    /// The running thread must go elsewhere. The caller has charged it.
    #[inline]
    pub fn leave(&mut self, all: &impl Entities, now_ns: u64) {
        if self.current != NOBODY {
            self.forget(all.entity(self.current), now_ns);
            self.current = NOBODY;
        }
    }

    /// The running thread can go on but others may be chosen. The caller has charged it.
    #[inline]
    pub fn put_back(&mut self, all: &impl Entities) {
        let id = core::mem::replace(&mut self.current, NOBODY);
        if id == NOBODY {
            return;
        }
        let entity = all.entity(id);
        if !is_earlier(entity.virtual_time(), entity.deadline()) {
            entity.renew_deadline();
        }
        self.stand(all, id);
    }

    /// Takes out who is to run next, without making it the running thread. The running thread was put back or has
    /// left, or it yields: then it is not considered, and whoever else waits is taken, eligible or not.
    #[inline]
    pub fn pick(&mut self, all: &impl Entities) -> Option<u32> {
        while let Some(first) = self.waiting.first()
            && self.is_eligible(all.entity(first))
        {
            self.waiting.remove(&ByTime(all), first);
            all.entity(first).place.store(ELIGIBLE, Relaxed);
            self.eligible.insert(&ByDeadline(all), first);
        }
        let preemptor = (self.preemptor != NOBODY).then_some(self.preemptor);
        let id = preemptor
            .or(self.eligible.first())
            .or(self.waiting.first())?;
        self.unlink(all, id);
        Some(id)
    }

    /// Makes a thread that [`Self::pick`] took the running one.
    #[inline]
    pub fn start(&mut self, id: u32, now_ns: u64) {
        self.current = id;
        self.charged_ns = self.charged_ns.max(now_ns);
    }

    /// Joins a thread from another queue and makes it the running one.
    pub fn adopt(&mut self, all: &impl Entities, id: u32, now_ns: u64) {
        self.charged_ns = self.charged_ns.max(now_ns);
        self.add(all.entity(id), now_ns);
        self.current = id;
    }

    /// Takes a waiting thread for which `suits` holds out of this queue, for another one.
    pub fn take(
        &mut self,
        all: &impl Entities,
        now_ns: u64,
        suits: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        self.charge(all, now_ns);
        let id = self
            .eligible
            .iter(&ByDeadline(all))
            .chain(self.waiting.iter(&ByTime(all)))
            .find(|id| suits(*id))?;
        self.unlink(all, id);
        self.forget(all.entity(id), now_ns);
        Some(id)
    }

    /// Sets aside a thread that was picked but must not run here.
    pub fn set_aside_picked(&mut self, all: &impl Entities, id: u32, now_ns: u64) {
        self.forget(all.entity(id), now_ns);
        self.set_aside(all, id);
    }

    /// Sets aside a thread that is in no queue and must not run here.
    pub fn set_aside(&mut self, all: &impl Entities, id: u32) {
        all.entity(id).place.store(MISPLACED, Relaxed);
        self.misplaced.insert(&ByTime(all), id);
    }

    /// A thread that was set aside and for which `suits` holds.
    pub fn take_misplaced(
        &mut self,
        all: &impl Entities,
        suits: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let id = self.misplaced.iter(&ByTime(all)).find(|id| suits(*id))?;
        self.misplaced.remove(&ByTime(all), id);
        all.entity(id).place.store(NOWHERE, Relaxed);
        Some(id)
    }

    /// When the running thread's slice ends, if others wait for it.
    #[inline]
    pub fn slice_end_ns(&self, all: &impl Entities) -> Option<u64> {
        if self.len == 0 || self.current == NOBODY {
            return None;
        }
        let entity = all.entity(self.current);
        let rest = entity.deadline().wrapping_sub(entity.virtual_time()) as i64;
        let rest_ns = real_ns(rest.max(0) as u64, entity.weight() as u32);
        Some(self.charged_ns + rest_ns.max(SLICE_REST_NS_MIN))
    }

    /// Whether the running thread must give way: somebody takes the CPU from it, or its slice is over and others
    /// wait. The caller has charged it.
    #[inline]
    pub fn must_give_way(&self, all: &impl Entities) -> bool {
        self.preemptor != NOBODY || self.slice_is_over(all)
    }

    /// Whether threads were set aside.
    #[inline]
    pub fn has_misplaced(&self) -> bool {
        self.misplaced.first().is_some()
    }

    #[inline]
    fn slice_is_over(&self, all: &impl Entities) -> bool {
        self.len > 0
            && self.current != NOBODY
            && !is_earlier(
                all.entity(self.current).virtual_time(),
                all.entity(self.current).deadline(),
            )
    }
}
