//! WebAssembly that computes something known.

use std::fmt::Write;

use runtime_engine::settings;
use runtime_platform::code_memory;
use wasmtime::{Engine, Instance, Module, Store, TypedFunc};

/// Values of each kind that live across the loop: more than there are registers.
const WORDS: u64 = 12;
const VECTORS: u64 = 20;
const FLOATS: u64 = 6;
const TURNS: u64 = 3_000_000;
/// Pages of 4 KiB that are touched, each by a page fault.
const PAGES: u64 = 2048;

/// An engine with the product's settings.
pub fn engine() -> Result<Engine, String> {
    let mut config = settings::config().map_err(|error| error.to_string())?;
    config.with_custom_code_memory(Some(code_memory::new()));
    Engine::new(&config).map_err(|error| error.to_string())
}

/// A program `f(seed, turns) -> sum` of local variables that all change in every turn.
pub fn counting(engine: &Engine) -> Result<Module, String> {
    let mut text =
        String::from("(module (func (export \"f\") (param $s i64) (param $n i64) (result i64)\n");
    let mut body = String::new();
    let mut sum = String::from("i64.const 0\n");
    for index in 0..WORDS {
        let _ = writeln!(text, "(local $w{index} i64)");
        let _ = writeln!(
            body,
            "(local.set $w{index} (i64.add (i64.rotl (local.get $w{index}) (i64.const 7)) (i64.add (local.get $s) (i64.const {index}))))"
        );
        let _ = writeln!(sum, "local.get $w{index}\ni64.add");
    }
    for index in 0..VECTORS {
        let _ = writeln!(text, "(local $v{index} v128)");
        let _ = writeln!(
            body,
            "(local.set $v{index} (i64x2.add (local.get $v{index}) (i64x2.splat (i64.add (local.get $s) (i64.const {index})))))"
        );
        let _ = writeln!(
            sum,
            "(i64x2.extract_lane 0 (local.get $v{index}))\ni64.add\n(i64x2.extract_lane 1 (local.get $v{index}))\ni64.add"
        );
    }
    for index in 0..FLOATS {
        let _ = writeln!(text, "(local $f{index} f64)");
        let _ = writeln!(
            body,
            "(local.set $f{index} (f64.add (local.get $f{index}) (f64.const {index})))"
        );
        let _ = writeln!(sum, "(i64.trunc_f64_s (local.get $f{index}))\ni64.add");
    }
    let _ = write!(
        text,
        "(loop $l\n{body}(br_if $l (i64.ne (i64.const 0) (local.tee $n (i64.sub (local.get $n) (i64.const 1))))))\n{sum}))"
    );
    Module::new(engine, &text).map_err(|error| error.to_string())
}

/// Runs it; what comes out must be what comes out here.
pub fn count(engine: &Engine, program: &Module, number: u64) -> Result<(), String> {
    let seed = number * 1000 + 1;
    let mut expected = 0_u64;
    for index in 0..WORDS {
        let turn = |word: u64, _| word.rotate_left(7).wrapping_add(seed + index);
        expected = expected.wrapping_add((0..TURNS).fold(0, turn));
    }
    for index in 0..VECTORS {
        expected = expected.wrapping_add((seed + index).wrapping_mul(TURNS).wrapping_mul(2));
    }
    for index in 0..FLOATS {
        expected = expected.wrapping_add(index * TURNS);
    }
    call(engine, program, (seed as i64, TURNS as i64), expected)
}

/// A program `f(seed, pages) -> sum` that stores into fresh pages and then reads all of them.
pub fn touching(engine: &Engine) -> Result<Module, String> {
    let text = format!(
        r#"(module (memory {pages})
  (func (export "f") (param $s i64) (param $n i64) (result i64)
    (local $at i64) (local $sum i64)
    (loop $l
      (i64.store (i32.wrap_i64 (i64.shl (local.get $at) (i64.const 12))) (i64.add (local.get $s) (local.get $at)))
      (br_if $l (i64.lt_u (local.tee $at (i64.add (local.get $at) (i64.const 1))) (local.get $n))))
    (loop $m
      (local.set $at (i64.sub (local.get $at) (i64.const 1)))
      (local.set $sum (i64.add (local.get $sum) (i64.load (i32.wrap_i64 (i64.shl (local.get $at) (i64.const 12))))))
      (br_if $m (i64.ne (local.get $at) (i64.const 0))))
    (local.get $sum)))"#,
        pages = PAGES / 16
    );
    Module::new(engine, text).map_err(|error| error.to_string())
}

/// Runs it in memories of its own, several times.
pub fn touch(engine: &Engine, program: &Module, number: u64) -> Result<(), String> {
    let seed = number * 100_000 + 7;
    let expected = seed * PAGES + PAGES * (PAGES - 1) / 2;
    (0..8).try_for_each(|_| call(engine, program, (seed as i64, PAGES as i64), expected))
}

fn call(
    engine: &Engine,
    program: &Module,
    arguments: (i64, i64),
    expected: u64,
) -> Result<(), String> {
    let mut store = Store::new(engine, ());
    let result = Instance::new(&mut store, program, &[])
        .and_then(|instance| {
            let f: TypedFunc<(i64, i64), i64> = instance.get_typed_func(&mut store, "f")?;
            f.call(&mut store, arguments)
        })
        .map_err(|error| format!("{error:?}"))?;
    if result as u64 == expected {
        return Ok(());
    }
    Err(format!("it computed {result} instead of {expected}"))
}
