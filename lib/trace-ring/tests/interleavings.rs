//! The ring's own source over loom's atomics: every interleaving, and every value that the memory model lets a
//! load see, of a writer that laps and a reader.

extern crate alloc;

#[expect(dead_code, reason = "the model uses a part of the ring")]
#[path = "../src/record.rs"]
mod record;
#[expect(dead_code, reason = "the model uses a part of the ring")]
#[path = "../src/ring.rs"]
mod ring;

mod sync {
    pub use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
}

use loom::sync::Arc;
use record::{Kind, Record};
use ring::Ring;

fn numbered(number: u64) -> Record {
    Record {
        tsc: number,
        kind: Kind::Wake,
        extra: 0,
        thread: number as u32,
        a: number,
        b: number,
    }
}

#[test]
fn no_record_is_torn() {
    loom::model(|| {
        let ring = Arc::new(Ring::new(2).expect("two records fit"));
        ring.push(&numbered(1));
        let writer = {
            let ring = Arc::clone(&ring);
            loom::thread::spawn(move || (2..=4).for_each(|number| ring.push(&numbered(number))))
        };
        let mut last = 0;
        for found in ring.read_from(0).records {
            assert_eq!(found, numbered(found.tsc));
            assert!(found.tsc > last);
            last = found.tsc;
        }
        assert!(writer.join().is_ok());
        let all = ring.read_from(0);
        assert_eq!(all.records, [3, 4].map(numbered));
        assert_eq!(all.overwritten, 2);
    });
}
