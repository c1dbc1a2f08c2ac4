//! From a program's bytes to its code: from the image, from the cache, or by a compiler.
//!
//! Laws:
//! - **The same bytes are compiled once at a time.** Who wants what somebody else is compiling already waits for it, and
//!   stops waiting when it is told to end. If that other one fails (its budget may be the smaller one), the next tries.
//! - **Unknown programs start soon.** What nobody has compiled yet is compiled by the baseline compiler; where that
//!   refuses, by Cranelift at once. Cranelift's code is then made behind the program's back ([`Optimizer`]) and is there for
//!   the next start. Without a cache there is no next start, and Cranelift compiles.
//! - **Compiling is paid for by the process that starts**, and given back when it is done.
//!
//! All of this happens on the process's own thread. Lock: that of the flights, held for nothing but the map.

use crate::optimizer::{Optimizer, Wanted};
use crate::process::Shared;
use crate::{CodeSource, Exit, Launch, ProgramImage, WasmBytes};
use runtime_engine::{Admitted, CacheKey, Engine, LoadError, LoadProblem, Program, Purse, Tier};
use runtime_host::{Budget, Cancellation, Cancelled, Notifier, Reservation, Subscribers};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Which program by which compiler; none: by any.
type FlightKey = (CacheKey, Option<Tier>);

/// Loads programs for all processes.
pub(crate) struct Loader {
    pub engine: Engine,
    flights: Mutex<HashMap<FlightKey, Arc<Flight>>>,
    optimizer: Optimizer,
}

/// A compilation that is under way.
#[derive(Default)]
struct Flight {
    /// What came of it; nothing if it failed.
    outcome: OnceLock<Option<Program>>,
    waiting: Subscribers,
}

/// Held by the one who compiles. Dropping it ends the flight, well or not.
pub(crate) struct Pilot<'a> {
    loader: &'a Loader,
    key: FlightKey,
    flight: Arc<Flight>,
}

enum Place<'a> {
    Pilot(Pilot<'a>),
    Passenger(Arc<Flight>),
}

impl Loader {
    /// A loader that compiles behind programs' backs within a part of `budget`.
    pub fn new(engine: Engine, budget: &Budget) -> Loader {
        Loader {
            engine,
            flights: Mutex::default(),
            optimizer: Optimizer::new(budget),
        }
    }

    /// Who compiles behind programs' backs.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// The launch's program, and what its image takes of the process's memory.
    pub fn load(
        self: &Arc<Self>,
        launch: &Launch,
        shared: &Shared,
    ) -> Result<(Program, u64), Exit> {
        let image = &launch.program;
        if launch.code == CodeSource::Precompiled
            && let Some(loaded) = self.load_precompiled(image)?
        {
            return Ok(loaded);
        }
        let Some(wasm) = &image.wasm else {
            let name = &image.name;
            let why = "cannot run: it is there in no form that fits this system";
            return Err(Exit::Unusable(format!("{name} {why}")));
        };
        let program = self.load_wasm(&image.name, wasm, launch.code.compiler(), shared)?;
        let image_bytes = program.image_bytes();
        Ok((program, image_bytes))
    }

    /// The precompiled program and what its copy takes; none if it is not there, or made for other
    /// settings while there is a form that can be compiled.
    fn load_precompiled(&self, program: &ProgramImage) -> Result<Option<(Program, u64)>, Exit> {
        let Some(image) = &program.precompiled else {
            return Ok(None);
        };
        let image = image.verify(&program.name).map_err(refused)?;
        match self.engine.load_precompiled(&program.name, image) {
            Ok(program) if self.engine.runs_in_place(image.bytes()) => Ok(Some((program, 0))),
            Ok(program) => Ok(Some((program, image.bytes().len() as u64))),
            Err(LoadError {
                problem: LoadProblem::OtherSettings(_),
                ..
            }) if program.wasm.is_some() => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }

    /// The program from the cache or compiled, by that compiler or by any.
    fn load_wasm(
        self: &Arc<Self>,
        name: &str,
        wasm: &WasmBytes,
        tier: Option<Tier>,
        shared: &Shared,
    ) -> Result<Program, Exit> {
        let key = self.engine.key(wasm);
        let program = self.find_or_compile((key, tier), name, wasm, shared)?;
        if tier.is_none() && program.tier == Tier::Baseline {
            self.optimizer.add(self, Wanted::new(key, name, wasm));
        }
        Ok(program)
    }

    fn find_or_compile(
        &self,
        key: FlightKey,
        name: &str,
        wasm: &[u8],
        shared: &Shared,
    ) -> Result<Program, Exit> {
        loop {
            let pilot = match self.board(key) {
                Place::Passenger(flight) => match flight.wait(&shared.cancellation) {
                    Ok(Some(program)) => return Ok(program),
                    Ok(None) => continue,
                    Err(Cancelled) => return Err(Exit::Killed),
                },
                Place::Pilot(pilot) => pilot,
            };
            // Looked up only now: whoever was here before has put it there and gone.
            if let Some(program) = self.engine.cached(&key.0, key.1) {
                pilot.land(&program);
                return Ok(program);
            }
            let program = self.compile(name, wasm, key.1, &shared.budget)?;
            self.engine.keep(key.0, &program);
            pilot.land(&program);
            return Ok(program);
        }
    }

    /// Compiles with the peak reserved from the budget for the time being.
    fn compile(
        &self,
        name: &str,
        wasm: &[u8],
        tier: Option<Tier>,
        budget: &Budget,
    ) -> Result<Program, Exit> {
        let mut purse = BudgetPurse::new(budget);
        let admitted = self.engine.admit_for(name, wasm, &mut purse);
        let admitted = admitted.map_err(refused)?;
        if tier.is_none() && self.engine.has_cache() && admitted.suits_baseline() {
            match self.compile_by(Tier::Baseline, &admitted, &mut purse) {
                Ok(program) => return Ok(program),
                Err(error) => log::debug!("not by the baseline compiler: {error}"),
            }
        }
        let tier = tier.unwrap_or(Tier::Optimized);
        self.compile_by(tier, &admitted, &mut purse)
            .map_err(refused)
    }

    fn compile_by(
        &self,
        tier: Tier,
        admitted: &Admitted<'_>,
        purse: &mut BudgetPurse<'_>,
    ) -> Result<Program, LoadError> {
        admitted.pay(tier, purse)?;
        let program = self.engine.compile(admitted, tier)?;
        report(admitted.program(), &program);
        Ok(program)
    }

    /// Compiles what the optimizer was asked for, unless somebody else does or did.
    pub fn optimize(&self, wanted: &Wanted, budget: &Budget) -> Result<(), LoadError> {
        let key = (wanted.key, Some(Tier::Optimized));
        let Place::Pilot(pilot) = self.board(key) else {
            return Ok(());
        };
        if self.engine.cached(&key.0, key.1).is_some() {
            return Ok(());
        }
        let mut purse = BudgetPurse::new(budget);
        let engine = &self.engine;
        let program = engine.compile_behind(&wanted.name, &wanted.wasm, &mut purse)?;
        report(&wanted.name, &program);
        engine.keep(key.0, &program);
        pilot.land(&program);
        Ok(())
    }

    fn board(&self, key: FlightKey) -> Place<'_> {
        match self.flights().entry(key) {
            Entry::Occupied(entry) => Place::Passenger(Arc::clone(entry.get())),
            Entry::Vacant(entry) => {
                let flight = Arc::clone(entry.insert(Arc::default()));
                Place::Pilot(Pilot {
                    loader: self,
                    key,
                    flight,
                })
            }
        }
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<FlightKey, Arc<Flight>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// What comes of it.
    fn wait(&self, cancellation: &Cancellation) -> Result<Option<Program>, Cancelled> {
        let notifier = Notifier::new();
        cancellation.subscribe(&notifier);
        self.waiting.add(&notifier);
        loop {
            cancellation.check()?;
            if let Some(outcome) = self.outcome.get() {
                return Ok(outcome.clone());
            }
            notifier.wait(None);
        }
    }
}

impl Pilot<'_> {
    /// It went well.
    fn land(self, program: &Program) {
        // Nobody else sets it.
        let _set = self.flight.outcome.set(Some(program.clone()));
    }
}

impl Drop for Pilot<'_> {
    fn drop(&mut self) {
        let _landed_already = self.flight.outcome.set(None);
        self.loader.flights().remove(&self.key);
        self.flight.waiting.notify_all();
    }
}

/// Pays for a compilation from a budget; what it holds goes back when it is dropped.
struct BudgetPurse<'a> {
    budget: &'a Budget,
    held: Option<Reservation>,
}

impl<'a> BudgetPurse<'a> {
    fn new(budget: &'a Budget) -> Self {
        BudgetPurse { budget, held: None }
    }
}

impl Purse for BudgetPurse<'_> {
    fn hold(&mut self, bytes: u64) -> Result<(), u64> {
        let held_bytes = self.held.as_ref().map_or(0, Reservation::bytes);
        let more_bytes = bytes.saturating_sub(held_bytes);
        let grown = match &mut self.held {
            Some(held) => held.grow(more_bytes),
            None => self
                .budget
                .reserve(more_bytes)
                .map(|held| self.held = Some(held)),
        };
        grown.map_err(|over| held_bytes.saturating_add(over.free_bytes))
    }
}

/// One line for each compilation, so that it can be seen that there was none.
fn report(name: &str, program: &Program) {
    let compiler = match program.tier {
        Tier::Baseline => "the baseline compiler",
        Tier::Optimized => "Cranelift",
    };
    let name = name.escape_debug();
    log::debug!(
        "compiled {name} by {compiler}: {} bytes",
        program.image_bytes()
    );
}

fn refused(error: LoadError) -> Exit {
    Exit::Unusable(error.to_string())
}
