//! Whole machines in virtual time: the scheduler's own code for up to eight CPUs, with threads that compute and sleep.
//!
//! What is promised is measured: nobody runs where it must not, no CPU idles while a thread that it may run waits, a
//! person's thread runs at once, everybody gets its share, nobody starves.

mod seed;

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::AtomicU32;

use lib_scheduler::fair::{Entities, Entity, FairQueue};
use lib_scheduler::scheduler::{self, Leaving, Machine, WakeHint};
use lib_scheduler::{Class, Cpu, CpuSet, Exclusive, Priority, Share, Task, cpus_behind, only};

/// One thread runs the whole machine, so a lock only finds out whether it is taken twice.
struct OneAtATime<T>(std::sync::Mutex<T>);

impl<T: Send> Exclusive<T> for OneAtATime<T> {
    fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }
    fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        body(
            &mut self
                .0
                .try_lock()
                .expect("two locks are never held together"),
        )
    }
}

/// How long a message between CPUs takes.
const INTERRUPT_NS: u64 = 2_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Interrupt(u32),
    Wake(u32),
    Timer(u32),
    BurstEnd(u32),
}

/// What a thread does for ever: computes, then sleeps; one that does not sleep computes on.
#[derive(Clone, Copy, Debug)]
struct Habit {
    share: Share,
    affinity: CpuSet,
    burst_ns: u64,
    sleep_ns: u64,
}

#[derive(Default)]
struct Life {
    rest_ns: u64,
    ran_ns: u64,
    runnable_since_ns: Option<u64>,
    longest_wait_ns: u64,
}

struct Parts {
    tasks: Vec<Task<AtomicU32>>,
    cpus: Vec<Cpu<AtomicU32, OneAtATime<FairQueue>>>,
    sent: RefCell<Vec<u32>>,
}

impl Entities for Parts {
    fn entity(&self, id: u32) -> &Entity {
        &self.tasks[id as usize].entity
    }
}

impl Machine for Parts {
    type Word = AtomicU32;
    type Lock = OneAtATime<FairQueue>;

    fn task(&self, id: u32) -> &Task<AtomicU32> {
        &self.tasks[id as usize]
    }
    fn cpu(&self, cpu: u32) -> &Cpu<AtomicU32, Self::Lock> {
        &self.cpus[cpu as usize]
    }
    fn online(&self) -> CpuSet {
        (1 << self.cpus.len()) - 1
    }
    fn is_on_cpu(&self, _id: u32) -> bool {
        false
    }
    fn interrupt(&self, cpu: u32) {
        self.sent.borrow_mut().push(cpu);
    }
}

struct Simulation {
    parts: Parts,
    habits: Vec<Habit>,
    lives: Vec<Life>,
    running: Vec<Option<u32>>,
    since_ns: Vec<u64>,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    now_ns: u64,
    idle_beside_waiting_ns: u64,
    begin_ns: u64,
}

impl Simulation {
    fn new(cpus: usize, habits: Vec<Habit>) -> Self {
        let parts = Parts {
            tasks: (0..habits.len() + cpus).map(|_| Task::new()).collect(),
            cpus: (0..cpus).map(|_| Cpu::new()).collect(),
            sent: RefCell::default(),
        };
        let mut simulation = Self {
            lives: habits.iter().map(|_| Life::default()).collect(),
            running: vec![None; cpus],
            since_ns: vec![0; cpus],
            events: BinaryHeap::new(),
            now_ns: 1 << 40,
            idle_beside_waiting_ns: 0,
            begin_ns: 1 << 40,
            parts,
            habits,
        };
        simulation.begin();
        simulation
    }

    fn begin(&mut self) {
        for cpu in &self.parts.cpus {
            cpu.attention.become_idle();
            assert!(cpu.attention.stop_polling());
        }
        for (id, habit) in self.habits.clone().iter().enumerate() {
            self.parts.entity(id as u32).set_share(habit.share);
            self.parts.entity(id as u32).set_affinity(habit.affinity);
            self.after(id as u64 * 10_000, Event::Wake(id as u32));
        }
    }

    fn after(&mut self, ns: u64, event: Event) {
        self.events.push(Reverse((self.now_ns + ns, event)));
    }

    fn run_for(&mut self, ns: u64) {
        let end_ns = self.now_ns + ns;
        while let Some(Reverse((at_ns, event))) = self.events.pop() {
            if at_ns > end_ns {
                self.events.push(Reverse((at_ns, event)));
                break;
            }
            self.measure_idling(at_ns);
            self.now_ns = at_ns;
            self.happen(event);
            self.deliver();
        }
        self.now_ns = end_ns;
        (0..self.running.len()).for_each(|cpu| self.account(cpu));
    }

    fn deliver(&mut self) {
        let sent = std::mem::take(&mut *self.parts.sent.borrow_mut());
        for cpu in sent {
            self.after(INTERRUPT_NS, Event::Interrupt(cpu));
        }
    }

    /// Adds the time in which a CPU idled although somebody waited whom it may run.
    fn measure_idling(&mut self, until_ns: u64) {
        let idle =
            (0..self.running.len() as u32).filter(|cpu| self.running[*cpu as usize].is_none());
        let idle: CpuSet = idle.map(only).sum();
        let waits = |id: usize| {
            self.lives[id].runnable_since_ns.is_some() && self.habits[id].affinity & idle != 0
        };
        if (0..self.lives.len()).any(waits) {
            self.idle_beside_waiting_ns += until_ns - self.now_ns;
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake(id) => self.wake(id),
            Event::Interrupt(cpu) => self.look(cpu, false),
            Event::Timer(cpu) => self.look(cpu, true),
            Event::BurstEnd(cpu) => self.end_burst(cpu),
        }
    }

    fn wake(&mut self, id: u32) {
        let here = self.parts.task(id).last_cpu();
        let life = &mut self.lives[id as usize];
        life.rest_ns = self.habits[id as usize].burst_ns;
        life.runnable_since_ns = Some(self.now_ns);
        let local = scheduler::wake(&self.parts, here, None, id, WakeHint::None, self.now_ns);
        match (self.running[here as usize], local.give_way) {
            (None, true) => self.go_on(here),
            (Some(_), true) => self.switch(here, Leaving::Preempted),
            (Some(_), false) if local.contended_until_ns.is_some() => self.arm(here),
            _ => {}
        }
    }

    /// An idle CPU looks for work.
    fn go_on(&mut self, cpu: u32) {
        self.parts.cpu(cpu).attention.become_idle();
        self.switch(cpu, Leaving::Idle);
        if self.running[cpu as usize].is_none() {
            assert!(self.parts.cpu(cpu).attention.stop_polling());
        }
    }

    fn look(&mut self, cpu: u32, is_timer: bool) {
        let Some(me) = self.running[cpu as usize] else {
            return self.go_on(cpu);
        };
        if is_timer && self.parts.cpu(cpu).waiting() > 0 {
            scheduler::offer(&self.parts, cpu, CpuSet::MAX);
        }
        self.account(cpu as usize);
        if scheduler::look(&self.parts, cpu, Some(me), self.now_ns) {
            self.switch(cpu, Leaving::Preempted);
        } else {
            self.arm(cpu);
        }
    }

    fn end_burst(&mut self, cpu: u32) {
        self.account(cpu as usize);
        let Some(me) = self.running[cpu as usize] else {
            return;
        };
        if self.lives[me as usize].rest_ns > 0 {
            return;
        }
        let habit = self.habits[me as usize];
        if habit.sleep_ns == 0 {
            self.lives[me as usize].rest_ns = habit.burst_ns;
            return self.arm(cpu);
        }
        self.after(habit.sleep_ns, Event::Wake(me));
        self.switch(cpu, Leaving::Stops);
    }

    fn account(&mut self, cpu: usize) {
        if let Some(id) = self.running[cpu] {
            let ns = self.now_ns - self.since_ns[cpu];
            let life = &mut self.lives[id as usize];
            life.ran_ns += ns;
            life.rest_ns = life.rest_ns.saturating_sub(ns);
        }
        self.since_ns[cpu] = self.now_ns;
    }

    fn switch(&mut self, cpu: u32, leaving: Leaving) {
        self.account(cpu as usize);
        let before = self.running[cpu as usize];
        let idle = (self.habits.len() + cpu as usize) as u32;
        let me = before.unwrap_or(idle);
        let choice = scheduler::choose(&self.parts, cpu, me, leaving, self.now_ns);
        if let Some(id) = before
            && leaving == Leaving::Preempted
        {
            self.lives[id as usize].runnable_since_ns = Some(self.now_ns);
        }
        if let Some(next) = choice.next {
            self.start(cpu, next);
        }
        self.running[cpu as usize] = choice.next;
        match (leaving, choice.next) {
            (Leaving::Idle, Some(_)) => self.parts.cpu(cpu).attention.become_busy(),
            (Leaving::Stops, None) => return self.go_on(cpu),
            _ => {}
        }
        if choice.has_displaced {
            self.after(INTERRUPT_NS, Event::Interrupt(cpu));
        }
        self.arm(cpu);
    }

    fn start(&mut self, cpu: u32, id: u32) {
        assert!(self.habits[id as usize].affinity & only(cpu) != 0);
        assert!(
            !self.running.contains(&Some(id)) || self.running[cpu as usize] == Some(id),
            "thread {id} runs twice"
        );
        self.parts.task(id).set_last_cpu(cpu);
        let life = &mut self.lives[id as usize];
        if let Some(since_ns) = life.runnable_since_ns.take() {
            life.longest_wait_ns = life.longest_wait_ns.max(self.now_ns - since_ns);
        }
    }

    fn arm(&mut self, cpu: u32) {
        let Some(me) = self.running[cpu as usize] else {
            return;
        };
        let burst_ns = self.lives[me as usize].rest_ns;
        self.after(burst_ns, Event::BurstEnd(cpu));
        if let Some(end_ns) = scheduler::slice_end_ns(&self.parts, cpu) {
            let rest_ns = end_ns.saturating_sub(self.now_ns);
            self.after(rest_ns, Event::Timer(cpu));
        }
    }

    fn elapsed_ns(&self) -> u64 {
        self.now_ns - self.begin_ns
    }
}

fn habit(class: Class, burst_ns: u64, sleep_ns: u64) -> Habit {
    Habit {
        share: Share {
            class,
            priority: Priority::default(),
        },
        affinity: CpuSet::MAX,
        burst_ns,
        sleep_ns,
    }
}

fn hog(class: Class) -> Habit {
    habit(class, 50_000_000, 0)
}

#[test]
fn any_machine_keeps_the_rules() {
    let mut rng = seed::seeded();
    for _ in 0..3 {
        let cpus = rng.usize(1..=8);
        let online = (1u64 << cpus) - 1;
        let habits: Vec<Habit> = (0..rng.usize(1..24))
            .map(|_| Habit {
                share: Share {
                    class: Class::ALL[rng.usize(0..3)],
                    priority: Priority::new(rng.i8(-10..=10)),
                },
                affinity: match rng.u64(0..=online) {
                    pinned if pinned != 0 && rng.bool() => pinned,
                    _ => CpuSet::MAX,
                },
                burst_ns: rng.u64(50_000..20_000_000),
                sleep_ns: if rng.bool() {
                    0
                } else {
                    rng.u64(50_000..30_000_000)
                },
            })
            .collect();
        let mut simulation = Simulation::new(cpus, habits.clone());
        // The least and most patient waits for its deadline: its slice over its share, up to about 4 s where all share the CPUs, and
        // up to twice that where it is pinned beside many that weigh more.
        simulation.run_for(12_000_000_000);
        for (id, life) in simulation.lives.iter().enumerate() {
            assert!(
                life.ran_ns > 0,
                "{id} of {habits:?} never ran on {cpus} CPUs"
            );
        }
        // Messages are on their way for a moment; apart from that no CPU idles beside a waiting thread.
        let idle_share = simulation.idle_beside_waiting_ns as f64 / simulation.elapsed_ns() as f64;
        assert!(
            idle_share < 0.02,
            "{idle_share} idle beside waiting: {habits:?} on {cpus}"
        );
    }
}

#[test]
fn a_person_is_served_at_once_beside_hogs() {
    for cpus in [1, 2, 4] {
        for class in [Class::Normal, Class::Batch] {
            let mut habits = vec![hog(class); 3 * cpus];
            habits.push(habit(Class::Interactive, 300_000, 9_000_000));
            let mut simulation = Simulation::new(cpus, habits);
            simulation.run_for(2_000_000_000);
            let person = simulation.lives.last().unwrap();
            assert!(
                person.longest_wait_ns <= 2 * INTERRUPT_NS,
                "waited {} ns on {cpus} CPUs beside {class:?}",
                person.longest_wait_ns
            );
        }
    }
}

#[test]
fn whoever_calls_itself_interactive_and_computes_gets_its_share_only() {
    let habits = vec![
        hog(Class::Interactive),
        hog(Class::Normal),
        hog(Class::Batch),
    ];
    let mut simulation = Simulation::new(1, habits);
    simulation.run_for(6_000_000_000);
    for life in &simulation.lives {
        let due = simulation.elapsed_ns() / 3;
        assert!(
            life.ran_ns.abs_diff(due) < 40_000_000,
            "{} of {due}",
            life.ran_ns
        );
    }
}

#[test]
fn shares_follow_weights_on_a_pinned_cpu() {
    let mut rng = seed::seeded();
    for _ in 0..4 {
        let habits: Vec<Habit> = (0..6)
            .map(|_| Habit {
                share: Share {
                    class: Class::ALL[rng.usize(0..3)],
                    priority: Priority::new(rng.i8(-10..=10)),
                },
                affinity: 0b10,
                ..hog(Class::Normal)
            })
            .collect();
        let weight = |habit: &Habit| f64::from(habit.share.priority.weight());
        let weights: f64 = habits.iter().map(weight).sum();
        let mut simulation = Simulation::new(2, habits.clone());
        simulation.run_for(8_000_000_000);
        for (life, habit) in simulation.lives.iter().zip(&habits) {
            let due = simulation.elapsed_ns() as f64 * weight(habit) / weights;
            assert!(
                (life.ran_ns as f64 - due).abs() < 60e6,
                "{} of {due}",
                life.ran_ns
            );
        }
    }
}

#[test]
fn a_lone_thread_gets_no_ticks() {
    let mut simulation = Simulation::new(2, vec![hog(Class::Normal), hog(Class::Batch)]);
    simulation.run_for(1_000_000_000);
    let timers = simulation
        .events
        .iter()
        .filter(|Reverse((_, event))| matches!(event, Event::Timer(_)));
    assert_eq!(timers.count(), 0);
    assert_eq!(cpus_behind(0, 0b11).count(), 2);
}
