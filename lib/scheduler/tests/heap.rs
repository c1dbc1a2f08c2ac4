//! The heap against a sorted list.

mod seed;

use lib_scheduler::heap::{Heap, Link, Order};

struct Table {
    links: Vec<Link>,
    keys: Vec<u32>,
}

impl Order for Table {
    fn link(&self, id: u32) -> &Link {
        &self.links[id as usize]
    }

    fn is_before(&self, a: u32, b: u32) -> bool {
        self.keys[a as usize] < self.keys[b as usize]
    }
}

#[test]
fn follows_a_sorted_list() {
    let mut rng = seed::seeded();
    for _ in 0..40 {
        let count = rng.u32(1..60);
        let mut table = Table {
            links: (0..count).map(|_| Link::new()).collect(),
            keys: (0..count).map(|_| rng.u32(0..40)).collect(),
        };
        let mut heap = Heap::new();
        let mut model: Vec<u32> = Vec::new();
        for _ in 0..800 {
            let id = rng.u32(0..count);
            if let Some(at) = model.iter().position(|&member| member == id) {
                heap.remove(&table, id);
                model.remove(at);
                table.keys[id as usize] = rng.u32(0..40);
            } else {
                heap.insert(&table, id);
                model.push(id);
            }
            check(&table, &heap, &model);
        }
    }
}

fn check(table: &Table, heap: &Heap, model: &[u32]) {
    let least = model.iter().map(|&id| table.keys[id as usize]).min();
    let first = heap.first().map(|id| table.keys[id as usize]);
    assert_eq!(first, least);
    let mut visited: Vec<u32> = heap.iter(table).collect();
    let mut expected = model.to_vec();
    visited.sort_unstable();
    expected.sort_unstable();
    assert_eq!(visited, expected);
}

#[test]
fn empties_in_order() {
    let mut rng = seed::seeded();
    let table = Table {
        links: (0..2048).map(|_| Link::new()).collect(),
        keys: (0..2048).map(|_| rng.u32(..)).collect(),
    };
    let mut heap = Heap::new();
    (0..2048).for_each(|id| heap.insert(&table, id));
    let mut before = 0;
    while let Some(id) = heap.first() {
        heap.remove(&table, id);
        assert!(table.keys[id as usize] >= before);
        before = table.keys[id as usize];
    }
}
