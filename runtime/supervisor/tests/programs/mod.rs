//! Small commands for WASI 0.2, written as text.

/// A component that imports what `imports` says and whose `wasi:cli/run` is the core function `run` of the
/// module with `items`, instantiated with `with`.
fn component(imports: &str, with: &str, items: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            {imports}
            (core module $main {items})
            (core instance $main (instantiate $main {with}))
            (func $run (result (result)) (canon lift (core func $main "run")))
            (instance $command (export "run" (func $run)))
            (export "wasi:cli/run@0.2.6" (instance $command)))"#
    );
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// A command whose `run` is `body`, which leaves 0 for success or 1 for failure.
pub fn command(body: &str) -> Vec<u8> {
    component(
        "",
        "",
        &format!(r#"(func (export "run") (result i32) {body})"#),
    )
}

/// Traps in `culprit`, called by `caller`.
pub fn trapping(body: &str) -> Vec<u8> {
    let items = format!(
        r#"(memory 1) (table 4 funcref)
        (func $culprit {body})
        (func $caller call $culprit)
        (func (export "run") (result i32) call $caller i32.const 0)"#
    );
    component("", "", &items)
}

pub fn recursing() -> Vec<u8> {
    component(
        "",
        "",
        r#"(func $again (param i64) (result i64)
             (i64.add (call $again (i64.add (local.get 0) (i64.const 1))) (local.get 0)))
           (func (export "run") (result i32) (i32.wrap_i64 (call $again (i64.const 0))))"#,
    )
}

pub fn looping() -> Vec<u8> {
    command("(loop (br 0)) i32.const 0")
}

pub fn looping_in_start() -> Vec<u8> {
    component(
        "",
        "",
        r#"(func $start (loop (br 0))) (start $start)
           (func (export "run") (result i32) i32.const 0)"#,
    )
}

/// Grows its memory until it may not, then succeeds.
pub fn growing_until_refused() -> Vec<u8> {
    component(
        "",
        "",
        r#"(memory 1)
           (func (export "run") (result i32)
             (loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
             i32.const 0)"#,
    )
}

/// Does what Rust programs do when an allocation fails.
pub fn giving_up_when_refused() -> Vec<u8> {
    component(
        "",
        "",
        r#"(memory 1)
           (func (export "run") (result i32)
             (if (i32.eq (memory.grow (i32.const 60000)) (i32.const -1)) (then unreachable))
             i32.const 0)"#,
    )
}

pub fn with_initial_memory(pages: u32) -> Vec<u8> {
    component(
        "",
        "",
        &format!(r#"(memory {pages}) (func (export "run") (result i32) i32.const 0)"#),
    )
}

pub fn with_initial_table(elements: u32) -> Vec<u8> {
    component(
        "",
        "",
        &format!(r#"(table {elements} funcref) (func (export "run") (result i32) i32.const 0)"#),
    )
}

pub fn importing_the_unknown() -> Vec<u8> {
    component(
        r#"(import "kpio:nowhere/nothing" (instance $host (export "nothing" (func))))
           (core func $nothing (canon lower (func $host "nothing")))"#,
        r#"(with "host" (instance (export "nothing" (func $nothing))))"#,
        r#"(import "host" "nothing" (func)) (func (export "run") (result i32) i32.const 0)"#,
    )
}

pub fn calling_the_bug() -> Vec<u8> {
    component(
        r#"(import "test:host/bugs" (instance $host (export "panic" (func))))
           (core func $panic (canon lower (func $host "panic")))"#,
        r#"(with "host" (instance (export "panic" (func $panic))))"#,
        r#"(import "host" "panic" (func $panic))
           (func (export "run") (result i32) call $panic i32.const 0)"#,
    )
}

pub fn exiting(code: u8) -> Vec<u8> {
    component(
        r#"(import "wasi:cli/exit@0.2.6" (instance $exit
             (export "exit-with-code" (func (param "status-code" u8)))))
           (core func $exit (canon lower (func $exit "exit-with-code")))"#,
        r#"(with "host" (instance (export "exit" (func $exit))))"#,
        &format!(
            r#"(import "host" "exit" (func $exit (param i32)))
               (func (export "run") (result i32) (call $exit (i32.const {code})) unreachable)"#
        ),
    )
}

/// Enough code in one function to keep the compiler busy for a second.
pub fn slow_to_compile() -> Vec<u8> {
    let mut joins = String::new();
    for index in 0..1_500 {
        let local = index % 200;
        joins += &format!("(if (local.get 0) (then (local.set {local} (i32.const {index})))) ");
    }
    let uses: String = (0..200)
        .map(|local| format!("local.get {local} i32.add "))
        .collect();
    let locals = "i32 ".repeat(200);
    component(
        "",
        "",
        &format!(
            r#"(func $slow (result i32) (local {locals}) {joins} i32.const 0 {uses})
               (func (export "run") (result i32) call $slow)"#
        ),
    )
}

/// The resources of streams and, for `direction` "in" or "out", one operation and the standard stream.
fn streams(direction: &str) -> String {
    let (stream, operation, get) = match direction {
        "in" => (
            "input-stream",
            r#"(export "[method]input-stream.blocking-read" (func (param "self" (borrow $stream)) (param "len" u64)
                 (result (result (list u8) (error $failure)))))"#,
            "stdin",
        ),
        _ => (
            "output-stream",
            r#"(export "[method]output-stream.blocking-write-and-flush" (func (param "self" (borrow $stream))
                 (param "contents" (list u8)) (result (result (error $failure)))))"#,
            "stdout",
        ),
    };
    let method = operation.split('"').nth(1).unwrap_or_default();
    format!(
        r#"(import "wasi:io/error@0.2.6" (instance $errors (export "error" (type (sub resource)))))
           (alias export $errors "error" (type $error))
           (import "wasi:io/streams@0.2.6" (instance $streams
             (export "{stream}" (type $stream (sub resource)))
             (alias outer 1 $error (type $outer-error))
             (export "error" (type $error (eq $outer-error)))
             (type $failure-type (variant (case "last-operation-failed" (own $error)) (case "closed")))
             (export "stream-error" (type $failure (eq $failure-type)))
             {operation}))
           (alias export $streams "{stream}" (type $stream))
           (import "wasi:cli/{get}@0.2.6" (instance $standard
             (alias outer 1 $stream (type $outer-stream))
             (export "{stream}" (type $stream (eq $outer-stream)))
             (export "get-{get}" (func (result (own $stream))))))
           (core module $memory
             (memory (export "memory") 100)
             (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096)))
           (core instance $memory (instantiate $memory))
           (core func $get (canon lower (func $standard "get-{get}")))
           (core func $operation (canon lower (func $streams "{method}")
             (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))"#
    )
}

const WITH_STREAM: &str = r#"
    (with "host" (instance (export "get" (func $get)) (export "operation" (func $operation))))
    (with "memory" (instance $memory))"#;

pub fn reading_stdin() -> Vec<u8> {
    component(
        &streams("in"),
        WITH_STREAM,
        r#"(import "host" "get" (func $get (result i32)))
           (import "host" "operation" (func $read (param i32 i64 i32)))
           (func (export "run") (result i32)
             (call $read (call $get) (i64.const 100) (i32.const 64))
             i32.const 0)"#,
    )
}

pub fn printing() -> Vec<u8> {
    printing_bytes(6)
}

/// Prints that many bytes in one call, the first of which are `hello`.
pub fn printing_bytes(bytes: u32) -> Vec<u8> {
    let items = format!(
        r#"(import "host" "get" (func $get (result i32)))
           (import "host" "operation" (func $write (param i32 i32 i32 i32)))
           (import "memory" "memory" (memory 1))
           (data (i32.const 512) "hello\n")
           (func (export "run") (result i32)
             (call $write (call $get) (i32.const 512) (i32.const {bytes}) (i32.const 64))
             i32.const 0)"#
    );
    component(&streams("out"), WITH_STREAM, &items)
}

/// Instantiates a module with `functions` functions `instances` times.
pub fn instantiating(functions: usize, instances: usize) -> Vec<u8> {
    let module = format!("(core module $large {})", "(func)".repeat(functions));
    let instances = "(core instance (instantiate $large))".repeat(instances);
    component(
        &format!("{module} {instances}"),
        "",
        r#"(func (export "run") (result i32) i32.const 0)"#,
    )
}
