//! Processes end to end: what programs do, what comes out, and that everything is given back.

mod programs;

use programs::*;
use runtime_engine::{Engine, EngineOptions, VerifiedImage};
use runtime_host::tmpfs::{Timestamp, Tmpfs};
use runtime_host::{
    Budget, BudgetCharge, ByteSink, Discard, FileTree, NoInput, Notifier, PIPE_DEFAULT_BYTES, pipe,
};
use runtime_supervisor::{
    CodeSource, Exit, Files, Grants, Launch, Links, PROCESS_BYTES_MIN, Phase, Process,
    ProcessLimits, ProcessState, ProgramImage, Rights, Supervisor, SupervisorOptions, WasmBytes,
};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::component::Linker;

const MIB: u64 = 1 << 20;
const BUDGET_BYTES: u64 = 512 * MIB;

/// A host function with a bug, to see what becomes of it.
fn buggy_interface(linker: &mut Linker<ProcessState>) -> wasmtime::Result<()> {
    linker
        .instance("test:host/bugs")?
        .func_wrap("panic", |_, ()| -> wasmtime::Result<()> {
            panic!("a bug in a host function")
        })
}

fn supervisor_with(options: EngineOptions) -> Supervisor {
    Supervisor::new(
        Engine::new(options).unwrap(),
        SupervisorOptions {
            budget: Budget::new(BUDGET_BYTES),
            processes_max: 16,
            interfaces: vec![buggy_interface],
            meter: None,
            programs: None,
        },
    )
    .unwrap()
}

fn supervisor() -> Supervisor {
    supervisor_with(EngineOptions::default())
}

fn empty_tree() -> FileTree {
    let charge = Arc::new(BudgetCharge(Budget::new(MIB)));
    let now = Timestamp {
        seconds: 0,
        nanoseconds: 0,
    };
    FileTree::new(Tmpfs::new(charge, now).unwrap())
}

fn launch_image(program: ProgramImage) -> Launch {
    Launch {
        program,
        arguments: Vec::new(),
        environment: Vec::new(),
        stdin: Arc::new(NoInput),
        stdout: Arc::new(Discard),
        stderr: Arc::new(Discard),
        terminal: None,
        files: Files::whole(empty_tree(), Rights::ReadWrite),
        may_spawn: false,
        links: Links::default(),
        limits: ProcessLimits::with_memory(256 * MIB),
        code: CodeSource::Precompiled,
        call: None,
    }
}

fn launch(wasm: &[u8]) -> Launch {
    launch_image(ProgramImage {
        name: "program".to_owned(),
        wasm: Some(WasmBytes::Shared(wasm.into())),
        precompiled: None,
        grants: Grants::WHATEVER_IS_GIVEN,
    })
}

fn run(supervisor: &Supervisor, wasm: &[u8]) -> Exit {
    run_launch(supervisor, launch(wasm))
}

/// Runs to the end and checks that everything came back.
fn run_launch(supervisor: &Supervisor, launch: Launch) -> Exit {
    let exit = supervisor.spawn(launch).unwrap().wait();
    wait_for(|| !supervisor.is_optimizing());
    assert_eq!(supervisor.budget().used_bytes(), 0, "after {exit:?}");
    assert!(supervisor.list().is_empty());
    exit
}

fn trap_of(exit: Exit) -> (String, Vec<String>) {
    match exit {
        Exit::Trap {
            message,
            wasm_backtrace,
        } => (message, wasm_backtrace),
        other => panic!("not a trap: {other:?}"),
    }
}

fn unusable(exit: &Exit) -> &str {
    match exit {
        Exit::Unusable(sentence) => sentence,
        other => panic!("not unusable: {other:?}"),
    }
}

fn wait_for(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(300), "waited in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Starts a program and waits until its wasm runs.
fn start(supervisor: &Supervisor, launch: Launch) -> Process {
    let process = supervisor.spawn(launch).unwrap();
    wait_for(|| process.status().phase == Phase::Running);
    process
}

/// Kills it, and expects its end soon.
fn kill(process: &Process) {
    let start = Instant::now();
    process.kill();
    assert_eq!(process.wait(), Exit::Killed);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn run_answers_ok_or_error() {
    let supervisor = supervisor();
    assert_eq!(run(&supervisor, &command("i32.const 0")), Exit::Code(0));
    assert_eq!(run(&supervisor, &command("i32.const 1")), Exit::Code(1));
}

#[test]
fn programs_exit_with_a_code() {
    assert_eq!(run(&supervisor(), &exiting(7)), Exit::Code(7));
}

#[test]
fn garbage_and_truncated_programs_are_unusable() {
    let supervisor = supervisor();
    let whole = command("i32.const 0");
    let exit = run(&supervisor, b"#!/bin/sh\necho hello\n");
    assert!(
        unusable(&exit).contains("is not a WebAssembly program"),
        "{exit}"
    );
    assert_eq!(exit.exit_code(), 126);
    let exit = run(&supervisor, &whole[..whole.len() / 2]);
    assert!(matches!(exit, Exit::Unusable(_)), "{exit}");
    let exit = run(&supervisor, b"");
    assert!(
        unusable(&exit).contains("is not a WebAssembly program"),
        "{exit}"
    );
}

#[test]
fn unknown_imports_are_named() {
    let exit = run(&supervisor(), &importing_the_unknown());
    let sentence = "program imports `kpio:nowhere/nothing`, which nothing here provides to it; a grant stands in the `imports` of a `[[service]]` in the system's manifest";
    assert_eq!(unusable(&exit), sentence);
}

#[test]
fn who_was_not_given_the_console_does_not_link() {
    let shower = r#"(component (import "kpio:console/devices@0.1.0" (instance)))"#;
    let exit = run(&supervisor(), &wat::parse_str(shower).unwrap());
    let sentence = "program imports `kpio:console/devices@0.1.0`, and it was not granted that; a grant stands in the `grants` of a `[[service]]` in the system's manifest";
    assert_eq!(unusable(&exit), sentence);
}

#[test]
fn what_is_no_command_is_unusable() {
    let library = wat::parse_str("(component)").unwrap();
    let exit = run(&supervisor(), &library);
    assert!(
        unusable(&exit).contains("does not export `wasi:cli/run`"),
        "{exit}"
    );
}

#[test]
fn a_program_in_no_form_is_unusable() {
    let image = ProgramImage {
        name: "ghost".to_owned(),
        wasm: None,
        precompiled: None,
        grants: Grants::WHATEVER_IS_GIVEN,
    };
    let exit = run_launch(&supervisor(), launch_image(image));
    assert!(unusable(&exit).starts_with("ghost cannot run"), "{exit}");
}

#[test]
fn compiling_beyond_the_limit_is_refused_with_numbers() {
    let mut launch = launch(&command("i32.const 0"));
    launch.limits = ProcessLimits::with_memory(6 * MIB);
    let exit = run_launch(&supervisor(), launch);
    assert!(
        unusable(&exit).contains("compiling it here would need about"),
        "{exit}"
    );
}

#[test]
fn traps_are_named_with_their_functions() {
    let supervisor = supervisor();
    for (program, expected) in [
        (trapping("unreachable"), "unreachable"),
        (
            trapping("i32.const 1 i32.const 0 i32.div_s drop"),
            "integer divide by zero",
        ),
        (
            trapping("i32.const -4 i32.load drop"),
            "out of bounds memory access",
        ),
        (trapping("i32.const 9 call_indirect"), "undefined element"),
    ] {
        let exit = run(&supervisor, &program);
        assert_eq!(exit.exit_code(), 134);
        let (message, backtrace) = trap_of(exit);
        assert!(message.contains(expected), "{message}");
        assert!(backtrace[0].contains("culprit"), "{backtrace:?}");
        assert!(
            backtrace.iter().any(|frame| frame.contains("caller")),
            "{backtrace:?}"
        );
    }
}

#[test]
fn endless_recursion_exhausts_the_call_stack() {
    let (message, backtrace) = trap_of(run(&supervisor(), &recursing()));
    assert_eq!(message, "call stack exhausted");
    assert!(
        backtrace.len() > 1 && backtrace.len() < 100,
        "{}",
        backtrace.len()
    );
}

#[test]
fn growth_beyond_the_limit_answers_minus_one() {
    let mut launch = launch(&growing_until_refused());
    launch.limits = ProcessLimits::with_memory(64 * MIB);
    assert_eq!(run_launch(&supervisor(), launch), Exit::Code(0));
}

#[test]
fn a_trap_after_a_refused_growth_says_so() {
    let mut launch = launch(&giving_up_when_refused());
    launch.limits = ProcessLimits::with_memory(64 * MIB);
    let (message, _) = trap_of(run_launch(&supervisor(), launch));
    assert!(
        message.contains("asked for memory and was refused"),
        "{message}"
    );
}

#[test]
fn an_initial_memory_beyond_the_limit_is_a_sentence() {
    let mut launch = launch(&with_initial_memory(2_000));
    launch.limits = ProcessLimits::with_memory(64 * MIB);
    let exit = run_launch(&supervisor(), launch);
    assert!(
        unusable(&exit).contains("needs more memory to start"),
        "{exit}"
    );
}

#[test]
fn an_initial_table_beyond_the_limit_is_a_sentence() {
    let exit = run(&supervisor(), &with_initial_table(9_000_000));
    assert!(
        unusable(&exit).contains("needs more memory to start")
            || unusable(&exit).contains("compiling it here would need"),
        "{exit}"
    );
}

#[test]
fn instances_are_paid_for_before_they_are_made() {
    let supervisor = supervisor();
    assert_eq!(run(&supervisor, &instantiating(100, 20)), Exit::Code(0));
    let exit = run(&supervisor, &instantiating(100, 300));
    assert!(
        unusable(&exit).contains("instance count too high"),
        "{exit}"
    );
    let mut launch = launch(&instantiating(10_000, 200));
    launch.limits = ProcessLimits::with_memory(128 * MIB);
    let exit = run_launch(&supervisor, launch);
    assert!(
        unusable(&exit).contains("cannot start: the process needs"),
        "{exit}"
    );
}

#[test]
fn an_endless_loop_is_killed() {
    let supervisor = supervisor();
    let process = start(&supervisor, launch(&looping()));
    kill(&process);
    assert_eq!(supervisor.budget().used_bytes(), 0);
    assert_eq!(Exit::Killed.exit_code(), 130);
}

#[test]
fn a_loop_in_a_start_function_is_killed() {
    let supervisor = supervisor();
    let process = start(&supervisor, launch(&looping_in_start()));
    kill(&process);
    assert_eq!(supervisor.budget().used_bytes(), 0);
}

#[test]
fn a_blocked_read_is_killed() {
    let supervisor = supervisor();
    let budget = Budget::new(MIB);
    let (reader, _writer) = pipe(PIPE_DEFAULT_BYTES, &budget).unwrap();
    let mut launch = launch(&reading_stdin());
    launch.stdin = Arc::new(reader);
    let process = start(&supervisor, launch);
    kill(&process);
    assert_eq!(supervisor.budget().used_bytes(), 0);
}

#[test]
fn killing_one_leaves_the_others_running() {
    let supervisor = supervisor();
    let processes: Vec<Process> = (0..4)
        .map(|_| start(&supervisor, launch(&looping())))
        .collect();
    for (index, process) in processes.iter().enumerate() {
        kill(process);
        let alive = supervisor
            .list()
            .iter()
            .filter(|status| status.phase == Phase::Running)
            .count();
        assert_eq!(alive, processes.len() - index - 1);
    }
    assert_eq!(supervisor.budget().used_bytes(), 0);
}

/// Requests that cross each other: every one must reach its process in the end.
#[test]
fn many_kills_at_once_all_arrive() {
    let supervisor = supervisor();
    for _ in 0..20 {
        let processes: Vec<Process> = (0..8)
            .map(|_| start(&supervisor, launch(&looping())))
            .collect();
        std::thread::scope(|scope| {
            for process in &processes {
                scope.spawn(|| kill(process));
            }
        });
    }
    assert_eq!(supervisor.budget().used_bytes(), 0);
}

#[test]
fn a_process_killed_while_it_is_compiled_counts_as_ended_at_once() {
    let supervisor = supervisor();
    let process = supervisor.spawn(launch(&slow_to_compile())).unwrap();
    // The compiler's memory is reserved before it begins.
    wait_for(|| process.memory_bytes() > PROCESS_BYTES_MIN);
    process.kill();
    assert_eq!(process.wait(), Exit::Killed);
    // Whoever had waited for the compiler would find that the process is gone.
    assert_eq!(supervisor.list().len(), 1);
    wait_for(|| supervisor.list().is_empty());
    wait_for(|| supervisor.budget().used_bytes() == 0);
}

#[test]
fn subscribers_learn_of_the_end() {
    let supervisor = supervisor();
    let process = start(&supervisor, launch(&looping()));
    let notifier = Notifier::new();
    process.subscribe(&notifier);
    assert_eq!(process.try_wait(), None);
    process.kill();
    assert!(notifier.wait(Some(Duration::from_secs(5))));
    assert_eq!(process.try_wait(), Some(Exit::Killed));
}

#[test]
fn messages_begin_with_the_program() {
    let supervisor = supervisor();
    for (program, beginning) in [
        (b"garbage".to_vec(), "program is not a WebAssembly program"),
        (trapping("unreachable"), "program trapped: "),
        (
            calling_the_bug(),
            "program was ended by a bug of this system",
        ),
    ] {
        let message = run(&supervisor, &program).message("program").unwrap();
        assert!(message.starts_with(beginning), "{message}");
    }
    assert_eq!(run(&supervisor, &exiting(5)).message("program"), None);
}

#[test]
fn a_panic_of_the_host_ends_the_process_only() {
    let supervisor = supervisor();
    let bystander = start(&supervisor, launch(&looping()));
    let exit = supervisor.spawn(launch(&calling_the_bug())).unwrap().wait();
    assert_eq!(exit, Exit::KernelBug("a bug in a host function".to_owned()));
    assert_eq!(exit.exit_code(), 70);
    assert_eq!(bystander.status().phase, Phase::Running);
    kill(&bystander);
    assert_eq!(supervisor.budget().used_bytes(), 0);
    assert_eq!(run(&supervisor, &command("i32.const 0")), Exit::Code(0));
}

#[test]
fn two_hundred_ends_of_all_kinds_give_everything_back() {
    let supervisor = supervisor();
    let programs = [
        (command("i32.const 0"), 0),
        (exiting(3), 3),
        (trapping("unreachable"), 134),
        (recursing(), 134),
        (b"garbage".to_vec(), 126),
        (importing_the_unknown(), 126),
        (with_initial_memory(60_000), 126),
        (growing_until_refused(), 0),
    ];
    for round in 0..200 {
        let (program, code) = &programs[round % programs.len()];
        assert_eq!(
            run(&supervisor, program).exit_code(),
            *code,
            "round {round}"
        );
    }
}

#[test]
fn processes_have_a_limit() {
    let supervisor = supervisor();
    let processes: Vec<Process> = (0..16)
        .map(|_| supervisor.spawn(launch(&looping())).unwrap())
        .collect();
    let refused = supervisor.spawn(launch(&looping())).err().unwrap();
    assert_eq!(
        refused.to_string(),
        "16 processes run already, and no more may"
    );
    for process in processes {
        process.kill();
        process.wait();
    }
    wait_for(|| supervisor.budget().used_bytes() == 0);
}

#[test]
fn a_budget_without_room_starts_nothing() {
    let mut launch = launch(&looping());
    launch.limits = ProcessLimits::with_memory(MIB);
    let supervisor = supervisor();
    let refused = supervisor.spawn(launch).err().unwrap();
    assert!(
        refused
            .to_string()
            .starts_with("no memory for another process"),
        "{refused}"
    );
    assert_eq!(supervisor.budget().used_bytes(), 0);
}

fn verified(bytes: Vec<u8>) -> VerifiedImage {
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    VerifiedImage::check("program", bytes.leak(), &digest).unwrap()
}

#[test]
fn precompiled_and_compiled_programs_do_the_same() {
    let supervisor = supervisor();
    for wasm in [
        command("i32.const 1"),
        exiting(9),
        trapping("unreachable"),
        recursing(),
    ] {
        let admitted = supervisor
            .engine()
            .admit("program", &wasm, u64::MAX)
            .unwrap();
        let image = verified(supervisor.engine().precompile(&admitted).unwrap());
        let mut exits = [CodeSource::Precompiled, CodeSource::Compiled].map(|code| {
            let mut launch = launch(&wasm);
            launch.program.precompiled = Some(image.into());
            launch.code = code;
            run_launch(&supervisor, launch)
        });
        assert_eq!(exits[0], exits[1]);
        let alone = ProgramImage {
            name: "program".to_owned(),
            wasm: None,
            precompiled: Some(image.into()),
            grants: Grants::WHATEVER_IS_GIVEN,
        };
        exits[1] = run_launch(&supervisor, launch_image(alone));
        assert_eq!(exits[0], exits[1]);
    }
}

fn precompiled_elsewhere() -> VerifiedImage {
    let mut config = wasmtime::Config::new();
    config.epoch_interruption(true).memory_guard_size(1 << 16);
    let elsewhere = wasmtime::Engine::new(&config).unwrap();
    verified(
        elsewhere
            .precompile_component(&command("i32.const 0"))
            .unwrap(),
    )
}

#[test]
fn other_settings_are_refused_unless_there_is_a_form_to_compile() {
    let supervisor = supervisor();
    let mut image = ProgramImage {
        name: "old".to_owned(),
        wasm: None,
        precompiled: Some(precompiled_elsewhere().into()),
        grants: Grants::WHATEVER_IS_GIVEN,
    };
    let exit = run_launch(&supervisor, launch_image(image.clone()));
    assert!(
        unusable(&exit).starts_with("old was precompiled for another version"),
        "{exit}"
    );
    image.wasm = Some(WasmBytes::Static(command("i32.const 1").leak()));
    assert_eq!(run_launch(&supervisor, launch_image(image)), Exit::Code(1));
}

#[test]
fn output_reaches_its_sink() {
    let budget = Budget::new(MIB);
    let (reader, writer) = pipe(PIPE_DEFAULT_BYTES, &budget).unwrap();
    let stdout: Arc<dyn ByteSink> = Arc::new(writer);
    let mut launch = launch(&printing());
    launch.stdout = stdout;
    assert_eq!(run_launch(&supervisor(), launch), Exit::Code(0));
    let mut buffer = [0; 64];
    let read = runtime_host::ByteSource::read(&reader, &mut buffer).unwrap();
    assert_eq!(read, runtime_host::Read::Bytes(6));
    assert_eq!(&buffer[..6], b"hello\n");
}

#[test]
fn a_list_too_long_for_one_host_call_is_a_trap() {
    let exit = run(&supervisor(), &printing_bytes(3 << 20));
    let (message, _) = trap_of(exit);
    assert!(message.contains("fuel"), "{message}");
}

#[test]
fn the_cache_is_used_and_bounded() {
    let supervisor = supervisor_with(EngineOptions {
        cache_bytes: 60_000,
        ..EngineOptions::default()
    });
    for code in 0..16 {
        assert_eq!(run(&supervisor, &exiting(code)), Exit::Code(code));
    }
    let kept = supervisor.engine().cache_bytes();
    assert!(kept > 0 && kept <= 60_000, "{kept}");
    let is_kept = |program: &[u8]| {
        let key = supervisor.engine().key(program);
        supervisor.engine().cached(&key, None).is_some()
    };
    assert!(is_kept(&exiting(15)));
    assert!(!is_kept(&exiting(0)));
    supervisor.engine().clear_cache();
    assert_eq!(supervisor.engine().cache_bytes(), 0);
}
