//! Kernels that only compute, as WebAssembly: the peer runs the same bytes.

use bench_sampling::Meter;
use wasmtime::{Instance, Module, Result, Store};

use super::engines::Engines;
use crate::bundle::Files;

/// The module with the kernels; without it there are no such figures.
const KERNELS: &str = "kernels";
/// Name, number of the kernel, size of its work.
const WORK: [(&str, u32, u32); 4] = [
    ("sha256_256k", 0, 4096),
    ("fannkuch_8", 1, 8),
    ("nbody_5k", 2, 5000),
    ("blend_1m_px", 3, 1024),
];

/// Takes the figures.
pub fn run(meter: &mut Meter<'_>, engines: &Engines, files: &Files) -> Result<()> {
    let Some((_, wasm)) = files.modules().find(|(name, _)| *name == KERNELS) else {
        return Ok(());
    };
    let module = Module::new(&engines.single, wasm)?;
    let mut store = Store::new(&engines.single, ());
    let instance = Instance::new(&mut store, &module, &[])?;
    let run = instance.get_typed_func::<(u32, u32), u64>(&mut store, "run")?;
    for (name, kernel, size) in WORK {
        meter.try_each(&format!("compute.{name}"), || {
            run.call(&mut store, (kernel, size)).map(drop)
        });
    }
    Ok(())
}
