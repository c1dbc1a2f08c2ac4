//! Modules of WASI 0.1 become components of WASI 0.2, by the adapter that Wasmtime's own project makes for that.
//!
//! Law: a module reaches the adapter validated, measured and paid for ([`peak_bytes`]), and without its custom sections
//! except for the names of its functions: what they may say about components is written in a language of its own, and
//! no program of WASI 0.1 needs it. Whatever is wrong is a [`LoadProblem`], also where the adapter's author did not
//! think of it. A module with `_start` becomes a command, any other a component that runs nothing but its
//! `_initialize`.
//!
//! The alternative that lost: functions of WASI 0.1 in `runtime/wasi`, beside those of 0.2. It would be a second
//! door to the same files, with rules of its own, for programs that are built ever more rarely.

use crate::survey::WASI_01;
use crate::{LoadProblem, Survey};
use std::panic::catch_unwind;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasm_encoder::{Module, RawSection};
use wasmparser::{ExportSectionReader, ImportSectionReader, Parser, Payload};
use wit_component::ComponentEncoder;

/// The export that makes a module a command.
const START: &str = "_start";

/// What adapting takes in any case, in bytes: the adapter, and the interfaces of WASI as it describes them.
const BASE_BYTES: u64 = 4 << 20;
/// Copies of the module that exist at the same time, the growing buffer of the component among them.
const COPIES: u64 = 6;
/// Bytes per import, export or type.
const PER_ITEM: u64 = 2 << 10;

/// What adapting a surveyed module takes at most, the result included, in bytes.
pub(crate) fn peak_bytes(survey: &Survey) -> u64 {
    let copies = survey.size_bytes.saturating_mul(COPIES);
    let items = survey.items.saturating_add(survey.types);
    BASE_BYTES
        .saturating_add(copies)
        .saturating_add(items.saturating_mul(PER_ITEM))
}

/// The component that a valid module of WASI 0.1 becomes.
pub(crate) fn adapt(wasm: &[u8]) -> Result<Vec<u8>, LoadProblem> {
    let module = Bare::of(wasm)?;
    let adapter = if module.is_command {
        WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER
    } else {
        WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER
    };
    let encoded = catch_unwind(|| {
        ComponentEncoder::default()
            .validate(false)
            .module(&module.bytes)?
            .adapter(WASI_01, adapter)?
            .encode()
    });
    match encoded {
        Ok(Ok(component)) => Ok(component),
        Ok(Err(error)) => Err(LoadProblem::Adapt(format!("{error:#}"))),
        Err(_panic) => Err(LoadProblem::Adapt("the adapter gave up".to_owned())),
    }
}

/// A module without what the adapter need not see.
struct Bare {
    bytes: Vec<u8>,
    is_command: bool,
}

impl Bare {
    fn of(wasm: &[u8]) -> Result<Bare, LoadProblem> {
        let mut module = Module::new();
        let mut is_command = false;
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.map_err(unreadable)?;
            match &payload {
                Payload::CustomSection(section) if section.name() != "name" => continue,
                Payload::ImportSection(imports) => check_imports(imports)?,
                Payload::ExportSection(exports) => is_command = exports_start(exports)?,
                _ => {}
            }
            if let Some((id, range)) = payload.as_section()
                && let Some(data) = wasm.get(range)
            {
                module.section(&RawSection { id, data });
            }
        }
        Ok(Bare {
            bytes: module.finish(),
            is_command,
        })
    }
}

/// The adapter has WASI 0.1 and nothing else.
fn check_imports(imports: &ImportSectionReader<'_>) -> Result<(), LoadProblem> {
    for import in imports.clone().into_imports() {
        let import = import.map_err(unreadable)?;
        if import.module != WASI_01 {
            let name = format!("{}::{}", import.module, import.name);
            return Err(LoadProblem::UnknownImport(name));
        }
    }
    Ok(())
}

fn exports_start(exports: &ExportSectionReader<'_>) -> Result<bool, LoadProblem> {
    for export in exports.clone() {
        if export.map_err(unreadable)?.name == START {
            return Ok(true);
        }
    }
    Ok(false)
}

fn unreadable(error: wasmparser::Error) -> LoadProblem {
    LoadProblem::Unusable(error.into())
}
