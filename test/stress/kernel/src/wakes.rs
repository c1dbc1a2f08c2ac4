//! Wake-ups of every kind: a token that goes around, barriers, condition variables with timeouts that race, parking.
//!
//! Law: every wait has exactly one who ends it. A wake-up that is lost stands still, and [`Progress`] says so.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Barrier, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use crate::Storm;
use crate::random::Random;
use crate::watch::Progress;

const THREADS_PER_CPU: usize = 3;
const TURNS: u64 = 1_000;
/// One of so many wake-ups is kept back where that is the planted defect.
const DROPPED_EVERY: u64 = 101;

/// One round of each kind.
pub fn storm(storm: &Storm) -> Result<(), String> {
    let count = (storm.cpus * THREADS_PER_CPU).max(4);
    let progress = Progress::new(count);
    progress.guard(|| {
        token_by_condvar(storm, count, &progress);
        token_by_park(count, &progress);
        barriers(count, &progress);
        channels(count, &progress);
        timeouts(storm, count, &progress);
    });
    Ok(())
}

/// A token goes around, each thread waiting on a condition variable of its own.
fn token_by_condvar(storm: &Storm, count: usize, progress: &Progress) {
    let places: Vec<(Mutex<u64>, Condvar)> = (0..count).map(|_| Default::default()).collect();
    let drops = storm.has_defect("lost-wake");
    thread::scope(|scope| {
        for number in 0..count {
            let places = &places;
            scope.spawn(move || {
                let (own, next) = (&places[number], &places[(number + 1) % count]);
                for turn in 1..=TURNS / count as u64 {
                    progress.waits(number, "the token at its condition variable");
                    if !(number == 0 && turn == 1) {
                        let mut token = own.0.lock().unwrap_or_else(|poison| poison.into_inner());
                        while *token == 0 {
                            token = own
                                .1
                                .wait(token)
                                .unwrap_or_else(|poison| poison.into_inner());
                        }
                        *token -= 1;
                    }
                    progress.step();
                    *next.0.lock().unwrap_or_else(|poison| poison.into_inner()) += 1;
                    if !(drops
                        && (turn * count as u64 + number as u64).is_multiple_of(DROPPED_EVERY))
                    {
                        next.1.notify_one();
                    }
                }
                progress.waits(number, "nothing");
            });
        }
    });
}

/// The same by parking: every thread parks until the turn is its own.
fn token_by_park(count: usize, progress: &Progress) {
    let turn = AtomicUsize::new(0);
    let threads = Mutex::new(vec![None; count]);
    let all_known = Barrier::new(count);
    thread::scope(|scope| {
        for number in 0..count {
            let (turn, threads, all_known) = (&turn, &threads, &all_known);
            scope.spawn(move || {
                let lock = || threads.lock().unwrap_or_else(|poison| poison.into_inner());
                lock()[number] = Some(thread::current());
                all_known.wait();
                let next = lock()[(number + 1) % count].clone();
                for round in 0..TURNS as usize / count {
                    progress.waits(number, "its turn, parked");
                    while turn.load(Ordering::SeqCst) != round * count + number {
                        thread::park();
                    }
                    progress.step();
                    turn.fetch_add(1, Ordering::SeqCst);
                    if let Some(next) = &next {
                        next.unpark();
                    }
                }
                progress.waits(number, "nothing");
            });
        }
    });
}

fn barriers(count: usize, progress: &Progress) {
    let barrier = Barrier::new(count);
    thread::scope(|scope| {
        for number in 0..count {
            let barrier = &barrier;
            scope.spawn(move || {
                for _ in 0..TURNS / 10 {
                    progress.waits(number, "the others at the barrier");
                    barrier.wait();
                    progress.step();
                }
                progress.waits(number, "nothing");
            });
        }
    });
}

/// Pairs that fill and empty a channel of few places.
fn channels(count: usize, progress: &Progress) {
    thread::scope(|scope| {
        for pair in 0..count / 2 {
            let (sender, receiver): (SyncSender<u64>, Receiver<u64>) = sync_channel(2);
            scope.spawn(move || {
                for number in 0..TURNS {
                    progress.waits(2 * pair, "room in its channel");
                    if sender.send(number).is_err() {
                        return;
                    }
                }
                progress.waits(2 * pair, "nothing");
            });
            scope.spawn(move || {
                for _ in 0..TURNS {
                    progress.waits(2 * pair + 1, "something in its channel");
                    if receiver.recv().is_err() {
                        return;
                    }
                    progress.step();
                }
                progress.waits(2 * pair + 1, "nothing");
            });
        }
    });
}

/// Timeouts as short as the time that a wake-up takes, so that each wins again and again; what is waited for comes
/// exactly as often as it was sent.
fn timeouts(storm: &Storm, count: usize, progress: &Progress) {
    let (sent, taken) = (AtomicU64::new(0), AtomicU64::new(0));
    let (mutex, condvar) = (Mutex::new(0_u64), Condvar::new());
    thread::scope(|scope| {
        for number in 0..count {
            let (sent, taken, mutex, condvar) = (&sent, &taken, &mutex, &condvar);
            let mut random = storm.random(2000 + number as u64);
            scope.spawn(move || {
                if number % 2 == 0 {
                    for _ in 0..TURNS / 4 {
                        *mutex.lock().unwrap_or_else(|poison| poison.into_inner()) += 1;
                        sent.fetch_add(1, Ordering::SeqCst);
                        condvar.notify_one();
                        spin(&mut random);
                    }
                    return;
                }
                let own = TURNS / 4
                    + if number == 1 && count % 2 == 1 {
                        TURNS / 4
                    } else {
                        0
                    };
                for _ in 0..own {
                    progress.waits(number, "something sent, with a timeout");
                    let mut there = mutex.lock().unwrap_or_else(|poison| poison.into_inner());
                    while *there == 0 {
                        let patience = Duration::from_micros(1 + random.below(200) as u64);
                        there = condvar
                            .wait_timeout(there, patience)
                            .unwrap_or_else(|poison| poison.into_inner())
                            .0;
                    }
                    *there -= 1;
                    taken.fetch_add(1, Ordering::SeqCst);
                    progress.step();
                }
                progress.waits(number, "nothing");
            });
        }
    });
    assert_eq!(
        sent.into_inner(),
        taken.into_inner(),
        "what was sent was taken"
    );
}

fn spin(random: &mut Random) {
    for _ in 0..random.below(2_000) {
        std::hint::spin_loop();
    }
}
