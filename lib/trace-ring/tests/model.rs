//! The ring against a list of all that was written, and against every interleaving of a writer and a reader.

use std::thread;

use lib_trace_ring::{KINDS, Record, Ring};

/// The seed of this run: `KPIO_SEED` if set, else a new one. Printed, so that a failure replays.
fn seeded() -> fastrand::Rng {
    let seed = std::env::var("KPIO_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("replay with KPIO_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

fn record(rng: &mut fastrand::Rng) -> Record {
    Record {
        tsc: rng.u64(..),
        kind: KINDS[rng.usize(0..KINDS.len())],
        extra: rng.u16(..),
        thread: rng.u32(..),
        a: rng.u64(..),
        b: rng.u64(..),
    }
}

#[test]
fn follows_the_model() {
    let mut rng = seeded();
    for _ in 0..100 {
        let capacity = rng.usize(0..20);
        let ring = Ring::new(capacity).expect("so little fits");
        let mut all = Vec::new();
        for _ in 0..200 {
            for _ in 0..rng.usize(0..8) {
                let next = record(&mut rng);
                ring.push(&next);
                all.push(next);
            }
            let from = rng.usize(0..=all.len());
            let kept = (all.len() - from).min(capacity.max(1));
            let found = ring.read_from(from as u64);
            assert_eq!(found.records, all[all.len() - kept..]);
            assert_eq!(found.overwritten as usize, all.len() - from - kept);
            assert_eq!(found.next as usize, all.len());
        }
    }
}

/// All words of a record tell its number, so that a mixture would show.
fn numbered(number: u64) -> Record {
    Record {
        tsc: number,
        kind: KINDS[0],
        extra: number as u16,
        thread: number as u32,
        a: number,
        b: number,
    }
}

#[test]
fn a_reader_beside_a_fast_writer_sees_whole_records_in_order() {
    const RECORDS: u64 = 200_000;
    let ring = Ring::new(64).expect("so little fits");
    thread::scope(|scope| {
        scope.spawn(|| (0..RECORDS).for_each(|number| ring.push(&numbered(number))));
        let (mut next, mut seen, mut overwritten) = (0, 0, 0);
        while next < RECORDS {
            let found = ring.read_from(next);
            for record in &found.records {
                assert_eq!(*record, numbered(record.tsc));
                assert!(record.tsc >= next);
                next = record.tsc + 1;
            }
            next = found.next;
            seen += found.records.len() as u64;
            overwritten += found.overwritten;
        }
        assert_eq!(seen + overwritten, RECORDS);
    });
}
