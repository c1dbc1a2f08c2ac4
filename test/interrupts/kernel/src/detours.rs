//! A thread that is to leave wasm, asked again and again in one host call.

use std::ops::Range;
use std::sync::Arc;
use std::thread;

use kernel_core::crash::Licence;
use runtime_platform::interruption;
use wasmtime::{Caller, Engine, Func, Instance, Module, Store, Trap, WasmBacktrace};

use crate::wasm;

/// Requests during the call. Each sends an interrupt; the second one is enough to go wrong.
const REQUESTS: usize = 20;
/// The function that makes the host call, and the one that has called it.
const FRAMES: usize = 2;
const CALLS: &str = r#"(module (import "" "call" (func $call))
    (func $inner (call $call))
    (func (export "f") (call $inner)))"#;
const LANDING: &str = "(module (func unreachable))";
/// The instruction that `unreachable` becomes.
const UD2: [u8; 2] = [0x0f, 0x0b];

/// Only the innermost return is diverted: all others are read by the engine while the call lasts (its collector and its search for
/// the handler of an exception walk over them), and the thread traps when it returns.
pub fn again_in_a_call(_licence: &Licence) -> Result<(), String> {
    let engine = wasm::engine()?;
    let program = Module::new(&engine, CALLS).map_err(|error| error.to_string())?;
    let landing = Module::new(&engine, LANDING).map_err(|error| error.to_string())?;
    let (bodies, landing) = (bodies(&program), trap_address(&landing)?);
    let (frames, ending) = call(&engine, &program, move || {
        for _ in 0..REQUESTS {
            interruption::divert(interruption::current_thread(), &bodies, landing);
            thread::yield_now();
        }
    })?;
    interruption::stay();
    if frames != FRAMES {
        return Err(format!(
            "of {FRAMES} functions on the stack {frames} were found"
        ));
    }
    match ending.downcast_ref() {
        Some(Trap::UnreachableCodeReached) => Ok(()),
        _ => Err(format!("it ended otherwise: {ending:?}")),
    }
}

/// Does `during` in a host call of the program: how many of its functions are found on the stack afterwards, and how it ends.
fn call(
    engine: &Engine,
    program: &Module,
    during: impl Fn() + Send + Sync + 'static,
) -> Result<(usize, wasmtime::Error), String> {
    let mut store = Store::new(engine, 0);
    let host = Func::wrap(&mut store, move |mut caller: Caller<'_, usize>| {
        during();
        let found = WasmBacktrace::force_capture(&caller).frames().len();
        *caller.data_mut() = found;
    });
    let ending = Instance::new(&mut store, program, &[host.into()])
        .and_then(|instance| instance.get_typed_func::<(), ()>(&mut store, "f"))
        .map_err(|error| format!("{error:?}"))?
        .call(&mut store, ());
    let frames = *store.data();
    match ending {
        Ok(()) => Err("it returned as if nobody had asked".to_owned()),
        Err(ending) => Ok((frames, ending)),
    }
}

fn bodies(program: &Module) -> Arc<[Range<usize>]> {
    let start = program.text().as_ptr().addr();
    let functions = program.functions();
    functions
        .map(|function| start + function.offset..start + function.offset + function.len)
        .collect()
}

fn trap_address(landing: &Module) -> Result<usize, String> {
    let at = landing
        .text()
        .windows(UD2.len())
        .position(|bytes| bytes == UD2)
        .ok_or("`unreachable` became no trapping instruction")?;
    Ok(landing.text().as_ptr().addr() + at)
}
