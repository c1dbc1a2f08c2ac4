//! Makes a component of a program that was built for WASI 0.1, so that this kernel runs the very code that the Linux
//! peer runs: `bench-adapt IN.wasm OUT.wasm`.
//!
//! The program's instructions stay as they are; what it imports is served by Wasmtime's own adapter, inside the
//! component.

use std::process::ExitCode;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wit_component::ComponentEncoder;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = &arguments[..] else {
        eprintln!("usage: bench-adapt IN.wasm OUT.wasm");
        return ExitCode::from(2);
    };
    match adapt(input, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

fn adapt(input: &str, output: &str) -> Result<(), String> {
    let module = std::fs::read(input).map_err(|error| format!("cannot read {input}: {error}"))?;
    let component = encode(&module).map_err(|error| format!("{input}: {error}"))?;
    std::fs::write(output, component).map_err(|error| format!("cannot write {output}: {error}"))
}

fn encode(module: &[u8]) -> Result<Vec<u8>, String> {
    let say = |error| format!("{error:#}");
    let encoder = ComponentEncoder::default().validate(true);
    let encoder = encoder.module(module).map_err(say)?;
    let adapter = (
        WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
        WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
    );
    let mut encoder = encoder.adapter(adapter.0, adapter.1).map_err(say)?;
    encoder.encode().map_err(say)
}
