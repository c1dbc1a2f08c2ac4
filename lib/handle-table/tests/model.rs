//! Tables against a naive model: lists that are searched from end to end.

use std::collections::BTreeMap;
use std::sync::Arc;

use lib_handle_table::{DuplicateError, GENERATIONS, Handle, HandleError, Rights, Table};

const TABLES: usize = 3;
const STEPS: usize = 40_000;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// What the model knows of one handle.
#[derive(Clone)]
struct Known {
    object: Arc<u32>,
    rights: u32,
    /// Grants from the first owner on, by number.
    chain: Vec<u32>,
    /// What is derived from it carries this number too.
    derived: u32,
}

#[derive(Default)]
struct Model {
    tables: Vec<BTreeMap<Handle, Known>>,
    revoked: Vec<u32>,
    grants: u32,
}

impl Model {
    fn grant(&mut self) -> u32 {
        self.grants += 1;
        self.grants
    }

    fn expect(&self, table: usize, handle: Handle, wanted: u32) -> Result<Arc<u32>, HandleError> {
        let known = self.tables[table].get(&handle);
        let known = known.ok_or(HandleError::Closed(handle))?;
        if known.chain.iter().any(|grant| self.revoked.contains(grant)) {
            return Err(HandleError::Revoked(handle));
        }
        if known.rights & wanted != wanted {
            return Err(HandleError::Denied(handle));
        }
        Ok(Arc::clone(&known.object))
    }
}

fn seed() -> u64 {
    let given = std::env::var("KPIO_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
    println!("KPIO_SEED={seed}");
    seed
}

/// One that exists in most cases, and any number in the others.
fn some_handle(random: &mut Random, known: &BTreeMap<Handle, Known>) -> Handle {
    if known.is_empty() || random.below(8) == 0 {
        let (high, low) = (random.below(4) << 20, random.below(20));
        return Handle::from_u32((high | low) as u32);
    }
    let at = random.below(known.len());
    *known.keys().nth(at).expect("there are more")
}

#[test]
fn tables_do_what_the_model_does() {
    let mut random = Random(seed());
    let mut tables: Vec<Table<Arc<u32>>> = (0..TABLES).map(|_| Table::new()).collect();
    let mut model = Model {
        tables: vec![BTreeMap::new(); TABLES],
        ..Model::default()
    };
    for step in 0..STEPS {
        let (this, other) = (random.below(TABLES), random.below(TABLES));
        let handle = some_handle(&mut random, &model.tables[this]);
        let rights = random.below(8) as u32;
        match random.below(6) {
            0 => insert(&mut tables[this], &mut model, this, step as u32, rights),
            1 => {
                let closed = tables[this].remove(handle).ok();
                let known = model.tables[this].remove(&handle);
                assert_eq!(closed, known.map(|known| known.object), "step {step}");
            }
            2 => revoke(&mut tables[this], &mut model, this, handle),
            3 | 4 => pass(&mut tables, &mut model, this, other, handle, rights),
            _ => {
                let found = tables[this].get(handle, Rights(rights)).cloned();
                assert_eq!(found, model.expect(this, handle, rights), "step {step}");
            }
        }
    }
    for (table, known) in tables.iter().zip(&model.tables) {
        assert!(table.handles().eq(sorted_by_place(known)));
    }
}

fn sorted_by_place(known: &BTreeMap<Handle, Known>) -> Vec<Handle> {
    let mut handles: Vec<Handle> = known.keys().copied().collect();
    handles.sort_by_key(|handle| handle.as_u32() & 0xf_ffff);
    handles
}

fn insert(table: &mut Table<Arc<u32>>, model: &mut Model, this: usize, object: u32, rights: u32) {
    let object = Arc::new(object);
    let handle = table.insert(Arc::clone(&object), Rights(rights));
    let derived = model.grant();
    let known = Known {
        object,
        rights,
        chain: Vec::new(),
        derived,
    };
    let before = model.tables[this].insert(handle.expect("room"), known);
    assert!(before.is_none(), "a handle was given twice");
}

fn revoke(table: &mut Table<Arc<u32>>, model: &mut Model, this: usize, handle: Handle) {
    let revoked = table.revoke(handle);
    let next = model.grant();
    match model.tables[this].get_mut(&handle) {
        Some(known) => {
            assert_eq!(revoked, Ok(()));
            model.revoked.push(known.derived);
            known.derived = next;
        }
        None => assert_eq!(revoked, Err(HandleError::Closed(handle))),
    }
}

fn pass(
    tables: &mut [Table<Arc<u32>>],
    model: &mut Model,
    from: usize,
    to: usize,
    handle: Handle,
    rights: u32,
) {
    let expected = model.expect(from, handle, rights);
    let passed = match tables[from].pass(handle, Rights(rights)) {
        Ok(passed) => passed,
        Err(error) => return assert_eq!(expected, Err(error)),
    };
    let adopted = tables[to].adopt(passed).expect("room");
    let original = model.tables[from][&handle].clone();
    let derived = model.grant();
    let chain = [&original.chain[..], &[original.derived]].concat();
    let known = Known {
        object: expected.expect("the model gives it too"),
        rights,
        chain,
        derived,
    };
    model.tables[to].insert(adopted, known);
}

#[test]
fn a_place_is_used_many_times_before_an_old_handle_means_something_again() {
    let mut table = Table::new();
    let first = table.insert(0, Rights::ALL).expect("room");
    for round in 1..GENERATIONS {
        table
            .remove(Handle::from_u32(first.as_u32() + ((round - 1) << 20)))
            .expect("it is there");
        table.insert(round, Rights::ALL).expect("room");
        assert_eq!(table.get(first, Rights(0)), Err(HandleError::Closed(first)));
    }
}

#[test]
fn rights_only_shrink() {
    let mut table = Table::new();
    let original = table.insert("x", Rights(0b11)).expect("room");
    let copy = table
        .duplicate(original, Rights(0b01))
        .expect("fewer rights");
    assert_eq!(table.rights(copy), Ok(Rights(0b01)));
    let denied = DuplicateError::Handle(HandleError::Denied(copy));
    assert_eq!(table.duplicate(copy, Rights(0b11)), Err(denied));
    assert_eq!(
        table.get_mut(copy, Rights(0b10)),
        Err(HandleError::Denied(copy))
    );
}
