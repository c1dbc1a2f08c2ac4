//! The engines of Wasmtime's that one [`crate::Engine`] is made of: up to three.
//!
//! Law: how instances get their memory is decided for a whole engine of Wasmtime's, and code belongs to one engine. So
//! a program is loaded by the engine with the pool if its memories, tables and instances fit there, and otherwise by one
//! without, which is made when the first such program comes. Both have the same settings and load the same
//! images. The baseline compiler's code needs an engine of its own ([`baseline`]).

use crate::{Code, EngineError, baseline, settings};
use std::sync::{Arc, OnceLock};
use wasmtime::{Config, CustomCodeMemory, InstanceAllocationStrategy};

/// What every message of Wasmtime's about a program that the pool has no place for contains.
const MISFIT: &str = "pooling allocator";

pub(crate) struct Engines {
    main: wasmtime::Engine,
    has_pool: bool,
    unpooled: OnceLock<wasmtime::Engine>,
    baseline: OnceLock<wasmtime::Engine>,
    code_memory: Option<Arc<dyn CustomCodeMemory>>,
}

impl Engines {
    /// An engine with a pool for so many processes; without a pool for none.
    pub fn new(
        code_memory: Option<Arc<dyn CustomCodeMemory>>,
        pooled_processes: u32,
    ) -> wasmtime::Result<Engines> {
        let has_pool = pooled_processes > 0;
        let strategy = if has_pool {
            InstanceAllocationStrategy::Pooling(settings::pool(pooled_processes))
        } else {
            InstanceAllocationStrategy::OnDemand
        };
        Ok(Engines {
            main: make(settings::local_config(), code_memory.clone(), strategy)?,
            has_pool,
            unpooled: OnceLock::new(),
            baseline: OnceLock::new(),
            code_memory,
        })
    }

    /// The engine with the pool, if there is one.
    pub fn main(&self) -> &wasmtime::Engine {
        &self.main
    }

    fn unpooled(&self) -> wasmtime::Result<&wasmtime::Engine> {
        self.on_demand(&self.unpooled, settings::local_config)
    }

    /// The engine whose code the baseline compiler makes.
    pub fn baseline(&self) -> wasmtime::Result<&wasmtime::Engine> {
        self.on_demand(&self.baseline, baseline::config)
    }

    fn on_demand<'a>(
        &self,
        place: &'a OnceLock<wasmtime::Engine>,
        config: fn() -> Result<Config, EngineError>,
    ) -> wasmtime::Result<&'a wasmtime::Engine> {
        if let Some(engine) = place.get() {
            return Ok(engine);
        }
        let strategy = InstanceAllocationStrategy::OnDemand;
        let engine = make(config(), self.code_memory.clone(), strategy)?;
        Ok(place.get_or_init(|| engine))
    }

    /// Makes code in the main engine, or where it does not fit the pool, in the other one.
    pub fn load(
        &self,
        make: impl Fn(&wasmtime::Engine) -> wasmtime::Result<Code>,
    ) -> wasmtime::Result<Code> {
        match make(&self.main) {
            Err(error) if self.has_pool && format!("{error:#}").contains(MISFIT) => {
                make(self.unpooled()?)
            }
            made => made,
        }
    }
}

fn make(
    config: Result<Config, EngineError>,
    code_memory: Option<Arc<dyn CustomCodeMemory>>,
    strategy: InstanceAllocationStrategy,
) -> wasmtime::Result<wasmtime::Engine> {
    let mut config = config.map_err(|error| wasmtime::format_err!("{error}"))?;
    config
        .with_custom_code_memory(code_memory)
        .allocation_strategy(strategy);
    wasmtime::Engine::new(&config)
}
