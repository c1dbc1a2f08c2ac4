//! Components: making instances, and calling across the canonical ABI.

use bench_sampling::Meter;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, Result, Store};

use super::engines::Engines;
use super::modules::COMPONENT;
use crate::bundle::Files;

/// Length of the string that is passed, in bytes.
const TEXT_BYTES: usize = 4096;

/// Takes the figures.
pub fn run(meter: &mut Meter<'_>, engines: &Engines, _: &Files) -> Result<()> {
    for (name, engine) in [
        ("component.instantiate_pool", &engines.pool),
        ("component.instantiate_ondemand", &engines.single),
    ] {
        let linked = linked(engine)?;
        meter.try_each(name, || {
            linked.instantiate(Store::new(engine, ())).map(drop)
        });
    }
    calls(meter, &engines.pool)
}

fn linked(engine: &Engine) -> Result<InstancePre<()>> {
    let component = Component::new(engine, COMPONENT)?;
    Linker::<()>::new(engine).instantiate_pre(&component)
}

fn calls(meter: &mut Meter<'_>, engine: &Engine) -> Result<()> {
    let mut store = Store::new(engine, ());
    let instance = linked(engine)?.instantiate(&mut store)?;
    let same = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "same")?;
    let length = instance.get_typed_func::<(&str,), (u32,)>(&mut store, "length")?;
    meter.try_each("component.call_noop", || {
        same.call(&mut store, (7,)).map(drop)
    });
    let text = "x".repeat(TEXT_BYTES);
    meter.try_each("component.call_string_4k", || {
        length.call(&mut store, (&text,)).map(drop)
    });
    Ok(())
}
