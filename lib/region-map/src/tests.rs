//! The map against an array with one value per page.

extern crate std;

use super::{MISFITS_MAX, RegionError, RegionMap, SLOTS_PER_OPERATION, Slot};
use core::ops::Range;
use std::vec::Vec;
use std::{println, vec};

/// Pages of the window in the tests against the model.
const PAGES: u64 = 96;

type Value = u8;

/// The seed of this run: `KPIO_SEED` if set, else a new one. Printed, so that a failure replays.
pub(crate) fn seeded() -> fastrand::Rng {
    let seed = std::env::var("KPIO_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("replay with KPIO_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// One value per page of a window that begins at `base`.
struct Model {
    base: u64,
    pages: Vec<Option<Value>>,
}

impl Model {
    fn window(&self) -> Range<u64> {
        self.base..self.base + PAGES
    }

    /// The runs of equal values inside `range`, lowest first.
    fn runs(&self, range: Range<u64>) -> Vec<(Range<u64>, Value)> {
        let mut runs: Vec<(Range<u64>, Value)> = Vec::new();
        let range = range.start.max(self.base)..range.end.min(self.base + PAGES);
        for page in range {
            let Some(value) = self.pages[(page - self.base) as usize] else {
                continue;
            };
            match runs.last_mut() {
                Some((run, same)) if run.end == page && *same == value => run.end += 1,
                _ => runs.push((page..page + 1, value)),
            }
        }
        runs
    }

    fn all_runs(&self) -> Vec<(Range<u64>, Value)> {
        self.runs(self.window())
    }

    fn set(&mut self, range: &Range<u64>, value: Option<Value>) {
        for page in range.clone() {
            self.pages[(page - self.base) as usize] = value;
        }
    }

    fn gap(&self, len: u64, align: u64) -> Option<u64> {
        let free = |page: u64| self.pages[(page - self.base) as usize].is_none();
        self.window().find(|&start| {
            start.is_multiple_of(align)
                && start + len <= self.base + PAGES
                && (start..start + len).all(free)
        })
    }
}

/// A map and its model, changed in step.
struct Run<'s> {
    rng: fastrand::Rng,
    map: RegionMap<'s, Value>,
    model: Model,
    slots: usize,
}

impl Run<'_> {
    fn step(&mut self) {
        let before = self.model.all_runs();
        let range = self.random_range();
        let answer = match self.rng.u8(0..8) {
            0..=3 => self.insert(range.clone()),
            4 => self.remove(range.clone()),
            5 | 6 => self.update(range.clone()),
            _ => {
                self.look();
                Ok(())
            }
        };
        if let Err(RegionError::NoSlot { needed }) = answer {
            assert!(before.len() + needed > self.slots, "a slot was left");
            assert!(needed <= SLOTS_PER_OPERATION);
            assert_eq!(self.model.all_runs(), before);
        }
        assert_eq!(regions(&self.map), self.model.all_runs());
        assert_eq!(self.map.len(), self.model.all_runs().len());
        self.map.tree.assert_sound();
    }

    /// Mostly a short range in the window, sometimes one that reaches out, sometimes an empty one.
    fn random_range(&mut self) -> Range<u64> {
        let start = self.model.base - 2 + self.rng.u64(0..PAGES + 4);
        let longest = if self.rng.u8(0..4) == 0 { PAGES } else { 8 };
        start..start + self.rng.u64(0..longest)
    }

    fn insert(&mut self, range: Range<u64>) -> Result<(), RegionError> {
        let value = self.rng.u8(0..3);
        let answer = self.map.insert(range.clone(), value);
        let window = self.model.window();
        if range.is_empty() {
            assert!(matches!(answer, Err(RegionError::EmptyRange { .. })));
        } else if range.start < window.start || range.end > window.end {
            assert!(matches!(answer, Err(RegionError::OutsideWindow { .. })));
        } else if !self.model.runs(range.clone()).is_empty() {
            assert!(matches!(answer, Err(RegionError::Overlap { .. })));
        } else if answer.is_ok() {
            self.model.set(&range, Some(value));
        }
        answer
    }

    fn remove(&mut self, range: Range<u64>) -> Result<(), RegionError> {
        let mut removed = Vec::new();
        let answer = self.map.remove(range.clone(), &mut |part, value| {
            removed.push((part, value))
        });
        if answer.is_ok() {
            let expected = self.model.runs(range);
            assert_eq!(removed, expected);
            expected
                .iter()
                .for_each(|(part, _)| self.model.set(part, None));
        } else {
            assert!(removed.is_empty());
        }
        answer
    }

    fn update(&mut self, range: Range<u64>) -> Result<(), RegionError> {
        let shift = self.rng.u8(0..3);
        let changed = |value: Value| if value == 0 { 0 } else { (value + shift) % 3 };
        let mut seen = Vec::new();
        let answer = self.map.update(range.clone(), &mut |part, value| {
            seen.push((part.clone(), *value));
            *value = changed(*value);
        });
        if answer.is_ok() {
            let expected = self.model.runs(range);
            assert_eq!(seen, expected);
            expected
                .iter()
                .for_each(|(part, value)| self.model.set(part, Some(changed(*value))));
        } else {
            assert!(seen.is_empty());
        }
        answer
    }

    fn look(&mut self) {
        let page = self.model.base - 2 + self.rng.u64(0..PAGES + 4);
        let expected = self
            .model
            .all_runs()
            .into_iter()
            .find(|(run, _)| run.contains(&page));
        assert_eq!(self.map.find(page), expected);
        let (len, align) = (self.rng.u64(1..12), 1 << self.rng.u32(0..5));
        assert_eq!(self.map.find_gap(len, align), self.model.gap(len, align));
        let range = self.random_range();
        let mut visited = Vec::new();
        self.map.for_each_in(range.clone(), &mut |part, value| {
            visited.push((part, value))
        });
        assert_eq!(visited, self.model.runs(range));
    }
}

fn regions(map: &RegionMap<'_, Value>) -> Vec<(Range<u64>, Value)> {
    let mut regions = Vec::new();
    map.for_each_in(0..u64::MAX, &mut |region, value| {
        regions.push((region, value))
    });
    regions
}

#[test]
fn follows_the_model() {
    let mut rng = seeded();
    for _ in 0..100 {
        let slots = rng.usize(0..40);
        let base = rng.u64(2..1000);
        let mut memory = vec![Slot::EMPTY; slots];
        let model = Model {
            base,
            pages: vec![None; PAGES as usize],
        };
        let map = RegionMap::new(&mut memory, model.window());
        let mut run = Run {
            rng: rng.fork(),
            map,
            model,
            slots,
        };
        for _ in 0..400 {
            run.step();
        }
    }
}

/// The kernel's way of use: with `SLOTS_PER_OPERATION` free below a mark, no operation fails for
/// want of slots or touches a slot at or above the mark.
#[test]
fn operations_stay_below_the_backed_mark() {
    let mut rng = seeded();
    let mut memory = vec![Slot::EMPTY; 512];
    let mut map = RegionMap::new(&mut memory, 0..PAGES);
    let mut backed = 0;
    for _ in 0..3000 {
        while map.slots_free_below(backed) < SLOTS_PER_OPERATION {
            backed += 1;
        }
        let start = rng.u64(0..PAGES);
        let range = start..start + rng.u64(1..5);
        let answer = match rng.u8(0..3) {
            0 => map.insert(range, rng.u8(0..3)),
            1 => map.remove(range, &mut |_, _| ()),
            _ => map.update(range, &mut |_, value| *value = (*value + 1) % 3),
        };
        assert!(!matches!(answer, Err(RegionError::NoSlot { .. })));
        assert!(map.slots_touched() <= backed);
        assert!(map.len() <= map.slots_touched());
    }
    assert!(
        backed <= PAGES as usize + SLOTS_PER_OPERATION,
        "slots are used again"
    );
}

#[test]
fn slots_free_below_counts_returned_and_fresh_slots() {
    let mut memory = vec![Slot::EMPTY; 4];
    let mut map = RegionMap::new(&mut memory, 0..100);
    assert_eq!((map.slots_touched(), map.slots_free_below(3)), (0, 3));
    map.insert(0..1, 1).unwrap();
    map.insert(5..6, 1).unwrap();
    map.remove(0..1, &mut |_, _| ()).unwrap();
    assert_eq!(map.slots_touched(), 2);
    assert_eq!(map.slots_free_below(2), 1);
    assert_eq!(
        map.slots_free_below(usize::MAX),
        3,
        "no more than there are"
    );
    map.insert(0..1, 1).unwrap();
    map.insert(10..11, 1).unwrap();
    map.remove(0..7, &mut |_, _| ()).unwrap();
    assert_eq!((map.slots_touched(), map.len()), (3, 1));
    assert_eq!(
        map.slots_free_below(2),
        0,
        "the returned slots may be any of the touched ones"
    );
}

#[test]
fn neighbours_of_one_value_are_one_region() {
    let mut memory = vec![Slot::EMPTY; 2];
    let mut map = RegionMap::new(&mut memory, 0..100);
    map.insert(0..10, 1).unwrap();
    map.insert(20..30, 1).unwrap();
    map.insert(10..20, 1).unwrap();
    assert_eq!(map.find(15), Some((0..30, 1)));
    map.insert(30..40, 2).unwrap();
    assert_eq!(map.find(15), Some((0..30, 1)));
    map.update(30..40, &mut |_, value| *value = 1).unwrap();
    assert_eq!(map.find(39), Some((0..40, 1)));
}

#[test]
fn a_change_that_needs_slots_fails_whole() {
    let mut memory = vec![Slot::EMPTY; 2];
    let mut map = RegionMap::new(&mut memory, 0..100);
    map.insert(0..10, 1).unwrap();
    assert_eq!(
        map.update(3..4, &mut |_, value| *value = 2),
        Err(RegionError::NoSlot { needed: 2 })
    );
    assert_eq!(regions(&map), [(0..10, 1)]);
    map.remove(3..4, &mut |_, _| ()).unwrap();
    let none_removed = map.remove(1..2, &mut |_, _| panic!("nothing may be removed"));
    assert_eq!(none_removed, Err(RegionError::NoSlot { needed: 1 }));
    assert_eq!(regions(&map), [(0..3, 1), (4..10, 1)]);
}

/// Many gaps that only alignment spoils: the search gives up the lowest, but still finds one.
#[test]
fn misaligned_gaps_do_not_hide_a_good_one() {
    let spoiled = 3 * MISFITS_MAX as u64;
    let mut memory = vec![Slot::EMPTY; 1024];
    let mut map = RegionMap::new(&mut memory, 0..100 * spoiled);
    for i in 0..spoiled {
        // Free: 16i + 1 .. 16i + 16, fifteen pages of which none starts a multiple of 16.
        map.insert(16 * i..16 * i + 1, 0).unwrap();
    }
    map.insert(16 * spoiled..16 * spoiled + 1, 0).unwrap();
    assert_eq!(map.find_gap(15, 16), Some(16 * (spoiled + 1)));
    assert_eq!(map.find_gap(15, 1), Some(1));
    assert_eq!(map.find_gap(8, 8), Some(8));
}

#[test]
fn the_whole_window_is_a_gap() {
    let mut memory = [Slot::<Value>::EMPTY; 1];
    let map = RegionMap::new(&mut memory, 512..1024);
    assert_eq!(map.find_gap(512, 512), Some(512));
    assert_eq!(map.find_gap(513, 1), None);
}

#[test]
fn hostile_arguments_are_answered() {
    let mut memory = vec![Slot::EMPTY; 8];
    let mut map = RegionMap::new(&mut memory, 0..u64::MAX);
    map.insert(u64::MAX - 2..u64::MAX, 1).unwrap();
    map.insert(0..1, 1).unwrap();
    let reversed = Range { start: 9, end: 3 };
    let empty = RegionError::EmptyRange { start: 9, end: 3 };
    assert_eq!(map.insert(reversed.clone(), 1), Err(empty));
    assert_eq!(map.remove(reversed.clone(), &mut |_, _| ()), Err(empty));
    assert_eq!(map.update(reversed.clone(), &mut |_, _| ()), Err(empty));
    map.for_each_in(reversed, &mut |_, _| {
        panic!("no part lies in a reversed range")
    });
    for (len, align) in [
        (0, 1),
        (1, 0),
        (u64::MAX, u64::MAX),
        (u64::MAX, 1),
        (2, u64::MAX),
    ] {
        assert_eq!(
            map.find_gap(len, align),
            None,
            "{len} pages at a multiple of {align}"
        );
    }
    assert_eq!(map.find_gap(u64::MAX - 3, 1), Some(1));
    assert_eq!(map.find(u64::MAX), None);
    let mut none = [Slot::EMPTY; 1];
    let mut nowhere = RegionMap::new(&mut none, Range { start: 5, end: 2 });
    assert_eq!(nowhere.find_gap(1, 1), None);
    assert!(matches!(
        nowhere.insert(3..4, 1),
        Err(RegionError::OutsideWindow { .. })
    ));
}
