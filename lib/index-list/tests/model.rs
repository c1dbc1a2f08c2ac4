//! Several lists over one table against one `VecDeque` each.

use lib_index_list::{LinkTable, List, ListError, NO_LIST};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// The seed of this run: `KPIO_SEED` if set, else a new one. Printed, so that a failure replays.
fn seeded() -> fastrand::Rng {
    let seed = std::env::var("KPIO_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("replay with KPIO_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// One queue per list; the index is the list's tag.
struct Model {
    capacity: u32,
    queues: Vec<VecDeque<u32>>,
}

impl Model {
    fn may_push(&self, id: u32) -> Result<(), ListError> {
        if id >= self.capacity {
            return Err(ListError::IdTooLarge {
                id,
                capacity: self.capacity,
            });
        }
        match self.queues.iter().position(|queue| queue.contains(&id)) {
            Some(owner) => Err(ListError::AlreadyLinked {
                id,
                owner: owner as u32,
            }),
            None => Ok(()),
        }
    }

    fn remove(&mut self, tag: usize, id: u32) -> bool {
        let place = self.queues[tag].iter().position(|&queued| queued == id);
        place.is_some_and(|place| self.queues[tag].remove(place).is_some())
    }
}

#[test]
fn follows_the_model() {
    let mut rng = seeded();
    for _ in 0..30 {
        let capacity = rng.u32(0..30);
        let table = LinkTable::new(capacity);
        let mut lists: Vec<_> = (0..4).map(List::new).collect();
        let mut model = Model {
            capacity,
            queues: vec![VecDeque::new(); lists.len()],
        };
        for _ in 0..1000 {
            let tag = rng.usize(0..lists.len());
            let id = rng.u32(0..capacity + 2);
            step(&mut rng, &table, &mut lists[tag], &mut model, id, tag);
            check(&table, &lists, &model);
        }
    }
}

fn step(
    rng: &mut fastrand::Rng,
    table: &LinkTable,
    list: &mut List,
    model: &mut Model,
    id: u32,
    tag: usize,
) {
    let may_push = model.may_push(id);
    match rng.u8(0..6) {
        0 | 1 => {
            assert_eq!(list.push_back(table, id), may_push);
            if may_push.is_ok() {
                model.queues[tag].push_back(id);
            }
        }
        2 => {
            assert_eq!(list.push_front(table, id), may_push);
            if may_push.is_ok() {
                model.queues[tag].push_front(id);
            }
        }
        3 => assert_eq!(list.pop_front(table), model.queues[tag].pop_front()),
        _ => assert_eq!(list.remove(table, id), model.remove(tag, id)),
    }
}

fn check(table: &LinkTable, lists: &[List], model: &Model) {
    for (list, queue) in lists.iter().zip(&model.queues) {
        assert!(list.iter(table).eq(queue.iter().copied()));
        assert_eq!(list.len(), queue.len());
        assert_eq!(list.is_empty(), queue.is_empty());
    }
    for id in 0..model.capacity + 1 {
        let owner = model.queues.iter().position(|queue| queue.contains(&id));
        assert_eq!(table.owner(id), owner.map(|tag| tag as u32));
        assert!(
            lists
                .iter()
                .enumerate()
                .all(|(tag, list)| { list.contains(table, id) == (owner == Some(tag)) })
        );
    }
}

/// Threads move ids between lists under the lists' own locks: none is lost and none is doubled.
#[test]
fn ids_move_between_locked_lists() {
    const LISTS: u32 = 3;
    const IDS: u32 = 16;
    let rounds = 20_000;
    let table = LinkTable::new(IDS);
    let lists: Vec<_> = (0..LISTS).map(|tag| Mutex::new(List::new(tag))).collect();
    for id in 0..IDS {
        lists[0].lock().unwrap().push_back(&table, id).unwrap();
    }
    let moves = AtomicU32::new(0);
    let mut rng = seeded();
    std::thread::scope(|scope| {
        for mut rng in [rng.fork(), rng.fork(), rng.fork()] {
            let (table, lists, moves) = (&table, &lists, &moves);
            scope.spawn(move || {
                for _ in 0..rounds {
                    let from = rng.usize(0..lists.len());
                    let Some(id) = lists[from].lock().unwrap().pop_front(table) else {
                        continue;
                    };
                    let to = rng.usize(0..lists.len());
                    lists[to].lock().unwrap().push_back(table, id).unwrap();
                    moves.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(moves.into_inner() > 0);
    let mut ids: Vec<_> = lists
        .iter()
        .flat_map(|list| list.lock().unwrap().iter(&table).collect::<Vec<_>>())
        .collect();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..IDS));
}

/// Several lists want the same id at once: exactly one gets it.
#[test]
fn one_list_wins_a_race() {
    let table = LinkTable::new(1);
    for _ in 0..500 {
        let won: usize = std::thread::scope(|scope| {
            let push = |tag| {
                let mut list = List::new(tag);
                let pushed = list.push_back(&table, 0).is_ok();
                (list, pushed)
            };
            let racers: Vec<_> = (0..3).map(|tag| scope.spawn(move || push(tag))).collect();
            let finished: Vec<_> = racers
                .into_iter()
                .map(|racer| racer.join().unwrap())
                .collect();
            finished
                .into_iter()
                .filter(|(_, pushed)| *pushed)
                .map(|(mut list, _)| usize::from(list.remove(&table, 0)))
                .sum()
        });
        assert_eq!(won, 1);
        assert_eq!(table.owner(0), None);
    }
}

#[test]
fn the_reserved_tag_holds_nothing() {
    let table = LinkTable::new(4);
    let mut list = List::new(NO_LIST);
    assert_eq!(list.push_back(&table, 1), Err(ListError::ReservedTag));
    assert_eq!(list.push_front(&table, 1), Err(ListError::ReservedTag));
    assert!(!list.remove(&table, 1) && !list.contains(&table, 1));
    assert_eq!(list.pop_front(&table), None);
}

/// A list used with the wrong table: wrong answers at worst, but no panic and no endless walk.
#[test]
fn the_wrong_table_is_survived() {
    let (right, wrong) = (LinkTable::new(8), LinkTable::new(2));
    let mut list = List::new(1);
    for id in [7, 0, 5] {
        list.push_back(&right, id).unwrap();
    }
    assert!(list.iter(&wrong).count() <= list.len());
    assert_eq!(list.pop_front(&wrong), None);
    assert!(!list.remove(&wrong, 7));
    list.push_back(&wrong, 1).unwrap();
    assert!(list.remove(&wrong, 1));
    assert!(list.iter(&right).count() <= 3);
}
