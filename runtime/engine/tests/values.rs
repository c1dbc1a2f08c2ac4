//! What a component gives and is given as bytes is what it is with values of the host, for every type that there is; and a component
//! that lies about its values gets an error.
//!
//! Types and values come from a seed that is printed; `KPIO_SEED` replays one. A component forwards the parameters of a function that it
//! exports to the same function that it imports, and the result back, so each of the four ways is compared: its exporter and its importer
//! take turns in being called with bytes and with Wasmtime's own values. The encoding is that of a model which knows no memory.

use std::sync::{Arc, Mutex};

use runtime_engine::values::{self, ENCODED_BYTES_MAX, FlatCounts, Function, Lifted, Values};
use runtime_engine::{Code, Engine, EngineOptions, Tier};
use wasmtime::component::{
    Component, Func, Instance, Linker, Resource, ResourceAny, ResourceType, Val,
};
use wasmtime::{Store, format_err};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmSignature, WasmType};
use wit_parser::{Resolve, UnresolvedPackageGroup};

/// Random functions that are compared, each with its own types and values.
const FUNCTIONS: usize = 200;
/// How deep their types are nested.
const DEPTH: usize = 4;

struct Random(u64);

impl Random {
    fn seeded() -> Random {
        let given = std::env::var("KPIO_SEED").ok();
        let seed = given.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
            let now = std::time::SystemTime::UNIX_EPOCH.elapsed();
            now.map_or(1, |time| time.as_nanos() as u64 | 1)
        });
        println!("KPIO_SEED={seed}");
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 33) % bound as u64) as usize
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 1
    }
}

/// A type, with the name that WIT has for it.
#[derive(Clone, Debug)]
struct Named {
    wit: String,
    ty: Ty,
}

#[derive(Clone, Debug)]
enum Ty {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    List(Box<Named>),
    Record(Vec<Named>),
    Tuple(Vec<Named>),
    Variant(Vec<Option<Named>>),
    Enum(usize),
    Option(Box<Named>),
    Result(Option<Box<Named>>, Option<Box<Named>>),
    Flags(usize),
}

const SCALARS: [(&str, Ty); 13] = [
    ("bool", Ty::Bool),
    ("s8", Ty::S8),
    ("u8", Ty::U8),
    ("s16", Ty::S16),
    ("u16", Ty::U16),
    ("s32", Ty::S32),
    ("u32", Ty::U32),
    ("s64", Ty::S64),
    ("u64", Ty::U64),
    ("f32", Ty::F32),
    ("f64", Ty::F64),
    ("char", Ty::Char),
    ("string", Ty::String),
];

/// Makes types, and the definitions of those that need a name.
struct Types<'r> {
    random: &'r mut Random,
    definitions: Vec<String>,
}

impl Types<'_> {
    fn any(&mut self, depth: usize) -> Named {
        if depth == 0 || self.random.below(3) == 0 {
            let (wit, ty) = &SCALARS[self.random.below(SCALARS.len())];
            return Named {
                wit: (*wit).to_owned(),
                ty: ty.clone(),
            };
        }
        match self.random.below(8) {
            0 => {
                let item = self.any(depth - 1);
                let wit = format!("list<{}>", item.wit);
                named(wit, Ty::List(Box::new(item)))
            }
            1 => {
                let fields = self.some(depth - 1, 6);
                let body = numbered(fields.iter().map(|field| format!(": {}", field.wit)), "f");
                self.define("record", &body, Ty::Record(fields))
            }
            2 => {
                let items = self.some(depth - 1, 5);
                let parts: Vec<_> = items.iter().map(|item| item.wit.as_str()).collect();
                named(format!("tuple<{}>", parts.join(", ")), Ty::Tuple(items))
            }
            3 => self.variant(depth),
            4 => {
                let cases = [1, 3, 256, 257][self.random.below(4)];
                let body = numbered((0..cases).map(|_| String::new()), "c");
                self.define("enum", &body, Ty::Enum(cases))
            }
            5 => {
                let item = self.any(depth - 1);
                let wit = format!("option<{}>", item.wit);
                named(wit, Ty::Option(Box::new(item)))
            }
            6 => {
                let ok = self.random.coin().then(|| self.any(depth - 1));
                let err = self.random.coin().then(|| self.any(depth - 1));
                let wit = match (&ok, &err) {
                    (None, None) => "result".to_owned(),
                    (Some(ok), None) => format!("result<{}>", ok.wit),
                    (None, Some(err)) => format!("result<_, {}>", err.wit),
                    (Some(ok), Some(err)) => format!("result<{}, {}>", ok.wit, err.wit),
                };
                named(wit, Ty::Result(ok.map(Box::new), err.map(Box::new)))
            }
            _ => {
                let count = [1, 7, 8, 9, 16, 17, 31, 32][self.random.below(8)];
                let body = numbered((0..count).map(|_| String::new()), "b");
                self.define("flags", &body, Ty::Flags(count))
            }
        }
    }

    fn variant(&mut self, depth: usize) -> Named {
        let count = 1 + self.random.below(4);
        let mut cases = Vec::new();
        for _ in 0..count {
            cases.push(self.random.coin().then(|| self.any(depth - 1)));
        }
        if self.random.below(4) == 0 {
            cases.resize(260, None);
        }
        let payload = |case: &Option<Named>| match case {
            Some(case) => format!("({})", case.wit),
            None => String::new(),
        };
        let body = numbered(cases.iter().map(payload), "c");
        self.define("variant", &body, Ty::Variant(cases))
    }

    fn some(&mut self, depth: usize, most: usize) -> Vec<Named> {
        let count = 1 + self.random.below(most);
        (0..count).map(|_| self.any(depth)).collect()
    }

    fn define(&mut self, kind: &str, body: &str, ty: Ty) -> Named {
        let name = format!("t{}", self.definitions.len());
        self.definitions.push(format!("{kind} {name} {{ {body} }}"));
        named(name, ty)
    }
}

fn named(wit: String, ty: Ty) -> Named {
    Named { wit, ty }
}

fn numbered(parts: impl Iterator<Item = String>, prefix: &str) -> String {
    let parts = parts.enumerate();
    let parts: Vec<_> = parts
        .map(|(place, part)| format!("{prefix}{place}{part}"))
        .collect();
    parts.join(", ")
}

/// A value of a type.
fn value(random: &mut Random, ty: &Ty) -> Val {
    let bits = random.next();
    match ty {
        Ty::Bool => Val::Bool(random.coin()),
        Ty::S8 => Val::S8(bits as i8),
        Ty::U8 => Val::U8(bits as u8),
        Ty::S16 => Val::S16(bits as i16),
        Ty::U16 => Val::U16(bits as u16),
        Ty::S32 => Val::S32(bits as i32),
        Ty::U32 => Val::U32(bits as u32),
        Ty::S64 => Val::S64(bits as i64),
        Ty::U64 => Val::U64(bits),
        Ty::F32 => Val::Float32([0.0, -0.0, f32::NAN, f32::MAX, bits as f32][random.below(5)]),
        Ty::F64 => Val::Float64([0.0, -0.0, f64::INFINITY, f64::MIN, bits as f64][random.below(5)]),
        Ty::Char => Val::Char(character(random)),
        Ty::String => {
            let len = random.below(20);
            let is_narrow = random.coin();
            let narrow = |random: &mut Random| char::from(random.below(256) as u8);
            let chars = (0..len).map(|_| match is_narrow {
                true => narrow(random),
                false => character(random),
            });
            Val::String(chars.collect())
        }
        Ty::List(item) => {
            let len = [0, 1, 2, 9][random.below(4)];
            Val::List((0..len).map(|_| value(random, &item.ty)).collect())
        }
        Ty::Record(fields) => {
            let fields = fields.iter().enumerate();
            let fields =
                fields.map(|(place, field)| (format!("f{place}"), value(random, &field.ty)));
            Val::Record(fields.collect())
        }
        Ty::Tuple(items) => Val::Tuple(items.iter().map(|item| value(random, &item.ty)).collect()),
        Ty::Variant(cases) => {
            let case = random.below(cases.len());
            let payload = cases[case].as_ref();
            let payload = payload.map(|case| Box::new(value(random, &case.ty)));
            Val::Variant(format!("c{case}"), payload)
        }
        Ty::Enum(cases) => Val::Enum(format!("c{}", random.below(*cases))),
        Ty::Option(item) => {
            let is_some = random.coin();
            Val::Option(is_some.then(|| Box::new(value(random, &item.ty))))
        }
        Ty::Result(ok, err) => {
            let mut part = |part: &Option<Box<Named>>| {
                let part = part.as_ref();
                part.map(|part| Box::new(value(random, &part.ty)))
            };
            match bits & 1 {
                0 => Val::Result(Ok(part(ok))),
                _ => Val::Result(Err(part(err))),
            }
        }
        Ty::Flags(count) => {
            let set = (0..*count).filter(|place| bits >> place & 1 == 1);
            Val::Flags(set.map(|place| format!("b{place}")).collect())
        }
    }
}

fn character(random: &mut Random) -> char {
    let bound = [0x80, 0x800, 0x1_0000, 0x11_0000][random.below(4)];
    let number = random.below(bound);
    char::from_u32(number as u32).unwrap_or('\u{fffd}')
}

/// The model: the encoding of a value, as the law of `values` has it.
fn encode(value: &Val, ty: &Ty, bytes: &mut Vec<u8>) {
    match (value, ty) {
        (Val::Bool(bit), _) => bytes.push(u8::from(*bit)),
        (Val::S8(number), _) => bytes.extend(number.to_le_bytes()),
        (Val::U8(number), _) => bytes.extend(number.to_le_bytes()),
        (Val::S16(number), _) => bytes.extend(number.to_le_bytes()),
        (Val::U16(number), _) => bytes.extend(number.to_le_bytes()),
        (Val::S32(number), _) => bytes.extend(number.to_le_bytes()),
        (Val::U32(number), _) => bytes.extend(number.to_le_bytes()),
        (Val::S64(number), _) => bytes.extend(number.to_le_bytes()),
        (Val::U64(number), _) => bytes.extend(number.to_le_bytes()),
        (Val::Float32(number), _) => bytes.extend(number.to_le_bytes()),
        (Val::Float64(number), _) => bytes.extend(number.to_le_bytes()),
        (Val::Char(number), _) => word(u32::from(*number) as usize, bytes),
        (Val::String(text), _) => {
            word(text.len(), bytes);
            bytes.extend(text.as_bytes());
        }
        (Val::List(items), Ty::List(item)) => {
            word(items.len(), bytes);
            items
                .iter()
                .for_each(|value| encode(value, &item.ty, bytes));
        }
        (Val::Record(values), Ty::Record(fields)) => {
            let values = values.iter().map(|(_, value)| value).zip(fields);
            values.for_each(|(value, field)| encode(value, &field.ty, bytes));
        }
        (Val::Tuple(values), Ty::Tuple(items)) => {
            let values = values.iter().zip(items);
            values.for_each(|(value, item)| encode(value, &item.ty, bytes));
        }
        (Val::Variant(name, payload), Ty::Variant(cases)) => {
            let case = name[1..].parse().unwrap();
            word(case, bytes);
            if let Some(payload) = payload {
                encode(payload, &cases[case].as_ref().unwrap().ty, bytes);
            }
        }
        (Val::Enum(name), _) => word(name[1..].parse().unwrap(), bytes),
        (Val::Option(payload), Ty::Option(item)) => {
            word(usize::from(payload.is_some()), bytes);
            if let Some(payload) = payload {
                encode(payload, &item.ty, bytes);
            }
        }
        (Val::Result(result), Ty::Result(ok, err)) => {
            let (case, payload, ty) = match result {
                Ok(payload) => (0, payload, ok),
                Err(payload) => (1, payload, err),
            };
            bytes.push(case);
            if let (Some(payload), Some(ty)) = (payload, ty) {
                encode(payload, &ty.ty, bytes);
            }
        }
        (Val::Flags(names), Ty::Flags(count)) => {
            let mut bits = 0u32;
            for name in names {
                bits |= 1 << name[1..].parse::<u32>().unwrap();
            }
            bytes.extend(&bits.to_le_bytes()[..count.div_ceil(8)]);
        }
        (value, ty) => panic!("{value:?} is no {ty:?}"),
    }
}

fn word(number: usize, bytes: &mut Vec<u8>) {
    bytes.extend((number as u32).to_le_bytes());
}

fn encode_all(all: &[Val], types: &[Named]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (value, named) in all.iter().zip(types) {
        encode(value, &named.ty, &mut bytes);
    }
    bytes
}

/// A function whose parameters and result are forwarded.
struct Forwarded {
    component: Component,
    counts: FlatCounts,
}

const ECHO: &str = "test:values/echo";

fn engine() -> Engine {
    Engine::new(EngineOptions::default()).unwrap()
}

/// A component of this WIT and this core module.
fn component(
    engine: &Engine,
    wit: &str,
    encoding: StringEncoding,
    core: impl FnOnce(&Resolve) -> String,
) -> Component {
    let group = UnresolvedPackageGroup::parse("values.wit", wit);
    let group = group.unwrap_or_else(|error| panic!("{error:?}\n{wit}"));
    let mut resolve = Resolve::default();
    let package = resolve.push_group(group).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    let core = core(&resolve);
    let mut module = wat::parse_str(&core).unwrap_or_else(|error| panic!("{error}\n{core}"));
    embed_component_metadata(&mut module, &resolve, world, encoding).unwrap();
    let encoder = ComponentEncoder::default().module(&module);
    let wasm = encoder.and_then(|mut encoder| encoder.encode());
    let wasm = wasm.unwrap_or_else(|error| panic!("{error:?}\n{wit}\n{core}"));
    let admitted = engine.admit("values", &wasm, u64::MAX).unwrap();
    let program = engine.compile(&admitted, Tier::Baseline).unwrap();
    match program.code {
        Code::Component(component) => component,
        Code::Module(_) => panic!("a module"),
    }
}

/// Memory, and a `cabi_realloc` that never frees.
const ALLOCATOR: &str = r#"
    (memory (export "memory") 128)
    (global $top (mut i32) (i32.const 1024))
    (func $alloc (export "cabi_realloc") (param $old i32) (param $old_len i32) (param $align i32) (param $len i32) (result i32)
      (local $new i32)
      (local.set $new (i32.and
        (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $top (i32.add (local.get $new) (local.get $len)))
      (memory.copy (local.get $new) (local.get $old)
        (select (local.get $old_len) (local.get $len) (i32.lt_u (local.get $old_len) (local.get $len))))
      (local.get $new))"#;

fn core_type(ty: &WasmType) -> &'static str {
    match ty {
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
    }
}

fn signature(resolve: &Resolve, variant: AbiVariant) -> WasmSignature {
    let mut interfaces = resolve.interfaces.iter();
    let found = interfaces.find_map(|(_, interface)| interface.functions.get("f"));
    resolve.wasm_signature(variant, found.unwrap())
}

fn forwarded(
    engine: &Engine,
    definitions: &[String],
    parameters: &[Named],
    result: Option<&Named>,
    encoding: StringEncoding,
) -> Forwarded {
    let named = parameters
        .iter()
        .map(|parameter| format!(": {}", parameter.wit));
    let named = numbered(named, "p");
    let answer = result.map_or(String::new(), |result| format!("-> {}", result.wit));
    let wit = format!(
        "package test:values; interface echo {{ {} f: func({named}) {answer}; }} world w {{ import echo; export echo; }}",
        definitions.join("\n"),
    );
    let mut counts = None;
    let component = component(engine, &wit, encoding, |resolve| {
        let import = signature(resolve, AbiVariant::GuestImport);
        let export = signature(resolve, AbiVariant::GuestExport);
        counts = Some(FlatCounts {
            parameters: (!import.indirect_params).then_some(export.params.len()),
            result: (!import.retptr).then_some(import.results.len()),
        });
        forwarder(&import, &export)
    });
    Forwarded {
        component,
        counts: counts.unwrap(),
    }
}

fn forwarder(import: &WasmSignature, export: &WasmSignature) -> String {
    let types = |types: &[WasmType]| types.iter().map(core_type).collect::<Vec<_>>().join(" ");
    let given: Vec<_> = (0..export.params.len())
        .map(|place| format!("(local.get {place})"))
        .collect();
    let area = "(call $alloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 65536))";
    let (area, back) = match import.retptr {
        true => (
            format!("(local.tee $area {area})"),
            "(local.get $area)".to_owned(),
        ),
        false => (String::new(), String::new()),
    };
    format!(
        r#"(module
          (func $f (import "{ECHO}" "f") (param {}) (result {}))
          {ALLOCATOR}
          (func (export "{ECHO}#f") (param {}) (result {}) (local $area i32)
            (call $f {} {area}) {back}))"#,
        types(&import.params),
        types(&import.results),
        types(&export.params),
        types(&export.results),
        given.join(" "),
    )
}

fn export(store: &mut Store<()>, instance: &Instance) -> Func {
    let interface = instance.get_export_index(&mut *store, None, ECHO).unwrap();
    let function = instance.get_export_index(&mut *store, Some(&interface), "f");
    instance.get_func(&mut *store, function.unwrap()).unwrap()
}

/// Calls with values what answers with bytes.
fn host_by_bytes(function: &Forwarded, given: &Shown, answered: &Shown) {
    let seen = Arc::new(Mutex::new(None));
    let mut linker = Linker::new(function.component.engine());
    let mut instance = linker.instance(ECHO).unwrap();
    let (noted, answer) = (Arc::clone(&seen), answered.bytes.clone());
    values::define(&mut instance, "f", function.counts, move |_, lifted| {
        *noted.lock().unwrap() = Some(whole(lifted)?);
        Ok(Values {
            bytes: answer.clone(),
            resources: Vec::new(),
        })
    })
    .unwrap();
    let mut store = Store::new(function.component.engine(), ());
    let instance = linker.instantiate(&mut store, &function.component).unwrap();
    let mut results = vec![Val::Bool(false); answered.values.len()];
    let export = export(&mut store, &instance);
    export
        .call(&mut store, &given.values, &mut results)
        .unwrap();
    assert_eq!(seen.lock().unwrap().take(), Some(given.bytes.clone()));
    assert_eq!(results, answered.values);
}

/// Calls with bytes what answers with values.
fn call_by_bytes(function: &Forwarded, given: &Shown, answered: &Shown) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut linker = Linker::new(function.component.engine());
    let mut instance = linker.instance(ECHO).unwrap();
    let (noted, answer) = (Arc::clone(&seen), answered.values.clone());
    instance
        .func_new("f", move |_, _, parameters, results| {
            *noted.lock().unwrap() = parameters.to_vec();
            results.clone_from_slice(&answer);
            Ok(())
        })
        .unwrap();
    let mut store = Store::new(function.component.engine(), ());
    let instance = linker.instantiate(&mut store, &function.component).unwrap();
    let export = export(&mut store, &instance);
    let export = Function::new(&mut store, export).unwrap();
    let parameters = Values {
        bytes: given.bytes.clone(),
        resources: Vec::new(),
    };
    let lifted = export.call(&mut store, parameters).unwrap();
    assert_eq!(*seen.lock().unwrap(), given.values);
    assert_eq!(whole(lifted).unwrap(), answered.bytes);
}

fn whole(lifted: Lifted) -> wasmtime::Result<Vec<u8>> {
    match lifted {
        Lifted::Whole(values) => Ok(values.bytes),
        Lifted::TooLong(_) => Err(format_err!("too long")),
    }
}

/// Values, and what they are as bytes.
struct Shown {
    values: Vec<Val>,
    bytes: Vec<u8>,
}

fn shown(random: &mut Random, types: &[Named]) -> Shown {
    let values: Vec<_> = types.iter().map(|named| value(random, &named.ty)).collect();
    let bytes = encode_all(&values, types);
    Shown { values, bytes }
}

#[test]
fn bytes_are_what_values_are() {
    let random = &mut Random::seeded();
    let engine = engine();
    for number in 0..FUNCTIONS {
        let mut types = Types {
            random,
            definitions: Vec::new(),
        };
        let parameters = match types.random.below(4) {
            0 => Vec::new(),
            _ => types.some(DEPTH, 6),
        };
        let result = (types.random.below(5) != 0).then(|| types.any(DEPTH));
        let definitions = types.definitions;
        let encodings = [
            StringEncoding::UTF8,
            StringEncoding::UTF16,
            StringEncoding::CompactUTF16,
        ];
        let encoding = encodings[random.below(3)];
        let function = forwarded(
            &engine,
            &definitions,
            &parameters,
            result.as_ref(),
            encoding,
        );
        println!("{number}: {:?} {encoding:?}", function.counts);
        let result: Vec<_> = result.into_iter().collect();
        for _ in 0..4 {
            let (given, answered) = (shown(random, &parameters), shown(random, &result));
            host_by_bytes(&function, &given, &answered);
            call_by_bytes(&function, &given, &answered);
        }
    }
}

/// A component whose `run` calls `f` with these core values, after `setup`. What `data` says is in its memory, from address 16 on.
fn caller(
    engine: &Engine,
    signature: &str,
    core: &str,
    setup: &str,
    given: &str,
    data: &str,
    encoding: StringEncoding,
) -> Component {
    let wit = format!(
        "package test:values; interface echo {{ {signature} }} world w {{ import echo; export run: func(); }}"
    );
    component(engine, &wit, encoding, |_| {
        format!(
            r#"(module
              (func $f (import "{ECHO}" "f") {core})
              (func $make (import "{ECHO}" "make") (result i32))
              {ALLOCATOR}
              (data (i32.const 16) "{data}")
              (func (export "run") {setup} (call $f {given})))"#
        )
    })
}

/// Runs it, with what `f` is given going to `serve`.
fn run(
    component: &Component,
    counts: FlatCounts,
    serve: impl Fn(Lifted) + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    let mut linker = Linker::new(component.engine());
    let mut instance = linker.instance(ECHO)?;
    instance.resource("r", ResourceType::host::<u8>(), |_, _| Ok(()))?;
    instance.func_wrap("make", |_, ()| Ok((Resource::<u8>::new_own(7),)))?;
    values::define(&mut instance, "f", counts, move |_, lifted| {
        serve(lifted);
        Ok(Values::default())
    })?;
    let mut store = Store::new(component.engine(), ());
    store.set_hostcall_fuel(FUEL);
    let instance = linker.instantiate(&mut store, component)?;
    let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
    run.call(&mut store, ())
}

/// As much as a process has that calls others.
const FUEL: usize = 4 << 20;

const MAKE: &str = "resource r; make: func() -> r;";

fn parameters(count: usize) -> FlatCounts {
    FlatCounts {
        parameters: (count <= 16).then_some(count),
        result: Some(0),
    }
}

/// Each: a type, core values that are none of it, what is in memory from address 16 on, and what the error says.
const LIES: [(&str, &str, &str, &str); 17] = [
    ("list<u8>", "8388600 9", "", "list pointer/length"),
    ("list<u64>", "16 4294967295", "", "list pointer/length"),
    (
        "list<u8>",
        "4294967295 4294967295",
        "",
        "list pointer/length",
    ),
    ("list<u16>", "17 1", "", "not aligned"),
    (
        "list<list<u8>>",
        "16 1",
        "\\ff\\ff\\ff\\ff\\01\\00\\00\\00",
        "list pointer/length",
    ),
    ("string", "8388600 9", "", "string pointer/length"),
    ("string", "16 2", "\\c3\\c3", "utf-8"),
    (
        "list<string>",
        "16 1",
        "\\10\\00\\00\\00\\ff\\ff\\ff\\ff",
        "string pointer/length",
    ),
    ("char", "55296", "", "char"),
    ("list<char>", "16 1", "\\00\\00\\11\\00", "char"),
    ("option<u8>", "2 0", "", "discriminant 2"),
    ("result<u8>", "2 0", "", "discriminant 2"),
    ("list<option<u8>>", "16 1", "\\02", "discriminant 2"),
    ("list<result>", "16 1", "\\ff", "discriminant 255"),
    ("own<r>", "77", "", "unknown handle"),
    ("borrow<r>", "0", "", "unknown handle"),
    ("list<own<r>>", "16 1", "\\09", "unknown handle"),
];

#[test]
fn who_lies_about_its_values_gets_an_error() {
    let engine = engine();
    for (ty, given, data, said) in LIES {
        let given: Vec<_> = given.split(' ').collect();
        let signature = format!("{MAKE} f: func(a: {ty});");
        let core = format!("(param {})", "i32 ".repeat(given.len()));
        let pushed = given.iter().map(|number| format!("(i32.const {number})"));
        let pushed: String = pushed.collect();
        let component = caller(
            &engine,
            &signature,
            &core,
            "",
            &pushed,
            data,
            StringEncoding::UTF8,
        );
        let error = run(&component, parameters(given.len()), |lifted| {
            panic!("{lifted:?}")
        });
        let error = format!("{:#}", error.expect_err(ty));
        assert!(error.contains(said), "{ty} {given:?}: {error}");
    }
}

#[test]
fn parameters_in_memory_are_within_it() {
    let engine = engine();
    let many: Vec<_> = (0..17).map(|place| format!("p{place}: u64")).collect();
    let signature = format!("{MAKE} f: func({});", many.join(", "));
    for (address, said) in [("8388600", "out of bounds"), ("20", "not aligned")] {
        let given = format!("(i32.const {address})");
        let component = caller(
            &engine,
            &signature,
            "(param i32)",
            "",
            &given,
            "",
            StringEncoding::UTF8,
        );
        let error = run(&component, parameters(17), |lifted| panic!("{lifted:?}"));
        let error = format!("{:#}", error.expect_err(address));
        assert!(error.contains(said), "{error}");
    }
}

/// A component whose `f` answers this core value. What `data` says is in its memory, from address 16 on.
fn answering(engine: &Engine, ty: &str, answer: &str, data: &str) -> wasmtime::Result<Lifted> {
    let wit = format!(
        "package test:values; interface echo {{ f: func() -> {ty}; }} world w {{ export echo; }}"
    );
    let component = component(engine, &wit, StringEncoding::UTF8, |_| {
        format!(
            r#"(module {ALLOCATOR}
              (data (i32.const 16) "{data}")
              (func (export "{ECHO}#f") (result i32) (i32.const {answer})))"#
        )
    });
    let mut store = Store::new(component.engine(), ());
    let instance = Linker::new(component.engine()).instantiate(&mut store, &component)?;
    let export = export(&mut store, &instance);
    Function::new(&mut store, export)?.call(&mut store, Values::default())
}

#[test]
fn who_lies_about_its_answer_gets_an_error() {
    let engine = engine();
    let cases = [
        ("list<u8>", "18", "", "not aligned"),
        ("list<u8>", "8388604", "", "out of bounds"),
        (
            "list<u8>",
            "16",
            "\\ff\\ff\\ff\\ff\\01\\00\\00\\00",
            "list pointer/length",
        ),
        (
            "string",
            "16",
            "\\18\\00\\00\\00\\01\\00\\00\\00\\ff",
            "utf-8",
        ),
        ("char", "1114112", "", "char"),
        ("result", "2", "", "discriminant 2"),
    ];
    for (ty, answer, data, said) in cases {
        let error = answering(&engine, ty, answer, data).expect_err(ty);
        let error = format!("{error:#}");
        assert!(error.contains(said), "{ty} {answer}: {error}");
    }
}

#[test]
fn the_longest_answer_is_whole_and_a_longer_one_is_none() {
    let engine = engine();
    for (len, is_whole) in [
        (ENCODED_BYTES_MAX - 4, true),
        (ENCODED_BYTES_MAX - 3, false),
    ] {
        let len_bytes = (len as u32)
            .to_le_bytes()
            .map(|byte| format!("\\{byte:02x}"));
        for ty in ["list<u8>", "string"] {
            let data = format!("\\00\\10\\00\\00{}", len_bytes.concat());
            match answering(&engine, ty, "16", &data).unwrap() {
                Lifted::Whole(values) => assert!(is_whole && values.bytes.len() == 4 + len),
                Lifted::TooLong(resources) => assert!(!is_whole && resources.is_empty()),
            }
        }
    }
}

/// Two handles, in memory from address 32 on.
const TWO: &str = "(i32.store (i32.const 32) (call $make)) (i32.store (i32.const 36) (call $make))";

fn handles(lifted: Lifted) -> (bool, Vec<ResourceAny>) {
    match lifted {
        Lifted::Whole(values) => (true, values.resources),
        Lifted::TooLong(resources) => (false, resources),
    }
}

#[test]
fn handles_are_found_in_what_is_too_long() {
    let engine = engine();
    let signature = format!("{MAKE} f: func(a: list<u8>, b: list<own<r>>);");
    let core = "(param i32 i32 i32 i32)";
    for (len, is_whole) in [(5, true), (2 << 20, false)] {
        let given = format!("(i32.const 0) (i32.const {len}) (i32.const 32) (i32.const 2)");
        let component = caller(
            &engine,
            &signature,
            core,
            TWO,
            &given,
            "",
            StringEncoding::UTF8,
        );
        let seen = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&seen);
        let called = run(&component, parameters(4), move |lifted| {
            *noted.lock().unwrap() = Some(handles(lifted));
        });
        called.unwrap();
        let (was_whole, resources) = seen.lock().unwrap().take().unwrap();
        assert_eq!((was_whole, resources.len()), (is_whole, 2));
        assert!(resources.iter().all(ResourceAny::owned));
    }
}

/// What the host holds for a handle is much more than its four bytes.
#[test]
fn handles_are_paid_for() {
    let engine = engine();
    let signature = format!("{MAKE} f: func(a: list<own<r>>);");
    let lift = |count: usize| {
        let setup = format!(
            "(local $at i32) (local.set $at (i32.const 32)) (loop
              (i32.store (local.get $at) (call $make))
              (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const {}))))",
            32 + 4 * count
        );
        let given = format!("(i32.const 32) (i32.const {count})");
        let core = "(param i32 i32)";
        let component = caller(
            &engine,
            &signature,
            core,
            &setup,
            &given,
            "",
            StringEncoding::UTF8,
        );
        run(&component, parameters(2), move |lifted| {
            let (is_whole, resources) = handles(lifted);
            assert!(is_whole && resources.len() == count);
        })
    };
    lift(4096).unwrap();
    let error = format!("{:#}", lift(20_000).unwrap_err());
    assert!(error.contains("fuel"), "{error}");
}

/// Each: where text lies, how long it says it is, and how many bytes it becomes, if they are not too many, or what the error says.
#[test]
fn text_that_is_not_utf8_is_decoded_as_far_as_it_fits() {
    const TAG: usize = 1 << 31;
    let (wide, compact) = (StringEncoding::UTF16, StringEncoding::CompactUTF16);
    let too_long = Ok(None);
    let cases = [
        // Three bytes for each unit, and two for each byte.
        (wide, 16, 300_000, Ok(Some(900_004))),
        (wide, 16, 400_000, too_long),
        (wide, 16, ENCODED_BYTES_MAX, too_long),
        (compact, 16, 500_000, Ok(Some(1_000_004))),
        (compact, 16, 600_000, too_long),
        (compact, 16, TAG | 300_000, Ok(Some(900_004))),
        (compact, 16, TAG | 400_000, too_long),
        (wide, 16, 1 << 30, Err("string pointer/length")),
        (wide, 16, TAG | 1, Err("string pointer/length")),
        (compact, 16, 1 << 30, Err("string pointer/length")),
        (compact, 16, TAG | 1 << 30, Err("string pointer/length")),
        (wide, 17, 1, Err("not aligned")),
        (compact, 17, 1, Err("not aligned")),
        (wide, 8, 1, Err("surrogate")),
    ];
    let engine = engine();
    let signature = format!("{MAKE} f: func(a: string);");
    let setup = "(i32.store (i32.const 8) (i32.const 0xd800))
        (memory.fill (i32.const 16) (i32.const 255) (i32.const 4000000))";
    for (encoding, address, len, expected) in cases {
        let given = format!("(i32.const {address}) (i32.const {len})");
        let core = "(param i32 i32)";
        let component = caller(&engine, &signature, core, setup, &given, "", encoding);
        let seen = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&seen);
        let called = run(&component, parameters(2), move |lifted| {
            *noted.lock().unwrap() = Some(match lifted {
                Lifted::Whole(values) => Some(values.bytes.len()),
                Lifted::TooLong(_) => None,
            });
        });
        match expected {
            Ok(taken) => {
                called.unwrap();
                let seen = seen.lock().unwrap().take();
                assert_eq!(seen, Some(taken), "{encoding:?} {len}");
            }
            Err(said) => {
                let error = format!("{:#}", called.unwrap_err());
                assert!(error.contains(said), "{encoding:?} {len}: {error}");
            }
        }
    }
}

/// Lists in lists that share their memory would be walked for hours, were all of what is too long looked at.
#[test]
fn what_is_too_long_is_not_looked_at_for_nothing() {
    let engine = engine();
    let signature =
        format!("{MAKE} f: func(a: list<list<list<bool>>>, b: list<list<list<own<r>>>>);");
    let core = "(param i32 i32 i32 i32)";
    // Both lists are 4096 times the list that begins at address 32, whose items are those again.
    let setup = "(local $at i32) (local.set $at (i32.const 32)) (loop
        (i32.store (local.get $at) (i32.const 32))
        (i32.store offset=4 (local.get $at) (i32.const 4096))
        (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 32800))))";
    let given = |second: usize| {
        format!("(i32.const 32) (i32.const 4096) (i32.const 32) (i32.const {second})")
    };
    let component = caller(
        &engine,
        &signature,
        core,
        setup,
        &given(0),
        "",
        StringEncoding::UTF8,
    );
    let called = run(&component, parameters(4), |lifted| {
        assert!(!handles(lifted).0)
    });
    called.unwrap();
    let component = caller(
        &engine,
        &signature,
        core,
        setup,
        &given(4096),
        "",
        StringEncoding::UTF8,
    );
    let error = run(&component, parameters(4), |lifted| panic!("{lifted:?}"));
    let error = format!("{:#}", error.unwrap_err());
    assert!(
        error.contains("fuel") || error.contains("unknown handle"),
        "{error}"
    );
}

/// What is forwarded shows only the bits that a type has; compiled code looks at all of a core value.
#[test]
fn narrow_numbers_fill_their_core_values() {
    let engine = engine();
    let wit = "package test:values; interface echo { f: func(a: s8, b: s16, c: u8, d: u16); } world w { export echo; }";
    let component = component(&engine, wit, StringEncoding::UTF8, |_| {
        format!(
            r#"(module {ALLOCATOR}
              (func $is (param i32 i32) (if (i32.ne (local.get 0) (local.get 1)) (then unreachable)))
              (func (export "{ECHO}#f") (param i32 i32 i32 i32)
                (call $is (local.get 0) (i32.const -2)) (call $is (local.get 1) (i32.const -3))
                (call $is (local.get 2) (i32.const 254)) (call $is (local.get 3) (i32.const 65533))))"#
        )
    });
    let mut store = Store::new(component.engine(), ());
    let instance = Linker::new(component.engine()).instantiate(&mut store, &component);
    let export = export(&mut store, &instance.unwrap());
    let export = Function::new(&mut store, export).unwrap();
    let given = Values {
        bytes: vec![0xfe, 0xfd, 0xff, 0xfe, 0xfd, 0xff],
        resources: Vec::new(),
    };
    whole(export.call(&mut store, given).unwrap()).unwrap();
}

#[test]
fn bytes_that_do_not_fit_are_an_error() {
    let engine = engine();
    let ty = |wit: &str, ty: Ty| named(wit.to_owned(), ty);
    let item = Box::new(ty("bool", Ty::Bool));
    let cases: [(Named, &[u8]); 7] = [
        (ty("u32", Ty::U32), &[1, 2, 3]),
        (ty("u8", Ty::U8), &[1, 2]),
        (ty("bool", Ty::Bool), &[2]),
        (ty("char", Ty::Char), &[0, 0xd8, 0, 0]),
        (ty("string", Ty::String), &[1, 0, 0, 0, 0xff]),
        (
            ty("list<bool>", Ty::List(item.clone())),
            &[0xff, 0xff, 0xff, 0xff],
        ),
        (ty("option<bool>", Ty::Option(item)), &[2, 0, 0, 0]),
    ];
    for (parameter, bytes) in cases {
        let parameters = [parameter];
        let function = forwarded(&engine, &[], &parameters, None, StringEncoding::UTF8);
        let mut linker = Linker::new(function.component.engine());
        let mut instance = linker.instance(ECHO).unwrap();
        values::define(&mut instance, "f", function.counts, |_, lifted| {
            panic!("{lifted:?}")
        })
        .unwrap();
        let mut store = Store::new(function.component.engine(), ());
        let instance = linker.instantiate(&mut store, &function.component).unwrap();
        let export = export(&mut store, &instance);
        let export = Function::new(&mut store, export).unwrap();
        let given = Values {
            bytes: bytes.to_vec(),
            resources: Vec::new(),
        };
        export
            .call(&mut store, given)
            .expect_err(&parameters[0].wit);
    }
}

#[test]
fn a_function_of_other_types_is_not_linked() {
    let engine = engine();
    let parameters = [named("string".to_owned(), Ty::String)];
    let function = forwarded(&engine, &[], &parameters, None, StringEncoding::UTF8);
    for (count, fits) in [(1, false), (2, true), (3, false), (17, false)] {
        let counts = FlatCounts {
            parameters: (count <= 16).then_some(count),
            result: Some(0),
        };
        let mut linker: Linker<()> = Linker::new(function.component.engine());
        let mut instance = linker.instance(ECHO).unwrap();
        values::define(&mut instance, "f", counts, |_, _| Ok(Values::default())).unwrap();
        let linked = linker.instantiate_pre(&function.component);
        assert_eq!(linked.is_ok(), fits, "{count}");
    }
}
