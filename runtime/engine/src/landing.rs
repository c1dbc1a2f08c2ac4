//! Where a diverted thread goes on: a trapping instruction of a module that is made for nothing else.
//!
//! Law: Wasmtime's handler takes a fault for a trap only at an address that a compiled module's table of traps has. Programs
//! need not have such an address, so the engine has a function of its own that is nothing but `unreachable`. It is never
//! called, and belongs to no store: a trap there gets its way out from the thread's own activation of wasm.

use crate::settings;
use wasmtime::{Engine, Module};

/// `(module (func unreachable))`.
const WASM: [u8; 25] =
    *b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x05\x01\x03\0\0\x0b";

/// The instruction that `unreachable` becomes.
const UD2: [u8; 2] = [0x0f, 0x0b];

/// The landing of one engine.
pub(crate) struct Landing {
    address: usize,
    /// Whose code it is.
    _module: Module,
}

impl Landing {
    /// Compiled by a compiler that goes with its buffers, on the calling thread.
    pub fn new(engine: &Engine) -> wasmtime::Result<Landing> {
        let mut config =
            settings::local_config().map_err(|error| wasmtime::format_err!("{error}"))?;
        config.parallel_compilation(false);
        let image = Engine::new(&config)?.precompile_module(&WASM)?;
        // SAFETY: the bytes are what our compiler wrote just now.
        let module = unsafe { Module::deserialize(engine, &image) }?;
        let offset = trap_offset(&module)
            .ok_or_else(|| wasmtime::format_err!("`unreachable` became no trapping instruction"))?;
        Ok(Landing {
            address: module.text().as_ptr().addr() + offset,
            _module: module,
        })
    }

    /// The trapping instruction.
    pub fn address(&self) -> usize {
        self.address
    }
}

/// Where the function's last trapping instruction is: each of them has an entry in the table of traps.
fn trap_offset(module: &Module) -> Option<usize> {
    let function = module.functions().next()?;
    let body = module.text().get(function.offset..)?.get(..function.len)?;
    let at = body.windows(UD2.len()).rposition(|bytes| bytes == UD2)?;
    Some(function.offset + at)
}
