//! The caches against a model that knows one thing: which frames are taken.

use std::cell::RefCell;
use std::collections::BTreeSet;

use lib_buddy::{Buddy, FRAME_LIMIT, metadata_words};
use lib_frame_cache::{CpuCache, Exclusive, FrameCaches, Store};

const CACHE: usize = 4;
const POOL: usize = 6;
const CPUS: usize = 3;
const LOW: u64 = 20;
const FLOORS: [u64; 3] = [0, 5, 16];

struct Alone<T>(RefCell<T>);

impl<T> Exclusive<T> for Alone<T> {
    fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        body(&mut self.0.borrow_mut())
    }
}

type Cache = Alone<CpuCache<CACHE>>;
type Shared<'m> = Alone<Store<'m, POOL>>;

fn caches() -> [Cache; CPUS] {
    [(); CPUS].map(|()| Alone(RefCell::new(CpuCache::EMPTY)))
}

fn store(words: &mut [u64], first: u64, count: u64) -> Shared<'_> {
    let mut buddy = Buddy::new(first, count, words).unwrap();
    buddy.release_range(first, count).unwrap();
    let mut store = Store::EMPTY;
    store.start(buddy, LOW);
    Alone(RefCell::new(store))
}

/// The seed of this run: `KPIO_SEED` if set, else a new one. Printed, so that a failure replays.
fn seeded() -> fastrand::Rng {
    let seed = std::env::var("KPIO_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("replay with KPIO_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

struct Run<'a, 'm> {
    rng: fastrand::Rng,
    frames: FrameCaches<'a, Cache, Shared<'m>>,
    first: u64,
    count: u64,
    taken: BTreeSet<u64>,
    blocks: Vec<(u64, u8)>,
    zeroing: Vec<u64>,
}

impl Run<'_, '_> {
    fn free(&self) -> u64 {
        self.count - self.taken.len() as u64
    }

    fn cached(&self) -> u64 {
        let caches = self.frames.caches.iter();
        caches
            .map(|cache| cache.with(|cache| cache.frame_count()) as u64)
            .sum()
    }

    fn step(&mut self) {
        match self.rng.u8(0..16) {
            0..=5 => self.take(),
            6..=10 => self.give(),
            11 => self.take_block(),
            12 => self.give_block(),
            13 => self.begin_zeroing(),
            14 => self.end_zeroing(),
            _ if self.rng.u8(0..4) == 0 => self.drain(),
            _ => {}
        }
        self.check();
    }

    fn note(&mut self, frame: u64) {
        assert!((self.first..self.first + self.count).contains(&frame));
        assert!(
            self.taken.insert(frame),
            "frame {frame:#x} was handed out twice"
        );
    }

    fn take(&mut self) {
        let floor = FLOORS[self.rng.usize(0..FLOORS.len())];
        let free = self.free();
        match self.frames.take(self.rng.usize(0..CPUS), floor) {
            Some(frame) => self.note(frame),
            None => assert!(
                free <= floor,
                "{free} frames are free, yet one that leaves {floor} was refused"
            ),
        }
    }

    fn give(&mut self) {
        let alone: Vec<_> = self
            .taken
            .iter()
            .filter(|frame| !self.zeroing.contains(frame))
            .copied()
            .collect();
        if let Some(frame) = self.rng.choice(alone)
            && !self.in_block(frame)
        {
            self.taken.remove(&frame);
            self.frames.give(self.rng.usize(0..=CPUS), frame).unwrap();
        }
    }

    fn in_block(&self, frame: u64) -> bool {
        let mut blocks = self.blocks.iter();
        blocks.any(|&(first, order)| (first..first + (1 << order)).contains(&frame))
    }

    fn take_block(&mut self) {
        let order = self.rng.u8(0..4);
        let floor = FLOORS[self.rng.usize(0..FLOORS.len())];
        let end = if self.rng.bool() {
            FRAME_LIMIT
        } else {
            self.first + self.rng.u64(0..=self.count)
        };
        let possible = self.can_take(order, end) && self.free() >= floor + (1 << order);
        match self.frames.take_block(order, end, floor) {
            Some(first) => {
                assert!(first.is_multiple_of(1 << order) && first + (1 << order) <= end);
                (first..first + (1 << order)).for_each(|frame| self.note(frame));
                self.blocks.push((first, order));
            }
            None => assert!(!possible, "a block of order {order} was there"),
        }
    }

    fn can_take(&self, order: u8, end: u64) -> bool {
        let size = 1 << order;
        let starts = (self.first.next_multiple_of(size)..).step_by(size as usize);
        starts
            .take_while(|start| start + size <= end.min(self.first + self.count))
            .any(|start| self.taken.range(start..start + size).next().is_none())
    }

    fn give_block(&mut self) {
        if let Some((first, order)) = self.blocks.pop() {
            (first..first + (1 << order)).for_each(|frame| assert!(self.taken.remove(&frame)));
            self.frames.give_block(first, order).unwrap();
            let again = self.frames.give_block(first, order);
            assert!(again.is_err(), "a block was taken back twice");
        }
    }

    fn begin_zeroing(&mut self) {
        let short = self.free() <= LOW + POOL as u64;
        if let Some(frame) = self.frames.take_for_pool() {
            assert!(!short, "the pool is filled though memory is short");
            self.note(frame);
            self.zeroing.push(frame);
        }
    }

    fn end_zeroing(&mut self) {
        if let Some(frame) = self.zeroing.pop() {
            self.taken.remove(&frame);
            self.frames.give_to_pool(frame).unwrap();
        }
    }

    fn drain(&mut self) {
        self.frames.drain();
        assert_eq!(self.cached(), 0);
        let in_pool = self.frames.store.with(|store| store.pool_frames());
        assert_eq!(in_pool, 0);
    }

    fn check(&self) {
        let (stored, pool, fault) = self
            .frames
            .store
            .with(|store| (store.free_frames(), store.pool_frames(), store.fault()));
        assert_eq!(fault, None);
        assert!(pool <= POOL);
        assert_eq!(stored + self.cached(), self.free(), "a frame was lost");
    }
}

#[test]
fn follows_the_model() {
    let mut rng = seeded();
    for _ in 0..60 {
        let (first, count) = (rng.u64(0..1000), rng.u64(1..120));
        let mut words = vec![0; metadata_words(count)];
        let (caches, store) = (caches(), store(&mut words, first, count));
        let mut run = Run {
            rng: rng.fork(),
            frames: FrameCaches {
                caches: &caches,
                store: &store,
            },
            first,
            count,
            taken: BTreeSet::new(),
            blocks: Vec::new(),
            zeroing: Vec::new(),
        };
        for _ in 0..800 {
            run.step();
        }
    }
}

#[test]
fn zeroed_frames_are_handed_out_first() {
    let mut words = vec![0; metadata_words(64)];
    let (caches, store) = (caches(), store(&mut words, 0, 64));
    let frames = FrameCaches {
        caches: &caches,
        store: &store,
    };
    let zeroed = frames.take_for_pool().unwrap();
    frames.give_to_pool(zeroed).unwrap();
    let plain = frames.take(0, 0).unwrap();
    assert_eq!(plain, zeroed);
    frames.give(0, plain).unwrap();
    assert_eq!(frames.take(0, 0), Some(plain), "the warm frame comes next");
}

#[test]
fn the_pool_is_bounded_and_ends() {
    let mut words = vec![0; metadata_words(64)];
    let (caches, store) = (caches(), store(&mut words, 0, 64));
    let frames = FrameCaches {
        caches: &caches,
        store: &store,
    };
    let mut filled = 0;
    while let Some(frame) = frames.take_for_pool() {
        frames.give_to_pool(frame).unwrap();
        filled += 1;
    }
    assert_eq!(filled, POOL);
    let (one, other) = (frames.take(1, 0).unwrap(), frames.take(1, 0).unwrap());
    assert_ne!(one, other);
    assert!(
        frames.take_for_pool().is_some(),
        "what was taken is replaced"
    );
}

/// While memory is short, what is freed is at once there for those who may go below the floor.
#[test]
fn low_memory_keeps_caches_closed() {
    let mut words = vec![0; metadata_words(24)];
    let (caches, store) = (caches(), store(&mut words, 0, 24));
    let frames = FrameCaches {
        caches: &caches,
        store: &store,
    };
    let held: Vec<_> = core::iter::from_fn(|| frames.take(0, 16)).collect();
    assert_eq!(held.len(), 8);
    held.iter()
        .for_each(|frame| frames.give(1, *frame).unwrap());
    let stored = store.with(|store| store.free_frames());
    let cached = caches[1].with(|cache| cache.frame_count());
    assert!(stored >= LOW && cached <= CACHE);
    assert_eq!(frames.take_block(0, FRAME_LIMIT, 24), None);
    assert!(frames.take(0, 16).is_some());
}

/// What lies below the mark is nobody's cache's.
#[test]
fn caches_are_filled_from_above_the_mark_only() {
    for spare in 1..=CACHE as u64 {
        let mut words = vec![0; metadata_words(LOW + spare)];
        let (caches, store) = (caches(), store(&mut words, 0, LOW + spare));
        let frames = FrameCaches {
            caches: &caches,
            store: &store,
        };
        assert!(frames.take(0, 16).is_some());
        assert!(store.with(|store| store.free_frames()) >= LOW);
    }
}

#[test]
fn a_store_without_memory_refuses() {
    let store: Shared<'_> = Alone(RefCell::new(Store::EMPTY));
    let caches = caches();
    let frames = FrameCaches {
        caches: &caches,
        store: &store,
    };
    assert_eq!(frames.take(0, 0), None);
    assert_eq!(frames.take(CPUS, 0), None);
    assert_eq!(frames.take_block(0, FRAME_LIMIT, 0), None);
    assert_eq!(frames.take_for_pool(), None);
    assert!(frames.give(0, 1).is_err());
    assert!(frames.give_to_pool(1).is_err());
}
