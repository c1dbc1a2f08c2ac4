//! The faults on the host, where what goes wrong can be looked at, and the table of what there is.

#[path = "../../guest/built.rs"]
mod built;

use std::path::Path;

use built::{guest, guests_folder};
use runtime_engine::{Engine, EngineOptions};
use runtime_host::Budget;
use runtime_supervisor::{Grants, ProgramImage, Supervisor, SupervisorOptions, WasmBytes};
use test_faults::table::{KINDS, Reach, STATES, pairs};
use test_faults::{Defect, Machine, Order, Tally};

/// Memory of all processes, in bytes.
const MEMORY_BYTES: u64 = 1 << 30;
/// Of one, compiling included.
const PROCESS_BYTES: u64 = 64 << 20;
const PROCESSES_MAX: usize = 16;
/// Two rounds of all pairs, and some.
const FAULTS: usize = 400;

fn machine() -> Machine {
    let options = EngineOptions {
        cache_bytes: 64 << 20,
        ..EngineOptions::default()
    };
    let engine = Engine::new(options).expect("an engine");
    let options = SupervisorOptions {
        budget: Budget::new(MEMORY_BYTES),
        processes_max: PROCESSES_MAX,
        interfaces: Vec::new(),
        meter: None,
        programs: None,
    };
    let folder = guests_folder("KPIO_FAULTS_GUEST", "faults");
    Machine {
        supervisor: Supervisor::new(engine, options).expect("a supervisor"),
        process_bytes: PROCESS_BYTES,
        relay: image(&folder, "relay"),
        caller: image(&folder, "caller"),
    }
}

fn image(folder: &Path, name: &str) -> ProgramImage {
    ProgramImage {
        name: name.to_owned(),
        wasm: Some(WasmBytes::Shared(guest(folder, name))),
        precompiled: None,
        grants: Grants::WHATEVER_IS_GIVEN,
    }
}

fn order(faults: usize, defect: Option<Defect>) -> Order {
    let seed = std::env::var("KPIO_SEED").ok();
    Order {
        faults,
        seed: seed.and_then(|seed| seed.parse().ok()).unwrap_or(1),
        skip: 0,
        defect,
    }
}

#[test]
fn every_kind_in_every_state_is_injected_or_has_a_reason() {
    for kind in KINDS {
        let reasons = STATES.map(|state| match kind.reach(state) {
            Reach::Injected(_) => "",
            Reach::Never(why) => why,
        });
        let injected = reasons.iter().filter(|why| why.is_empty()).count();
        let listed = pairs().iter().filter(|pair| pair.kind == kind).count();
        assert!(injected > 0, "{} is never injected", kind.name());
        assert_eq!(injected, listed);
    }
}

#[test]
fn all_is_recovered_from() {
    let order = order(FAULTS, None);
    let mut tally = Tally::default();
    let ran = test_faults::run(&machine(), &order, &mut tally, &mut || Ok(()));
    assert_eq!(ran, Ok(()), "seed {}", order.seed);
    assert_eq!(tally.total().injected, FAULTS);
    assert_eq!(tally.total().recovered, FAULTS);
    assert!(order.minimum() > 0);
    for pair in pairs() {
        let count = tally.count(pair.kind, pair.state);
        assert!(count.injected >= order.minimum(), "{pair}: {count:?}");
    }
}

#[test]
fn an_entry_that_is_lost_is_noticed() {
    let mut tally = Tally::default();
    let order = order(FAULTS, Some(Defect::LostEntry));
    let ran = test_faults::run(&machine(), &order, &mut tally, &mut || Ok(()));
    let why = ran.err().unwrap_or_default();
    assert!(
        why.contains("was acknowledged, and is entered 0 times"),
        "{why}"
    );
}
