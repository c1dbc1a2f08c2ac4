//! The queue against a sorted set.

use lib_deadline_queue::{DeadlineQueue, QueueError};
use std::collections::{BTreeMap, BTreeSet};

/// The seed of this run: `KPIO_SEED` if set, else a new one. Printed, so that a failure replays.
fn seeded() -> fastrand::Rng {
    let seed = std::env::var("KPIO_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("replay with KPIO_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

#[derive(Default)]
struct Model {
    by_deadline: BTreeSet<(u64, u32)>,
    by_id: BTreeMap<u32, u64>,
}

impl Model {
    fn insert(&mut self, capacity: u32, id: u32, deadline_ns: u64) -> Result<(), QueueError> {
        if id >= capacity {
            return Err(QueueError::IdTooLarge { id, capacity });
        }
        if self.by_id.contains_key(&id) {
            return Err(QueueError::AlreadyQueued { id });
        }
        self.by_id.insert(id, deadline_ns);
        self.by_deadline.insert((deadline_ns, id));
        Ok(())
    }

    fn remove(&mut self, id: u32) -> Option<u64> {
        let deadline_ns = self.by_id.remove(&id)?;
        self.by_deadline.remove(&(deadline_ns, id));
        Some(deadline_ns)
    }

    fn pop_due(&mut self, now_ns: u64) -> Option<u32> {
        let &(deadline_ns, id) = self.by_deadline.first()?;
        (deadline_ns <= now_ns).then(|| self.remove(id).map(|_| id))?
    }
}

#[test]
fn follows_the_model() {
    let mut rng = seeded();
    for _ in 0..60 {
        let capacity = rng.u32(0..80);
        let deadlines_ns = if rng.bool() { 8 } else { u64::MAX };
        let mut queue = DeadlineQueue::new(capacity);
        let mut model = Model::default();
        for _ in 0..1500 {
            let id = rng.u32(0..capacity + 3);
            let time_ns = rng.u64(0..=deadlines_ns);
            match rng.u8(0..7) {
                0..=3 => assert_eq!(
                    queue.insert(id, time_ns),
                    model.insert(capacity, id, time_ns)
                ),
                4 => assert_eq!(queue.remove(id), model.remove(id)),
                5 => assert_eq!(queue.pop_due(time_ns), model.pop_due(time_ns)),
                _ => assert_eq!(queue.contains(id), model.by_id.contains_key(&id)),
            }
            assert_eq!(queue.len(), model.by_id.len());
            assert_eq!(queue.is_empty(), model.by_id.is_empty());
            assert_eq!(
                queue.next_deadline_ns(),
                model
                    .by_deadline
                    .first()
                    .map(|&(deadline_ns, _)| deadline_ns)
            );
        }
        while let Some(id) = queue.pop_due(u64::MAX) {
            assert_eq!(Some(id), model.pop_due(u64::MAX));
        }
        assert!(model.by_id.is_empty());
    }
}

#[test]
fn a_deadline_is_due_at_its_own_nanosecond() {
    let mut queue = DeadlineQueue::new(2);
    queue.insert(1, 100).unwrap();
    assert_eq!(queue.pop_due(99), None);
    assert_eq!(queue.pop_due(100), Some(1));
    assert_eq!(queue.pop_due(u64::MAX), None);
}

#[test]
fn equal_deadlines_go_by_id() {
    let mut queue = DeadlineQueue::new(5);
    for id in [3, 0, 4, 1, 2] {
        queue.insert(id, 7).unwrap();
    }
    let order: Vec<_> = std::iter::from_fn(|| queue.pop_due(7)).collect();
    assert_eq!(order, [0, 1, 2, 3, 4]);
}

#[test]
fn refuses_ids_past_the_capacity() {
    let mut queue = DeadlineQueue::new(2);
    for id in [2, u32::MAX] {
        assert_eq!(
            queue.insert(id, 0),
            Err(QueueError::IdTooLarge { id, capacity: 2 })
        );
        assert_eq!(queue.remove(id), None);
        assert!(!queue.contains(id));
    }
}
