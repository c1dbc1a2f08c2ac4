//! Linear memories: made, touched, dropped.

use bench_sampling::Meter;
use wasmtime::{InstancePre, Linker, Module, Result, Store};

use super::engines::Engines;
use super::modules::MEMORY_32M;
use crate::bundle::Files;

/// Takes the figures.
pub fn run(meter: &mut Meter<'_>, engines: &Engines, _: &Files) -> Result<()> {
    for (name, engine) in [
        ("memory.instantiate_touch_drop_32m", &engines.pool),
        (
            "memory.instantiate_touch_drop_32m_ondemand",
            &engines.single,
        ),
    ] {
        let module = Module::new(engine, MEMORY_32M)?;
        let linked = Linker::<()>::new(engine).instantiate_pre(&module)?;
        meter.try_each(name, || touch(&linked));
    }
    Ok(())
}

fn touch(linked: &InstancePre<()>) -> Result<()> {
    let mut store = Store::new(linked.module().engine(), ());
    let instance = linked.instantiate(&mut store)?;
    instance
        .get_typed_func::<(), ()>(&mut store, "touch")?
        .call(&mut store, ())
}
