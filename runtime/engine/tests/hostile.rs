//! Whatever the bytes are, the answer is a value; and what admission lets through, Wasmtime agrees on.
//!
//! Mutations come from a seed that a failure prints; `KPIO_SEED` replays one.

use runtime_engine::admission::{FUNCTION_WORK_MAX, PROGRAM_BYTES_MAX};
use runtime_engine::{Admitted, Engine, EngineOptions, Form, LoadProblem, SurveyError, Tier};
use wasmtime::component::Component;

fn engine() -> Engine {
    Engine::new(EngineOptions::default()).unwrap()
}

fn parse(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// A component with a bit of everything that the survey looks into.
fn sample() -> Vec<u8> {
    parse(
        r#"(component
          (import "host" (instance $host (export "log" (func (param "text" string)))))
          (core module $memory (memory (export "m") 1)
            (func (export "r") (param i32 i32 i32 i32) (result i32) i32.const 8))
          (core instance $memory (instantiate $memory))
          (core func $log (canon lower (func $host "log") (memory (core memory $memory "m"))))
          (core module $main
            (import "host" "log" (func $log (param i32 i32)))
            (type $pair (func (param i32 i64) (result i32 i64)))
            (type $point (struct (field i32) (field f64)))
            (table 5 funcref) (elem (i32.const 1) func $pair $other)
            (global $g (mut i32) (i32.const 7)) (tag $t (param i32))
            (memory 1) (data (i32.const 16) "some data")
            (func $pair (type $pair) local.get 0 local.get 1)
            (func $other (param i32) (result i32) (local i64 f32 v128)
              (block $out (result i32)
                (loop $again
                  (br_table $again $again $again (local.get 0)))
                (if (result i32) (local.get 0) (then i32.const 1) (else i32.const 2)))
              (call_indirect (type $pair) (i64.const 3) (i32.const 1)) drop
              drop (struct.new_default $point) drop
              (block $caught (result i32)
                (try_table (result i32) (catch $t $caught) (throw $t (i32.const 4))))
              (call $log (i32.const 16) (i32.const 9)))
            (func (export "run") (result i32) (drop (call $other (i32.const 1))) i32.const 0))
          (core instance $main (instantiate $main
            (with "host" (instance (export "log" (func $log))))))
          (component $inner (core module (func (param i32) local.get 0 drop)))
          (func (export "run") (result (result)) (canon lift (core func $main "run"))))"#,
    )
}

#[test]
fn the_sample_is_valid_and_measured() {
    let engine = engine();
    let survey = engine.survey(&sample()).unwrap();
    assert_eq!((survey.core_modules, survey.functions), (3, 5));
    assert_eq!(survey.canonical_functions, 2);
    assert_eq!(survey.table_entries, 5);
    assert!(
        survey.merges == 0 && survey.variable_slots > 0,
        "{survey:?}"
    );
    let wasm = sample();
    let admitted = engine.admit("sample", &wasm, u64::MAX).unwrap();
    engine.compile(&admitted, Tier::Optimized).unwrap();
}

#[test]
fn every_truncation_is_refused() {
    let engine = engine();
    let whole = sample();
    let mut cut = 0;
    for length in 1..whole.len() {
        match engine.survey(&whole[..length]) {
            Err(SurveyError::Truncated { .. }) => cut += 1,
            Err(_) => {}
            Ok(_) => assert!(
                is_valid(&engine, &whole[..length]),
                "{length} bytes were accepted"
            ),
        }
    }
    // The rest end between two sections, where nothing says that more was to come.
    assert!(cut * 10 > whole.len() * 9, "{cut} of {}", whole.len());
    assert_eq!(engine.survey(b""), Err(SurveyError::NotWasm));
}

fn is_valid(engine: &Engine, wasm: &[u8]) -> bool {
    Component::from_binary(engine.wasmtime(), wasm).is_ok()
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// One that a failure prints.
fn seed() -> u64 {
    let seed = std::env::var("KPIO_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| {
        std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .map_or(1, |time| time.as_nanos() as u64)
    });
    println!("KPIO_SEED={seed}");
    seed
}

fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..1 + random.below(3) {
        let at = 8 + random.below(bytes.len() - 8);
        match random.below(4) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes.insert(at, random.next() as u8),
            _ => drop(bytes.remove(at)),
        }
    }
}

/// Whatever the compilers say of it, they come back.
fn compile_by_both(engine: &Engine, admitted: &Admitted<'_>) {
    for tier in [Tier::Baseline, Tier::Optimized] {
        drop(engine.compile(admitted, tier));
    }
}

#[test]
fn mutations_are_judged_as_wasmtime_judges_them() {
    let engine = engine();
    let mut random = Random(seed());
    for _ in 0..3_000 {
        let mut wasm = sample();
        mutate(&mut random, &mut wasm);
        // The estimate keeps the rare mutation that declares a gigabyte of something from being tried.
        match engine.admit("mutation", &wasm, 64 << 20) {
            Ok(admitted) => compile_by_both(&engine, &admitted),
            Err(error) => match error.problem {
                LoadProblem::Unusable(_) => {
                    assert!(!is_valid(&engine, &wasm), "refused: {error} {wasm:?}");
                }
                LoadProblem::OverLimit { .. } | LoadProblem::NotEnoughMemory { .. } => {}
                other => panic!("{other:?}"),
            },
        }
    }
}

#[test]
fn text_is_not_wasm() {
    let engine = engine();
    assert_eq!(engine.survey(b"(component)"), Err(SurveyError::NotWasm));
    assert_eq!(engine.survey(&[0; 100]), Err(SurveyError::NotWasm));
}

#[test]
fn modules_and_components_are_told_apart() {
    let engine = engine();
    let form = |text: &str| engine.survey(&parse(text)).unwrap().form;
    assert_eq!(form("(component)"), Form::Component);
    assert_eq!(form("(component (core module))"), Form::Component);
    assert_eq!(form("(module)"), Form::Module);
    assert_eq!(form(r#"(module (import "env" "f" (func)))"#), Form::Module);
    assert_eq!(form(&wasi_01("")), Form::Wasi01);
}

/// A module of WASI 0.1 with these items besides.
fn wasi_01(items: &str) -> String {
    format!(
        r#"(module
             (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             {items}
             (func (export "_start") (call $exit (i32.const 0))))"#
    )
}

/// What keeps this program from being admitted.
fn problem(engine: &Engine, wasm: &[u8]) -> LoadProblem {
    match engine.admit("program", wasm, u64::MAX) {
        Ok(_) => panic!("admitted"),
        Err(error) => error.problem,
    }
}

#[test]
fn modules_of_wasi_01_become_components() {
    let engine = engine();
    let wasm = parse(&wasi_01(r#"(memory (export "memory") 1)"#));
    let admitted = engine.admit("old", &wasm, u64::MAX).unwrap();
    assert_eq!(admitted.survey().form, Form::Component);
    compile_by_both(&engine, &admitted);
    assert_eq!(engine.compilations(Tier::Baseline), 1);
    assert_eq!(engine.compilations(Tier::Optimized), 1);
}

#[test]
fn adapting_is_paid_for_before_it_is_done() {
    let wasm = parse(&wasi_01(r#"(memory (export "memory") 1)"#));
    let error = engine().admit("old", &wasm, 1 << 20).unwrap_err();
    assert!(
        matches!(error.problem, LoadProblem::NotEnoughMemory { .. }),
        "{error}"
    );
}

#[test]
fn modules_that_the_adapter_has_no_use_for_are_values() {
    let engine = engine();
    for (items, named) in [
        (r#"(import "env" "f" (func))"#, "env::f"),
        (
            r#"(import "wasi_snapshot_preview1" "no_such" (func))"#,
            "no_such",
        ),
        (
            r#"(import "wasi_snapshot_preview1" "memory" (memory 1))"#,
            "memory",
        ),
        (
            r#"(import "wasi_snapshot_preview1" "fd_write" (func (param f64)))"#,
            "fd_write",
        ),
    ] {
        let problem = problem(&engine, &parse(&wasi_01(items)));
        assert!(problem.to_string().contains(named), "{problem}");
    }
}

/// What a custom section says about components is for tools; here it could only mislead.
#[test]
fn custom_sections_do_not_reach_the_adapter() {
    let engine = engine();
    let mut wasm = parse(&wasi_01(r#"(memory (export "memory") 1)"#));
    for name in ["component-type:x", "producers", "dylink.0", "name"] {
        let contents = [&[name.len() as u8], name.as_bytes(), &[0xff; 40]].concat();
        wasm.push(0);
        wasm.push(contents.len() as u8);
        wasm.extend(contents);
    }
    engine.admit("old", &wasm, u64::MAX).unwrap();
}

#[test]
fn mutations_of_a_wasi_01_module_are_values() {
    let engine = engine();
    let mut random = Random(seed());
    let whole = parse(&wasi_01(
        r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
           (memory (export "memory") 1) (global (mut i32) (i32.const 4096))
           (table (export "t") 2 funcref) (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) local.get 3)
           (func (export "_initialize"))"#,
    ));
    let mut adapted = 0;
    for _ in 0..1_500 {
        let mut wasm = whole.clone();
        mutate(&mut random, &mut wasm);
        if engine.admit("mutation", &wasm, 64 << 20).is_ok() {
            adapted += 1;
        }
    }
    assert!(adapted > 0);
}

#[test]
fn invalid_code_is_reported_with_its_place() {
    let mut wasm = parse("(component (core module (func i32.const 1 drop)))");
    let constant = wasm
        .windows(3)
        .position(|bytes| bytes == [0x41, 0x01, 0x1a])
        .unwrap();
    wasm[constant] = 0x01;
    let Err(SurveyError::Invalid { offset, .. }) = engine().survey(&wasm) else {
        panic!("accepted");
    };
    assert!(
        offset.abs_diff(constant as u64) <= 2,
        "{offset} for {constant}"
    );
}

/// Nests components one in the other.
fn nested(depth: usize) -> Vec<u8> {
    parse(&format!(
        "(component {} {})",
        "(component ".repeat(depth),
        ")".repeat(depth)
    ))
}

#[test]
fn nesting_is_bounded() {
    let engine = engine();
    engine.survey(&nested(16)).unwrap();
    assert!(matches!(
        engine.survey(&nested(17)),
        Err(SurveyError::Invalid { .. })
    ));
    assert!(matches!(
        engine.survey(&nested(60)),
        Err(SurveyError::Invalid { .. })
    ));
}

#[test]
fn amplified_work_is_over_the_limit() {
    let results = "i32 ".repeat(1_000);
    let calls = "call $f ".repeat(FUNCTION_WORK_MAX as usize / 1_000 + 1);
    let wasm = parse(&format!(
        "(component (core module (func $f (result {results}) unreachable) (func {calls} unreachable)))"
    ));
    assert!(wasm.len() < 100_000);
    let error = engine().admit("bomb", &wasm, u64::MAX).unwrap_err();
    let what = "operators and values in one function";
    assert!(
        matches!(error.problem, LoadProblem::OverLimit { what: w, .. } if w == what),
        "{error}"
    );
}

#[test]
fn locals_times_blocks_are_over_the_limit() {
    let blocks = "(block (br_if 0 (i32.const 1))) ".repeat(3_000);
    let locals = "i32 ".repeat(40_000);
    let wasm = parse(&format!(
        "(component (core module (func (local {locals}) {blocks})))"
    ));
    let error = engine().admit("bomb", &wasm, u64::MAX).unwrap_err();
    assert!(
        error.to_string().contains("local variables times blocks"),
        "{error}"
    );
}

/// A declaration of 50,000 locals takes five bytes; as text it would take a hundred thousand.
#[test]
fn locals_of_many_functions_are_over_the_limit() {
    const FUNCTIONS: u8 = 100;
    const ROUNDS: usize = 7;
    let types = [1, 4, 1, 0x60, 0, 0];
    let mut functions = vec![3, FUNCTIONS + 1, FUNCTIONS];
    functions.extend([0; FUNCTIONS as usize]);
    // One group of 50,000 i64, then the end.
    let body = [6, 1, 0xd0, 0x86, 0x03, 0x7e, 0x0b];
    let mut code = vec![10, 0xbd, 0x05, FUNCTIONS];
    code.extend(body.repeat(FUNCTIONS as usize));
    let module = [b"\0asm\x01\0\0\0", &types[..], &functions, &code].concat();
    let engine = engine();
    assert_eq!(engine.survey(&module).unwrap().locals, 5_000_000);
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    for _ in 0..ROUNDS {
        component.extend([
            1,
            (module.len() & 0x7f) as u8 | 0x80,
            (module.len() >> 7) as u8,
        ]);
        component.extend(&module);
    }
    let error = engine.admit("bomb", &component, u64::MAX).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("local variables of all functions"),
        "{error}"
    );
}

#[test]
fn enormous_programs_are_refused_unread() {
    let wasm = vec![0; PROGRAM_BYTES_MAX as usize + 1];
    let error = engine().admit("enormous", &wasm, u64::MAX).unwrap_err();
    assert!(
        error.to_string().starts_with("enormous is too large"),
        "{error}"
    );
}

/// Whether the baseline compiler is asked for this program. Either way it is compiled.
fn suits_baseline(text: &str) -> bool {
    let engine = engine();
    let wasm = parse(text);
    let admitted = engine.admit("bomb", &wasm, 2 << 30).unwrap();
    if admitted.suits_baseline() {
        engine.compile(&admitted, Tier::Baseline).unwrap();
    } else {
        engine.compile(&admitted, Tier::Optimized).unwrap();
    }
    admitted.suits_baseline()
}

/// The baseline compiler walks the operand stack at each block.
#[test]
fn deep_operand_stacks_are_not_for_the_baseline_compiler() {
    let text = |height: usize| {
        let values = "i32.const 7 ".repeat(height);
        let blocks = "(block) ".repeat(20_000);
        format!("(component (core module (func {values} {blocks} unreachable)))")
    };
    assert!(suits_baseline(&text(1_000)));
    assert!(!suits_baseline(&text(20_000)));
}

/// The baseline compiler clears each local by an instruction.
#[test]
fn locals_without_end_are_not_for_the_baseline_compiler() {
    let text = |functions: usize| {
        let function = format!("(func (local {}))", "i64 ".repeat(40_000));
        format!("(component (core module {}))", function.repeat(functions))
    };
    assert!(suits_baseline(&text(50)));
    assert!(!suits_baseline(&text(120)));
}

#[test]
fn bombs_end_as_values_in_both_compilers() {
    let engine = engine();
    let nested = format!("{}{}", "(block ".repeat(20_000), ")".repeat(20_000));
    let wide = format!("(block (br_table {} (i32.const 3)))", "0 ".repeat(65_000));
    let too_wide = format!("(block (br_table {} (i32.const 3)))", "0 ".repeat(70_000));
    let large = "(drop (i32.add (i32.const 1) (i32.const 2))) ".repeat(200_000);
    let frame = format!("(local {}) (drop (local.get 39999))", "i64 ".repeat(40_000));
    for (name, body) in [
        ("nested", nested),
        ("wide", wide),
        ("too wide", too_wide),
        ("large", large),
        ("frame", frame),
    ] {
        let wasm = parse(&format!("(component (core module (func {body})))"));
        let admitted = engine.admit(name, &wasm, 2 << 30).unwrap();
        let by = |tier| engine.compile(&admitted, tier).is_ok();
        assert_eq!(
            (by(Tier::Baseline), by(Tier::Optimized)),
            (name != "too wide", name != "too wide"),
            "{name}"
        );
    }
}

/// What the baseline compiler does not know is an error, after which Cranelift compiles.
#[test]
fn what_the_baseline_compiler_does_not_know_is_an_error() {
    let engine = engine();
    for body in [
        "(type $s (struct (field i32))) (func (drop (struct.new_default $s)))",
        "(tag $t) (func (throw $t))",
        "(func $f (return_call $f))",
        "(func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))",
    ] {
        let wasm = parse(&format!("(component (core module {body}))"));
        let admitted = engine.admit("modern", &wasm, u64::MAX).unwrap();
        let error = engine.compile(&admitted, Tier::Baseline).err().unwrap();
        assert!(matches!(error.problem, LoadProblem::Compile(_)), "{error}");
        engine.compile(&admitted, Tier::Optimized).unwrap();
    }
}
