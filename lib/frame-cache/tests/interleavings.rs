//! Every interleaving of a few CPUs, by loom: no frame is handed out twice, none is lost, and no request is
//! refused while a frame that it may have is free.

use std::panic::{AssertUnwindSafe, catch_unwind};

use lib_buddy::{Buddy, metadata_words};
use lib_frame_cache::{CpuCache, Exclusive, FrameCaches, Store};
use loom::sync::{Arc, Mutex};
use loom::thread;

const CACHE: usize = 2;
const POOL: usize = 1;
/// Above every floor; what lies below is never in a cache, so a request that is served in the end needs it.
const LOW: u64 = 2;
const FRAMES: u64 = 5;

struct Locked<T>(Mutex<T>);

impl<T> Exclusive<T> for Locked<T> {
    fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        body(&mut self.0.lock().unwrap())
    }
}

fn store() -> Store<'static, POOL> {
    let words = Box::leak(vec![0; metadata_words(FRAMES)].into_boxed_slice());
    let mut buddy = Buddy::new(0, FRAMES, words).unwrap();
    buddy.release_range(0, FRAMES).unwrap();
    let mut store = Store::EMPTY;
    store.start(buddy, LOW);
    store
}

struct Machine<C, S> {
    caches: [C; 2],
    store: S,
    /// How many caches the frames' users see: one less is a planted defect.
    visible: usize,
}

impl<C, S> Machine<C, S> {
    fn frames(&self) -> FrameCaches<'_, C, S> {
        FrameCaches {
            caches: &self.caches[..self.visible],
            store: &self.store,
        }
    }
}

type Good = Machine<Locked<CpuCache<CACHE>>, Locked<Store<'static, POOL>>>;

fn good() -> Good {
    Machine {
        caches: [(), ()].map(|()| Locked(Mutex::new(CpuCache::EMPTY))),
        store: Locked(Mutex::new(store())),
        visible: 2,
    }
}

fn free_frames(machine: &Good) -> u64 {
    let cached: usize = machine
        .caches
        .iter()
        .map(|cache| cache.with(|cache| cache.frame_count()))
        .sum();
    machine.store.with(|store| {
        assert_eq!(store.fault(), None);
        store.free_frames()
    }) + cached as u64
}

#[test]
fn two_cpus_share_all_frames() {
    loom::model(|| {
        let machine = Arc::new(good());
        let other = machine.clone();
        let other = thread::spawn(move || {
            let one = other.frames().take(1, 0).expect("frames are free");
            other.frames().give(1, one).unwrap();
            let two = other.frames().take(1, 0).expect("frames are free");
            (one, two)
        });
        let one = machine.frames().take(0, 0).expect("frames are free");
        let two = machine.frames().take(0, 0).expect("frames are free");
        let (_given_back, three) = other.join().unwrap();
        assert!(one != two && two != three && one != three);
        assert_eq!(free_frames(&machine), FRAMES - 3);
    });
}

#[test]
fn a_drain_finds_what_another_cpu_keeps() {
    loom::model(|| {
        let machine = Arc::new(good());
        let kept = machine.frames().take(1, 0).unwrap();
        machine.frames().give(1, kept).unwrap();
        let other = machine.clone();
        let other = thread::spawn(move || {
            if let Some(frame) = other.frames().take_for_pool() {
                other.frames().give_to_pool(frame).unwrap();
            }
            other.frames().drain();
        });
        let block = machine.frames().take_block(1, FRAMES, 0);
        assert!(
            block.is_some(),
            "two adjacent frames are free whatever happens"
        );
        other.join().unwrap();
        assert_eq!(free_frames(&machine), FRAMES - 2);
    });
}

/// Takes frames on both CPUs until nothing is left: all must be found.
fn exhaust(visible: usize) {
    loom::model(move || {
        let mut machine = good();
        let kept = machine.frames().take(1, 0).unwrap();
        machine.frames().give(1, kept).unwrap();
        machine.visible = visible;
        let machine = Arc::new(machine);
        let other = machine.clone();
        let other = thread::spawn(move || {
            let frames = other.frames();
            frames.take(0, 0).into_iter().count()
        });
        let frames = machine.frames();
        let taken = (1..FRAMES).filter(|_| frames.take(0, 0).is_some()).count();
        assert_eq!(taken + other.join().unwrap(), FRAMES as usize);
    });
}

#[test]
fn all_frames_are_found_before_a_request_is_refused() {
    exhaust(2);
}

#[test]
fn defect_a_drain_that_forgets_a_cache_is_noticed() {
    let noticed = catch_unwind(AssertUnwindSafe(|| exhaust(1)));
    assert!(noticed.is_err());
}

#[test]
fn defect_a_frame_freed_twice_is_noticed() {
    let noticed = catch_unwind(AssertUnwindSafe(|| {
        loom::model(|| {
            let machine = good();
            let frame = machine.frames().take(0, 0).unwrap();
            machine.frames().give(0, frame).unwrap();
            machine.frames().give(1, frame).unwrap();
            machine.frames().drain();
            free_frames(&machine);
        });
    }));
    assert!(noticed.is_err());
}
