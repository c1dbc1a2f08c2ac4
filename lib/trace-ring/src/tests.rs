//! What needs more than the ring shows to everybody.

use crate::{Kind, Record, Ring};

fn record(number: u64) -> Record {
    Record {
        tsc: number,
        kind: Kind::Wake,
        extra: number as u16,
        thread: 1,
        a: number,
        b: !number,
    }
}

#[test]
fn the_newest_are_kept_and_the_rest_is_counted() {
    let ring = Ring::new(4).expect("four records fit");
    (0..10).for_each(|number| ring.push(&record(number)));
    let all = ring.read_from(0);
    assert_eq!(all.records, [6, 7, 8, 9].map(record));
    assert_eq!((all.overwritten, all.next), (6, 10));
    let last = ring.read_from(9);
    assert_eq!((last.records.len(), last.overwritten), (1, 0));
    assert_eq!(ring.read_from(10).records, []);
    assert_eq!(ring.read_from(99).overwritten, 0);
}

#[test]
fn a_push_that_interrupts_another_is_dropped() {
    let ring = Ring::new(4).expect("four records fit");
    assert!(ring.enter());
    ring.push(&record(1));
    assert_eq!((ring.position(), ring.dropped()), (0, 1));
    ring.leave();
    ring.push(&record(2));
    assert_eq!(ring.read_from(0).records, [record(2)]);
}
