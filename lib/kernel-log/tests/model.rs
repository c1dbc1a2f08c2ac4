//! The ring against a queue of lines.

use std::collections::VecDeque;

use lib_kernel_log::{Area, Header, HeaderKind, LogRing, TEXT_BYTES_MAX};
use log::Level;

const RING_BYTES: usize = 700;
const HEADER_BYTES: usize = 12;

/// The seed of this run: `KPIO_SEED` if set, else a new one. Printed, so that a failure replays.
fn seeded() -> fastrand::Rng {
    let seed = std::env::var("KPIO_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("replay with KPIO_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

fn record(rng: &mut fastrand::Rng) -> (Header, Vec<u8>) {
    let header = Header {
        kind: [
            HeaderKind::Line(Level::Error),
            HeaderKind::Line(Level::Trace),
            HeaderKind::Raw,
        ][rng.usize(0..3)],
        area: Area::by_number(rng.u8(0..15)),
        time_us: rng.u64(..),
    };
    let text = (0..rng.usize(0..=TEXT_BYTES_MAX)).map(|_| rng.u8(..));
    (header, text.collect())
}

fn read_all(ring: &LogRing<RING_BYTES>, mut position: u64) -> Vec<(Header, Vec<u8>)> {
    let mut text = [0; TEXT_BYTES_MAX];
    let mut records = Vec::new();
    while let Some(read) = ring.read(position, &mut text) {
        records.push((read.header, text[..read.len_bytes].to_vec()));
        position = read.next;
    }
    assert_eq!(position.max(ring.start()), ring.end());
    records
}

#[test]
fn the_newest_lines_are_kept_whole_and_in_order() {
    let mut rng = seeded();
    for _ in 0..50 {
        let mut ring = LogRing::<RING_BYTES>::new();
        let mut model = VecDeque::new();
        for _ in 0..200 {
            let (header, text) = record(&mut rng);
            ring.push(&header, &text);
            model.push_back((header, text));
            let kept = read_all(&ring, 0);
            assert!(!kept.is_empty());
            assert!(model.iter().rev().take(kept.len()).rev().eq(kept.iter()));
            // One more would not have fitted.
            if let Some((_, next)) = model.iter().rev().nth(kept.len()) {
                let used: usize = kept.iter().map(|(_, text)| HEADER_BYTES + text.len()).sum();
                assert!(used + HEADER_BYTES + next.len() > RING_BYTES);
            }
        }
    }
}

#[test]
fn a_reader_goes_on_where_it_was_and_learns_what_it_missed() {
    let mut rng = seeded();
    let mut ring = LogRing::<RING_BYTES>::new();
    let mut text = [0; TEXT_BYTES_MAX];
    let (mut position, mut seen_bytes, mut lost_bytes) = (0, 0, 0);
    for _ in 0..5_000 {
        for _ in 0..rng.usize(0..6) {
            let (header, text) = record(&mut rng);
            ring.push(&header, &text);
        }
        for _ in 0..rng.usize(0..6) {
            let Some(read) = ring.read(position, &mut text) else {
                break;
            };
            lost_bytes += read.lost_bytes;
            seen_bytes += (HEADER_BYTES + read.len_bytes) as u64;
            position = read.next;
            assert_eq!(seen_bytes + lost_bytes, position);
        }
    }
    assert!(lost_bytes > 0 && seen_bytes > 0);
}

#[test]
fn a_long_text_is_cut() {
    let mut ring = LogRing::<RING_BYTES>::new();
    let header = Header {
        kind: HeaderKind::Raw,
        area: Area::Stdio,
        time_us: 1,
    };
    ring.push(&header, &[b'x'; 1000]);
    let kept = read_all(&ring, 0);
    assert_eq!(kept, [(header, vec![b'x'; TEXT_BYTES_MAX])]);
}

#[test]
fn any_position_is_survived() {
    let mut rng = seeded();
    let mut ring = LogRing::<RING_BYTES>::new();
    let mut text = [0; TEXT_BYTES_MAX];
    for _ in 0..2_000 {
        let (header, line) = record(&mut rng);
        ring.push(&header, &line);
        let _any = ring.read(rng.u64(0..=ring.end() + 5), &mut text);
    }
}
