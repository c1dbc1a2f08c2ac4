//! Whoever closes a cycle last reports it, in every interleaving of two, and in those of three with few preemptions.

use lib_lock_graph::{CLASSES_MAX, LockGraph, Row};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering, fence};
use loom::thread;

/// A row that loom watches; most rows of a test are never touched and need not be watched.
enum Watched {
    Atomic(AtomicU64),
    Empty,
}

impl Row for Watched {
    fn load(&self) -> u64 {
        match self {
            Self::Atomic(row) => row.load(Ordering::Acquire),
            Self::Empty => 0,
        }
    }

    fn insert(&self, bits: u64) {
        match self {
            Self::Atomic(row) => {
                row.fetch_or(bits, Ordering::AcqRel);
                fence(Ordering::SeqCst);
            }
            Self::Empty => panic!("this class takes no part"),
        }
    }
}

fn graph(classes: usize) -> Arc<LockGraph<Watched>> {
    Arc::new(LockGraph::from_rows(
        std::array::from_fn::<_, CLASSES_MAX, _>(|class| {
            if class < classes {
                Watched::Atomic(AtomicU64::new(0))
            } else {
                Watched::Empty
            }
        }),
    ))
}

/// Each edge of the cycle is noted by a thread of its own. `preemptions_max` bounds what is tried, where all would
/// take minutes.
fn closes(classes: usize, preemptions_max: Option<usize>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions_max;
    model.check(move || {
        let graph = graph(classes);
        let notes: Vec<_> = (0..classes)
            .map(|outer| {
                let graph = graph.clone();
                thread::spawn(move || graph.note(outer, (outer + 1) % classes).is_err())
            })
            .collect();
        let reports: Vec<bool> = notes.into_iter().map(|note| note.join().unwrap()).collect();
        assert!(reports.contains(&true), "nobody has seen the cycle");
    });
}

#[test]
fn two_orders_of_two_locks() {
    closes(2, None);
}

#[test]
fn a_cycle_of_three() {
    closes(3, Some(2));
}
