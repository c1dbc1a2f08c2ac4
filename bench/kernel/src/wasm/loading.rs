//! From bytes to an instance: compiling, loading what was compiled before, instantiating.

use bench_sampling::Meter;
use wasmtime::{Engine, Linker, Module, Result, Store};

use super::engines::Engines;
use crate::bundle::Files;

/// Takes the figures of every module in the bundle.
pub fn run(meter: &mut Meter<'_>, engines: &Engines, files: &Files) -> Result<()> {
    for (name, wasm) in files.modules() {
        meter.known(&format!("size.{name}"), "bytes", wasm.len() as f64);
        for (how, engine) in [
            ("1thread", &engines.single),
            ("parallel", &engines.parallel),
        ] {
            meter.long(&format!("compile_{how}.{name}"), || {
                Module::new(engine, wasm).map(drop)
            });
        }
        for (how, engine) in [("pool", &engines.pool), ("ondemand", &engines.single)] {
            let figure = format!("instantiate_{how}.{name}");
            if meter.wants(&figure)
                && let Err(error) = instantiate(meter, &figure, engine, wasm)
            {
                meter.error(&figure, &format!("{error:#}"));
            }
        }
    }
    Ok(())
}

/// Whatever the module imports is there and traps; nothing is called.
fn instantiate(meter: &mut Meter<'_>, figure: &str, engine: &Engine, wasm: &[u8]) -> Result<()> {
    let module = Module::new(engine, wasm)?;
    let mut linker = Linker::<()>::new(engine);
    linker.define_unknown_imports_as_traps(&module)?;
    let linked = linker.instantiate_pre(&module)?;
    meter.try_each(figure, || {
        linked.instantiate(Store::new(engine, ())).map(drop)
    });
    Ok(())
}
