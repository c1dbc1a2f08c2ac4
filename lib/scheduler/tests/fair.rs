//! One queue: against a naive model in exact arithmetic, and what the law promises.

mod seed;

use lib_scheduler::fair::{Entities, Entity, FairQueue, Joined};
use lib_scheduler::{Class, Priority, Share};

struct Table(Vec<Entity>);

impl Entities for Table {
    fn entity(&self, id: u32) -> &Entity {
        &self.0[id as usize]
    }
}

fn table(shares: &[Share]) -> Table {
    let entities = shares.iter().map(|share| {
        let entity = Entity::new();
        entity.set_share(*share);
        entity
    });
    Table(entities.collect())
}

fn share(class: Class, level: i8) -> Share {
    Share {
        class,
        priority: Priority::new(level),
    }
}

fn any_share(rng: &mut fastrand::Rng) -> Share {
    share(Class::ALL[rng.usize(0..3)], rng.i8(-10..=10))
}

/// A queue with a running thread, driven as a CPU would.
struct Run {
    table: Table,
    queue: FairQueue,
    now_ns: u64,
    ran_ns: Vec<u64>,
    started_ns: u64,
}

impl Run {
    fn new(shares: &[Share], now_ns: u64) -> Self {
        Self {
            table: table(shares),
            queue: FairQueue::new(),
            now_ns,
            ran_ns: vec![0; shares.len()],
            started_ns: now_ns,
        }
    }

    fn join(&mut self, id: u32) -> Joined {
        self.queue.join(&self.table, id, self.now_ns)
    }

    fn pass(&mut self, ns: u64) {
        self.now_ns += ns;
    }

    fn account(&mut self) {
        self.queue.charge(&self.table, self.now_ns);
        if let Some(id) = self.queue.current() {
            self.ran_ns[id as usize] += self.now_ns - self.started_ns;
        }
        self.started_ns = self.now_ns;
    }

    fn next(&mut self) {
        if let Some(id) = self.queue.pick(&self.table) {
            self.queue.start(id, self.now_ns);
        }
    }

    fn preempt(&mut self) {
        self.account();
        self.queue.put_back(&self.table);
        self.next();
    }

    fn stop(&mut self) -> Option<u32> {
        self.account();
        let id = self.queue.current();
        self.queue.stop(&self.table, self.now_ns);
        self.next();
        id
    }

    /// Runs to the end of the slice, or a while where nobody waits.
    fn slice(&mut self) {
        let end_ns = self.queue.slice_end_ns(&self.table);
        self.now_ns = end_ns.unwrap_or(self.now_ns + 1_000_000).max(self.now_ns);
        self.preempt();
    }
}

#[test]
fn time_is_shared_by_weight() {
    let mut rng = seed::seeded();
    for _ in 0..30 {
        let shares: Vec<Share> = (0..rng.usize(2..12)).map(|_| any_share(&mut rng)).collect();
        let mut run = Run::new(&shares, rng.u64(0..1 << 60));
        (0..shares.len() as u32).for_each(|id| {
            run.join(id);
        });
        run.next();
        let from_ns = run.now_ns;
        run.started_ns = from_ns;
        while run.now_ns - from_ns < 20_000_000_000 {
            run.slice();
        }
        let total = (run.now_ns - from_ns) as f64;
        let weights: f64 = shares.iter().map(weight).sum();
        // A lag is at most about one slice of the most patient, in the thread's own time.
        for (id, share) in shares.iter().enumerate() {
            let due = total * weight(share) / weights;
            let distance = (run.ran_ns[id] as f64 - due).abs();
            assert!(distance <= 40e6, "{id} of {shares:?}: {distance} ns off");
        }
    }
}

fn weight(share: &Share) -> f64 {
    f64::from(share.priority.weight())
}

#[test]
fn sleeping_and_waking_gains_nothing() {
    let mut rng = seed::seeded();
    let shares = [share(Class::Normal, 0), share(Class::Interactive, 0)];
    let mut run = Run::new(&shares, 0);
    run.join(0);
    run.join(1);
    run.next();
    // The interactive one stops just before its slice ends, each time, and comes back at once.
    while run.now_ns < 10_000_000_000 {
        if run.queue.current() == Some(1) {
            run.pass(rng.u64(1..900_000));
            run.stop();
            run.join(1);
        } else {
            run.slice();
        }
    }
    let (patient, sly) = (run.ran_ns[0] as f64, run.ran_ns[1] as f64);
    assert!(sly <= patient * 1.02 + 20e6, "{sly} against {patient}");
}

#[test]
fn nobody_starves_beside_the_heaviest() {
    let mut shares = vec![share(Class::Interactive, 10); 40];
    shares.push(share(Class::Batch, -10));
    let mut run = Run::new(&shares, 0);
    (0..shares.len() as u32).for_each(|id| {
        run.join(id);
    });
    run.next();
    while run.now_ns < 100_000_000_000 {
        run.slice();
    }
    let due = 100e9 * 110.0 / (40.0 * 9537.0 + 110.0);
    assert!(run.ran_ns[40] as f64 > due - 20e6, "{}", run.ran_ns[40]);
}

#[test]
fn only_a_shorter_class_takes_the_cpu() {
    for running in Class::ALL {
        for woken in Class::ALL {
            let mut run = Run::new(&[share(running, 0), share(woken, 0)], 0);
            run.join(0);
            run.next();
            run.pass(100_000);
            let joined = run.join(1);
            assert_eq!(joined == Joined::Preempts, woken > running);
            run.preempt();
            if woken > running {
                assert_eq!(run.queue.current(), Some(1));
            }
        }
    }
}

#[test]
fn a_lent_class_takes_the_cpu_until_it_is_taken_back() {
    for (is_lent, expected) in [(false, false), (true, true)] {
        let mut run = Run::new(&[share(Class::Normal, 0), share(Class::Batch, 5)], 0);
        let server = run.table.entity(1);
        server.lent().lend(Class::Interactive);
        assert_eq!(server.share(), share(Class::Interactive, 5));
        assert_eq!(server.own_share(), share(Class::Batch, 5));
        if !is_lent {
            server.lent().take_back(Class::Interactive);
        }
        run.join(0);
        run.next();
        run.pass(100_000);
        assert_eq!(run.join(1) == Joined::Preempts, expected);
    }
}

/// Whoever is lent to all the time is served sooner, and gets no more.
#[test]
fn lending_changes_nobodys_share() {
    let mut run = Run::new(&[share(Class::Normal, 0), share(Class::Batch, 0)], 0);
    run.table.entity(1).lent().lend(Class::Interactive);
    run.join(0);
    run.join(1);
    run.next();
    while run.now_ns < 10_000_000_000 {
        run.slice();
    }
    let [one, other] = [run.ran_ns[0], run.ran_ns[1]];
    assert!(one.abs_diff(other) < 10_000_000, "{one} {other}");
}

#[test]
fn lent_classes_are_a_multiset() {
    let mut rng = seed::seeded();
    let entity = Entity::new();
    let own = any_share(&mut rng);
    entity.set_share(own);
    let mut model = Vec::new();
    for _ in 0..20_000 {
        let class = Class::ALL[rng.usize(0..3)];
        if rng.bool() {
            entity.lent().lend(class);
            model.push(class);
        } else {
            entity.lent().take_back(class);
            if let Some(at) = model.iter().position(|lent| *lent == class) {
                model.swap_remove(at);
            }
        }
        let most_urgent = model.iter().copied().fold(own.class, Class::max);
        assert_eq!(entity.share(), share(most_urgent, own.priority.level()));
    }
    entity.reset();
    assert_eq!(entity.share(), Share::default());
}

#[test]
fn who_is_woken_before_it_has_left_goes_on() {
    let mut run = Run::new(&[Share::default(); 2], 0);
    run.join(0);
    run.join(1);
    run.next();
    let me = run.queue.current().unwrap();
    assert_eq!(run.join(me), Joined::Stays);
    run.stop();
    let others = run.queue.len();
    assert_eq!(others, 1, "both still want the CPU");
    run.stop();
    run.stop();
    assert_eq!((run.queue.len(), run.queue.current()), (0, None));
}

/// Virtual times as exact fractions, and every choice by looking at all.
struct Naive {
    /// Virtual time in units of 1/UNIT of a virtual nanosecond is not needed: times are the queue's own integers.
    times: Vec<Option<i128>>,
    deadlines: Vec<i128>,
    weights: Vec<i128>,
    was_eligible: Vec<bool>,
}

impl Naive {
    fn is_eligible(&self, id: usize) -> bool {
        let members = || (0..self.times.len()).filter_map(|i| Some((i, self.times[i]?)));
        let weights: i128 = members().map(|(i, _)| self.weights[i]).sum();
        let weighted: i128 = members().map(|(i, time)| self.weights[i] * time).sum();
        self.times[id].is_some_and(|time| time * weights <= weighted)
    }

    /// The deadline that must be picked: the earliest of those that are, or were seen to be, eligible.
    fn earliest_deadline(&mut self) -> Option<i128> {
        for id in 0..self.times.len() {
            self.was_eligible[id] |= self.is_eligible(id);
        }
        (0..self.times.len())
            .filter(|id| self.times[*id].is_some() && self.was_eligible[*id])
            .map(|id| self.deadlines[id])
            .min()
    }
}

#[test]
fn picks_what_the_naive_model_picks() {
    let mut rng = seed::seeded();
    for _ in 0..60 {
        let count = rng.usize(1..16);
        // All of weight UNIT, so that virtual time is real time and the model is exact.
        let shares: Vec<Share> = (0..count)
            .map(|_| share(Class::ALL[rng.usize(0..3)], 0))
            .collect();
        let origin = rng.u64(..1 << 62);
        let mut run = Run::new(&shares, origin);
        (0..count as u32).for_each(|id| {
            run.join(id);
        });
        let mut naive = Naive {
            times: vec![Some(0); count],
            deadlines: shares.iter().map(slice_of).collect(),
            weights: vec![1024; count],
            was_eligible: vec![true; count],
        };
        run.next();
        for _ in 0..300 {
            let ns = rng.u64(0..6_000_000);
            run.pass(ns);
            let id = run.queue.current().unwrap() as usize;
            let time = naive.times[id].unwrap() + i128::from(ns);
            naive.times[id] = Some(time);
            if time >= naive.deadlines[id] {
                naive.deadlines[id] = time + slice_of(&shares[id]);
            }
            naive.was_eligible[id] = false;
            let expected = naive.earliest_deadline().unwrap();
            run.preempt();
            let chosen = run.queue.current().unwrap() as usize;
            assert_eq!(naive.deadlines[chosen], expected);
        }
    }
}

fn slice_of(share: &Share) -> i128 {
    i128::from(share.slice_virtual_ns())
}

#[test]
fn sums_survive_joining_leaving_and_standing_still() {
    let mut rng = seed::seeded();
    for _ in 0..20 {
        let count = rng.u32(1..200);
        let shares: Vec<Share> = (0..count).map(|_| any_share(&mut rng)).collect();
        let mut run = Run::new(&shares, rng.u64(..1 << 61));
        let mut asleep: Vec<u32> = (0..count).collect();
        for _ in 0..3000 {
            match rng.u8(0..8) {
                0 | 1 if !asleep.is_empty() => {
                    let id = asleep.swap_remove(rng.usize(0..asleep.len()));
                    run.join(id);
                    if run.queue.current().is_none() {
                        run.next();
                    }
                }
                2 => asleep.extend(run.stop()),
                3 => {
                    // A virtual machine that stood still for an hour.
                    run.pass(rng.u64(0..3_600_000_000_000));
                    run.preempt();
                }
                4 => {
                    let id = rng.u32(0..count);
                    run.table.entity(id).set_share(any_share(&mut rng));
                }
                5 => {
                    run.account();
                    if let Some(id) = run.queue.take(&run.table, run.now_ns, |_| true) {
                        asleep.push(id);
                    }
                }
                _ => run.slice(),
            }
            let running = u32::from(run.queue.current().is_some());
            assert_eq!(run.queue.len() + running + asleep.len() as u32, count);
        }
        while let Some(id) = run.stop() {
            asleep.push(id);
        }
        assert_eq!(asleep.len() as u32, count, "everybody came out again");
    }
}
