//! TLB shoot-down.
//!
//! Law: a CPU that took rights away asks every other running CPU to forget its translations and waits
//! until each has answered; a CPU that sleeps forgets all of them when it wakes instead, before anything else
//! ([`sleep_until_interrupt`], [`wake`]). The protocol is `lib/shootdown`; here are the interrupts and the instructions. Any
//! CPU that spins with interrupts off answers while it spins ([`answer`]), so two CPUs may shoot at each other and no lock
//! holder is waited for in vain. The caller may hold locks only if their waiters answer (all
//! [`crate::sync::IrqLock`]s do).

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use lib_shootdown::{Mailbox, Mailboxes, Stale};

use super::provoke::Licence;
use super::{CPUS_MAX, index, interrupts};
use crate::checks::{context, translations};

/// Sends the shoot-down interrupt to the CPU of this index.
pub type Sender = fn(cpu: u32);

/// Up to this many pages are forgotten one by one; for more, everything is.
pub const FLUSH_PAGES_MAX: usize = lib_shootdown::PAGES_MAX;

static MAILBOXES: Mailboxes<AtomicU64, CPUS_MAX> =
    Mailboxes([const { Mailbox::awake() }; CPUS_MAX]);

/// Is told when a shoot-down on several CPUs begins and ends, and how many pages it is about (0: all).
pub type Observer = fn(begins: bool, pages: usize);

static OBSERVER: AtomicUsize = AtomicUsize::new(0);
static SENDER: AtomicUsize = AtomicUsize::new(0);
static ONLINE: AtomicU64 = AtomicU64::new(1);
static ROUNDS: AtomicU64 = AtomicU64::new(0);

/// Proof that every CPU has forgotten all translations that were changed before.
#[derive(Debug)]
pub struct Flushed {
    /// What the audit knows it by.
    generation: u64,
}

impl Flushed {
    /// The generation in which it began ([`translations`]).
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }
}

/// Tells how the interrupt is sent. Called before a second CPU starts.
pub fn init(sender: Sender) {
    SENDER.store(sender as usize, Ordering::Release);
}

/// From now on `observer` is told of shoot-downs. It runs with interrupts off, possibly under locks.
pub fn set_observer(observer: Observer) {
    OBSERVER.store(observer as usize, Ordering::Release);
}

fn observe(begins: bool, pages: Option<&[u64]>) {
    let observer = OBSERVER.load(Ordering::Acquire);
    if observer != 0 {
        // SAFETY: only `set_observer` stores here, and it stores an `Observer`.
        let observer: Observer = unsafe { core::mem::transmute(observer) };
        observer(begins, pages.map_or(0, <[u64]>::len));
    }
}

/// Counts this CPU in: from now on it answers.
pub fn join() {
    super::flush_translations();
    ONLINE.fetch_or(1 << index(), Ordering::SeqCst);
    super::flush_translations();
}

/// From now on this CPU is not asked any more: a defect that tests must notice.
pub fn forget(_: &Licence, cpu: u32) {
    ONLINE.fetch_and(!(1 << cpu), Ordering::SeqCst);
}

/// The CPUs that run, as a bit mask by index.
#[inline]
pub fn online_mask() -> u64 {
    ONLINE.load(Ordering::SeqCst)
}

/// How often translations were shot down on several CPUs.
#[inline]
pub fn rounds() -> u64 {
    ROUNDS.load(Ordering::Relaxed)
}

/// Makes every CPU forget. `pages` are the changed pages' addresses where they are few and known.
pub fn flush_everywhere(pages: Option<&[u64]>) -> Flushed {
    let _interrupts = interrupts::Disabled::enter();
    let generation = translations::generation();
    let stale = match pages {
        Some(pages) if !pages.is_empty() && pages.len() <= FLUSH_PAGES_MAX => Stale::Pages(pages),
        _ => Stale::All,
    };
    forget_here(stale);
    let others = online_mask() & !(1 << index());
    if others != 0 {
        ROUNDS.fetch_add(1, Ordering::Relaxed);
        observe(true, pages);
        MAILBOXES.request(index() as usize, others, stale, send, || {
            answer();
            context::spins();
            core::hint::spin_loop();
        });
        observe(false, pages);
    }
    Flushed { generation }
}

fn forget_here(stale: Stale<'_>) {
    match stale {
        Stale::Pages(pages) => pages.iter().for_each(|page| super::flush_page(*page)),
        Stale::All => super::flush_translations(),
    }
}

fn send(cpu: usize) {
    let sender = SENDER.load(Ordering::Acquire);
    assert!(
        sender != 0,
        "a second CPU runs before the mailbox is set up"
    );
    // SAFETY: only `init` stores here, and it stores a `Sender`.
    let send: Sender = unsafe { core::mem::transmute(sender) };
    send(cpu as u32);
}

/// Answers what other CPUs ask of this one. Called by the interrupt and by everything that spins.
pub fn answer() {
    MAILBOXES.answer(index() as usize, forget_here);
}

/// With interrupts off: waits for one as a CPU that is not asked to forget. It comes back with interrupts off. Until the
/// interrupt's handler, or this function, has called [`wake`], nothing is touched whose translation may change.
pub fn sleep_until_interrupt() {
    MAILBOXES.sleep(index() as usize);
    interrupts::wait_for_one();
    wake();
}

/// The first thing that a trap does: a CPU that slept forgets what changed meanwhile.
pub fn wake() {
    MAILBOXES.wake(index() as usize, super::flush_translations);
}

/// The indices of the bits set in `mask`, lowest first.
#[inline]
pub fn bits(mut mask: u64) -> impl Iterator<Item = u32> {
    core::iter::from_fn(move || {
        let lowest = (mask != 0).then(|| mask.trailing_zeros())?;
        mask &= mask - 1;
        Some(lowest)
    })
}
