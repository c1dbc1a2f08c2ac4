//! The two engines of Wasmtime's that one [`crate::Engine`] is made of.
//!
//! Law: how instances get their memory is decided for a whole engine of Wasmtime's, and code belongs to one engine. So
//! a program is loaded by the engine with the pool if its memories, tables and instances fit there, and otherwise by one
//! without, which is made when the first such program comes. Both have the same settings and load the same
//! images.

use crate::settings;
use std::sync::{Arc, OnceLock};
use wasmtime::component::Component;
use wasmtime::{CustomCodeMemory, InstanceAllocationStrategy};

/// What every message of Wasmtime's about a program that the pool has no place for contains.
const MISFIT: &str = "pooling allocator";

pub(crate) struct Engines {
    main: wasmtime::Engine,
    has_pool: bool,
    unpooled: OnceLock<wasmtime::Engine>,
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
            main: make(code_memory.clone(), strategy)?,
            has_pool,
            unpooled: OnceLock::new(),
            code_memory,
        })
    }

    /// The engine with the pool, if there is one.
    pub fn main(&self) -> &wasmtime::Engine {
        &self.main
    }

    fn unpooled(&self) -> wasmtime::Result<&wasmtime::Engine> {
        if let Some(engine) = self.unpooled.get() {
            return Ok(engine);
        }
        let strategy = InstanceAllocationStrategy::OnDemand;
        let engine = make(self.code_memory.clone(), strategy)?;
        Ok(self.unpooled.get_or_init(|| engine))
    }

    /// Makes a component in the main engine, or where it does not fit the pool, in the other one.
    pub fn load(
        &self,
        make: impl Fn(&wasmtime::Engine) -> wasmtime::Result<Component>,
    ) -> wasmtime::Result<Component> {
        match make(&self.main) {
            Err(error) if self.has_pool && format!("{error:#}").contains(MISFIT) => {
                make(self.unpooled()?)
            }
            made => made,
        }
    }
}

fn make(
    code_memory: Option<Arc<dyn CustomCodeMemory>>,
    strategy: InstanceAllocationStrategy,
) -> wasmtime::Result<wasmtime::Engine> {
    let mut config = settings::local_config().map_err(|error| wasmtime::format_err!("{error}"))?;
    config
        .with_custom_code_memory(code_memory)
        .allocation_strategy(strategy);
    wasmtime::Engine::new(&config)
}
