//! The graph against a naive finder of cycles.

use lib_lock_graph::{CLASSES_MAX, LockGraph};

/// The seed of this run: `KPIO_SEED` if set, else a new one. Printed, so that a failure replays.
fn seeded() -> fastrand::Rng {
    let seed = std::env::var("KPIO_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("replay with KPIO_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// Length in classes of the shortest path, by trying longer and longer ones.
fn shortest(edges: &[(usize, usize)], from: usize, to: usize) -> Option<usize> {
    let mut reached = vec![from];
    for len in 1..=CLASSES_MAX {
        if reached.contains(&to) {
            return Some(len);
        }
        let next = edges.iter().filter(|edge| reached.contains(&edge.0));
        let next: Vec<usize> = next.map(|edge| edge.1).collect();
        reached.extend(next);
        reached.sort_unstable();
        reached.dedup();
    }
    None
}

#[test]
fn finds_the_shortest_cycle_when_and_only_when_there_is_one() {
    let mut rng = seeded();
    for _ in 0..300 {
        let graph = LockGraph::new();
        let classes = rng.usize(1..=12);
        let mut edges = Vec::new();
        for _ in 0..rng.usize(1..30) {
            let (outer, inner) = (rng.usize(0..classes), rng.usize(0..classes));
            edges.push((outer, inner));
            let expected = shortest(&edges, inner, outer);
            match graph.note(outer, inner) {
                Ok(()) => assert_eq!(expected, None, "{edges:?}"),
                Err(chain) => {
                    assert_eq!(Some(chain.classes().len()), expected, "{edges:?}");
                    assert_eq!(chain.classes().first(), Some(&(inner as u8)));
                    assert_eq!(chain.classes().last(), Some(&(outer as u8)));
                    assert!(chain.edges().all(|edge| edges.contains(&edge)));
                }
            }
            for outer in 0..classes {
                for inner in 0..classes {
                    let known = edges.contains(&(outer, inner));
                    assert_eq!(graph.contains(outer, inner), known);
                }
            }
        }
    }
}

#[test]
fn the_longest_cycle_is_found() {
    let graph = LockGraph::new();
    for class in 1..CLASSES_MAX {
        assert_eq!(graph.note(class - 1, class), Ok(()));
    }
    let chain = graph.note(CLASSES_MAX - 1, 0).unwrap_err();
    assert_eq!(chain.classes().len(), CLASSES_MAX);
}

#[test]
fn classes_that_are_too_large_are_nobodys() {
    let graph = LockGraph::new();
    assert_eq!(graph.note(CLASSES_MAX, 0), Ok(()));
    assert_eq!(graph.note(0, CLASSES_MAX), Ok(()));
    assert!(!graph.contains(0, CLASSES_MAX) && !graph.contains(CLASSES_MAX, 0));
    assert_eq!(graph.note(usize::MAX, usize::MAX), Ok(()));
}
