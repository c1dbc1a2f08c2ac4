//! A component that calls whatever it is told to, with whatever arguments: every function of WASI, and the end of every resource.
//!
//! It is written as text from the WIT, so that a new function is called without anybody adding it. The host puts a call's arguments into
//! its memory at [`ARGUMENTS`], eight bytes each, and finds the result at [`RESULT`]; all that passes between it and the host is
//! lowered and lifted as for any other program.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmSignature, WasmType};
use wit_parser::{Function, Handle, Resolve, Type, TypeDefKind, TypeId, WorldId, WorldItem};

/// Where arguments lie in the guest's memory.
pub const ARGUMENTS: u32 = 0;
/// Where a call's flat result is put.
pub const RESULT: u32 = 256;
/// From here on the guest's memory is free for whatever arguments point to.
pub const SCRATCH: u32 = 512;
/// From here on the guest gives out memory for what the host returns.
const HEAP: u32 = 64 << 10;
/// The whole of the guest's memory, in bytes.
pub const MEMORY_BYTES: u32 = 1 << 20;

const WORLD: &str = "
package test:fuzz;
world guest {
    include wasi:cli/imports@0.2.12;
    include wasi:http/imports@0.2.12;
    export call: func(number: u32);
    export poke: func(at: u32, value: u64);
    export peek: func(at: u32) -> u64;
}
";

/// What one core argument is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A handle to a resource of this name; taken away from the guest if it is owned.
    Handle { resource: String, is_owned: bool },
    /// Where bytes lie, whose length follows.
    Bytes,
    /// Where handles lie, whose count follows.
    Handles { resource: String },
    /// Where the result goes.
    Return,
    /// Any other number of this type.
    Number(WasmType),
}

/// Where a call's result has a handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Yield {
    Nothing,
    /// The result is one.
    Plain(String),
    /// Behind the return pointer, four bytes on, if the first byte is this.
    Tagged(u8, String),
    /// The first field of the first element of a list behind the return pointer.
    InList(String),
}

/// One function that can be called.
#[derive(Clone, Debug)]
pub struct Call {
    pub interface: String,
    pub name: String,
    pub slots: Vec<Slot>,
    pub yields: Yield,
    signature: WasmSignature,
}

/// The component and what it can call, by number.
pub fn guest() -> Result<(Vec<u8>, Vec<Call>), String> {
    let (resolve, world) = resolve().map_err(|error| format!("the WIT is not read: {error:#}"))?;
    let calls = calls(&resolve, world);
    let module = wat::parse_str(module_text(&calls)).map_err(|error| error.to_string())?;
    let component = component(module, &resolve, world);
    let component = component.map_err(|error| format!("no component comes of it: {error:#}"))?;
    Ok((component, calls))
}

fn resolve() -> Result<(Resolve, WorldId), Box<dyn std::error::Error>> {
    let mut resolve = Resolve {
        all_features: true,
        ..Resolve::default()
    };
    resolve.push_dir(Path::new(env!("WASI_WIT")))?;
    let package = resolve.push_str("guest.wit", WORLD)?;
    let world = resolve.select_world(&[package], Some("guest"))?;
    Ok((resolve, world))
}

fn component(
    mut module: Vec<u8>,
    resolve: &Resolve,
    world: WorldId,
) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8)?;
    let mut encoder = ComponentEncoder::default().module(&module)?.validate(true);
    Ok(encoder.encode()?)
}

fn calls(resolve: &Resolve, world: WorldId) -> Vec<Call> {
    let mut calls = Vec::new();
    for item in resolve.worlds[world].imports.values() {
        let WorldItem::Interface { id, .. } = item else {
            continue;
        };
        let Some(interface) = resolve.id_of(*id) else {
            continue;
        };
        let functions = resolve.interfaces[*id].functions.values();
        calls.extend(functions.map(|function| function_call(resolve, &interface, function)));
        let types = resolve.interfaces[*id].types.iter();
        let resources = types.filter(|(_, id)| resolve.types[**id].kind == TypeDefKind::Resource);
        calls.extend(resources.map(|(name, _)| drop_call(&interface, name)));
    }
    calls
}

fn function_call(resolve: &Resolve, interface: &str, function: &Function) -> Call {
    let signature = resolve.wasm_signature(AbiVariant::GuestImport, function);
    let mut slots = Vec::new();
    if signature.indirect_params {
        slots.push(Slot::Bytes);
    } else {
        for parameter in &function.params {
            push_slots(resolve, &parameter.ty, &mut slots);
        }
    }
    let last = signature.params.len() - usize::from(signature.retptr);
    // What no parameter is known to be for is a number.
    let numbers = signature.params[..last].iter().skip(slots.len());
    slots.extend(numbers.map(|ty| Slot::Number(*ty)));
    slots.extend(signature.retptr.then_some(Slot::Return));
    Call {
        interface: interface.to_owned(),
        name: function.name.clone(),
        slots,
        yields: yields(resolve, function),
        signature,
    }
}

fn drop_call(interface: &str, resource: &str) -> Call {
    let (resource, is_owned) = (resource.to_owned(), true);
    Call {
        interface: interface.to_owned(),
        name: format!("[resource-drop]{resource}"),
        slots: vec![Slot::Handle { resource, is_owned }],
        yields: Yield::Nothing,
        signature: WasmSignature {
            params: vec![WasmType::I32],
            results: Vec::new(),
            indirect_params: false,
            retptr: false,
        },
    }
}

/// One slot for each core value that a value of this type is flattened to, in order; cases of a variant share theirs.
fn push_slots(resolve: &Resolve, ty: &Type, slots: &mut Vec<Slot>) {
    match ty {
        Type::String => slots.extend([Slot::Bytes, Slot::Number(WasmType::I32)]),
        Type::Id(id) => push_defined_slots(resolve, *id, slots),
        Type::U64 | Type::S64 => slots.push(Slot::Number(WasmType::I64)),
        Type::F32 => slots.push(Slot::Number(WasmType::F32)),
        Type::F64 => slots.push(Slot::Number(WasmType::F64)),
        _ => slots.push(Slot::Number(WasmType::I32)),
    }
}

fn push_defined_slots(resolve: &Resolve, id: TypeId, slots: &mut Vec<Slot>) {
    match &resolve.types[id].kind {
        TypeDefKind::Type(ty) => push_slots(resolve, ty, slots),
        TypeDefKind::Handle(handle) => slots.push(handle_slot(resolve, handle)),
        TypeDefKind::List(element) => {
            let pointed = match borrowed(resolve, element) {
                Some(resource) => Slot::Handles { resource },
                None => Slot::Bytes,
            };
            slots.extend([pointed, Slot::Number(WasmType::I32)]);
        }
        TypeDefKind::Record(record) => {
            let mut fields = record.fields.iter();
            fields
                .by_ref()
                .for_each(|field| push_slots(resolve, &field.ty, slots));
        }
        TypeDefKind::Tuple(tuple) => tuple
            .types
            .iter()
            .for_each(|ty| push_slots(resolve, ty, slots)),
        TypeDefKind::Flags(flags) => {
            let words = flags.flags.len().div_ceil(32);
            slots.extend(std::iter::repeat_n(Slot::Number(WasmType::I32), words));
        }
        TypeDefKind::Option(ty) => {
            slots.push(Slot::Number(WasmType::I32));
            push_slots(resolve, ty, slots);
        }
        TypeDefKind::Enum(_) => slots.push(Slot::Number(WasmType::I32)),
        TypeDefKind::Variant(variant) => {
            slots.push(Slot::Number(WasmType::I32));
            let cases = variant.cases.iter().filter_map(|case| case.ty.as_ref());
            push_longest(resolve, cases, slots);
        }
        TypeDefKind::Result(result) => {
            slots.push(Slot::Number(WasmType::I32));
            push_longest(resolve, result.ok.iter().chain(&result.err), slots);
        }
        // WASI 0.2 has no others.
        _ => {}
    }
}

fn push_longest<'a>(
    resolve: &Resolve,
    cases: impl Iterator<Item = &'a Type>,
    slots: &mut Vec<Slot>,
) {
    let of_case = |ty: &Type| {
        let mut own = Vec::new();
        push_slots(resolve, ty, &mut own);
        own
    };
    slots.extend(cases.map(of_case).max_by_key(Vec::len).unwrap_or_default());
}

fn handle_slot(resolve: &Resolve, handle: &Handle) -> Slot {
    let (id, is_owned) = match handle {
        Handle::Own(id) => (*id, true),
        Handle::Borrow(id) => (*id, false),
    };
    let resource = resource(resolve, id);
    Slot::Handle { resource, is_owned }
}

/// The name of a resource; the same one under whatever name it is used.
fn resource(resolve: &Resolve, mut id: TypeId) -> String {
    while let TypeDefKind::Type(Type::Id(original)) = resolve.types[id].kind {
        id = original;
    }
    resolve.types[id].name.clone().unwrap_or_default()
}

fn borrowed(resolve: &Resolve, ty: &Type) -> Option<String> {
    match kind(resolve, ty)? {
        TypeDefKind::Handle(Handle::Borrow(id)) => Some(resource(resolve, *id)),
        _ => None,
    }
}

fn owned(resolve: &Resolve, ty: &Type) -> Option<String> {
    match kind(resolve, ty)? {
        TypeDefKind::Handle(Handle::Own(id)) => Some(resource(resolve, *id)),
        _ => None,
    }
}

fn kind<'a>(resolve: &'a Resolve, ty: &Type) -> Option<&'a TypeDefKind> {
    match ty {
        Type::Id(id) => match &resolve.types[*id].kind {
            TypeDefKind::Type(ty) => kind(resolve, ty),
            kind => Some(kind),
        },
        _ => None,
    }
}

fn yields(resolve: &Resolve, function: &Function) -> Yield {
    let Some(ty) = &function.result else {
        return Yield::Nothing;
    };
    if let Some(resource) = owned(resolve, ty) {
        return Yield::Plain(resource);
    }
    let own = |ty: &Type| owned(resolve, ty);
    let found = match kind(resolve, ty) {
        Some(TypeDefKind::Option(ty)) => own(ty).map(|resource| Yield::Tagged(1, resource)),
        Some(TypeDefKind::Result(result)) => {
            let resource = result.ok.as_ref().and_then(own);
            resource.map(|resource| Yield::Tagged(0, resource))
        }
        Some(TypeDefKind::List(element)) => match kind(resolve, element) {
            Some(TypeDefKind::Tuple(tuple)) => {
                let resource = tuple.types.first().and_then(own);
                resource.map(Yield::InList)
            }
            _ => None,
        },
        _ => None,
    };
    found.unwrap_or(Yield::Nothing)
}

fn module_text(calls: &[Call]) -> String {
    let mut parts: BTreeMap<&str, String> = BTreeMap::new();
    for (number, call) in calls.iter().enumerate() {
        let (imports, thunks, names) = texts(number, call);
        parts.entry("imports").or_default().push_str(&imports);
        parts.entry("thunks").or_default().push_str(&thunks);
        parts.entry("names").or_default().push_str(&names);
    }
    let part = |name| parts.get(name).map_or("", String::as_str);
    let (imports, thunks, names) = (part("imports"), part("thunks"), part("names"));
    let pages = MEMORY_BYTES >> 16;
    format!(
        r#"(module
          {imports}
          (type $thunk (func))
          (memory (export "memory") {pages})
          (global $free (mut i32) (i32.const {HEAP}))
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
            (if (i32.gt_u (local.get 3) (i32.sub (i32.const {MEMORY_BYTES}) (local.get $at)))
              (then unreachable))
            (global.set $free (i32.add (local.get $at) (local.get 3)))
            (local.get $at))
          {thunks}
          (table funcref (elem {names}))
          (func (export "call") (param i32) (call_indirect (type $thunk) (local.get 0)))
          (func (export "poke") (param i32 i64) (i64.store (local.get 0) (local.get 1)))
          (func (export "peek") (param i32) (result i64) (i64.load (local.get 0))))"#
    )
}

/// The import of a call, the function that makes it, and that function's name.
fn texts(number: usize, call: &Call) -> (String, String, String) {
    let signature = &call.signature;
    let (mut types, mut loads) = (String::new(), String::new());
    for (index, ty) in signature.params.iter().enumerate() {
        let (ty, at) = (core_type(*ty), ARGUMENTS as usize + 8 * index);
        // Writing to a string does not fail.
        let _written = write!(types, " (param {ty})");
        let _written = write!(loads, " ({ty}.load (i32.const {at}))");
    }
    let invocation = format!("(call $f{number}{loads})");
    let (result, made) = match signature.results.first() {
        None => (String::new(), invocation),
        Some(ty) => {
            let ty = core_type(*ty);
            let stored = format!("({ty}.store (i32.const {RESULT}) {invocation})");
            (format!(" (result {ty})"), stored)
        }
    };
    let (interface, name) = (&call.interface, &call.name);
    let import = format!("(import \"{interface}\" \"{name}\" (func $f{number}{types}{result}))\n");
    let thunk = format!("(func $t{number} {made})\n");
    (import, thunk, format!(" $t{number}"))
}

fn core_type(ty: WasmType) -> &'static str {
    match ty {
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
    }
}
