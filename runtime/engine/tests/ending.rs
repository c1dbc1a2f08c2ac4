//! Wasm that does not stop by itself is ended, in whatever it does, and its caller gets an error.

use runtime_engine::interrupt::Running;
use runtime_engine::{Engine, EngineOptions, Program};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use wasmtime::component::Linker;
use wasmtime::{Store, Trap, WasmBacktrace};

fn engine() -> Engine {
    Engine::new(EngineOptions::default()).unwrap()
}

fn program(engine: &Engine, items: &str) -> Program {
    let text = format!(
        r#"(component
             (core module $m {items})
             (core instance $m (instantiate $m))
             (func (export "f") (canon lift (core func $m "f"))))"#
    );
    let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"));
    let admitted = engine.admit("endless", &wasm, u64::MAX).unwrap();
    engine.compile(&admitted).unwrap()
}

fn call(engine: &Engine, program: &Program, running: Running) -> wasmtime::Error {
    let mut store = Store::new(engine.wasmtime(), ());
    running.enter(engine.killer(), program);
    let instance = Linker::new(engine.wasmtime()).instantiate(&mut store, &program.component);
    instance
        .and_then(|instance| instance.get_typed_func::<(), ()>(&mut store, "f"))
        .and_then(|f| f.call(&mut store, ()))
        .expect_err("it never returns by itself")
}

/// Runs it, ends it after a while, and answers its error.
fn end(engine: &Engine, items: &str, after: Duration) -> wasmtime::Error {
    let program = program(engine, items);
    let running = Running::new();
    let target = running.target();
    thread::scope(|scope| {
        let process = scope.spawn(|| call(engine, &program, running));
        thread::sleep(after);
        engine.killer().interrupt(target);
        process.join().unwrap()
    })
}

/// Programs that never end: a jump to itself; memory; calls and returns; tail calls with growing and shrinking arguments;
/// vectors; a loop before anything else. What is mostly in the host is tried in the kernel, which finds it there.
const ENDLESS: [&str; 6] = [
    r#"(func (export "f") (loop (br 0)))"#,
    r#"(memory 1) (func (export "f") (local i32)
         (loop (i32.store (local.get 0) (i32.add (i32.load (local.get 0)) (i32.const 1)))
               (local.set 0 (i32.and (i32.add (local.get 0) (i32.const 4)) (i32.const 0xfffc))) (br 0)))"#,
    r#"(func $fib (param i32) (result i32)
         (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
           (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
       (func (export "f") (loop (drop (call $fib (i32.const 25))) (br 0)))"#,
    r#"(func $many (param i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64) (return_call $few (local.get 11)))
       (func $few (param i64) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0)
         (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (return_call $many))
       (func (export "f") (call $few (i64.const 7)))"#,
    r#"(global $g (mut v128) (v128.const i64x2 1 2)) (func (export "f")
         (loop (global.set $g (f64x2.mul (f64x2.sqrt (global.get $g)) (global.get $g))) (br 0)))"#,
    r#"(func $s (loop (br 0))) (start $s) (func (export "f"))"#,
];

#[test]
fn whatever_it_does_it_is_ended_by_a_trap() {
    let engine = engine();
    for (index, items) in ENDLESS.iter().enumerate() {
        for round in 0..20 {
            let error = end(&engine, items, Duration::from_micros(137 * round));
            assert!(
                error.is::<Trap>(),
                "program {index}, round {round}: {error:?}"
            );
        }
    }
}

#[test]
fn the_backtrace_says_where_it_was() {
    let engine = engine();
    let items = r#"(func $inner (loop (br 0))) (func $outer (call $inner)) (func (export "f") (call $outer))"#;
    let error = end(&engine, items, Duration::from_millis(20));
    let backtrace = error.downcast_ref::<WasmBacktrace>().unwrap();
    let names: Vec<_> = backtrace
        .frames()
        .iter()
        .filter_map(|frame| frame.func_name())
        .collect();
    assert_eq!(names, ["outer"]);
}

/// The request stays until the process is gone, and then nothing of its thread is diverted.
#[test]
fn a_thread_that_has_left_runs_other_programs_to_their_ends() {
    let engine = engine();
    let endless = program(&engine, ENDLESS[0]);
    let counting = program(
        &engine,
        r#"(func (export "f") (local i64)
             (loop (local.set 0 (i64.add (local.get 0) (i64.const 1))) (br_if 0 (i64.lt_u (local.get 0) (i64.const 50000000)))))"#,
    );
    let running = Running::new();
    let target = running.target();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            call(&engine, &endless, running);
            let mut store = Store::new(engine.wasmtime(), ());
            let linker = Linker::new(engine.wasmtime());
            let instance = linker.instantiate(&mut store, &counting.component).unwrap();
            let f = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
            f.call(&mut store, ()).unwrap();
            is_over.store(true, Ordering::Release);
        });
        while !is_over.load(Ordering::Acquire) {
            engine.killer().interrupt(target.clone());
            thread::sleep(Duration::from_millis(1));
        }
    });
}
