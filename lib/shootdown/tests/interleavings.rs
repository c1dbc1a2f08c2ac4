//! No CPU uses a frame once it was freed, in the interleavings of two and three CPUs that loom tries.
//!
//! The model: one page, whose entry names a frame until a CPU clears it; translation buffers that keep what they
//! have read; a frame that is freed when the request has returned. A CPU that reads through its buffer checks that the frame
//! is not free. The planted bugs at the end show that the model finds them.

use lib_shootdown::{Mailbox, Mailboxes, Stale, Word};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::thread;

struct Watched(AtomicU64);

impl Word for Watched {
    fn zero() -> Self {
        Self(AtomicU64::new(0))
    }
    fn load(&self, ordering: Ordering) -> u64 {
        self.0.load(ordering)
    }
    fn store(&self, value: u64, ordering: Ordering) {
        self.0.store(value, ordering);
    }
    fn swap(&self, value: u64, ordering: Ordering) -> u64 {
        self.0.swap(value, ordering)
    }
    fn fetch_or(&self, bits: u64, ordering: Ordering) -> u64 {
        self.0.fetch_or(bits, ordering)
    }
    fn fetch_and(&self, bits: u64, ordering: Ordering) -> u64 {
        self.0.fetch_and(bits, ordering)
    }
    fn replace(&self, from: u64, to: u64) -> bool {
        self.0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
}

const PAGE: u64 = 0x1000;

/// A machine of two or three CPUs with one page each may read.
struct Machine {
    mailboxes: Mailboxes<Watched, 3>,
    /// One page per unmapper: true while it names a frame.
    mapped: [AtomicBool; 2],
    freed: [AtomicBool; 2],
    finished: [AtomicBool; 2],
}

impl Machine {
    fn new() -> Self {
        Self {
            mailboxes: Mailboxes(std::array::from_fn(|_| Mailbox::empty())),
            mapped: [AtomicBool::new(true), AtomicBool::new(true)],
            freed: [AtomicBool::new(false), AtomicBool::new(false)],
            finished: [AtomicBool::new(false), AtomicBool::new(false)],
        }
    }

    /// Clears page `page`'s entry, makes `others` forget it, and frees the frame.
    fn unmap(&self, cpu: &mut Cpu, page: usize, others: u64) {
        self.mapped[page].store(false, Ordering::Release);
        cpu.buffer[page] = None;
        let me = cpu.me;
        self.mailboxes.request(
            me,
            others,
            Stale::Pages(&[PAGE * (page as u64 + 1)]),
            |_| {},
            || {
                self.mailboxes.answer(me, |stale| cpu.forget(stale));
                thread::yield_now();
            },
        );
        self.freed[page].store(true, Ordering::Release);
        self.finished[page].store(true, Ordering::Release);
    }
}

/// A CPU and its translation buffer.
struct Cpu {
    me: usize,
    buffer: [Option<bool>; 2],
}

impl Cpu {
    fn new(me: usize) -> Self {
        Self {
            me,
            buffer: [None; 2],
        }
    }

    fn forget(&mut self, stale: Stale<'_>) {
        match stale {
            Stale::All => self.buffer = [None; 2],
            Stale::Pages(pages) => {
                for page in pages {
                    self.buffer[(page / PAGE) as usize - 1] = None;
                }
            }
        }
    }

    fn read(&mut self, machine: &Machine, page: usize) {
        let walk = || machine.mapped[page].load(Ordering::Acquire);
        let is_mapped = *self.buffer[page].get_or_insert_with(walk);
        if is_mapped {
            assert!(
                !machine.freed[page].load(Ordering::Acquire),
                "a freed frame is used"
            );
        }
    }

    fn answer(&mut self, machine: &Machine) {
        let me = self.me;
        machine.mailboxes.answer(me, |stale| self.forget(stale));
    }

    fn sleep_and_wake(&mut self, machine: &Machine) {
        machine.mailboxes.sleep(self.me);
        thread::yield_now();
        machine.mailboxes.wake(self.me, || self.forget(Stale::All));
        // The interrupt that was sent to a CPU which was seen awake.
        self.answer(machine);
    }

    fn serve_until(&mut self, machine: &Machine, page: usize) {
        while !machine.finished[page].load(Ordering::Acquire) {
            self.answer(machine);
            thread::yield_now();
        }
    }
}

fn check(preemptions_max: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions_max);
    // Whoever waits takes a branch each time it looks.
    model.max_branches = 20_000;
    model.check(run);
}

/// CPU 0 unmaps page 0 while CPU 1 does what `other` says, in every interleaving.
fn unmap_beside(preemptions_max: usize, other: fn(&Machine, &mut Cpu)) {
    check(preemptions_max, move || {
        let machine = Arc::new(Machine::new());
        let beside = {
            let machine = machine.clone();
            thread::spawn(move || other(&machine, &mut Cpu::new(1)))
        };
        machine.unmap(&mut Cpu::new(0), 0, 0b10);
        beside.join().unwrap();
    });
}

#[test]
fn a_cpu_that_answers_uses_no_freed_frame() {
    unmap_beside(3, |machine, cpu| {
        cpu.read(machine, 0);
        cpu.answer(machine);
        cpu.read(machine, 0);
        cpu.serve_until(machine, 0);
        cpu.read(machine, 0);
    });
}

#[test]
fn a_cpu_that_sleeps_is_not_awaited_and_forgets_when_it_wakes() {
    unmap_beside(4, |machine, cpu| {
        cpu.read(machine, 0);
        cpu.sleep_and_wake(machine);
        cpu.read(machine, 0);
        cpu.serve_until(machine, 0);
    });
}

#[test]
fn two_cpus_that_shoot_at_each_other_both_go_on() {
    check(3, || {
        let machine = Arc::new(Machine::new());
        let other = {
            let machine = machine.clone();
            thread::spawn(move || {
                let mut cpu = Cpu::new(1);
                cpu.read(&machine, 0);
                machine.unmap(&mut cpu, 1, 0b01);
                cpu.serve_until(&machine, 0);
                cpu.read(&machine, 0);
            })
        };
        let mut cpu = Cpu::new(0);
        cpu.read(&machine, 1);
        machine.unmap(&mut cpu, 0, 0b10);
        cpu.serve_until(&machine, 1);
        cpu.read(&machine, 1);
        other.join().unwrap();
    });
}

#[test]
fn two_notes_on_one_sleeper_are_both_heeded() {
    check(3, || {
        let machine = Arc::new(Machine::new());
        let mut sleeper = Cpu::new(2);
        sleeper.read(&machine, 0);
        sleeper.read(&machine, 1);
        machine.mailboxes.sleep(2);
        let second = {
            let machine = machine.clone();
            thread::spawn(move || machine.unmap(&mut Cpu::new(1), 1, 0b100))
        };
        machine.unmap(&mut Cpu::new(0), 0, 0b100);
        second.join().unwrap();
        machine.mailboxes.wake(2, || sleeper.forget(Stale::All));
        sleeper.read(&machine, 0);
        sleeper.read(&machine, 1);
    });
}

/// A request that sleepers are simply left out of: the model has to find it.
#[test]
#[should_panic(expected = "a freed frame is used")]
fn planted_a_sleeper_that_wakes_without_looking() {
    unmap_beside(3, |machine, cpu| {
        cpu.read(machine, 0);
        machine.mailboxes.sleep(1);
        machine.mailboxes.wake(1, || {});
        cpu.answer(machine);
        cpu.read(machine, 0);
        cpu.serve_until(machine, 0);
    });
}

/// An answer before the forgetting.
#[test]
#[should_panic(expected = "a freed frame is used")]
fn planted_an_answer_that_comes_too_early() {
    unmap_beside(3, |machine, cpu| {
        cpu.read(machine, 0);
        machine.mailboxes.answer(1, |_| {});
        cpu.read(machine, 0);
        cpu.serve_until(machine, 0);
    });
}
