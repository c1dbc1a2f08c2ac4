//! Whichever compiler makes a program's code, and whatever form the program comes in: the same happens, and what was
//! compiled once is not compiled again.

mod programs;

use programs::*;
use runtime_engine::{Engine, EngineOptions, Tier, VerifiedImage};
use runtime_host::tmpfs::{Timestamp, Tmpfs};
use runtime_host::{
    Budget, BudgetCharge, ByteSource, Discard, FileTree, NoInput, PIPE_DEFAULT_BYTES, Read, pipe,
};
use runtime_supervisor::{
    CodeSource, Exit, Files, Grants, Launch, Links, Phase, Process, ProcessLimits, ProgramImage,
    Rights, Supervisor, SupervisorOptions, WasmBytes,
};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;
const BOTH: [CodeSource; 2] = [
    CodeSource::CompiledBy(Tier::Baseline),
    CodeSource::CompiledBy(Tier::Optimized),
];

fn supervisor() -> Supervisor {
    let engine = Engine::new(EngineOptions {
        cache_bytes: 64 * MIB,
        ..EngineOptions::default()
    });
    let options = SupervisorOptions {
        budget: Budget::new(1024 * MIB),
        processes_max: 16,
        interfaces: Vec::new(),
        meter: None,
        programs: None,
    };
    Supervisor::new(engine.unwrap(), options).unwrap()
}

fn text(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

fn launch(wasm: &[u8], code: CodeSource) -> Launch {
    let budget = Arc::new(BudgetCharge(Budget::new(MIB)));
    let now = Timestamp {
        seconds: 0,
        nanoseconds: 0,
    };
    Launch {
        program: ProgramImage {
            name: "program".to_owned(),
            wasm: Some(WasmBytes::Shared(wasm.into())),
            precompiled: None,
            grants: Grants::WHATEVER_IS_GIVEN,
        },
        arguments: Vec::new(),
        environment: Vec::new(),
        stdin: Arc::new(NoInput),
        stdout: Arc::new(Discard),
        stderr: Arc::new(Discard),
        terminal: None,
        files: Files::whole(
            FileTree::new(Tmpfs::new(budget, now).unwrap()),
            Rights::ReadWrite,
        ),
        may_spawn: false,
        links: Links::default(),
        limits: ProcessLimits::with_memory(512 * MIB),
        code,
        call: None,
    }
}

/// How it ended and what it wrote; everything came back.
fn run(supervisor: &Supervisor, mut launch: Launch) -> (Exit, String) {
    let (reader, writer) = pipe(PIPE_DEFAULT_BYTES, &Budget::new(MIB)).unwrap();
    launch.stdout = Arc::new(writer);
    let exit = supervisor.spawn(launch).unwrap().wait();
    wait_for(|| !supervisor.is_optimizing());
    assert_eq!(supervisor.budget().used_bytes(), 0, "after {exit:?}");
    let mut buffer = [0; 4096];
    let output = match reader.read(&mut buffer).unwrap() {
        Read::Bytes(count) => String::from_utf8_lossy(&buffer[..count]).into_owned(),
        Read::Empty | Read::End => String::new(),
    };
    (exit, output)
}

fn wait_for(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// By the baseline compiler, by Cranelift.
fn compilations(supervisor: &Supervisor) -> (u64, u64) {
    let of = |tier| supervisor.engine().compilations(tier);
    (of(Tier::Baseline), of(Tier::Optimized))
}

fn sentence(exit: &Exit) -> &str {
    match exit {
        Exit::Unusable(sentence) => sentence,
        other => panic!("not unusable: {other:?}"),
    }
}

#[test]
fn both_compilers_mean_the_same() {
    let supervisor = supervisor();
    for wasm in [
        command("i32.const 1"),
        exiting(7),
        printing(),
        trapping("unreachable"),
        trapping("i32.const 1 i32.const 0 i32.div_s drop"),
        trapping("i32.const -2147483648 i32.const -1 i32.div_s drop"),
        trapping("f32.const nan i32.trunc_f32_s drop"),
        trapping("i32.const -4 i32.load drop"),
        trapping("i32.const 70000 i32.const 0 i32.store"),
        trapping("i32.const 9 call_indirect"),
        trapping("i32.const 1 call_indirect"),
        trapping("i32.const 9 table.get 0 drop"),
        growing_until_refused(),
        giving_up_when_refused(),
        recursing(),
        with_initial_memory(9_000),
        with_initial_table(2_000_000),
        importing_the_unknown(),
        calling_the_bug(),
        reading_stdin(),
        instantiating(50, 10),
        computing(),
        old_program(r#"(call $print (i32.const 64) (i32.const 6)) (call $exit (i32.const 3))"#),
    ] {
        let [baseline, optimized] = BOTH.map(|code| run(&supervisor, launch(&wasm, code)));
        assert_eq!(baseline, optimized);
    }
    let (baseline, optimized) = compilations(&supervisor);
    assert_eq!(baseline, optimized);
}

/// A command that prints what comes of arithmetic with all number types, in a loop.
fn computing() -> Vec<u8> {
    old_program(
        r#"(local $i i32) (local $a i64) (local $f f64) (local $g f32)
           (local.set $a (i64.const 0x9e3779b97f4a7c15)) (local.set $f (f64.const 1.5)) (local.set $g (f32.const 0.7))
           (loop $again
             (local.set $a (i64.xor (i64.rotl (local.get $a) (i64.const 13))
               (i64.mul (local.get $a) (i64.extend_i32_u (local.get $i)))))
             (local.set $f (f64.add (f64.sqrt (f64.abs (local.get $f)))
               (f64.convert_i64_s (i64.shr_s (local.get $a) (i64.const 40)))))
             (local.set $g (f32.min (f32.nearest (f32.demote_f64 (local.get $f)))
               (f32.copysign (local.get $g) (f32.const -1))))
             (i64.store offset=512 (i32.and (local.get $i) (i32.const 63)) (local.get $a))
             (i32.store8 offset=600 (local.get $i) (i32.popcnt (i32.wrap_i64 (local.get $a))))
             (local.set $i (i32.add (local.get $i) (i32.const 1)))
             (br_if $again (i32.lt_u (local.get $i) (i32.const 1000))))
           (i64.store offset=512 (i32.const 100) (i64.reinterpret_f64 (local.get $f)))
           (i32.store offset=512 (i32.const 120) (i32.reinterpret_f32 (local.get $g)))
           (call $print (i32.const 512) (i32.const 1000))"#,
    )
}

/// A module of WASI 0.1 that has `$print` (address, length) and `$exit` (code), and `hello` with a line feed at 64.
fn old_program(start: &str) -> Vec<u8> {
    old_module(&format!(r#"(func (export "_start") {start})"#))
}

fn old_module(items: &str) -> Vec<u8> {
    text(&format!(
        r#"(module
             (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             (memory (export "memory") 1) (data (i32.const 64) "hello\n")
             (func $print (param i32 i32)
               (i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1))
               (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable)))
             {items})"#
    ))
}

const HELLO: &str = "(call $print (i32.const 64) (i32.const 6))";

#[test]
fn old_commands_print_and_exit() {
    let supervisor = supervisor();
    for (start, code) in [
        (HELLO.to_owned(), 0),
        (format!("{HELLO} (call $exit (i32.const 200))"), 200),
        (format!("{HELLO} unreachable"), 134),
    ] {
        let launch = launch(&old_program(&start), CodeSource::Precompiled);
        let (exit, output) = run(&supervisor, launch);
        assert_eq!((exit.exit_code(), output.as_str()), (code, "hello\n"));
    }
}

#[test]
fn old_libraries_are_initialized_and_end() {
    let library = old_module(&format!(r#"(func (export "_initialize") {HELLO})"#));
    let launch = launch(&library, CodeSource::Precompiled);
    let (exit, output) = run(&supervisor(), launch);
    assert_eq!((exit, output.as_str()), (Exit::Code(0), "hello\n"));
}

#[test]
fn old_programs_with_other_imports_are_unusable() {
    let wasm = text(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
             (import "env" "frobnicate" (func)) (func (export "_start")))"#,
    );
    let (exit, _) = run(&supervisor(), launch(&wasm, CodeSource::Precompiled));
    let expected = "program imports `env::frobnicate`, which nothing here provides";
    assert_eq!(sentence(&exit), expected);
}

/// What the tool on the development machine compiles does what the same bytes do here.
#[test]
fn precompiled_modules_do_the_same() {
    let supervisor = supervisor();
    for wasm in [
        old_program(HELLO),
        old_module(&format!(r#"(func (export "_initialize") {HELLO})"#)),
        text(r#"(module (func (export "_start") unreachable))"#),
        text("(module)"),
    ] {
        let mut launches = [(); 2].map(|()| launch(&wasm, CodeSource::CompiledBy(Tier::Optimized)));
        let admitted = supervisor.engine().admit("program", &wasm, u64::MAX);
        let image = supervisor.engine().precompile(&admitted.unwrap()).unwrap();
        let digest: [u8; 32] = Sha256::digest(&image).into();
        let image = VerifiedImage::check("program", image.leak(), &digest).unwrap();
        launches[0].program.precompiled = Some(image.into());
        launches[0].code = CodeSource::Precompiled;
        let [precompiled, compiled] = launches.map(|launch| run(&supervisor, launch));
        assert_eq!(precompiled, compiled);
    }
}

/// A module whose functions return what they are named after.
fn library() -> Vec<u8> {
    text(
        r#"(module (memory 1)
             (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
             (func (export "swap") (param f64 i64) (result i64 f64) (local.get 1) (local.get 0))
             (func (export "null") (result funcref externref) (ref.null func) (ref.null extern))
             (func (export "vector") (result v128) (v128.const i64x2 1 1))
             (func (export "nothing"))
             (func (export "takes-a-reference") (param externref))
             (func $culprit unreachable) (func (export "trap") (call $culprit))
             (func (export "loop") (loop (br 0)))
             (global (export "global") i32 (i32.const 1)))"#,
    )
}

fn call(supervisor: &Supervisor, function: &str, words: &[&str]) -> (Exit, String) {
    let mut launch = launch(&library(), CodeSource::Precompiled);
    launch.call = Some(function.to_owned());
    launch.arguments = words.iter().map(|word| (*word).to_owned()).collect();
    run(supervisor, launch)
}

#[test]
fn functions_are_called_by_name_and_their_results_printed() {
    let supervisor = supervisor();
    for (function, words, output) in [
        ("add", &["40", "0x2"][..], "42\n"),
        ("add", &["-1", "-2147483648"], "2147483647\n"),
        ("swap", &["0.5", "-7"], "-7\n0.5\n"),
        ("null", &[], "<null funcref>\n<null externref>\n"),
        ("vector", &[], "18446744073709551617\n"),
        ("nothing", &[], ""),
    ] {
        let answer = call(&supervisor, function, words);
        assert_eq!(answer, (Exit::Code(0), output.to_owned()), "{function}");
    }
    let (exit, _) = call(&supervisor, "trap", &[]);
    assert_eq!(exit.exit_code(), 134);
    assert!(exit.to_string().contains("culprit"), "{exit}");
}

#[test]
fn what_cannot_be_called_is_a_sentence() {
    let supervisor = supervisor();
    for (function, words, part) in [
        ("sub", &[][..], "exports no function `sub`"),
        ("global", &[], "exports no function `global`"),
        ("add", &["1"], "takes 2 arguments, and 1 were given"),
        (
            "add",
            &["1", "2", "3"],
            "takes 2 arguments, and 3 were given",
        ),
        ("add", &["1", "two"], "`two` is no i32"),
        ("takes-a-reference", &["x"], "cannot be written as a word"),
    ] {
        let (exit, output) = call(&supervisor, function, words);
        assert!(sentence(&exit).contains(part), "{exit}");
        assert_eq!((exit.exit_code(), output.as_str()), (126, ""));
    }
    let mut launch = launch(&command("i32.const 0"), CodeSource::Precompiled);
    launch.call = Some("run".to_owned());
    let (exit, _) = run(&supervisor, launch);
    assert!(
        sentence(&exit).starts_with("program is a component"),
        "{exit}"
    );
}

#[test]
fn modules_without_imports_run_as_processes_do() {
    let supervisor = supervisor();
    let unlimited = r#"(module (memory 2000) (func (export "_start")))"#;
    for (module, code) in [
        ("(module)", 0),
        (r#"(module (func (export "_start")))"#, 0),
        (r#"(module (func (export "_start") unreachable))"#, 134),
        (
            r#"(module (func (export "") unreachable) (func (export "_start")))"#,
            134,
        ),
        (r#"(module (func (export "_initialize") unreachable))"#, 134),
        (r#"(module (func $f (call $f)) (start $f))"#, 134),
        (r#"(module (import "env" "f" (func)))"#, 126),
        (unlimited, 126),
    ] {
        for source in BOTH {
            let mut launch = launch(&text(module), source);
            launch.limits = ProcessLimits::with_memory(64 * MIB);
            let (exit, _) = run(&supervisor, launch);
            assert_eq!(exit.exit_code(), code, "{module}: {exit}");
        }
    }
}

/// Starts a program and waits until its wasm runs.
fn start(supervisor: &Supervisor, launch: Launch) -> Process {
    let process = supervisor.spawn(launch).unwrap();
    wait_for(|| process.status().phase == Phase::Running);
    process
}

#[test]
fn code_of_both_compilers_is_killed() {
    let supervisor = supervisor();
    let mut library = launch(&library(), CodeSource::Compiled);
    library.call = Some("loop".to_owned());
    let in_components = BOTH.map(|code| launch(&looping(), code));
    let in_starts = BOTH.map(|code| launch(&looping_in_start(), code));
    let launches = in_components.into_iter().chain(in_starts).chain([library]);
    for launch in launches {
        let process = start(&supervisor, launch);
        process.kill();
        assert_eq!(process.wait(), Exit::Killed);
    }
    wait_for(|| !supervisor.is_optimizing());
    assert_eq!(supervisor.budget().used_bytes(), 0);
}

#[test]
fn what_runs_again_is_not_compiled_again() {
    let supervisor = supervisor();
    for (wasm, code) in [
        (exiting(4), 4),
        (old_program("(call $exit (i32.const 5))"), 5),
    ] {
        let before = compilations(&supervisor);
        for _ in 0..3 {
            let (exit, _) = run(&supervisor, launch(&wasm, CodeSource::Compiled));
            assert_eq!(exit, Exit::Code(code));
        }
        assert_eq!(compilations(&supervisor), (before.0 + 1, before.1 + 1));
        let key = supervisor.engine().key(&wasm);
        let kept = supervisor.engine().cached(&key, None).unwrap();
        assert_eq!(kept.tier, Tier::Optimized);
    }
}

#[test]
fn starts_at_the_same_time_compile_once() {
    let supervisor = supervisor();
    let source = CodeSource::CompiledBy(Tier::Optimized);
    let starts = [(); 6].map(|()| {
        supervisor
            .spawn(launch(&slow_to_compile(), source))
            .unwrap()
    });
    for process in starts {
        assert_eq!(process.wait(), Exit::Code(0));
    }
    assert_eq!(compilations(&supervisor), (0, 1));
}

#[test]
fn who_waits_for_anothers_compilation_can_be_killed() {
    let supervisor = supervisor();
    let source = CodeSource::CompiledBy(Tier::Optimized);
    let wasm = slow_to_compile();
    let first = supervisor.spawn(launch(&wasm, source)).unwrap();
    let second = supervisor.spawn(launch(&wasm, source)).unwrap();
    second.kill();
    assert_eq!(second.wait(), Exit::Killed);
    assert_eq!(first.wait(), Exit::Code(0));
    wait_for(|| supervisor.list().is_empty());
    assert_eq!(supervisor.budget().used_bytes(), 0);
    assert_eq!(compilations(&supervisor), (0, 1));
}

/// The next one tries, with its own budget. Who of two comes first is chance: who has too little memory may also find what the
/// other has compiled.
#[test]
fn a_compilation_that_fails_is_not_the_others_failure() {
    let supervisor = supervisor();
    let source = CodeSource::CompiledBy(Tier::Optimized);
    let wasm = slow_to_compile();
    let poor = || {
        let mut poor = launch(&wasm, source);
        poor.limits = ProcessLimits::with_memory(6 * MIB);
        supervisor.spawn(poor).unwrap()
    };
    assert!(sentence(&poor().wait()).contains("compiling it here"));
    let waiting = poor();
    let rich = supervisor.spawn(launch(&wasm, source)).unwrap();
    assert_eq!(rich.wait(), Exit::Code(0));
    let exit = waiting.wait();
    assert!(
        exit == Exit::Code(0) || sentence(&exit).contains("compiling it here"),
        "{exit}"
    );
}

#[test]
fn what_the_baseline_compiler_refuses_is_compiled_by_cranelift_at_once() {
    let supervisor = supervisor();
    let wasm = text(
        r#"(module (func $f (param i32) (result i32) (return_call $g (local.get 0)))
             (func $g (param i32) (result i32) (local.get 0))
             (func (export "_start") (drop (call $f (i32.const 1)))))"#,
    );
    let (exit, _) = run(&supervisor, launch(&wasm, CodeSource::Compiled));
    assert_eq!((exit, compilations(&supervisor)), (Exit::Code(0), (0, 1)));
    let (exit, _) = run(&supervisor, launch(&wasm, BOTH[0]));
    assert!(
        sentence(&exit).starts_with("program could not be compiled"),
        "{exit}"
    );
}

/// There is no next start without a cache, so nothing is compiled twice.
#[test]
fn without_a_cache_cranelift_compiles() {
    let options = SupervisorOptions {
        budget: Budget::new(512 * MIB),
        processes_max: 1,
        interfaces: Vec::new(),
        meter: None,
        programs: None,
    };
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let supervisor = Supervisor::new(engine, options).unwrap();
    let (exit, _) = run(&supervisor, launch(&exiting(4), CodeSource::Compiled));
    assert_eq!((exit, compilations(&supervisor)), (Exit::Code(4), (0, 1)));
}

/// Frames are larger where the baseline compiler makes them; its code gets more stack for them.
#[test]
fn recursion_goes_as_deep_in_code_of_both_compilers() {
    let wasm = text(
        r#"(module (func $deep (param i32) (result i32)
             (if (result i32) (i32.eqz (local.get 0))
               (then (i32.const 0))
               (else (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))))
             (func (export "deep") (param i32) (result i32) (call $deep (local.get 0))))"#,
    );
    let supervisor = supervisor();
    for code in BOTH {
        let mut launch = launch(&wasm, code);
        launch.call = Some("deep".to_owned());
        launch.arguments = vec!["12000".to_owned()];
        assert_eq!(
            run(&supervisor, launch),
            (Exit::Code(0), "12000\n".to_owned())
        );
    }
}
