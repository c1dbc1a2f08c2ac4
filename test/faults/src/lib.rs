//! Faults that are injected into services that talk to each other.
//!
//! Law: a run is a row of faults that follows from a seed: the pairs of [`table`], each as often as its weight, in an order of their
//! own again and again. After each fault every client that it was not meant for is served, each call that was acknowledged is in the
//! journal once, and no call is there twice. After each batch everything has ended, and nothing that was paid for is left; whoever
//! runs this looks for what it knows of beyond that. In which order threads do what a fault sets off is not determined.
//!
//! It runs wherever a supervisor does: in the kernel (`test/faults/kernel`), and on the host as a test.

mod caller;
mod defect;
mod faults;
mod journal;
mod machine;
mod patience;
mod random;
mod relay;
pub mod table;
mod tally;
mod wire;
mod world;

pub use defect::Defect;
pub use machine::Machine;
pub use tally::{Count, Tally};
pub use world::World;

use random::Random;
use table::{Kind, Pair};

/// Faults in one batch, for which everything is started anew.
const BATCH: usize = 100;
/// How often starting and stopping comes for each time that others do: it is quick, and there should be many.
const START_STOP_WEIGHT: usize = 3;

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// So many faults, after those that are left out.
    pub faults: usize,
    /// Which.
    pub seed: u64,
    /// So many are left out at the beginning.
    pub skip: usize,
    /// What is spoiled.
    pub defect: Option<Defect>,
}

impl Order {
    /// How often each pair comes at least.
    pub fn minimum(&self) -> usize {
        self.faults / deck().len()
    }
}

/// Injects the faults and counts them. Once before the faults that count, in which caches fill, and after each batch of them,
/// `settled` is asked whether all is as it has to be.
pub fn run(
    machine: &Machine,
    order: &Order,
    tally: &mut Tally,
    settled: &mut dyn FnMut() -> Result<(), String>,
) -> Result<(), String> {
    if order.defect == Some(Defect::LostAnswer) {
        patience::lose();
    }
    // Who looks for a planted defect need not wait for that, and compares nothing with it.
    let has_defect = order.defect.is_some();
    if !has_defect {
        batch(machine, order, 0..deck().len(), &mut Tally::default())
            .and_then(|()| settled())
            .map_err(|why| format!("while caches fill: {why}"))?;
    }
    let end = order.skip + order.faults;
    let mut next = order.skip;
    while next < end {
        let numbers = next..(next + BATCH).min(end);
        next = numbers.end;
        batch(machine, order, numbers, tally)?;
        if !has_defect {
            settled().map_err(|why| format!("before fault {next}: not given back: {why}"))?;
        }
    }
    Ok(())
}

/// The faults of these numbers.
fn batch(
    machine: &Machine,
    order: &Order,
    numbers: std::ops::Range<usize>,
    tally: &mut Tally,
) -> Result<(), String> {
    let mut world = World::start(machine, order.defect)?;
    for number in numbers.clone() {
        let pair = chosen(order.seed, number);
        inject(&mut world, order, number, &pair, tally)
            .map_err(|why| format!("fault {number}, {pair}: {why}"))?;
        world.journal.turn_page();
    }
    tally.services += world.services;
    spoil(&mut world)?;
    world
        .end()
        .map_err(|why| format!("after the faults {numbers:?}: {why}"))
}

fn inject(
    world: &mut World,
    order: &Order,
    number: usize,
    pair: &Pair,
    tally: &mut Tally,
) -> Result<(), String> {
    if order.defect == Some(Defect::SkippedKind) && pair.kind == Kind::Trap {
        return Ok(());
    }
    world.random = Random::new(order.seed, number as u64);
    (pair.inject)(world)?;
    tally.injected(pair);
    world.recover()?;
    tally.recovered(pair);
    Ok(())
}

/// Leaves something behind, if that is the planted defect.
fn spoil(world: &mut World) -> Result<(), String> {
    if matches!(world.defect, Some(Defect::LeakEnd | Defect::LeakProcess)) {
        patience::lose();
    }
    match world.defect {
        Some(Defect::LeakEnd) => std::mem::forget(world.host_client(&world.work)?),
        Some(Defect::LeakProcess) => std::mem::forget(world.victim()?),
        _ => {}
    }
    Ok(())
}

/// All pairs, as often as they come in one round.
fn deck() -> Vec<Pair> {
    let weight = |pair: &Pair| match pair.kind {
        Kind::StartStop => START_STOP_WEIGHT,
        _ => 1,
    };
    let pairs = table::pairs().into_iter();
    pairs
        .flat_map(|pair| std::iter::repeat_n(pair, weight(&pair)))
        .collect()
}

/// The fault of this number.
fn chosen(seed: u64, number: usize) -> Pair {
    let mut deck = deck();
    let round = number / deck.len();
    Random::new(seed, u64::MAX - round as u64).shuffle(&mut deck);
    deck[number % deck.len()]
}
