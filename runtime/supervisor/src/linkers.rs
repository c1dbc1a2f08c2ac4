//! The host's functions, for each of Wasmtime's engines that programs belong to.
//!
//! Law: both linkers hold the same. The one for programs that do not fit the pool is made when the first of them is
//! linked.

use crate::ProcessState;
use crate::supervisor::Interface;
use std::sync::OnceLock;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

pub(crate) struct Linkers {
    interfaces: Vec<Interface>,
    main: Linker<ProcessState>,
    other: OnceLock<Linker<ProcessState>>,
}

impl Linkers {
    /// Fails if two interfaces define the same function.
    pub fn new(main: &Engine, interfaces: Vec<Interface>) -> wasmtime::Result<Linkers> {
        Ok(Linkers {
            main: linker(main, &interfaces)?,
            other: OnceLock::new(),
            interfaces,
        })
    }

    /// The linker of the component's engine.
    pub fn of(&self, component: &Component) -> wasmtime::Result<&Linker<ProcessState>> {
        let engine = component.engine();
        if Engine::same(engine, self.main.engine()) {
            return Ok(&self.main);
        }
        if let Some(linker) = self.other.get() {
            return Ok(linker);
        }
        let linker = linker(engine, &self.interfaces)?;
        Ok(self.other.get_or_init(|| linker))
    }
}

fn linker(engine: &Engine, interfaces: &[Interface]) -> wasmtime::Result<Linker<ProcessState>> {
    let mut linker = Linker::new(engine);
    runtime_wasi::add_to_linker(&mut linker)?;
    runtime_kpio::add_to_linker(&mut linker)?;
    interfaces.iter().try_for_each(|add| add(&mut linker))?;
    Ok(linker)
}
