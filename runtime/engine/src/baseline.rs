//! The settings of the baseline compiler, Winch: for the first run of a program that nobody has seen before.
//!
//! What it takes, read in Winch 48 for x86-64: everything up to WebAssembly 2.0, tables, reference types, multiple memories,
//! threads, 64-bit memories, and vectors where the processor has AVX (AVX2 for a few); not garbage collection, typed function references,
//! exceptions, tail calls or relaxed vectors. What it does not take is an error, and then Cranelift compiles. Trampolines
//! between WebAssembly and the host come from Cranelift in any case.
//!
//! Its code calls by a convention of its own, so it lives in an engine of its own, which is made when it is needed
//! first. That engine has no pool: a program runs this code once or twice.
//!
//! Its code lives for one start of the machine, so it may use what this processor has.

use crate::{EngineError, settings};
use wasmtime::{Config, Strategy};

/// Stack that wasm frames of one process may use, in bytes. A small function's frame is twice as large as Cranelift's, and
/// what recurses that deep at its first start should as well as at its second.
pub const BASELINE_STACK_BYTES: usize = 2 * settings::WASM_STACK_BYTES;

/// The settings of [`settings::config`] for the baseline compiler, on this processor.
pub(crate) fn config() -> Result<Config, EngineError> {
    let mut config = settings::config()?;
    config
        .strategy(Strategy::Winch)
        .max_wasm_stack(BASELINE_STACK_BYTES);
    let features = [
        ("has_avx", std::is_x86_feature_detected!("avx")),
        ("has_avx2", std::is_x86_feature_detected!("avx2")),
    ];
    for (flag, _) in features.into_iter().filter(|(_, present)| *present) {
        // SAFETY: a feature flag is unsound only if code using it runs on a processor without the
        // feature. This processor has it, and the code never leaves this machine's memory.
        unsafe { config.cranelift_flag_enable(flag) };
    }
    Ok(config)
}
