//! Threads that must get on: who stands still is named.
//!
//! Law: a storm's threads say what they wait for before they do, and count when they have it. The guard looks at the
//! counts; where none changes for a very long time, a wake-up was lost, and the guard says who waits for what. It
//! asserts nothing about speed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use kernel_core::fault;

/// Looks without any progress until the storm counts as standing still, and the pause between two.
const LOOKS_MAX: u32 = 100;
const PAUSE: Duration = Duration::from_millis(200);

/// What the threads of one storm are at.
pub struct Progress {
    count: AtomicU64,
    waits: Vec<Mutex<&'static str>>,
    ended: AtomicBool,
}

impl Progress {
    /// For so many threads.
    pub fn new(threads: usize) -> Self {
        Self {
            count: AtomicU64::new(0),
            waits: (0..threads).map(|_| Mutex::new("nothing")).collect(),
            ended: AtomicBool::new(false),
        }
    }

    /// The thread of this number is about to wait.
    pub fn waits(&self, number: usize, what: &'static str) {
        if let Ok(mut wait) = self.waits[number].lock() {
            *wait = what;
        }
    }

    /// Something went on.
    pub fn step(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs `storm` under guard. Where it stands still the machine stops with a sentence, since threads that wait in
    /// vain cannot be ended.
    pub fn guard<R>(&self, storm: impl FnOnce() -> R) -> R {
        thread::scope(|scope| {
            scope.spawn(|| self.watch());
            let result = storm();
            self.ended.store(true, Ordering::SeqCst);
            result
        })
    }

    fn watch(&self) {
        let (mut seen, mut looks) = (u64::MAX, 0);
        while !self.ended.load(Ordering::SeqCst) {
            thread::sleep(PAUSE);
            let count = self.count.load(Ordering::Relaxed);
            looks = if count == seen { looks + 1 } else { 0 };
            seen = count;
            if looks >= LOOKS_MAX {
                fault::stop(&format!("a wake-up was lost: {}", self.waiters()));
            }
        }
    }

    fn waiters(&self) -> String {
        let mut text = String::new();
        for (number, wait) in self.waits.iter().enumerate() {
            let what = wait.try_lock().map_or("?", |wait| *wait);
            text += &format!("{number} waits for {what}; ");
        }
        text
    }
}
