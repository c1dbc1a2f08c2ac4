//! The host's functions, for each of Wasmtime's engines that programs belong to.
//!
//! Law: all linkers hold the same. Those for programs that do not fit the pool, and for code of the baseline compiler, are made
//! when the first such program is linked.

use crate::ProcessState;
use crate::supervisor::Interface;
use std::sync::OnceLock;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

/// Engines besides the main one.
const OTHERS: usize = 2;

pub(crate) struct Linkers {
    interfaces: Vec<Interface>,
    main: Linker<ProcessState>,
    others: [OnceLock<Linker<ProcessState>>; OTHERS],
}

impl Linkers {
    /// Fails if two interfaces define the same function.
    pub fn new(main: &Engine, interfaces: Vec<Interface>) -> wasmtime::Result<Linkers> {
        Ok(Linkers {
            main: linker(main, &interfaces)?,
            others: [const { OnceLock::new() }; OTHERS],
            interfaces,
        })
    }

    /// The linker of the component's engine.
    pub fn of(&self, component: &Component) -> wasmtime::Result<&Linker<ProcessState>> {
        let engine = component.engine();
        if Engine::same(engine, self.main.engine()) {
            return Ok(&self.main);
        }
        for place in &self.others {
            if place.get().is_none() {
                // Two threads may have made one at the same time: then one of them is dropped.
                let _set = place.set(linker(engine, &self.interfaces)?);
            }
            if let Some(linker) = place.get()
                && Engine::same(engine, linker.engine())
            {
                return Ok(linker);
            }
        }
        wasmtime::bail!("there are more engines than linkers")
    }
}

fn linker(engine: &Engine, interfaces: &[Interface]) -> wasmtime::Result<Linker<ProcessState>> {
    let mut linker = Linker::new(engine);
    runtime_wasi::add_to_linker(&mut linker)?;
    runtime_kpio::add_to_linker(&mut linker)?;
    interfaces.iter().try_for_each(|add| add(&mut linker))?;
    Ok(linker)
}
