//! The scheduler's own code under random schedules: CPUs are threads of shuttle, and every access to a shared word or
//! lock is a point where another one may go on.
//!
//! Law checked: no stack has two users at a time, no wake-up is lost (else all CPUs halt and shuttle reports a
//! deadlock), and everybody ends where its affinity allows. Each defect below breaks one rule of the protocol
//! and must be found.

mod seed;
#[macro_use]
mod words;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use lib_scheduler::fair::{Entities, Entity, FairQueue};
use lib_scheduler::scheduler::{self, Leaving, Local, Machine, WakeHint};
use lib_scheduler::{Cpu, CpuSet, Exclusive, Task, Word, only};
use shuttle::Runner;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use shuttle::sync::{Condvar, Mutex};

struct ModelWord(AtomicU32);

impl Word for ModelWord {
    word_of_atomic!();
    fn fence() {}
}

/// A word whose exchange is a read and a write: the defect of a parking that forgets its token.
struct TornWord(ModelWord);

impl Word for TornWord {
    fn new(value: u32) -> Self {
        Self(ModelWord::new(value))
    }
    fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }
    fn store(&self, value: u32, order: Ordering) {
        self.0.store(value, order);
    }
    fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.0.swap(value, order)
    }
    fn exchange(&self, old: u32, new: u32) -> bool {
        let matches = self.0.load(Ordering::SeqCst) == old;
        if matches {
            self.0.store(new, Ordering::SeqCst);
        }
        matches
    }
    fn set_bits(&self, bits: u32) -> u32 {
        self.0.set_bits(bits)
    }
    fn clear_bits(&self, bits: u32) -> u32 {
        self.0.clear_bits(bits)
    }
    fn add(&self, value: u32) {
        self.0.add(value);
    }
    fn subtract(&self, value: u32) {
        self.0.subtract(value);
    }
    fn fence() {}
}

struct ModelLock<T>(Mutex<T>);

impl<T: Send> Exclusive<T> for ModelLock<T> {
    fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }
    fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        body(&mut self.0.lock().unwrap())
    }
}

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    None,
    /// Threads that have not left their CPU are stolen, and woken elsewhere.
    StackIsIgnored,
    /// An idle CPU says so after it has looked for work.
    IdleAfterLook,
    /// An idle CPU halts although it was asked.
    HaltsWhenAsked,
    /// A CPU that was asked is not interrupted.
    NoInterrupt,
    /// A CPU does not send away who must not run on it.
    KeepsDisplaced,
}

/// What a thread does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Gives a thread one permit.
    Signal(u32),
    /// Waits for a permit.
    Await,
    /// Waits for a permit without giving up the CPU: whoever brings it needs another one.
    Spin,
    Yield,
    /// Changes where a thread may run.
    Pin(u32, CpuSet),
    /// The timer fires.
    Tick,
}

struct ModelThread<W> {
    task: Task<W>,
    on_cpu: AtomicBool,
    permits: AtomicU32,
    script: Vec<Step>,
    next_step: std::sync::atomic::AtomicUsize,
}

struct Model<W> {
    threads: Vec<ModelThread<W>>,
    cpus: Vec<Cpu<W, ModelLock<FairQueue>>>,
    pending: Vec<(Mutex<bool>, Condvar)>,
    unfinished: AtomicU32,
    time_ns: AtomicU64,
    defect: Defect,
}

impl<W: Word> Entities for Model<W> {
    fn entity(&self, id: u32) -> &Entity {
        &self.threads[id as usize].task.entity
    }
}

impl<W: Word> Machine for Model<W> {
    type Word = W;
    type Lock = ModelLock<FairQueue>;

    fn task(&self, id: u32) -> &Task<W> {
        &self.threads[id as usize].task
    }
    fn cpu(&self, cpu: u32) -> &Cpu<W, Self::Lock> {
        &self.cpus[cpu as usize]
    }
    fn online(&self) -> CpuSet {
        (1 << self.cpus.len()) - 1
    }
    fn is_on_cpu(&self, id: u32) -> bool {
        let is_on = self.threads[id as usize].on_cpu.load(Ordering::SeqCst);
        is_on && self.defect != Defect::StackIsIgnored
    }
    fn interrupt(&self, cpu: u32) {
        if self.defect != Defect::NoInterrupt {
            self.raise(cpu);
        }
    }
}

impl<W: Word> Model<W> {
    fn new(cpus: usize, scripts: Vec<Vec<Step>>, defect: Defect) -> Self {
        let idle = (0..cpus).map(|_| Vec::new());
        let unfinished = scripts.len() as u32;
        let thread = |script| ModelThread {
            task: Task::new(),
            on_cpu: AtomicBool::new(false),
            permits: AtomicU32::new(0),
            script,
            next_step: std::sync::atomic::AtomicUsize::new(0),
        };
        Self {
            threads: scripts.into_iter().chain(idle).map(thread).collect(),
            cpus: (0..cpus).map(|_| Cpu::new()).collect(),
            pending: (0..cpus).map(|_| Default::default()).collect(),
            unfinished: AtomicU32::new(unfinished),
            time_ns: AtomicU64::new(0),
            defect,
        }
    }

    fn now_ns(&self) -> u64 {
        self.time_ns
            .fetch_add(1000, std::sync::atomic::Ordering::Relaxed)
    }

    fn idle_thread(&self, cpu: u32) -> u32 {
        (self.threads.len() - self.cpus.len()) as u32 + cpu
    }

    fn raise(&self, cpu: u32) {
        let (pending, raised) = &self.pending[cpu as usize];
        *pending.lock().unwrap() = true;
        raised.notify_all();
    }

    fn take_interrupt(&self, cpu: u32) -> bool {
        std::mem::take(&mut *self.pending[cpu as usize].0.lock().unwrap())
    }

    fn halt(&self, cpu: u32) {
        let (pending, raised) = &self.pending[cpu as usize];
        let mut pending = pending.lock().unwrap();
        while !*pending {
            pending = raised.wait(pending).unwrap();
        }
        *pending = false;
    }

    /// Goes from one thread to another, as the kernel does.
    fn switch(&self, cpu: u32, from: u32, to: u32) {
        let new = &self.threads[to as usize];
        new.task.set_last_cpu(cpu);
        let was_on = new.on_cpu.swap(true, Ordering::SeqCst);
        assert!(!was_on, "thread {to} is on two CPUs");
        self.threads[from as usize]
            .on_cpu
            .store(false, Ordering::SeqCst);
    }

    /// The calling CPU's thread gives way for that reason; returns who runs then.
    fn reschedule(&self, cpu: u32, me: u32, leaving: Leaving) -> u32 {
        let choice = scheduler::choose(self, cpu, me, leaving, self.now_ns());
        if choice.has_displaced && self.defect != Defect::KeepsDisplaced {
            self.raise(cpu);
        }
        let next = choice.next.unwrap_or(self.idle_thread(cpu));
        if next != me {
            let thread = &self.threads[me as usize];
            thread.task.note_stint(0, leaving == Leaving::Stops);
            self.switch(cpu, me, next);
        }
        next
    }

    fn run_cpu(&self, cpu: u32) {
        let idle = self.idle_thread(cpu);
        self.threads[idle as usize]
            .on_cpu
            .store(true, Ordering::SeqCst);
        let mut me = idle;
        while me != idle || self.unfinished.load(Ordering::SeqCst) > 0 {
            me = if me == idle {
                self.idle_round(cpu, idle)
            } else {
                self.thread_round(cpu, me)
            };
        }
    }

    fn idle_round(&self, cpu: u32, idle: u32) -> u32 {
        let attention = &self.cpu(cpu).attention;
        if self.defect != Defect::IdleAfterLook {
            attention.become_idle();
        }
        let next = self.reschedule(cpu, idle, Leaving::Idle);
        if next != idle {
            attention.become_busy();
            return next;
        }
        if self.defect == Defect::IdleAfterLook {
            (0..8).for_each(|_| shuttle::thread::yield_now());
            attention.become_idle();
        }
        if self.defect != Defect::KeepsDisplaced {
            let local = scheduler::move_displaced(self, cpu, self.now_ns());
            if local.give_way {
                attention.ask();
            }
        }
        let may_halt = attention.stop_polling() || self.defect == Defect::HaltsWhenAsked;
        if may_halt && self.unfinished.load(Ordering::SeqCst) > 0 {
            self.halt(cpu);
        }
        idle
    }

    fn thread_round(&self, cpu: u32, me: u32) -> u32 {
        if self.take_interrupt(cpu) && scheduler::look(self, cpu, Some(me), self.now_ns()) {
            return self.reschedule(cpu, me, Leaving::Preempted);
        }
        let thread = &self.threads[me as usize];
        assert!(
            thread.on_cpu.load(Ordering::SeqCst),
            "thread {me} runs without being on a CPU"
        );
        let at = thread.next_step.load(std::sync::atomic::Ordering::Relaxed);
        let Some(step) = thread.script.get(at) else {
            return self.end(cpu, me);
        };
        // A step that waits is tried again when the thread goes on.
        match step {
            Step::Await if !self.take_permit(me) => {
                if thread.task.parking.announce() {
                    return self.reschedule(cpu, me, Leaving::Stops);
                }
                return me;
            }
            Step::Spin if !self.take_permit(me) => {
                shuttle::hint::spin_loop();
                return me;
            }
            _ => {}
        }
        thread
            .next_step
            .store(at + 1, std::sync::atomic::Ordering::Relaxed);
        self.take_step(cpu, me, *step)
    }

    fn take_permit(&self, me: u32) -> bool {
        let permits = &self.threads[me as usize].permits;
        let taken = permits.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| {
            count.checked_sub(1)
        });
        taken.is_ok()
    }

    fn take_step(&self, cpu: u32, me: u32, step: Step) -> u32 {
        match step {
            Step::Await | Step::Spin => me,
            Step::Yield => self.reschedule(cpu, me, Leaving::Yields),
            Step::Signal(other) => {
                let local = self.signal(cpu, me, other);
                if local.give_way {
                    return self.reschedule(cpu, me, Leaving::Preempted);
                }
                me
            }
            Step::Pin(other, cpus) => {
                self.entity(other).set_affinity(cpus);
                (0..self.cpus.len() as u32)
                    .filter(|cpu| cpus & only(*cpu) == 0)
                    .for_each(|cpu| self.raise(cpu));
                me
            }
            Step::Tick => {
                scheduler::offer(self, cpu, CpuSet::MAX);
                if scheduler::look(self, cpu, Some(me), self.now_ns()) {
                    return self.reschedule(cpu, me, Leaving::Preempted);
                }
                me
            }
        }
    }

    fn signal(&self, cpu: u32, me: u32, other: u32) -> Local {
        let thread = &self.threads[other as usize];
        thread.permits.fetch_add(1, Ordering::SeqCst);
        if !thread.task.parking.wake() {
            return Local::default();
        }
        let hint = WakeHint::None;
        scheduler::wake(self, cpu, Some(me), other, hint, self.now_ns())
    }

    fn end(&self, cpu: u32, me: u32) -> u32 {
        let was = self.unfinished.fetch_sub(1, Ordering::SeqCst);
        if was == 1 {
            (0..self.cpus.len() as u32).for_each(|cpu| self.raise(cpu));
        }
        self.reschedule(cpu, me, Leaving::Stops)
    }
}

/// Runs the scripts on so many CPUs under one schedule; `pins` says where the first threads may run, the others may
/// anywhere, and CPU 0 starts them all.
fn play<W: Word + 'static>(cpus: usize, pins: &[CpuSet], scripts: Vec<Vec<Step>>, defect: Defect) {
    let count = scripts.len() as u32;
    let model = Arc::new(Model::<W>::new(cpus, scripts, defect));
    for (id, cpus) in pins.iter().enumerate() {
        model.entity(id as u32).set_affinity(*cpus);
    }
    for id in 0..count {
        scheduler::wake(&*model, 0, None, id, WakeHint::None, model.now_ns());
    }
    let runners: Vec<_> = (0..cpus as u32)
        .map(|cpu| {
            let model = Arc::clone(&model);
            shuttle::thread::spawn(move || model.run_cpu(cpu))
        })
        .collect();
    runners
        .into_iter()
        .for_each(|runner| runner.join().unwrap());
}

/// Pairs that hand a permit back and forth, and somebody who disturbs them.
fn ping_pong(rounds: usize, disturbance: Vec<Step>) -> Vec<Vec<Step>> {
    let first = [Step::Signal(1), Step::Await].repeat(rounds);
    let second = [Step::Await, Step::Signal(0)].repeat(rounds);
    vec![first, second, disturbance]
}

fn pinning() -> Vec<Step> {
    vec![
        Step::Pin(0, 0b10),
        Step::Yield,
        Step::Pin(1, 0b01),
        Step::Tick,
        Step::Pin(2, 0b10),
        Step::Yield,
        Step::Pin(0, 0b01),
        Step::Pin(1, 0b11),
    ]
}

fn runs() -> usize {
    let runs = std::env::var("KPIO_MODEL_RUNS").ok();
    runs.and_then(|runs| runs.parse().ok()).unwrap_or(1000)
}

fn explore(body: impl Fn() + Send + Sync + 'static) {
    let seed = seed::seeded().u64(..);
    let body = Arc::new(body);
    let second = Arc::clone(&body);
    let random = RandomScheduler::new_from_seed(seed, runs());
    Runner::new(random, shuttle::Config::new()).run(move || body());
    let adverse = PctScheduler::new_from_seed(seed, 3, runs());
    Runner::new(adverse, shuttle::Config::new()).run(move || second());
}

fn must_fail(body: impl Fn() + Send + Sync + 'static) {
    let found = catch_unwind(AssertUnwindSafe(|| explore(body)));
    assert!(found.is_err(), "the planted defect was not found");
}

fn disturbed(defect: Defect) {
    play::<ModelWord>(2, &[], ping_pong(3, pinning()), defect);
}

fn plain(defect: Defect) {
    let idle = vec![Step::Yield; 2];
    play::<ModelWord>(2, &[], ping_pong(3, idle), defect);
}

/// Each of the pair has a CPU of its own, so every wake goes to the other one.
fn across(defect: Defect) {
    let idle = vec![Step::Yield; 2];
    play::<ModelWord>(2, &[0b01, 0b10], ping_pong(3, idle), defect);
}

/// A thread that holds its CPU until another one, woken by it, has run: an idle CPU has to take that one.
fn conserving(defect: Defect) {
    let scripts = vec![
        vec![Step::Await, Step::Signal(1)],
        vec![Step::Signal(0), Step::Spin],
        // Keeps the other CPU busy meanwhile, so that it looks for work at any moment.
        vec![Step::Yield; 2],
    ];
    play::<ModelWord>(2, &[0b11, 0b11, 0b10], scripts, defect);
}

#[test]
fn nothing_is_lost_between_two_cpus() {
    explore(|| plain(Defect::None));
}

#[test]
fn nothing_is_lost_across_cpus() {
    explore(|| across(Defect::None));
}

#[test]
fn no_cpu_idles_while_a_thread_waits() {
    explore(|| conserving(Defect::None));
}

#[test]
fn nothing_is_lost_when_threads_are_moved() {
    explore(|| disturbed(Defect::None));
}

#[test]
fn nothing_is_lost_among_three_cpus_and_five_threads() {
    explore(|| {
        let mut scripts = ping_pong(2, vec![Step::Tick, Step::Signal(3), Step::Yield]);
        scripts.push(vec![Step::Await, Step::Signal(4), Step::Yield]);
        scripts.push(vec![Step::Yield, Step::Await, Step::Tick]);
        play::<ModelWord>(3, &[], scripts, Defect::None);
    });
}

#[test]
fn planted_stealing_from_a_used_stack_is_found() {
    must_fail(|| plain(Defect::StackIsIgnored));
}

#[test]
fn planted_idling_after_the_look_is_found() {
    must_fail(|| conserving(Defect::IdleAfterLook));
}

#[test]
fn planted_halting_when_asked_is_found() {
    must_fail(|| across(Defect::HaltsWhenAsked));
}

#[test]
fn planted_missing_interrupt_is_found() {
    must_fail(|| across(Defect::NoInterrupt));
}

#[test]
fn planted_keeping_of_displaced_threads_is_found() {
    must_fail(|| disturbed(Defect::KeepsDisplaced));
}

#[test]
fn planted_torn_parking_is_found() {
    must_fail(|| {
        play::<TornWord>(2, &[], ping_pong(3, vec![Step::Yield; 2]), Defect::None);
    });
}
