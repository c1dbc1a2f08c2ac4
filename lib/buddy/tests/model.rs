//! The allocator against a model that knows one thing: which frames are free.

use lib_buddy::{Buddy, BuddyError, FRAME_LIMIT, ORDER_MAX, metadata_words};

/// The seed of this run: `KPIO_SEED` if set, else a new one. Printed, so that a failure replays.
fn seeded() -> fastrand::Rng {
    let seed = std::env::var("KPIO_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("replay with KPIO_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// Which frames are free, one flag each.
struct Model {
    first: u64,
    free: Vec<bool>,
}

impl Model {
    fn holds(&self, start: u64, count: u64) -> bool {
        start >= self.first && start + count <= self.first + self.free.len() as u64
    }

    fn frames(&mut self, start: u64, count: u64) -> &mut [bool] {
        let offset = (start - self.first) as usize;
        &mut self.free[offset..offset + count as usize]
    }

    fn any_free(&mut self, start: u64, count: u64) -> bool {
        self.frames(start, count).contains(&true)
    }

    fn free_count(&self) -> u64 {
        self.free.iter().filter(|&&free| free).count() as u64
    }

    /// Whether an aligned free block of this order ends at `end` or before.
    fn can_allocate(&mut self, order: u8, end: u64) -> bool {
        let size = 1u64 << order;
        let mut start = self.first.next_multiple_of(size);
        while self.holds(start, size) && start + size <= end {
            if !self.frames(start, size).contains(&false) {
                return true;
            }
            start += size;
        }
        false
    }

    fn largest_order(&mut self) -> Option<u8> {
        (0..=ORDER_MAX)
            .rev()
            .find(|&order| self.can_allocate(order, u64::MAX))
    }
}

struct Run<'m> {
    rng: fastrand::Rng,
    buddy: Buddy<'m>,
    model: Model,
    held: Vec<(u64, u8)>,
}

impl Run<'_> {
    fn step(&mut self) {
        match self.rng.u8(0..10) {
            0..=3 => self.allocate(),
            4..=6 => self.free_held(),
            7 => self.free_anything(),
            8 => self.release(),
            _ => self.free_part(),
        }
        assert_eq!(self.buddy.free_frames(), self.model.free_count());
        assert_eq!(self.buddy.largest_free_order(), self.model.largest_order());
    }

    fn allocate(&mut self) {
        let order = if self.rng.bool() {
            self.rng.u8(0..4)
        } else {
            self.rng.u8(0..=12)
        };
        let last = self.model.first + self.model.free.len() as u64;
        let end = if self.rng.bool() {
            FRAME_LIMIT
        } else {
            self.rng.u64(0..=last)
        };
        let possible = self.model.can_allocate(order, end);
        let Some(frame) = self.buddy.allocate_below(order, end) else {
            assert!(
                !possible,
                "order {order} below {end:#x} was refused though it fits"
            );
            return;
        };
        assert!(frame.is_multiple_of(1 << order) && frame + (1 << order) <= end);
        assert!(self.model.holds(frame, 1 << order));
        let frames = self.model.frames(frame, 1 << order);
        assert!(
            !frames.contains(&false),
            "frame {frame:#x} was given out twice"
        );
        frames.fill(false);
        self.held.push((frame, order));
    }

    fn free_held(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let (frame, order) = self.held.swap_remove(self.rng.usize(0..self.held.len()));
        self.buddy.free(frame, order).unwrap();
        self.model.frames(frame, 1 << order).fill(true);
        let again = self.buddy.free(frame, order);
        assert_eq!(
            again,
            Err(BuddyError::AlreadyFree {
                start: frame,
                count: 1 << order
            })
        );
    }

    /// Gives one half of a held block back and keeps the other.
    fn free_part(&mut self) {
        let Some(at) = self.held.iter().position(|&(_, order)| order > 0) else {
            return;
        };
        let (frame, order) = self.held.swap_remove(at);
        let half = order - 1;
        self.buddy.free(frame, half).unwrap();
        self.model.frames(frame, 1 << half).fill(true);
        self.held.push((frame + (1 << half), half));
        assert!(matches!(
            self.buddy.free(frame, order),
            Err(BuddyError::AlreadyFree { .. })
        ));
    }

    /// Only the answer that the model foretells is right, whatever is asked.
    fn free_anything(&mut self) {
        let order = self.rng.u8(0..=ORDER_MAX + 2);
        let frame = self.model.first.saturating_sub(8) + self.rng.u64(0..6000);
        let frame = if self.rng.bool() {
            frame >> order.min(9) << order.min(9)
        } else {
            frame
        };
        let answer = self.buddy.free(frame, order);
        if order > ORDER_MAX {
            assert_eq!(answer, Err(BuddyError::OrderTooLarge { order }));
        } else if !frame.is_multiple_of(1 << order) {
            assert_eq!(answer, Err(BuddyError::Misaligned { frame, order }));
        } else {
            self.check_freed(frame, 1 << order, answer);
        }
    }

    fn release(&mut self) {
        let start = self.model.first.saturating_sub(4) + self.rng.u64(0..6000);
        let count = self.rng.u64(0..200);
        let answer = self.buddy.release_range(start, count);
        if count == 0 {
            assert_eq!(answer, Ok(()));
        } else {
            self.check_freed(start, count, answer);
        }
    }

    fn check_freed(&mut self, start: u64, count: u64, answer: Result<(), BuddyError>) {
        if !self.model.holds(start, count) {
            assert_eq!(answer, Err(BuddyError::OutOfRange { start, count }));
        } else if self.model.any_free(start, count) {
            assert_eq!(answer, Err(BuddyError::AlreadyFree { start, count }));
        } else {
            assert_eq!(answer, Ok(()));
            self.model.frames(start, count).fill(true);
            self.held
                .retain(|&(frame, order)| frame + (1 << order) <= start || frame >= start + count);
        }
    }
}

/// A held block that was partly released by `release` or `free_anything` is no longer wholly held, so
/// `retain` above drops it; its other frames stay in use for the rest of the run.
#[test]
fn follows_the_model() {
    let mut rng = seeded();
    let rounds = 40;
    for _ in 0..rounds {
        let first = if rng.bool() {
            rng.u64(0..5000)
        } else {
            rng.u64(0..1 << 30)
        };
        let count = rng.u64(1..6000);
        // Dirty words: their content must not matter.
        let mut words = vec![u64::MAX; metadata_words(count)];
        let buddy = Buddy::new(first, count, &mut words).unwrap();
        let model = Model {
            first,
            free: vec![false; count as usize],
        };
        let mut run = Run {
            rng: rng.fork(),
            buddy,
            model,
            held: Vec::new(),
        };
        run.buddy.release_range(first, count).unwrap();
        run.model.free.fill(true);
        for _ in 0..300 {
            run.step();
        }
    }
}

/// Whatever was allocated, after giving all back the memory is as whole as at first.
#[test]
fn joins_all_blocks_again() {
    let mut rng = seeded();
    let (first, count) = (256, 3 << ORDER_MAX);
    let mut words = vec![0; metadata_words(count)];
    let mut buddy = Buddy::new(first, count, &mut words).unwrap();
    buddy.release_range(first, count).unwrap();
    assert_eq!(buddy.largest_free_order(), Some(ORDER_MAX));
    let mut held = Vec::new();
    while let Some((order, frame)) = (0..2000)
        .map(|_| rng.u8(0..=8))
        .find_map(|order| Some((order, buddy.allocate(order)?)))
    {
        held.push((frame, order));
        if held.len() > 20_000 {
            break;
        }
    }
    rng.shuffle(&mut held);
    for (frame, order) in held {
        buddy.free(frame, order).unwrap();
    }
    assert_eq!(buddy.free_frames(), count);
    let whole: Vec<_> = core::iter::from_fn(|| buddy.allocate(ORDER_MAX)).collect();
    assert_eq!(
        whole,
        [1 << ORDER_MAX, 2 << ORDER_MAX],
        "blocks are aligned by absolute number"
    );
}

#[test]
fn prefers_small_orders_and_low_addresses() {
    let mut words = vec![0; metadata_words(1024)];
    let mut buddy = Buddy::new(0, 1024, &mut words).unwrap();
    buddy.release_range(0, 8).unwrap();
    buddy.release_range(16, 1).unwrap();
    assert_eq!(
        buddy.allocate(0),
        Some(16),
        "the single frame goes before the large block is cut"
    );
    assert_eq!(buddy.allocate(0), Some(0));
    assert_eq!(buddy.allocate(0), Some(1));
    assert_eq!(buddy.allocate(2), Some(4));
    assert_eq!(buddy.allocate(2), None);
}

#[test]
fn allocates_below_a_limit_from_larger_blocks() {
    let mut words = vec![0; metadata_words(1024)];
    let mut buddy = Buddy::new(0, 1024, &mut words).unwrap();
    buddy.release_range(100, 1).unwrap();
    buddy.release_range(32, 32).unwrap();
    assert_eq!(buddy.allocate_below(0, 32), None);
    assert_eq!(buddy.allocate_below(3, 39), None);
    assert_eq!(buddy.allocate_below(3, 40), Some(32));
    buddy.free(32, 3).unwrap();
    assert_eq!(
        buddy.allocate_below(0, 64),
        Some(32),
        "the lone frame at 100 is out of reach"
    );
    assert_eq!(buddy.allocate_below(0, 32), None);
    assert_eq!(buddy.allocate_below(0, 0), None);
    assert_eq!(buddy.allocate_below(200, u64::MAX), None);
}

#[test]
fn refuses_hostile_construction() {
    let mut words = vec![0; 64];
    for (first, count) in [
        (u64::MAX, 2),
        (0, FRAME_LIMIT + 1),
        (FRAME_LIMIT, 1),
        (1, u64::MAX),
    ] {
        assert!(matches!(
            Buddy::new(first, count, &mut words),
            Err(BuddyError::BeyondAddressSpace { .. })
        ));
    }
    let needed = metadata_words(1 << 20);
    assert!(matches!(
        Buddy::new(0, 1 << 20, &mut words),
        Err(BuddyError::TooFewWords { needed: n, given: 64 }) if n == needed
    ));
    assert_eq!(metadata_words(u64::MAX), metadata_words(u64::MAX));
    assert!(Buddy::new(7, 0, &mut words).is_ok_and(|mut none| none.allocate(0).is_none()));
}

#[test]
fn records_stay_small() {
    for shift in 15..40 {
        let bits_per_frame = metadata_words(1 << shift) as f64 * 64.0 / (1u64 << shift) as f64;
        assert!(
            bits_per_frame < 2.3,
            "2^{shift} frames take {bits_per_frame} bits each"
        );
    }
}

#[test]
fn the_last_frame_of_the_address_space_works() {
    let (first, count) = (FRAME_LIMIT - 5, 5);
    let mut words = vec![0; metadata_words(count)];
    let mut buddy = Buddy::new(first, count, &mut words).unwrap();
    buddy.release_range(first, count).unwrap();
    assert_eq!(buddy.allocate(2), Some(FRAME_LIMIT - 4));
    assert_eq!(buddy.allocate(0), Some(FRAME_LIMIT - 5));
    assert_eq!(buddy.allocate(0), None);
    assert!(matches!(
        buddy.free(FRAME_LIMIT, 0),
        Err(BuddyError::OutOfRange { .. })
    ));
    assert!(matches!(
        buddy.free(u64::MAX, 0),
        Err(BuddyError::OutOfRange { .. })
    ));
}
