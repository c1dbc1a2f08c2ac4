//! Programs for tests: those of `test/guest/hostile`, built for the guest and for this machine, and
//! components and modules, most of them hostile, that no compiler makes, written here as text or as bytes.
//!
//! Law: the same names give the same bytes every time.

use std::path::PathBuf;
use std::process::Command;

use crate::command;
use crate::failure::{Failure, Result};
use crate::paths::{self, Paths};
use crate::setup::targets;
use crate::system::OwnProgram;

/// Where the sources lie, from the repository's root.
const SOURCES: &str = "test/guest/hostile";

/// Builds the program `name` of `test/guest/hostile` as a component.
pub fn component(paths: &Paths, name: &str) -> Result<PathBuf> {
    let target = targets::ensure(paths, targets::WASM)?;
    let mut cargo = cargo_build(paths);
    target.apply(&mut cargo);
    command::run(&mut cargo)?;
    let folder = target_folder(paths).join(targets::WASM).join("release");
    Ok(folder.join(format!("{name}.wasm")))
}

/// The program of `test/guest/processes`, which starts programs.
pub fn family() -> OwnProgram {
    OwnProgram {
        path: "test/guest/processes".to_owned(),
        binary: "family-probe".to_owned(),
        may_spawn: true,
        ..OwnProgram::default()
    }
}

/// Builds the same program for this machine.
pub fn native(paths: &Paths, name: &str) -> Result<PathBuf> {
    command::run(cargo_build(paths).args(["--bin", name]))?;
    Ok(target_folder(paths).join("release").join(name))
}

fn cargo_build(paths: &Paths) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(paths.source(SOURCES))
        .args(["build", "--quiet", "--release", "--locked"])
        .env("CARGO_TARGET_DIR", target_folder(paths));
    cargo
}

fn target_folder(paths: &Paths) -> PathBuf {
    paths.out().join("guests")
}

/// A hostile component that is written here.
pub struct Written {
    /// Its name at the prompt.
    pub name: &'static str,
    make: fn() -> Result<Vec<u8>>,
}

impl Written {
    /// Writes it to a file that ends in its name.
    pub fn write(&self, paths: &Paths) -> Result<PathBuf> {
        let file = target_folder(paths).join(format!("{}.wasm", self.name));
        paths::write(&file, &(self.make)()?)?;
        Ok(file)
    }
}

/// The hostile component of this name.
pub fn written(paths: &Paths, name: &str) -> Result<PathBuf> {
    let found = WRITTEN.iter().find(|written| written.name == name);
    let missing = || Failure::Usage(format!("there is no hostile component `{name}`"));
    found.ok_or_else(missing)?.write(paths)
}

macro_rules! written {
    ($($name:literal: $make:expr;)*) => {
        &[$(Written { name: $name, make: || $make },)*]
    };
}

/// All of them.
pub const WRITTEN: &[Written] = written! {
    "garbage": Ok(noise(5_000));
    "truncated": doing("nop").map(|wasm| wasm[..wasm.len() / 2].to_vec());
    "core-module": text(CORE_MODULE);
    "old-program": old_program(r#"(if (i32.eqz (call $read)) (then (call $exit (i32.const 77)))) (call $print)"#);
    "new": doing("nop");
    "old-library": old_module(r#"(func (export "_initialize") call $print)"#);
    "old-with-other-imports": old_module(r#"(import "env" "frobnicate" (func)) (func (export "_start"))"#);
    "old-trap": old_program("(call $print) (call $culprit)");
    "baseline-stack-bomb": Ok(core_in_component(&one_function(&deep_operands(20_000))));
    "baseline-locals-bomb": Ok(core_in_component(&many_locals(2_000)));
    "imports-nothing-known": importing();
    "exports-nothing": text("(component)");
    "declares-4-gib": with_items("(memory 65536)", "nop");
    "declares-a-huge-table": with_items("(table 400000000 funcref)", "nop");
    "many-functions": Ok(many_functions(600_000));
    "one-huge-function": Ok(core_in_component(&one_function(&nops(3 << 20))));
    "huge-br-table": Ok(core_in_component(&one_function(&br_tables(1, 1_000_000))));
    "many-br-tables": Ok(core_in_component(&one_function(&br_tables(300, 3_000))));
    "many-large-functions": Ok(core_in_component(&large_functions(60, 200_000)));
    "deep-loops": Ok(core_in_component(&one_function(&nested_loops(20_000))));
    "deep-blocks": Ok(core_in_component(&one_function(&nested_blocks(200_000))));
    "deep-components": Ok(nested_components(2_000));
    "fails": component_text("", "", r#"(func (export "run") (result i32) i32.const 1)"#);
    "loops": doing("(loop (br 0))");
    "loops-in-start": with_items("(func $start (loop (br 0))) (start $start)", "nop");
    "loops-in-memory": with_items(
        "(memory 1)",
        "(local $at i32) (loop (i32.store (local.get $at) (i32.add (i32.load (local.get $at)) (i32.const 1))) \
         (local.set $at (i32.and (i32.add (local.get $at) (i32.const 4)) (i32.const 0xfffc))) (br 0))"
    );
    "loops-filling": with_items(
        "(memory 512)",
        "(loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x2000000)) (br 0))"
    );
    "loops-growing": with_items("(memory 1)", "(loop (drop (memory.grow (i32.const 0))) (br 0))");
    "loops-throwing": with_items(
        "(tag $t (param i32)) (func $throws (throw $t (i32.const 1)))",
        "(loop (block $caught (result i32) \
         (try_table (result i32) (catch $t $caught) (call $throws) (i32.const 2))) drop (br 0))"
    );
    "loops-by-tail-calls": with_items(
        "(func $many (param i64 i64 i64 i64 i64 i64 i64 i64 i64 i64) (return_call $few (local.get 9))) \
         (func $few (param i64) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) \
         (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (return_call $many))",
        "(call $few (i64.const 7))"
    );
    "loops-in-allocation": allocating("(loop (br 0)) i32.const 0");
    "allocation-traps": allocating("(call $culprit) i32.const 0");
    "allocation-recurses": allocating(
        "(i32.add (i32.const 1) (call $realloc (local.get 0) (local.get 1) (local.get 2) (local.get 3)))"
    );
    "allocation-outside-memory": allocating("i32.const -16");
    "allocation-calls-the-host": allocating("(drop (call $number)) i32.const 1024");
    "recurses-into-host-calls": random_bytes(
        "i32.const 1024",
        "(func $again (param i64) (result i64) (call $bytes (i64.const 8) (i32.const 64)) \
         (i64.add (call $again (i64.add (local.get 0) (i64.const 1))) (local.get 0)))",
        "(drop (call $again (i64.const 0)))"
    );
    "grows": with_items("(memory 1)", "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))");
    "recurses": with_items(
        "(func $again (param i64) (result i64) \
         (i64.add (call $again (i64.add (local.get 0) (i64.const 1))) (local.get 0)))",
        "(drop (call $again (i64.const 0)))"
    );
    "traps-unreachable": with_items("(func $culprit unreachable) (func $caller call $culprit)", "call $caller");
    "traps-divide-by-zero": doing("(drop (i32.div_s (i32.const 1) (i32.const 0)))");
    "traps-overflow": doing("(drop (i32.div_s (i32.const -2147483648) (i32.const -1)))");
    "traps-conversion": doing("(drop (i32.trunc_f32_s (f32.const nan)))");
    "traps-load": with_items("(memory 1)", "(drop (i64.load (i32.const -8)))");
    "traps-store": with_items("(memory 1)", "(i32.store (i32.const 65536) (i32.const 1))");
    "traps-fill": with_items("(memory 1)", "(memory.fill (i32.const 0) (i32.const 1) (i32.const 100000))");
    "traps-table": with_items("(table 4 funcref)", "(drop (table.get 0 (i32.const 4)))");
    "traps-null-call": with_items("(table 4 funcref)", "(call_indirect (i32.const 0))");
    "traps-wrong-call": with_items(
        "(table 4 funcref) (elem (i32.const 0) $other) (func $other (param i64))",
        "(call_indirect (i32.const 0))"
    );
    "handle-zero": writing("(call $write (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 64))");
    "handle-seven": writing("(call $write (i32.const 7) (i32.const 0) (i32.const 1) (i32.const 64))");
    "closed-handle": writing(
        "(local $mine i32) (local.set $mine (call $get)) (call $drop (local.get $mine)) \
         (call $write (local.get $mine) (i32.const 0) (i32.const 1) (i32.const 64))"
    );
    "twice-closed-handle": writing(
        "(local $mine i32) (local.set $mine (call $get)) (call $drop (local.get $mine)) (call $drop (local.get $mine))"
    );
    "handle-of-another-type": writing(
        "(call $write (call $get-input) (i32.const 0) (i32.const 1) (i32.const 64))"
    );
    "forged-process": killing("(call $kill (i32.const 1))");
    "wrapping-list": polling("(call $poll (i32.const 0) (i32.const 0x40000001) (i32.const 64))");
    "endless-list": polling("(call $poll (i32.const 16) (i32.const -1) (i32.const 64))");
    "bad-handle": writing("(call $write (i32.const 12345) (i32.const 0) (i32.const 1) (i32.const 64))");
    "bad-pointer": writing("(call $write (call $get) (i32.const -16) (i32.const 100) (i32.const 64))");
    "bad-result-pointer": writing("(call $write (call $get) (i32.const 0) (i32.const 1) (i32.const -4))");
    "long-list": writing("(call $write (call $get) (i32.const 0) (i32.const 6000000) (i32.const 64))");
};

/// What can be called in a core module that imports nothing.
const CORE_MODULE: &str = r#"(module
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "swap") (param f64 i64) (result i64 f64) (local.get 1) (local.get 0))
    (func $culprit unreachable) (func $caller call $culprit) (func (export "trap") call $caller)
    (func (export "loop") (loop (br 0))))"#;

/// A command of WASI 0.1 that does `start`.
fn old_program(start: &str) -> Result<Vec<u8>> {
    old_module(&format!(r#"(func (export "_start") {start})"#))
}

/// A module of WASI 0.1 with `$read`, which answers how many bytes of input it has read (64 at most), `$print`, which prints them or
/// else a word, `$exit`, and `$culprit`. A section of its own tells lies about components.
fn old_module(items: &str) -> Result<Vec<u8>> {
    text(&format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_read" (func $fd-read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $fd-write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            {items}
            (memory (export "memory") 1)
            (data (i32.const 0) "\40\00\00\00\40\00\00\00\06") (data (i32.const 64) "hello\n")
            (func $culprit unreachable)
            (func $read (result i32)
                (if (call $fd-read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
                (i32.store (i32.const 4) (i32.load (i32.const 8)))
                (i32.load (i32.const 8)))
            (func $print
                (i32.store (i32.const 4) (i32.load (i32.const 8)))
                (if (call $fd-write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)) (then unreachable)))
            (@custom "component-type:lies" "\ff\ff\ff\ff"))"#
    ))
}

/// A command that does `body` and succeeds.
fn doing(body: &str) -> Result<Vec<u8>> {
    with_items("", body)
}

/// The same whose module has further items.
fn with_items(items: &str, body: &str) -> Result<Vec<u8>> {
    component_text(
        "",
        "",
        &format!(r#"{items} (func (export "run") (result i32) {body} (i32.const 0))"#),
    )
}

/// A command that imports what `imports` says; its `run` is the core function `run` of the module
/// with `items`, instantiated with `with`.
fn component_text(imports: &str, with: &str, items: &str) -> Result<Vec<u8>> {
    text(&format!(
        r#"(component
            {imports}
            (core module $main {items})
            (core instance $main (instantiate $main {with}))
            (func $run (result (result)) (canon lift (core func $main "run")))
            (instance $command (export "run" (func $run)))
            (export "wasi:cli/run@0.2.6" (instance $command)))"#
    ))
}

fn text(component: &str) -> Result<Vec<u8>> {
    wat::parse_str(component).map_err(|error| Failure::input("a component of this tool", error))
}

fn importing() -> Result<Vec<u8>> {
    component_text(
        r#"(import "kpio:nowhere/nothing" (instance $host (export "nothing" (func))))
           (core func $nothing (canon lower (func $host "nothing")))"#,
        r#"(with "host" (instance (export "nothing" (func $nothing))))"#,
        r#"(import "host" "nothing" (func)) (func (export "run") (result i32) i32.const 0)"#,
    )
}

/// Asks for random bytes, for which the host calls back: its `realloc` is `body`.
fn allocating(body: &str) -> Result<Vec<u8>> {
    random_bytes(body, "", "(call $bytes (i64.const 8) (i32.const 64))")
}

/// A command with `items` that does `body`, with `$bytes`, which has the host call the `realloc` of another of the component's
/// modules. That one does `realloc`, has `$culprit`, and `$number`, by which it calls the host as well.
fn random_bytes(realloc: &str, items: &str, body: &str) -> Result<Vec<u8>> {
    component_text(
        &format!(
            r#"(import "wasi:random/random@0.2.6" (instance $random
                 (export "get-random-bytes" (func (param "len" u64) (result (list u8))))
                 (export "get-random-u64" (func (result u64)))))
               (core func $number (canon lower (func $random "get-random-u64")))
               (core module $allocator (import "host" "number" (func $number (result i64)))
                 (memory (export "memory") 1) (func $culprit unreachable)
                 (func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc}))
               (core instance $allocator (instantiate $allocator
                 (with "host" (instance (export "number" (func $number))))))
               (core func $bytes (canon lower (func $random "get-random-bytes")
                 (memory (core memory $allocator "memory")) (realloc (core func $allocator "realloc"))))"#
        ),
        r#"(with "host" (instance (export "bytes" (func $bytes))))"#,
        &format!(
            r#"(import "host" "bytes" (func $bytes (param i64 i32))) {items}
               (func (export "run") (result i32) {body} (i32.const 0))"#
        ),
    )
}

/// Has `$poll`, which takes a list of handles and writes the list of those that are ready.
fn polling(body: &str) -> Result<Vec<u8>> {
    component_text(
        r#"(import "wasi:io/poll@0.2.6" (instance $polling
             (export "pollable" (type $pollable (sub resource)))
             (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
           (core module $allocator (memory (export "memory") 1)
             (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024))
           (core instance $allocator (instantiate $allocator))
           (core func $poll (canon lower (func $polling "poll")
             (memory (core memory $allocator "memory")) (realloc (core func $allocator "realloc"))))"#,
        r#"(with "host" (instance (export "poll" (func $poll))))"#,
        &format!(
            r#"(import "host" "poll" (func $poll (param i32 i32 i32)))
               (func (export "run") (result i32) {body} (i32.const 0))"#
        ),
    )
}

/// Has `$kill`, which tells a process to end.
fn killing(body: &str) -> Result<Vec<u8>> {
    component_text(
        r#"(import "kpio:process/processes@0.1.0" (instance $processes
             (export "process" (type $process (sub resource)))
             (export "[method]process.kill" (func (param "self" (borrow $process))))))
           (core func $kill (canon lower (func $processes "[method]process.kill")))"#,
        r#"(with "host" (instance (export "kill" (func $kill))))"#,
        &format!(
            r#"(import "host" "kill" (func $kill (param i32)))
               (func (export "run") (result i32) {body} (i32.const 0))"#
        ),
    )
}

/// Has `$get`, which answers stdout, `$write`, its `blocking-write-and-flush`, `$drop`, which closes it, and `$get-input`, which
/// answers stdin.
fn writing(body: &str) -> Result<Vec<u8>> {
    component_text(
        r#"(import "wasi:io/error@0.2.6" (instance $errors (export "error" (type (sub resource)))))
           (alias export $errors "error" (type $error))
           (import "wasi:io/streams@0.2.6" (instance $streams
             (export "output-stream" (type $stream (sub resource)))
             (export "input-stream" (type (sub resource)))
             (alias outer 1 $error (type $outer-error))
             (export "error" (type $error (eq $outer-error)))
             (type $failure-type (variant (case "last-operation-failed" (own $error)) (case "closed")))
             (export "stream-error" (type $failure (eq $failure-type)))
             (export "[method]output-stream.blocking-write-and-flush" (func (param "self" (borrow $stream))
               (param "contents" (list u8)) (result (result (error $failure)))))))
           (alias export $streams "output-stream" (type $stream))
           (import "wasi:cli/stdout@0.2.6" (instance $standard
             (alias outer 1 $stream (type $outer-stream))
             (export "output-stream" (type $stream (eq $outer-stream)))
             (export "get-stdout" (func (result (own $stream))))))
           (alias export $streams "input-stream" (type $input))
           (import "wasi:cli/stdin@0.2.6" (instance $standard-input
             (alias outer 1 $input (type $outer-input))
             (export "input-stream" (type $input (eq $outer-input)))
             (export "get-stdin" (func (result (own $input))))))
           (core func $get-input (canon lower (func $standard-input "get-stdin")))
           (core func $drop (canon resource.drop $stream))
           (core module $memory (memory (export "memory") 100))
           (core instance $memory (instantiate $memory))
           (core func $get (canon lower (func $standard "get-stdout")))
           (core func $write (canon lower
             (func $streams "[method]output-stream.blocking-write-and-flush")
             (memory (core memory $memory "memory"))))"#,
        r#"(with "host" (instance (export "get" (func $get)) (export "get-input" (func $get-input))
             (export "write" (func $write)) (export "drop" (func $drop))))
           (with "memory" (instance $memory))"#,
        &format!(
            r#"(import "host" "get" (func $get (result i32)))
               (import "host" "get-input" (func $get-input (result i32)))
               (import "host" "drop" (func $drop (param i32)))
               (import "host" "write" (func $write (param i32 i32 i32 i32)))
               (import "memory" "memory" (memory 1))
               (func (export "run") (result i32) {body} i32.const 0)"#
        ),
    )
}

/// Bytes in no order, the same every time.
fn noise(len_bytes: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    };
    (0..len_bytes).map(|_| next()).collect()
}

/// A core module with one type, `() -> ()`, and so many empty functions.
fn many_functions(count: usize) -> Vec<u8> {
    let mut functions = leb128(count);
    functions.extend(vec![0; count]);
    let mut code = leb128(count);
    (0..count).for_each(|_| code.extend([2, 0, 0x0b]));
    core_in_component(&core_module(&functions, &code))
}

/// A core module with one function of this body, locals and end aside.
fn one_function(body: &[u8]) -> Vec<u8> {
    let mut function = vec![0];
    function.extend(body);
    function.push(0x0b);
    let mut code = leb128(1);
    code.extend(leb128(function.len()));
    code.extend(function);
    core_module(&[1, 0], &code)
}

fn nops(count: usize) -> Vec<u8> {
    vec![0x01; count]
}

fn nested_blocks(depth: usize) -> Vec<u8> {
    let mut body = [0x02, 0x40].repeat(depth);
    body.extend(vec![0x0b; depth]);
    body
}

/// Loops in loops, each of which the innermost part may go back to.
fn nested_loops(depth: usize) -> Vec<u8> {
    let mut body = [0x03, 0x40].repeat(depth);
    for level in 0..depth {
        body.extend([0x41, 0x00, 0x0d]);
        body.extend(leb128(level));
    }
    body.extend(vec![0x0b; depth]);
    body
}

/// Jumps by so many tables, each with so many targets, which are all the same.
fn br_tables(tables: usize, targets: usize) -> Vec<u8> {
    let mut table = vec![0x02, 0x40, 0x41, 0x00, 0x0e];
    table.extend(leb128(targets));
    table.extend(vec![0; targets + 1]);
    table.push(0x0b);
    table.repeat(tables)
}

/// So many functions of so many operators that are all worth compiling.
fn large_functions(count: usize, operators: usize) -> Vec<u8> {
    let mut body = vec![1, 1, 0x7f];
    body.extend([0x20, 0x00, 0x41, 0x01, 0x6a, 0x21, 0x00].repeat(operators / 4));
    body.push(0x0b);
    let mut functions = leb128(count);
    functions.extend(vec![0; count]);
    let mut code = leb128(count);
    (0..count).for_each(|_| {
        code.extend(leb128(body.len()));
        code.extend(&body);
    });
    core_module(&functions, &code)
}

/// A value below a great many blocks, again and again: each block makes the baseline compiler look at all of them.
fn deep_operands(count: usize) -> Vec<u8> {
    let mut body = [0x41, 0x07].repeat(count);
    body.extend([0x02, 0x40, 0x0b].repeat(count));
    body.push(0x00);
    body
}

/// So many functions with 50,000 local variables each, of which none is used.
fn many_locals(count: usize) -> Vec<u8> {
    let mut body = vec![1];
    body.extend(leb128(50_000));
    body.extend([0x7e, 0x0b]);
    let mut functions = leb128(count);
    functions.extend(vec![0; count]);
    let mut code = leb128(count);
    (0..count).for_each(|_| {
        code.extend(leb128(body.len()));
        code.extend(&body);
    });
    core_module(&functions, &code)
}

/// Module with sections 1 (one type without parameters and results), 3 and 10 (core specification, 5.5).
fn core_module(functions: &[u8], code: &[u8]) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    section(&mut module, 1, &[1, 0x60, 0, 0]);
    section(&mut module, 3, functions);
    section(&mut module, 10, code);
    module
}

/// A component that holds the module and does nothing with it (section 1 of the component binary format).
fn core_in_component(module: &[u8]) -> Vec<u8> {
    let mut component = COMPONENT_HEADER.to_vec();
    section(&mut component, 1, module);
    component
}

/// A component in a component in a component (section 4).
fn nested_components(depth: usize) -> Vec<u8> {
    (0..depth).fold(COMPONENT_HEADER.to_vec(), |inner, _| {
        let mut outer = COMPONENT_HEADER.to_vec();
        section(&mut outer, 4, &inner);
        outer
    })
}

const COMPONENT_HEADER: [u8; 8] = *b"\0asm\x0d\0\x01\0";

fn section(to: &mut Vec<u8>, id: u8, contents: &[u8]) {
    to.push(id);
    to.extend(leb128(contents.len()));
    to.extend(contents);
}

/// Unsigned LEB128.
fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_can_be_written() {
        for written in WRITTEN {
            assert!(!(written.make)().unwrap().is_empty(), "{}", written.name);
        }
    }

    #[test]
    fn lengths_are_leb128() {
        assert_eq!(leb128(0), [0]);
        assert_eq!(leb128(127), [127]);
        assert_eq!(leb128(624_485), [0xe5, 0x8e, 0x26]);
    }
}
