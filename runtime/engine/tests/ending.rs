//! Wasm that does not stop by itself is ended, in whatever it does, and its caller gets an error.

use runtime_engine::interrupt::Running;
use runtime_engine::{Code, Engine, EngineOptions, LoadError, Program, Tier};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use wasmtime::component::{Component, Linker};
use wasmtime::{Store, Trap, WasmBacktrace};

fn engine() -> Engine {
    Engine::new(EngineOptions::default()).unwrap()
}

fn program(engine: &Engine, items: &str) -> Program {
    compile(engine, items, Tier::Optimized).unwrap()
}

fn compile(engine: &Engine, items: &str, tier: Tier) -> Result<Program, LoadError> {
    let text = format!(
        r#"(component
             (core module $m {items})
             (core instance $m (instantiate $m))
             (func (export "f") (canon lift (core func $m "f"))))"#
    );
    let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"));
    let admitted = engine.admit("endless", &wasm, u64::MAX).unwrap();
    engine.compile(&admitted, tier)
}

fn component(program: &Program) -> &Component {
    match &program.code {
        Code::Component(component) => component,
        Code::Module(_) => panic!("a module"),
    }
}

/// Calls `f` as a process's thread does.
fn run(
    engine: &Engine,
    program: &Program,
    running: Running,
    on_visit: impl Fn() + 'static,
) -> wasmtime::Result<()> {
    let component = component(program);
    let mut store = Store::new(component.engine(), ());
    running.enter(engine.killer(), program, on_visit);
    Linker::new(component.engine())
        .instantiate(&mut store, component)
        .and_then(|instance| instance.get_typed_func::<(), ()>(&mut store, "f"))
        .and_then(|f| f.call(&mut store, ()))
}

fn call(engine: &Engine, program: &Program, running: Running) -> wasmtime::Error {
    run(engine, program, running, || {}).expect_err("it never returns by itself")
}

/// Runs it, ends it after a while, and answers its error.
fn end(engine: &Engine, items: &str, after: Duration) -> wasmtime::Error {
    end_program(engine, &program(engine, items), after)
}

fn end_program(engine: &Engine, program: &Program, after: Duration) -> wasmtime::Error {
    let running = Running::new();
    let target = running.target();
    thread::scope(|scope| {
        let process = scope.spawn(|| call(engine, program, running));
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

/// It counts in a register and in memory, and traps where one of them was lost.
const COUNTING: &str = r#"(memory 1) (func (export "f") (local i64)
     (loop (local.set 0 (i64.add (local.get 0) (i64.const 1)))
           (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 1)))
           (br_if 0 (i64.lt_u (local.get 0) (i64.const 100000000))))
     (if (i64.ne (local.get 0) (i64.load (i32.const 0))) (then (unreachable))))"#;

/// Each turn leaves numbers that are no addresses where the next one's frame is made, and then makes it by a tail call whose
/// callee has more arguments on the stack than its caller.
const GROWING_OVER_NUMBERS: &str = r#"
    (func $spill (param i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64))
    (func $many (param i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64))
    (func $few (param i64) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0)
      (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (return_call $many))
    (func $dirty (param i64) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0)
      (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0)
      (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0)
      (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (call $spill))
    (func (export "f") (loop (call $dirty (i64.const 7)) (call $few (i64.const 7)) (br 0)))"#;

/// While such a frame is made its frame pointer leads nowhere for some instructions, and whoever walks the stack from there panics.
#[test]
fn it_is_not_ended_where_its_frame_pointer_leads_nowhere() {
    let engine = engine();
    let program = program(&engine, GROWING_OVER_NUMBERS);
    for round in 0..2000 {
        let error = end_program(&engine, &program, Duration::from_micros(round % 97));
        assert!(error.is::<Trap>(), "round {round}: {error:?}");
    }
}

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

/// The baseline compiler's frames are like Cranelift's.
#[test]
fn the_baseline_compilers_code_is_ended_as_well() {
    let engine = engine();
    let mut refused = Vec::new();
    for (index, items) in ENDLESS.iter().enumerate() {
        let Ok(program) = compile(&engine, items, Tier::Baseline) else {
            refused.push(index);
            continue;
        };
        for round in 0..5 {
            let error = end_program(&engine, &program, Duration::from_micros(537 * round));
            assert!(
                error.is::<Trap>(),
                "program {index}, round {round}: {error:?}"
            );
        }
    }
    // It knows no tail calls.
    assert_eq!(refused, [3]);
}

/// A visit leaves everything as it was, however often it comes.
#[test]
fn a_visited_program_goes_on_where_it_was() {
    let engine = engine();
    for tier in [Tier::Optimized, Tier::Baseline] {
        let program = compile(&engine, COUNTING, tier).unwrap();
        let visits = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&visits);
        let running = Running::new();
        let target = running.target();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let process = scope.spawn(|| {
                let visited = move || {
                    counter.fetch_add(1, Ordering::Relaxed);
                };
                let result = run(&engine, &program, running, visited);
                is_over.store(true, Ordering::Release);
                result
            });
            while !is_over.load(Ordering::Acquire) {
                engine.killer().visit(target.clone(), &Arc::new(()));
                thread::yield_now();
            }
            process.join().unwrap().unwrap();
        });
        assert!(visits.load(Ordering::Relaxed) > 0, "{tier:?}");
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
    let counting = program(&engine, COUNTING);
    let running = Running::new();
    let target = running.target();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            call(&engine, &endless, running);
            let mut store = Store::new(engine.wasmtime(), ());
            let linker = Linker::new(engine.wasmtime());
            let instance = linker
                .instantiate(&mut store, component(&counting))
                .unwrap();
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
