//! The engines that files run on.
//!
//! Law: they are the product's own, made by the code that makes the product's. There is one deviation, in one place:
//! [`Place::Shared`].

use std::sync::Arc;

use runtime_engine::{EngineError, EngineOptions, settings};
use wasmtime::CustomCodeMemory;

use crate::Place;

/// Places in the pool. A process has one store with few instances, whereas a file keeps all instances that it
/// makes, and several files run at a time: so there have to be many.
const POOLED_PROCESSES: u32 = 192;

/// One engine for each [`Place`].
pub struct Engines {
    pool: runtime_engine::Engine,
    on_demand: runtime_engine::Engine,
    shared: wasmtime::Engine,
}

impl Engines {
    /// Engines that make code executable through `code_memory`, or without any by themselves.
    ///
    /// # Errors
    /// The engine's, about this processor or its settings.
    pub fn new(code_memory: Option<Arc<dyn CustomCodeMemory>>) -> Result<Self, EngineError> {
        let product = |pooled_processes| {
            runtime_engine::Engine::new(EngineOptions {
                code_memory: code_memory.clone(),
                pooled_processes,
                ..EngineOptions::default()
            })
        };
        Ok(Self {
            pool: product(POOLED_PROCESSES)?,
            on_demand: product(0)?,
            shared: shared(code_memory.clone())?,
        })
    }

    /// The product's engine, as processes have it.
    pub fn product(&self) -> &runtime_engine::Engine {
        &self.pool
    }

    /// Wasmtime's engine for core files.
    pub fn wasmtime(&self, place: Place) -> &wasmtime::Engine {
        match place {
            Place::Pool => self.pool.wasmtime(),
            Place::OnDemand => self.on_demand.wasmtime(),
            Place::Shared => &self.shared,
        }
    }
}

/// The product's settings, save that memories may be shared: the product compiles atomic operations, and refuses
/// shared memories as Wasmtime does by itself.
fn shared(code_memory: Option<Arc<dyn CustomCodeMemory>>) -> Result<wasmtime::Engine, EngineError> {
    let mut config = settings::config()?;
    config
        .shared_memory(true)
        .with_custom_code_memory(code_memory);
    wasmtime::Engine::new(&config).map_err(|error| EngineError::Wasmtime(format!("{error:#}")))
}
