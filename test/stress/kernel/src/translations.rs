//! Translations that another CPU has cached are forgotten before a frame is anybody else's.
//!
//! Law: on each CPU one thread looks at the pages again and again, so that their translations are cached there, and no page
//! changes until every looker has looked at all of them as they are. So a CPU that is left out of shoot-downs shows
//! what it must not, however slow the machine is and whoever runs when.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;

use kernel_core::memory::{self, MapRequest, Protection};
use kernel_core::thread as kernel_thread;
use kernel_machine::cpu::mailbox;
use kernel_machine::memory::{PAGE_LEN, probe};

use crate::Storm;

const TURNS: u64 = 100;
const PAGES: usize = 8;
/// The turn while pages change.
const CHANGING: u64 = 0;

/// One CPU discards pages and stores into them anew; each CPU sees in a page zero, or what was stored there and no
/// older than it has seen, and while nothing changes what was stored last.
pub fn storm(storm: &Storm) -> Result<(), String> {
    let start = memory::map(MapRequest {
        len_bytes: PAGES * PAGE_LEN,
        protection: Protection::READ_WRITE,
        at: None,
        populate: true,
    })
    .map_err(|error| error.to_string())?;
    let scene = Scene {
        storm,
        start,
        turn: AtomicU64::new(CHANGING),
        bound: AtomicUsize::new(0),
        swept: (0..storm.cpus).map(|_| AtomicU64::new(0)).collect(),
        ends: AtomicBool::new(false),
    };
    let result = scene.play();
    let unmapped = memory::unmap(start, PAGES * PAGE_LEN);
    result.and(unmapped.map_err(|error| error.to_string()))
}

/// What the one who changes pages and those who look at them share.
struct Scene<'a> {
    storm: &'a Storm,
    start: usize,
    /// What all pages hold, or [`CHANGING`].
    turn: AtomicU64,
    /// Lookers that run on their CPUs.
    bound: AtomicUsize,
    /// By CPU, the last turn in which its looker saw every page.
    swept: Vec<AtomicU64>,
    ends: AtomicBool,
}

impl Scene<'_> {
    fn play(&self) -> Result<(), String> {
        thread::scope(|scope| {
            let lookers: Vec<_> = (0..self.storm.cpus)
                .map(|cpu| scope.spawn(move || self.look_until_the_end(cpu)))
                .collect();
            let changed = self.change();
            self.ends.store(true, Ordering::SeqCst);
            lookers
                .into_iter()
                .try_for_each(|looker| looker.join().unwrap_or_else(|_| Err("a panic".to_owned())))
                .and(changed)
        })
    }

    fn change(&self) -> Result<(), String> {
        self.wait(|| self.bound.load(Ordering::SeqCst) == self.storm.cpus);
        if self.storm.has_defect("skipped-shoot-down") {
            (1..self.storm.cpus as u32).for_each(|cpu| mailbox::forget(&self.storm.licence, cpu));
        }
        for turn in CHANGING + 1..=TURNS {
            self.turn.store(CHANGING, Ordering::SeqCst);
            memory::discard(self.start, PAGES * PAGE_LEN).map_err(|error| error.to_string())?;
            for page in 0..PAGES {
                probe::store(&self.storm.licence, self.address(page), word(turn, page));
            }
            self.turn.store(turn, Ordering::SeqCst);
            let all_saw = || {
                let swept = self.swept.iter();
                swept
                    .into_iter()
                    .all(|seen| seen.load(Ordering::SeqCst) == turn)
            };
            self.wait(all_saw);
        }
        Ok(())
    }

    /// Waits until it is so, or until somebody ended the scene.
    fn wait(&self, is_so: impl Fn() -> bool) {
        while !is_so() && !self.ends.load(Ordering::SeqCst) {
            thread::yield_now();
        }
    }

    fn look_until_the_end(&self, cpu: usize) -> Result<(), String> {
        let bound = kernel_thread::set_affinity(kernel_thread::current(), 1 << cpu);
        self.bound.fetch_add(1, Ordering::SeqCst);
        let looked = bound
            .map_err(|error| error.to_string())
            .and_then(|()| self.look(cpu));
        if looked.is_err() {
            self.ends.store(true, Ordering::SeqCst);
        }
        looked
    }

    fn look(&self, cpu: usize) -> Result<(), String> {
        let mut newest = [0; PAGES];
        while !self.ends.load(Ordering::SeqCst) {
            let before = self.turn.load(Ordering::SeqCst);
            let mut is_steady = before != CHANGING;
            for (page, newest) in newest.iter_mut().enumerate() {
                let found = probe::load(&self.storm.licence, self.address(page));
                is_steady &= self.turn.load(Ordering::SeqCst) == before;
                check(page, found, *newest, is_steady.then_some(before))?;
                *newest = found.max(*newest);
            }
            if is_steady {
                self.swept[cpu].store(before, Ordering::SeqCst);
            }
            thread::yield_now();
        }
        Ok(())
    }

    fn address(&self, page: usize) -> usize {
        self.start + page * PAGE_LEN
    }
}

/// What a page holds in a turn: different in each page and each turn, larger in later ones, never 0.
fn word(turn: u64, page: usize) -> u64 {
    turn * PAGES as u64 + page as u64
}

/// Whether what was found may be there: `newest` was seen before, and all pages held `turn` throughout, if that is known.
fn check(page: usize, found: u64, newest: u64, turn: Option<u64>) -> Result<(), String> {
    let is_of_the_page = found % PAGES as u64 == page as u64 && found <= word(TURNS, page);
    let is_right = match turn {
        Some(turn) => found == word(turn, page),
        None => found == 0 || is_of_the_page && found >= newest,
    };
    if is_right {
        return Ok(());
    }
    Err(format!(
        "a stale translation: page {page} shows {found} in turn {turn:?}, after {newest}"
    ))
}
