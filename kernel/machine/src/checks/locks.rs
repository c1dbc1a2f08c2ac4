//! The order of locks.
//!
//! Law: every [`crate::sync::IrqLock`] belongs to a class: that of its name, or else of the place in the source where it
//! is made, so that the locks of all threads, say, are one class. When a lock is taken, an edge goes from the
//! class of each lock that the CPU holds to the new one ([`lib_lock_graph`]). The first edge that closes a cycle stops
//! the machine, whether or not anybody has to wait, with the chain that was seen before and the one that is seen now.
//! Two locks of one class are never held together. A lock that is only tried ([`crate::sync::IrqLock::try_lock`])
//! cannot wait, so it adds no edge; those that are taken under it do.
//!
//! Each CPU has a list of what it holds and what it waits for; others read it for reports, and may see it half
//! changed. Core declares the order that its text promises with [`declare`], so that the first lock that contradicts
//! the text is found, not the first that contradicts another.

use core::fmt;
use core::panic::Location;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use lib_lock_graph::{CLASSES_MAX, Chain, LockGraph};
use spin::Mutex;

use super::stop::{broken, is_over};
use crate::cpu::{self, CPUS_MAX};

/// A place in the source.
pub type Site = &'static Location<'static>;
/// Locks that a CPU can hold at a time.
const HELD_MAX: usize = 8;
/// An index that no class has yet.
const UNKNOWN: u8 = u8::MAX;
/// No thread.
const NOBODY: u32 = u32::MAX;

/// What a lock belongs to; part of the lock.
#[derive(Debug)]
pub struct Class {
    label: Label,
    index: AtomicU8,
}

/// What tells a class from others.
#[derive(Clone, Copy, Debug)]
struct Label {
    /// Empty for locks that have none.
    name: &'static str,
    site: Site,
}

impl Label {
    const fn is_same(&self, other: &Self) -> bool {
        if !self.name.is_empty() || !other.name.is_empty() {
            return equal(self.name, other.name);
        }
        self.site.line() == other.site.line()
            && self.site.column() == other.site.column()
            && equal(self.site.file(), other.site.file())
    }
}

const fn equal(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

impl fmt::Display for Label {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            write!(out, "the lock of {}:{}", self.site.file(), self.site.line())
        } else {
            write!(out, "the lock '{}'", self.name)
        }
    }
}

impl Class {
    /// The class of locks of this name; without a name, of those that are made where the caller's caller stands.
    #[track_caller]
    pub const fn new(name: &'static str) -> Self {
        Self {
            label: Label {
                name,
                site: Location::caller(),
            },
            index: AtomicU8::new(UNKNOWN),
        }
    }

    fn index(&self) -> usize {
        match self.index.load(Ordering::Relaxed) {
            UNKNOWN => self.register(),
            index => index as usize,
        }
    }

    #[cold]
    fn register(&self) -> usize {
        let index = index_of(self.label);
        self.index.store(index as u8, Ordering::Relaxed);
        index
    }
}

/// All classes of which a lock was ever taken, in that order. Its own lock is held with interrupts off and for a few
/// steps, and nothing is taken under it.
static CLASSES: Mutex<[Option<Label>; CLASSES_MAX]> = Mutex::new([None; CLASSES_MAX]);
static GRAPH: LockGraph = LockGraph::new();
/// Who added each edge first; by outer class, then inner.
static WITNESSES: [[Witness; CLASSES_MAX]; CLASSES_MAX] =
    [const { [const { Witness::empty() }; CLASSES_MAX] }; CLASSES_MAX];
/// For each class, those that were declared to come after it.
static DECLARED: [AtomicU64; CLASSES_MAX] = [const { AtomicU64::new(0) }; CLASSES_MAX];
static CPUS: [PerCpu; CPUS_MAX] = [const { PerCpu::empty() }; CPUS_MAX];

fn index_of(label: Label) -> usize {
    let mut classes = CLASSES.lock();
    let is_place = |place: &Option<Label>| place.is_none_or(|known| known.is_same(&label));
    let Some(index) = classes.iter().position(is_place) else {
        drop(classes);
        broken(format_args!(
            "there are more than {CLASSES_MAX} classes of locks: raise CLASSES_MAX of lib/lock-graph, or give locks of one kind one name"
        ));
    };
    classes[index].get_or_insert(label);
    index
}

/// Where the two locks of an edge were taken when it was seen first.
struct Witness {
    outer: SiteCell,
    inner: SiteCell,
    thread: AtomicU32,
}

impl Witness {
    const fn empty() -> Self {
        Self {
            outer: SiteCell::empty(),
            inner: SiteCell::empty(),
            thread: AtomicU32::new(NOBODY),
        }
    }
}

/// Holds a place in the source.
struct SiteCell(AtomicPtr<Location<'static>>);

impl SiteCell {
    const fn empty() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    fn set(&self, site: Site) {
        self.0
            .store(ptr::from_ref(site).cast_mut(), Ordering::Release);
    }

    fn get(&self) -> Option<Site> {
        // SAFETY: only `set` stores here, and it stores a reference that lives for ever.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }
}

impl fmt::Display for SiteCell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(site) => write!(out, "{}:{}", site.file(), site.line()),
            None => out.write_str("the declared order"),
        }
    }
}

/// A lock that a CPU holds or waits for.
struct Taken {
    /// The lock's address; 0 where there is none.
    lock: AtomicUsize,
    class: AtomicU8,
    site: SiteCell,
    thread: AtomicU32,
}

impl Taken {
    const fn empty() -> Self {
        Self {
            lock: AtomicUsize::new(0),
            class: AtomicU8::new(UNKNOWN),
            site: SiteCell::empty(),
            thread: AtomicU32::new(NOBODY),
        }
    }

    fn set(&self, lock: usize, class: u8, site: Site) {
        self.class.store(class, Ordering::Relaxed);
        self.site.set(site);
        self.thread
            .store(cpu::current_thread_slot(), Ordering::Relaxed);
        self.lock.store(lock, Ordering::Release);
    }

    fn copy_from(&self, other: &Self) {
        self.class
            .store(other.class.load(Ordering::Relaxed), Ordering::Relaxed);
        if let Some(site) = other.site.get() {
            self.site.set(site);
        }
        self.thread
            .store(other.thread.load(Ordering::Relaxed), Ordering::Relaxed);
        self.lock
            .store(other.lock.load(Ordering::Relaxed), Ordering::Release);
    }

    fn clear(&self) {
        self.lock.store(0, Ordering::Release);
    }

    fn is_set(&self) -> bool {
        self.lock.load(Ordering::Acquire) != 0
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = self.class.load(Ordering::Relaxed) as usize;
        write!(out, "{}", ClassName(class))?;
        write!(
            out,
            " at {:#x} (by thread slot {} at {})",
            self.lock.load(Ordering::Relaxed),
            self.thread.load(Ordering::Relaxed),
            self.site
        )
    }
}

/// How a class is called in sentences.
struct ClassName(usize);

impl fmt::Display for ClassName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In a report nobody is waited for.
        let label = CLASSES
            .try_lock()
            .and_then(|classes| classes.get(self.0).copied().flatten());
        match label {
            Some(label) => write!(out, "{label}"),
            None => write!(out, "lock class {}", self.0),
        }
    }
}

struct PerCpu {
    held: [Taken; HELD_MAX],
    held_count: AtomicUsize,
    waits_for: Taken,
    /// Locks taken so far.
    taken_count: AtomicUsize,
}

impl PerCpu {
    const fn empty() -> Self {
        Self {
            held: [const { Taken::empty() }; HELD_MAX],
            held_count: AtomicUsize::new(0),
            waits_for: Taken::empty(),
            taken_count: AtomicUsize::new(0),
        }
    }

    fn held(&self) -> &[Taken] {
        &self.held[..self.held_count.load(Ordering::Relaxed).min(HELD_MAX)]
    }

    fn push(&self, lock: usize, class: u8, site: Site) {
        let count = self.held_count.load(Ordering::Relaxed);
        let Some(place) = self.held.get(count) else {
            broken(format_args!(
                "a CPU holds more than {HELD_MAX} locks: {}",
                HeldList(self)
            ));
        };
        place.set(lock, class, site);
        self.held_count.store(count + 1, Ordering::Release);
    }

    fn remove(&self, lock: usize) {
        let held = self.held();
        let is_it = |taken: &Taken| taken.lock.load(Ordering::Relaxed) == lock;
        let Some(index) = held.iter().position(is_it) else {
            return;
        };
        for index in index + 1..held.len() {
            held[index - 1].copy_from(&held[index]);
        }
        held[held.len() - 1].clear();
        self.held_count.store(held.len() - 1, Ordering::Release);
    }
}

/// What a CPU holds, in words.
struct HeldList<'a>(&'a PerCpu);

impl fmt::Display for HeldList<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, taken) in self.0.held().iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            write!(out, "{separator}{taken}")?;
        }
        Ok(())
    }
}

fn here() -> &'static PerCpu {
    &CPUS[cpu::index() as usize]
}

/// The caller, with interrupts off, is about to take a lock, and may have to wait for it.
#[track_caller]
pub(crate) fn about_to_take(lock: usize, class: &Class) {
    if is_over() {
        return;
    }
    let (inner, site) = (class.index(), Location::caller());
    let mine = here();
    for taken in mine.held() {
        let outer = taken.class.load(Ordering::Relaxed) as usize;
        // A lock that is taken twice is found by the lock itself.
        let is_new = !GRAPH.contains(outer, inner) || outer == inner;
        if is_new && taken.lock.load(Ordering::Relaxed) != lock {
            note_edge(taken, outer, inner, site);
        }
    }
    mine.waits_for.set(lock, inner as u8, site);
}

#[cold]
fn note_edge(taken: &Taken, outer: usize, inner: usize, site: Site) {
    let witness = &WITNESSES[outer][inner];
    if let Some(site) = taken.site.get() {
        witness.outer.set(site);
    }
    witness.inner.set(site);
    witness
        .thread
        .store(cpu::current_thread_slot(), Ordering::Relaxed);
    if let Err(chain) = GRAPH.note(outer, inner) {
        broken(format_args!(
            "{}",
            Inversion {
                outer,
                inner,
                chain
            }
        ));
    }
}

/// The edge that is seen now, and the chain that was seen before.
struct Inversion {
    outer: usize,
    inner: usize,
    chain: Chain,
}

impl fmt::Display for Inversion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.outer == self.inner {
            write!(
                out,
                "lock order: two locks of one class are held together: "
            )?;
            return write_edge(out, self.outer, self.inner);
        }
        write!(out, "lock order: now ")?;
        write_edge(out, self.outer, self.inner)?;
        for (number, (outer, inner)) in self.chain.edges().enumerate() {
            let word = if number == 0 {
                "; but before "
            } else {
                " and "
            };
            out.write_str(word)?;
            write_edge(out, outer, inner)?;
        }
        Ok(())
    }
}

/// "A (held since file:1) is held while B is taken at file:2 by thread slot 3".
fn write_edge(out: &mut fmt::Formatter<'_>, outer: usize, inner: usize) -> fmt::Result {
    let witness = &WITNESSES[outer][inner];
    let (outer, inner) = (ClassName(outer), ClassName(inner));
    let thread = witness.thread.load(Ordering::Relaxed);
    if thread == NOBODY {
        return write!(out, "{outer} was declared to come before {inner}");
    }
    write!(
        out,
        "{outer}, taken at {}, is held while {inner} is taken at {} (thread slot {thread})",
        witness.outer, witness.inner
    )
}

/// The caller has taken the lock, or got it by trying.
#[track_caller]
pub(crate) fn taken(lock: usize, class: &Class) {
    if is_over() {
        return;
    }
    let mine = here();
    mine.waits_for.clear();
    mine.taken_count.fetch_add(1, Ordering::Relaxed);
    mine.push(lock, class.index() as u8, Location::caller());
    super::context::note_stack_depth();
}

/// The caller is about to let go of the lock.
pub(crate) fn about_to_release(lock: usize) {
    if is_over() {
        return;
    }
    if cpu::interrupts::are_enabled() {
        broken(format_args!(
            "interrupts were turned on while {} is held",
            HeldList(here())
        ));
    }
    here().remove(lock);
}

/// Promises that a lock named `outer` may be held while one named `inner` is taken, and never the other way round.
///
/// Called with interrupts off or before there are any.
pub fn declare(outer: &'static str, inner: &'static str) {
    let index = |name| {
        let site = Location::caller();
        index_of(Label { name, site })
    };
    let (outer, inner) = (index(outer), index(inner));
    DECLARED[outer].fetch_or(1 << inner, Ordering::Relaxed);
    if let Err(chain) = GRAPH.note(outer, inner) {
        broken(format_args!(
            "{}",
            Inversion {
                outer,
                inner,
                chain
            }
        ));
    }
}

/// Visits every order that was seen and not declared: which lock was held while which was taken, and where.
pub fn for_each_undeclared(visit: &mut dyn FnMut(fmt::Arguments<'_>)) {
    for (outer, row) in WITNESSES.iter().enumerate() {
        for (inner, witness) in row.iter().enumerate() {
            let seen = witness.thread.load(Ordering::Relaxed) != NOBODY;
            if seen && !is_declared(outer, inner) {
                visit(format_args!(
                    "{} (held since {}) before {} (taken at {})",
                    ClassName(outer),
                    witness.outer,
                    ClassName(inner),
                    witness.inner
                ));
            }
        }
    }
}

/// Whether the declared orders lead from one class to the other.
fn is_declared(outer: usize, inner: usize) -> bool {
    let (mut reached, mut new) = (0, 1_u64 << outer);
    while new != 0 {
        let from = new.trailing_zeros() as usize;
        new &= new - 1;
        let next = DECLARED[from].load(Ordering::Relaxed) & !reached;
        reached |= next;
        new |= next;
    }
    reached & 1 << inner != 0
}

/// Nothing may be held by this CPU; `what` is about to happen.
pub(super) fn assert_none_held(what: fmt::Arguments<'_>) {
    let mine = here();
    if !mine.held().is_empty() && !is_over() {
        broken(format_args!("{what} while {} is held", HeldList(mine)));
    }
}

/// How many locks this CPU holds.
pub(super) fn held_count() -> usize {
    here().held_count.load(Ordering::Relaxed)
}

/// What a CPU waits for and who has it, in words that go on a sentence about it; nothing where it does not wait.
#[derive(Debug)]
pub struct Wait {
    /// Its index.
    pub cpu: u32,
}

impl fmt::Display for Wait {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = &CPUS[self.cpu as usize].waits_for;
        let lock = wanted.lock.load(Ordering::Acquire);
        if lock == 0 {
            return Ok(());
        }
        write!(out, "; it waits for {wanted}, which ")?;
        let is_it = |taken: &&Taken| taken.lock.load(Ordering::Relaxed) == lock;
        let holder = CPUS.iter().enumerate().find_map(|(index, cpu)| {
            let taken = cpu.held().iter().find(is_it)?;
            Some((index, taken))
        });
        match holder {
            Some((index, taken)) => write!(out, "cpu {index} took at {}", taken.site),
            None => out.write_str("no cpu holds: whoever took it has lost it"),
        }
    }
}

/// Says what every CPU holds and waits for; nothing for those that have neither.
///
/// # Errors
/// Those of `out`.
pub fn write_state(out: &mut dyn fmt::Write) -> fmt::Result {
    for (index, cpu) in CPUS.iter().enumerate() {
        for taken in cpu.held() {
            writeln!(out, "cpu {index} holds {taken}")?;
        }
        if cpu.waits_for.is_set() {
            writeln!(out, "cpu {index} waits for {}", cpu.waits_for)?;
        }
    }
    Ok(())
}
