//! The words of the protocols under every interleaving and every reordering that the memory model allows (loom).
//!
//! Each model has a planted defect, a step left out or weakened, that must be found.

#[macro_use]
mod words;

use std::panic::{AssertUnwindSafe, catch_unwind};

use lib_index_list::{LinkTable, List};
use lib_scheduler::attention::Attention;
use lib_scheduler::futex::{Bucket, Sleeper, Sleepers};
use lib_scheduler::parking::Parking;
use lib_scheduler::{Exclusive, Word};
use loom::sync::atomic::{AtomicU32, Ordering, fence};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// Words of loom; `FENCED` is false where the full fences are left out.
struct LoomWord<const FENCED: bool>(AtomicU32);

impl<const FENCED: bool> Word for LoomWord<FENCED> {
    word_of_atomic!();
    fn fence() {
        if FENCED {
            fence(Ordering::SeqCst);
        }
    }
}

struct LoomLock<T>(Mutex<T>);

impl<T: Send> Exclusive<T> for LoomLock<T> {
    fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }
    fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        body(&mut self.0.lock().unwrap())
    }
}

fn must_fail(body: impl Fn() + Sync + Send + 'static) {
    let found = catch_unwind(AssertUnwindSafe(|| loom::model(body)));
    assert!(found.is_err(), "the planted defect was not found");
}

/// A sleeper looks at a flag and announces; a waker sets the flag and wakes. Exactly one of two things happens: the
/// sleeper does not go to sleep, or the waker is told to make it runnable.
fn parking(waker_wakes: bool) {
    let parking = Arc::new(Parking::<LoomWord<true>>::new());
    let flag = Arc::new(AtomicU32::new(0));
    let waker = {
        let (parking, flag) = (Arc::clone(&parking), Arc::clone(&flag));
        thread::spawn(move || {
            flag.store(1, Ordering::Relaxed);
            waker_wakes && parking.wake()
        })
    };
    let sleeps = parking.announce();
    let saw_flag = flag.load(Ordering::Relaxed) == 1;
    let must_be_run = waker.join().unwrap();
    assert_eq!(sleeps, must_be_run, "a wake-up was lost or came twice");
    assert!(
        sleeps || saw_flag,
        "a token came without what it stands for"
    );
}

#[test]
fn a_wake_and_a_sleep_meet_once() {
    loom::model(|| parking(true));
}

#[test]
fn planted_forgotten_wake_is_found() {
    must_fail(|| {
        // The sleeper sleeps although the flag was set, and nobody is told.
        let slept_through = catch_unwind(AssertUnwindSafe(|| parking(false)));
        slept_through.unwrap();
    });
}

/// Two wakers, one sleeper: one of them at most makes it runnable, and a token is left only if it was awake.
#[test]
fn of_two_wakers_one_makes_it_runnable() {
    loom::model(|| {
        let parking = Arc::new(Parking::<LoomWord<true>>::new());
        let wakers: Vec<_> = (0..2)
            .map(|_| {
                let parking = Arc::clone(&parking);
                thread::spawn(move || parking.wake())
            })
            .collect();
        let sleeps = parking.announce();
        let told = wakers
            .into_iter()
            .map(|waker| u32::from(waker.join().unwrap()))
            .sum::<u32>();
        assert_eq!(told, u32::from(sleeps));
    });
}

/// A CPU runs out of work while another one makes some: who waits is seen, or the idle CPU is asked.
fn idling<const FENCED: bool>() {
    let attention = Arc::new(Attention::<LoomWord<FENCED>>::new());
    let waiting = Arc::new(LoomWord::<FENCED>::new(0));
    let idle = {
        let (attention, waiting) = (Arc::clone(&attention), Arc::clone(&waiting));
        thread::spawn(move || {
            attention.become_idle();
            attention.begin_look();
            let found = waiting.load(Ordering::Relaxed) == 1;
            // True: it halts, and only an interrupt brings it back.
            !found && attention.stop_polling()
        })
    };
    waiting.store(1, Ordering::Relaxed);
    LoomWord::<FENCED>::fence();
    let interrupts = attention.claim() && attention.ask();
    let halts = idle.join().unwrap();
    assert!(!halts || interrupts, "a CPU halts while a thread waits");
}

#[test]
fn no_cpu_halts_while_a_thread_waits() {
    loom::model(idling::<true>);
}

#[test]
fn planted_missing_fence_is_found_by_idling() {
    must_fail(idling::<false>);
}

struct Threads<const FENCED: bool> {
    sleepers: [Sleeper<LoomWord<FENCED>>; 2],
    links: LinkTable,
}

impl<const FENCED: bool> Sleepers for Threads<FENCED> {
    type Word = LoomWord<FENCED>;

    fn sleeper(&self, id: u32) -> &Sleeper<LoomWord<FENCED>> {
        &self.sleepers[id as usize]
    }
    fn links(&self) -> &LinkTable {
        &self.links
    }
}

type Line<const FENCED: bool> = Bucket<LoomWord<FENCED>, LoomLock<List>>;

/// A thread sleeps while a word is 0; another one changes the word and wakes. Either the sleeper sees the change, or
/// it is taken out of the line.
fn futex<const FENCED: bool>() {
    const ADDRESS: usize = 64;
    let threads = Arc::new(Threads::<FENCED> {
        sleepers: [Sleeper::new(), Sleeper::new()],
        links: LinkTable::new(2),
    });
    let line = Arc::new(Line::<FENCED>::new(0));
    let word = Arc::new(AtomicU32::new(0));
    let sleeper = {
        let (threads, line, word) = (Arc::clone(&threads), Arc::clone(&line), Arc::clone(&word));
        thread::spawn(move || {
            line.stand(&*threads, 0, ADDRESS, u32::MAX, || {
                word.load(Ordering::Relaxed) == 0
            })
        })
    };
    word.store(1, Ordering::Relaxed);
    let mut batch = [0; 1];
    let taken = line.take(&*threads, ADDRESS, u32::MAX, &mut batch);
    let stands = sleeper.join().unwrap();
    assert_eq!(stands, taken == 1, "a sleeper was not woken");
    assert_eq!(threads.sleeper(0).is_out(), !stands || taken == 1);
}

#[test]
fn a_change_of_the_word_is_seen_or_wakes() {
    loom::model(futex::<true>);
}

#[test]
fn planted_missing_fence_is_found_by_the_futex() {
    must_fail(futex::<false>);
}

/// A sleeper whose time is over and a waker: one of the two takes it out.
#[test]
fn a_timeout_and_a_wake_take_the_sleeper_out_once() {
    loom::model(|| {
        let threads = Arc::new(Threads::<true> {
            sleepers: [Sleeper::new(), Sleeper::new()],
            links: LinkTable::new(2),
        });
        let line = Arc::new(Line::<true>::new(0));
        assert!(line.stand(&*threads, 0, 64, 1, || true));
        let waker = {
            let (threads, line) = (Arc::clone(&threads), Arc::clone(&line));
            thread::spawn(move || line.take(&*threads, 64, 1, &mut [0]))
        };
        let timed_out = line.leave(&*threads, 0);
        let taken = waker.join().unwrap();
        assert_eq!(u32::from(timed_out) + taken as u32, 1);
        assert!(threads.sleeper(0).is_out());
    });
}
