//! The admission estimate against what compiling really allocates, on programs that are as costly
//! per byte as anybody could think of, and on a real one if `KPIO_PROGRAM` names its file.
//!
//! One test only, because the counters are those of the whole test process. Set
//! `KPIO_PRINT_ESTIMATES` to see the numbers from which the rates in `admission` come.
#![expect(unsafe_code, reason = "a counting global allocator")]

use runtime_engine::{Admitted, Engine, EngineOptions, Purse, Tier};
use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting;

static LIVE_BYTES: AtomicU64 = AtomicU64::new(0);
static PEAK_BYTES: AtomicU64 = AtomicU64::new(0);

fn add(bytes: usize) {
    let live = LIVE_BYTES.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
    PEAK_BYTES.fetch_max(live, Ordering::Relaxed);
}

fn remove(bytes: usize) {
    LIVE_BYTES.fetch_sub(bytes as u64, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: as the caller promised us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        remove(layout.size());
        // SAFETY: as the caller promised us.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // A moving reallocation has both blocks for a moment.
        add(size);
        remove(layout.size());
        // SAFETY: as the caller promised us.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One, so that the rates per thread are not excused by threads that have nothing to do.
const THREADS: usize = 1;

/// What a compilation may leave behind: buffers for the next one.
const LEFT_BEHIND_BYTES_MAX: u64 = 8 << 20;

/// A program's name and the function that writes its text.
type Program = (&'static str, fn() -> String);

fn core(body: &str) -> String {
    format!("(component (core module $m {body}) (core instance (instantiate $m)))")
}

fn repeat(count: usize, text: &str) -> String {
    text.repeat(count)
}

fn many_functions() -> String {
    core(&repeat(10_000, "(func)"))
}

fn locals_that_nobody_uses() -> String {
    let function = format!("(func (local {}))", repeat(20_000, "i64 "));
    core(&repeat(60, &function))
}

fn long_arithmetic() -> String {
    let step = "local.get 0 i32.const 77 i32.mul local.get 0 i32.add local.set 0 ";
    core(&format!("(func (param i32) {})", repeat(40_000, step)))
}

fn memory_accesses() -> String {
    let step = "local.get 0 local.get 0 i32.load offset=16 i32.store offset=8 ";
    core(&format!(
        "(memory 1) (func (param i32) {})",
        repeat(30_000, step)
    ))
}

fn divisions_and_floats() -> String {
    let step = "local.get 0 local.get 1 i32.trunc_f64_s i32.div_s local.set 0 ";
    core(&format!("(func (param i32 f64) {})", repeat(20_000, step)))
}

fn vector_operations() -> String {
    let step = "local.get 0 local.get 1 i16x8.mul local.get 0 i8x16.swizzle local.set 0 ";
    core(&format!(
        "(func (param v128 v128) {})",
        repeat(10_000, step)
    ))
}

fn calls_with_many_results() -> String {
    let call = "call $f ".to_owned() + &repeat(500, "drop ");
    core(&format!(
        "(type $t (func (result {r}))) (func $f (type $t) unreachable) (func {calls})",
        r = repeat(500, "i32 "),
        calls = repeat(60, &call),
    ))
}

fn calls_with_values_left() -> String {
    core(&format!(
        "(type $t (func (result {r}))) (func $f (type $t) unreachable) (func {calls} unreachable)",
        r = repeat(1_000, "i32 "),
        calls = repeat(60, "call $f "),
    ))
}

fn blocks_with_many_parameters() -> String {
    core(&format!(
        "(type $b (func (param {p}) (result {p}))) (func (local i32) {values} {blocks} unreachable)",
        p = repeat(500, "i32 "),
        values = repeat(500, "local.get 0 "),
        blocks = repeat(60, "(loop (type $b) local.get 0 br_if 0) "),
    ))
}

fn locals_times_blocks() -> String {
    let mut sets = String::new();
    for local in 0..2_000 {
        write!(sets, "i32.const 1 local.set {local} ").unwrap();
    }
    let locals = repeat(2_000, "i32 ");
    let blocks = repeat(5_000, "(block (br_if 0 (i32.const 1))) ");
    core(&format!("(func (local {locals}) {blocks} {sets})"))
}

fn locals_live_through_loops() -> String {
    let mut uses = String::new();
    for local in 0..300 {
        write!(
            uses,
            "local.get {local} i32.const 1 i32.add local.set {local} "
        )
        .unwrap();
    }
    let opening = repeat(60, "(loop ");
    let closing = repeat(60, "(br_if 0 (local.get 0)))");
    core(&format!(
        "(func (local {}) {opening} {uses} {closing})",
        repeat(300, "i32 ")
    ))
}

/// An interpreter's main loop: a few hundred branches to one loop head, each after other assignments.
fn interpreter_loop() -> String {
    let mut cases = String::new();
    for case in 0..200 {
        for local in 0..4 {
            let local = (case * 7 + local * 13) % 100;
            write!(
                cases,
                "local.get {local} i32.const {case} i32.add local.set {local} "
            )
            .unwrap();
        }
        cases.push_str("local.get 1 br_if 0 ");
    }
    core(&format!(
        "(func (local {}) (loop {cases}))",
        repeat(100, "i32 ")
    ))
}

/// Joins after short ifs, with many values live across all of them.
fn joins() -> String {
    let mut text = String::new();
    for index in 0..1_000 {
        let local = index % 200;
        write!(
            text,
            "(if (local.get 0) (then (local.set {local} (i32.const {index})))) "
        )
        .unwrap();
    }
    let uses: String = (0..200)
        .map(|local| format!("local.get {local} i32.add "))
        .collect();
    core(&format!(
        "(memory 1) (func (result i32) (local {}) {text} i32.const 0 {uses})",
        repeat(200, "i32 ")
    ))
}

fn wide_branch_tables() -> String {
    let table = format!("(block (br_table {} (i32.const 3)))", repeat(4_000, "0 "));
    core(&format!("(func {})", repeat(10, &table)))
}

fn branch_tables_with_values() -> String {
    let values = repeat(200, "i32.const 7 ");
    let drops = repeat(200, "drop ");
    let block = format!(
        "(block (type $b) {values} i32.const 1 (br_table {}) ) {drops}",
        repeat(400, "0 ")
    );
    core(&format!(
        "(type $b (func (result {}))) (func {})",
        repeat(200, "i32 "),
        repeat(5, &block)
    ))
}

fn many_types() -> String {
    let mut types = String::new();
    for index in 0..8_000u32 {
        let bits = (0..15).map(|bit| {
            if index >> bit & 1 == 1 {
                "i64 "
            } else {
                "i32 "
            }
        });
        write!(types, "(type (func (param {})))", bits.collect::<String>()).unwrap();
    }
    core(&types)
}

fn many_types_with_functions() -> String {
    let mut text = String::new();
    for index in 0..2_000u32 {
        let bits = (0..13).map(|bit| {
            if index >> bit & 1 == 1 {
                "i64 "
            } else {
                "i32 "
            }
        });
        write!(
            text,
            "(func (export \"{index}\") (param {}))",
            bits.collect::<String>()
        )
        .unwrap();
    }
    core(&text)
}

fn many_globals_and_exports() -> String {
    let mut text = String::new();
    for index in 0..20_000 {
        write!(
            text,
            "(global (export \"g{index}\") i32 (i32.const {index}))"
        )
        .unwrap();
    }
    core(&text)
}

fn lowered_functions() -> String {
    let mut text = String::from("(import \"host\" (instance $h ");
    for index in 0..500 {
        write!(
            text,
            "(export \"f{index}\" (func (param \"a\" string) (result u32)))"
        )
        .unwrap();
    }
    text.push_str("))(core module $l (memory (export \"m\") 1) (func (export \"r\") (param i32 i32 i32 i32) (result i32) unreachable)) (core instance $l (instantiate $l))");
    for index in 0..500 {
        write!(text, "(core func (canon lower (func $h \"f{index}\") (memory (core memory $l \"m\")) (realloc (core func $l \"r\"))))").unwrap();
    }
    format!("(component {text})")
}

/// Functions from one component to another: each gets an adapter that copies a record with many strings.
fn adapters_between_components() -> String {
    let fields: String = (0..12)
        .map(|i| format!("(field \"f{i}\" (list string))"))
        .collect();
    let mut inner = format!(
        "(type $r (record {fields})) (core module $m (memory (export \"m\") 1) \
         (func (export \"r\") (param i32 i32 i32 i32) (result i32) unreachable) \
         (func (export \"f\") (param i32))) (core instance $i (instantiate $m))\
         (export $e \"t\" (type $r))"
    );
    let mut names = String::new();
    for index in 0..40 {
        write!(
            inner,
            "(func (export \"f{index}\") (param \"a\" $e) (canon lift (core func $i \"f\") (memory (core memory $i \"m\")) (realloc (core func $i \"r\"))))"
        )
        .unwrap();
        write!(names, "(core func (canon lower (func $a \"f{index}\") (memory (core memory $l \"m\")) (realloc (core func $l \"r\"))))").unwrap();
    }
    let outer = "(core module $o (memory (export \"m\") 1) (func (export \"r\") (param i32 i32 i32 i32) (result i32) unreachable)) (core instance $l (instantiate $o))";
    format!("(component (component $a {inner}) (instance $a (instantiate $a)) {outer} {names})")
}

fn large_tables() -> String {
    core(&repeat(20, "(table 1000000 funcref) "))
}

fn large_tables_with_elements() -> String {
    let mut text = String::from("(func $f)");
    for index in 0..20 {
        write!(
            text,
            "(table $t{index} 1000000 funcref)(elem (table $t{index}) (i32.const 999999) func $f)"
        )
        .unwrap();
    }
    core(&text)
}

fn large_data() -> String {
    core(&format!(
        "(memory 200) (data (i32.const 0) \"{}\")",
        repeat(10_000_000, "x")
    ))
}

fn many_modules() -> String {
    let module = "(core module (func (export \"f\")) (memory 1))";
    format!("(component {})", repeat(500, module))
}

fn structures_with_defaults() -> String {
    let fields = repeat(1_000, "(field i32) ");
    let news = repeat(60, "struct.new_default $s drop ");
    core(&format!("(type $s (struct {fields})) (func {news})"))
}

#[test]
fn compiling_stays_below_the_estimate() {
    let programs: [Program; 25] = [
        ("many functions", many_functions),
        ("locals that nobody uses", locals_that_nobody_uses),
        ("long arithmetic", long_arithmetic),
        ("memory accesses", memory_accesses),
        ("divisions and floats", divisions_and_floats),
        ("vector operations", vector_operations),
        ("calls with many results", calls_with_many_results),
        ("calls with values left", calls_with_values_left),
        ("blocks with many parameters", blocks_with_many_parameters),
        ("locals times blocks", locals_times_blocks),
        ("locals live through loops", locals_live_through_loops),
        ("interpreter loop", interpreter_loop),
        ("joins", joins),
        ("wide branch tables", wide_branch_tables),
        ("branch tables with values", branch_tables_with_values),
        ("many types", many_types),
        ("many types with functions", many_types_with_functions),
        ("many globals and exports", many_globals_and_exports),
        ("lowered functions", lowered_functions),
        ("adapters between components", adapters_between_components),
        ("large tables", large_tables),
        ("large tables with elements", large_tables_with_elements),
        ("large data", large_data),
        ("many modules", many_modules),
        ("structures with defaults", structures_with_defaults),
    ];
    let engine = engine();
    let mut low = Vec::new();
    for (name, text) in programs {
        let wasm = wat::parse_str(text()).unwrap_or_else(|error| panic!("{name}: {error}"));
        low.extend(measure(&engine, name, &wasm));
    }
    low.extend(measure(&engine, "old program", &old_program()));
    if let Ok(path) = std::env::var("KPIO_PROGRAM") {
        low.extend(measure(&engine, &path, &std::fs::read(&path).unwrap()));
    }
    assert!(
        low.is_empty(),
        "estimated too low, or memory was kept: {low:?}"
    );
}

/// A module of WASI 0.1 with some weight: many imports, exports and types, and much data.
fn old_program() -> Vec<u8> {
    let mut items = String::new();
    for index in 0..3_000 {
        write!(
            items,
            "(func (export \"f{index}\") (param {}))",
            repeat(index % 20, "i64 ")
        )
        .unwrap();
    }
    let text = format!(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
             (memory (export "memory") 40) (func (export "_start"))
             (data (i32.const 0) "{}") {items})"#,
        repeat(2_000_000, "x")
    );
    wat::parse_str(text).unwrap()
}

fn engine() -> Engine {
    let options = EngineOptions {
        compile_threads: NonZeroUsize::new(THREADS),
        ..EngineOptions::default()
    };
    Engine::new(options).unwrap()
}

/// Compiles `wasm` by both compilers; answers its name for each if the estimate was below the peak, or if the compiler
/// kept too much.
fn measure(engine: &Engine, name: &str, wasm: &[u8]) -> Vec<String> {
    let before = LIVE_BYTES.load(Ordering::Relaxed);
    PEAK_BYTES.store(before, Ordering::Relaxed);
    let mut paid_bytes = Paid(0);
    let admitted = engine
        .admit_for(name, wasm, &mut paid_bytes)
        .unwrap_or_else(|error| panic!("{error}"));
    let admission = PEAK_BYTES.load(Ordering::Relaxed) - before;
    print(&format!(
        "{name}: admission takes {admission} of {}",
        paid_bytes.0
    ));
    let mut low = Vec::new();
    if paid_bytes.0 > 0 && paid_bytes.0 < admission {
        low.push(format!("admission of {name}"));
    }
    for tier in [Tier::Baseline, Tier::Optimized] {
        low.extend(measure_tier(engine, &admitted, tier));
    }
    low
}

/// The most that was asked for.
struct Paid(u64);

impl Purse for Paid {
    fn hold(&mut self, bytes: u64) -> Result<(), u64> {
        self.0 = self.0.max(bytes);
        Ok(())
    }
}

fn measure_tier(engine: &Engine, admitted: &Admitted<'_>, tier: Tier) -> Option<String> {
    let (name, estimate) = (admitted.program(), admitted.peak_bytes(tier));
    let before = LIVE_BYTES.load(Ordering::Relaxed);
    PEAK_BYTES.store(before, Ordering::Relaxed);
    let start = std::time::Instant::now();
    let program = match engine.compile(admitted, tier) {
        Ok(program) => program,
        Err(error) if tier == Tier::Baseline => {
            print(&format!("{error}"));
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    // The image is mapped beside the heap, while the heap still holds its other copy.
    let peak = PEAK_BYTES.load(Ordering::Relaxed) - before + program.image_bytes();
    print(&format!(
        "{name}, {tier:?}: {} bytes, peak {peak}, estimate {estimate} ({:.1}x), image {}, {:?} {:?}",
        admitted.wasm().len(),
        estimate as f64 / peak as f64,
        program.image_bytes(),
        start.elapsed(),
        admitted.survey(),
    ));
    drop(program);
    let left_bytes = LIVE_BYTES.load(Ordering::Relaxed).saturating_sub(before);
    (estimate < peak || left_bytes > LEFT_BEHIND_BYTES_MAX).then(|| format!("{name}, {tier:?}"))
}

fn print(line: &str) {
    if std::env::var_os("KPIO_PRINT_ESTIMATES").is_some() {
        println!("{line}");
    }
}
