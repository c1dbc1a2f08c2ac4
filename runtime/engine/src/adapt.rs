//! Modules of WASI 0.1 become components of WASI 0.2, by the adapter that Wasmtime's own project makes for that.
//!
//! Law: a module reaches the adapter validated, measured and paid for ([`peak_bytes`]), and without its custom sections
//! except for the names of its functions: what they may say about components is written in a language of its own, and
//! no program of WASI 0.1 needs it. Whatever is wrong is a [`LoadProblem`], also where the adapter's author did not
//! think of it. A module with `_start` becomes a command, any other a component that runs nothing but its
//! `_initialize`.
//!
//! The adapter knows success and failure only, so `proc_exit` goes past it: its import is renamed to the function of WASI
//! 0.2 that takes a code, and a description of that one function is put beside it ([`exit_interface`]).
//!
//! The alternative that lost: functions of WASI 0.1 in `runtime/wasi`, beside those of 0.2. It would be a second
//! door to the same files, with rules of its own, for programs that are built ever more rarely.

use crate::survey::WASI_01;
use crate::{LoadProblem, Survey};
use std::panic::{AssertUnwindSafe, catch_unwind};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasm_encoder::{CustomSection, Encode, Module, RawSection, SectionId};
use wasmparser::{ExportSectionReader, ImportSectionReader, Parser, Payload, TypeRef};
use wit_component::{ComponentEncoder, StringEncoding, metadata};
use wit_parser::Resolve;

/// The export that makes a module a command.
const START: &str = "_start";

/// What ends a process in WASI 0.1, and its heir in 0.2.
const PROC_EXIT: &str = "proc_exit";
const EXIT_INTERFACE: &str = "wasi:cli/exit@0.2.12";
const EXIT_FUNCTION: &str = "exit-with-code";
/// The interface as the adapter has it too: both are merged, so they must be the same.
const EXIT_WIT: &str = "
package kpio:adapt;
world exit { import wasi:cli/exit@0.2.12; }
package wasi:cli@0.2.12 {
    interface exit {
        exit: func(status: result);
        exit-with-code: func(status-code: u8);
    }
}
";
/// How a function's type is introduced in an import (core specification, 5.5.5).
const FUNCTION_KIND: u8 = 0;

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
    // Names may be garbage, which is nobody's business until they are read, and then that of whoever reads them.
    adapt_with(wasm, Names::Kept).or_else(|problem| match problem {
        LoadProblem::Adapt(_) => adapt_with(wasm, Names::Left),
        other => Err(other),
    })
}

/// What becomes of the names of a module's functions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Kept,
    Left,
}

fn adapt_with(wasm: &[u8], names: Names) -> Result<Vec<u8>, LoadProblem> {
    let module = Bare::of(wasm, names)?;
    let adapter = if module.is_command {
        WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER
    } else {
        WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER
    };
    let encoded = catch_unwind(AssertUnwindSafe(|| {
        ComponentEncoder::default()
            .validate(false)
            .module(&module.with_section(&exit_interface()?))?
            .adapter(WASI_01, adapter)?
            .encode()
    }));
    match encoded {
        Ok(Ok(component)) => Ok(component),
        Ok(Err(error)) => Err(LoadProblem::Adapt(format!("{error:#}"))),
        Err(_panic) => Err(LoadProblem::Adapt("the adapter gave up".to_owned())),
    }
}

/// A section that tells the adapter of [`EXIT_FUNCTION`].
fn exit_interface() -> wasmtime::anyhow::Result<CustomSection<'static>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_source("exit.wit", EXIT_WIT)?;
    let world = resolve.select_world(&[package], None)?;
    let data = metadata::encode(&resolve, world, StringEncoding::UTF8, None)?;
    Ok(CustomSection {
        name: "component-type:exit".into(),
        data: data.into(),
    })
}

/// A module without what the adapter need not see.
struct Bare {
    module: Module,
    names: Names,
    is_command: bool,
}

impl Bare {
    fn of(wasm: &[u8], names: Names) -> Result<Bare, LoadProblem> {
        let mut bare = Bare {
            module: Module::new(),
            names,
            is_command: false,
        };
        for payload in Parser::new(0).parse_all(wasm) {
            bare.take(wasm, &payload.map_err(unreadable)?)?;
        }
        Ok(bare)
    }

    fn take(&mut self, wasm: &[u8], payload: &Payload<'_>) -> Result<(), LoadProblem> {
        match payload {
            Payload::CustomSection(section) if section.name() != "name" => return Ok(()),
            Payload::CustomSection(_) if self.names == Names::Left => return Ok(()),
            Payload::ImportSection(imports) => {
                let data = &adapted_imports(wasm, imports)?;
                let id = SectionId::Import.into();
                self.module.section(&RawSection { id, data });
                return Ok(());
            }
            Payload::ExportSection(exports) => self.is_command = exports_start(exports)?,
            _ => {}
        }
        if let Some((id, range)) = payload.as_section()
            && let Some(data) = wasm.get(range)
        {
            self.module.section(&RawSection { id, data });
        }
        Ok(())
    }

    fn with_section(mut self, section: &CustomSection<'_>) -> Vec<u8> {
        self.module.section(section);
        self.module.finish()
    }
}

/// The imports, of which all must be of WASI 0.1, with `proc_exit` renamed.
fn adapted_imports(wasm: &[u8], imports: &ImportSectionReader<'_>) -> Result<Vec<u8>, LoadProblem> {
    let mut section = Vec::new();
    imports.count().encode(&mut section);
    let mut entries = imports.clone().into_imports_with_offsets().peekable();
    while let Some(entry) = entries.next() {
        let (start, import) = entry.map_err(unreadable)?;
        let end = match entries.peek() {
            Some(Ok((next, _))) => *next,
            Some(Err(_)) | None => imports.range().end,
        };
        if import.module != WASI_01 {
            let name = format!("{}::{}", import.module, import.name);
            return Err(LoadProblem::UnknownImport(name));
        }
        match import.ty {
            TypeRef::Func(ty) if import.name == PROC_EXIT => {
                EXIT_INTERFACE.encode(&mut section);
                EXIT_FUNCTION.encode(&mut section);
                section.push(FUNCTION_KIND);
                ty.encode(&mut section);
            }
            _ => section.extend_from_slice(wasm.get(start..end).unwrap_or_default()),
        }
    }
    Ok(section)
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
