//! Crossing between host and WebAssembly.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bench_sampling::Meter;
use wasmtime::{Caller, Linker, Module, Result, Store};

use super::engines::Engines;
use super::modules::CALLS;
use crate::bundle::Files;

/// Takes the figures.
pub fn run(meter: &mut Meter<'_>, engines: &Engines, _: &Files) -> Result<()> {
    let clock = meter.clock();
    let module = Module::new(&engines.pool, CALLS)?;
    let mut linker = Linker::<u64>::new(&engines.pool);
    linker.func_wrap("host", "next", |mut caller: Caller<'_, u64>, value: i32| {
        *caller.data_mut() += 1;
        value
    })?;
    let mut store = Store::new(&engines.pool, 0);
    let instance = linker.instantiate(&mut store, &module)?;
    let same = instance.get_typed_func::<i32, i32>(&mut store, "same")?;
    let repeat = instance.get_typed_func::<i64, ()>(&mut store, "repeat")?;
    meter.try_each("call.host_to_wasm", || same.call(&mut store, 7).map(drop));
    meter.per_operation("call.wasm_to_host", |count| {
        let start = clock();
        let result = repeat.call(&mut store, count as i64);
        result.map_err(|error| format!("{error:#}"))?;
        Ok(clock() - start)
    });
    meter.per_operation("call.host_to_wasm_async", |count| {
        let start = clock();
        let calls = async {
            for _ in 0..count {
                same.call_async(&mut store, 7).await?;
            }
            Ok(())
        };
        finish(calls).map_err(|error| format!("{error:#}"))?;
        Ok(clock() - start)
    });
    Ok(())
}

/// Runs a future that never has to wait for anybody.
fn finish(future: impl Future<Output = Result<()>>) -> Result<()> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return result;
        }
    }
}
