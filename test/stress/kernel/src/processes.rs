//! Processes that start, trap, block, take all memory, and are killed at random instants.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use kernel_core::memory::frames;
use kernel_machine::memory::PAGE_BYTES;
use runtime_engine::interrupt::{Bodies, Interrupter};
use runtime_engine::{Engine, EngineOptions};
use runtime_host::tmpfs::{Timestamp, Tmpfs};
use runtime_host::{Budget, BudgetCharge, Discard, FileTree, NoInput};
use runtime_platform::{code_memory, interruption};
use runtime_supervisor::{
    CodeSource, Exit, Files, Grants, Launch, LaunchError, Links, Phase, Process, ProcessLimits,
    ProgramImage, Rights, Supervisor, SupervisorOptions, WasmBytes,
};

use crate::Storm;
use crate::random::Random;

/// Starters at a time, each with one process.
const STARTERS: usize = 6;
/// Starts of each starter in one round.
const STARTS: usize = 12;
/// Processes at a time, those that were killed and are still being compiled among them.
const PROCESSES_MAX: usize = 24;
/// Growers at a time, and how often each takes all that there is.
const GROWERS: usize = 3;
const TAKES: usize = 4;
/// How often it is looked whether a killed process has ended, and the pause between.
const LOOKS_MAX: usize = 6000;
const LOOK_PAUSE: Duration = Duration::from_millis(2);
const TREE_BYTES: u64 = 1 << 20;
const MIB: u64 = 1 << 20;
/// More memories than the engine's pool keeps the page tables of, for its next programs.
const WARM_MEMORIES: usize = 17;
/// What is left to the kernel, in bytes.
const KERNEL_SHARE_BYTES: u64 = 12 << 20;

/// Engine and supervisor, over what memory is free.
pub struct Processes {
    supervisor: Supervisor,
    root: FileTree,
}

/// A program and how it ends if it is left alone.
struct Program {
    wasm: Vec<u8>,
    ends: fn(&Exit) -> bool,
    /// It never does.
    must_be_killed: bool,
}

impl Processes {
    /// Starts them.
    pub fn start() -> Result<Self, String> {
        let free_bytes = frames::statistics().free * PAGE_BYTES;
        let budget = Budget::new(free_bytes.saturating_sub(KERNEL_SHARE_BYTES + free_bytes / 8));
        let engine = Engine::new(EngineOptions {
            code_memory: Some(code_memory::new()),
            interrupter: Some(Interrupter {
                current_thread: interruption::current_thread,
                divert,
                visit: interruption::visit,
                stay: interruption::stay,
            }),
            cache_bytes: 0,
            compile_threads: None,
            compile_thread_start: None,
            pooled_processes: PROCESSES_MAX as u32,
        })
        .map_err(|error| error.to_string())?;
        let supervisor = Supervisor::new(
            engine,
            SupervisorOptions {
                budget,
                processes_max: PROCESSES_MAX,
                interfaces: Vec::new(),
                meter: None,
                programs: None,
            },
        )
        .map_err(|error| error.to_string())?;
        let charge = Arc::new(BudgetCharge(Budget::new(TREE_BYTES)));
        let start = Timestamp {
            seconds: 0,
            nanoseconds: 0,
        };
        let tree = Tmpfs::new(charge, start).map_err(|error| error.to_string())?;
        let processes = Self {
            supervisor,
            root: FileTree::new(tree),
        };
        processes.warm()?;
        Ok(processes)
    }

    /// Each memory of the pool that keeps its page tables gets all it will ever have: it is once as large as can be.
    fn warm(&self) -> Result<(), String> {
        let taking = taking(MIB);
        (0..WARM_MEMORIES).try_for_each(|_| take(self, &taking))?;
        self.are_gone()
    }

    fn spawn(&self, wasm: &[u8]) -> Result<Process, LaunchError> {
        self.supervisor.spawn(Launch {
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
            files: Files::whole(self.root.clone(), Rights::ReadWrite),
            may_spawn: false,
            links: Links::default(),
            limits: ProcessLimits::with_memory(self.supervisor.budget().limit_bytes()),
            code: CodeSource::Precompiled,
            call: None,
        })
    }

    /// What was killed while it was compiled goes when the compiler is done.
    fn are_gone(&self) -> Result<(), String> {
        for _ in 0..400 {
            if self.supervisor.list().is_empty() && self.supervisor.budget().used_bytes() == 0 {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        let left = self.supervisor.list().len();
        let used = self.supervisor.budget().used_bytes();
        Err(format!(
            "{left} processes are left, and {used} bytes of the budget are used"
        ))
    }
}

/// Programs of every kind, half of them killed.
pub fn storm(storm: &Storm) -> Result<(), String> {
    let processes = storm.processes()?;
    IS_DEAF.store(storm.has_defect("spare-the-killed"), Ordering::Relaxed);
    thread::scope(|scope| {
        let starters: Vec<_> = (0..STARTERS)
            .map(|number| {
                let random = storm.random(3000 + number as u64);
                scope.spawn(move || start_again_and_again(processes, random))
            })
            .collect();
        starters
            .into_iter()
            .try_for_each(|starter| starter.join().unwrap_or_else(|_| Err("a panic".to_owned())))
    })?;
    if storm.has_defect("leak-process") {
        let left = processes.spawn(&command("(loop (br 0)) i32.const 0"));
        left.map_err(|error| error.to_string())?;
    }
    processes.are_gone()
}

/// Several take all the memory that there is, again and again.
pub fn exhaustion(storm: &Storm) -> Result<(), String> {
    let processes = storm.processes()?;
    let taking = taking(PAGE_BYTES);
    thread::scope(|scope| {
        let growers: Vec<_> = (0..GROWERS)
            .map(|_| scope.spawn(|| (0..TAKES).try_for_each(|_| take(processes, &taking))))
            .collect();
        growers
            .into_iter()
            .try_for_each(|grower| grower.join().unwrap_or_else(|_| Err("a panic".to_owned())))
    })?;
    processes.are_gone()
}

/// Grows until it may not any more, one MiB at a time, and touches of each the last byte, and others so far apart.
fn taking(stride_bytes: u64) -> Vec<u8> {
    command_with(
        "(memory 1)",
        &format!(
            "(loop $l
               (if (i32.ne (memory.grow (i32.const 16)) (i32.const -1))
                 (then
                   (local.set 0 (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 4)))
                   (loop $t
                     (i32.store (local.get 0) (i32.const 1))
                     (local.set 0 (i32.sub (local.get 0) (i32.const {stride_bytes})))
                     (br_if $t (i32.gt_u (local.get 0)
                       (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const {MIB})))))
                   (br $l))))
             i32.const 0"
        ),
    )
}

/// The end is its own, or a sentence about memory.
fn take(processes: &Processes, wasm: &[u8]) -> Result<(), String> {
    match processes.spawn(wasm).map(|process| process.wait()) {
        Ok(Exit::Code(0)) | Err(LaunchError::Memory(_)) => Ok(()),
        Ok(Exit::Unusable(sentence)) if sentence.contains("memory") => Ok(()),
        Ok(other) => Err(format!(
            "a program that takes all memory ended so: {other:?}"
        )),
        Err(error) => Err(error.to_string()),
    }
}

fn start_again_and_again(processes: &Processes, mut random: Random) -> Result<(), String> {
    for _ in 0..STARTS {
        let program = Program::any(&mut random);
        let process = match processes.spawn(&program.wasm) {
            Ok(process) => process,
            Err(LaunchError::Memory(_) | LaunchError::TooManyProcesses(_)) => {
                thread::sleep(Duration::from_millis(10));
                continue;
            }
            Err(error) => return Err(error.to_string()),
        };
        let is_killed = program.must_be_killed || random.below(2) == 0;
        if is_killed {
            if random.below(4) != 0 {
                wait_until_it_runs(&process);
            }
            wait_a_moment(&mut random);
            process.kill();
        }
        let exit = if is_killed {
            end_of_killed(&process)?
        } else {
            process.wait()
        };
        let is_well = (program.ends)(&exit) || is_killed && exit == Exit::Killed;
        let had_no_memory =
            matches!(&exit, Exit::Unusable(sentence) if sentence.contains("memory"));
        if !is_well && !had_no_memory {
            return Err(format!("a program ended so: {exit:?}"));
        }
    }
    Ok(())
}

/// Otherwise most would be killed while they are compiled.
fn wait_until_it_runs(process: &Process) {
    while process.status().phase == Phase::Loading {
        thread::sleep(Duration::from_millis(1));
    }
}

/// How it ended, or that it does not.
fn end_of_killed(process: &Process) -> Result<Exit, String> {
    for _ in 0..LOOKS_MAX {
        if process.try_wait().is_some() {
            return Ok(process.wait());
        }
        thread::sleep(LOOK_PAUSE);
    }
    Err("a process that was killed goes on".to_owned())
}

/// Whether threads are left where they are: a planted defect.
static IS_DEAF: AtomicBool = AtomicBool::new(false);

fn divert(thread: u32, bodies: &Bodies, landing: usize) {
    if !IS_DEAF.load(Ordering::Relaxed) {
        interruption::divert(thread, bodies, landing);
    }
}

/// From nothing to as long as it takes to compile.
fn wait_a_moment(random: &mut Random) {
    match random.below(4) {
        0 => {}
        1 => (0..random.below(50)).for_each(|_| thread::yield_now()),
        2 => (0..random.below(100_000)).for_each(|_| std::hint::spin_loop()),
        _ => thread::sleep(Duration::from_micros(random.below(40_000) as u64)),
    }
}

impl Program {
    fn any(random: &mut Random) -> Self {
        let number = random.below(1_000_000);
        let program = |wasm, ends: fn(&Exit) -> bool, must_be_killed| Self {
            wasm,
            ends,
            must_be_killed,
        };
        let trapped: fn(&Exit) -> bool = |exit| matches!(exit, Exit::Trap { .. });
        let well: fn(&Exit) -> bool = |exit| *exit == Exit::Code(0);
        match random.below(12) {
            0 => program(
                command(&format!("i32.const {number} drop i32.const 0")),
                well,
                false,
            ),
            1 => program(command("unreachable"), trapped, false),
            2 => program(
                command("(i32.div_u (i32.const 1) (i32.const 0))"),
                trapped,
                false,
            ),
            3 => program(
                command_with("(memory 1)", "(i32.load (i32.const 65536))"),
                trapped,
                false,
            ),
            4 => program(
                command(&format!(
                    "i32.const {number} drop (loop (br 0)) i32.const 0"
                )),
                well,
                true,
            ),
            5 => program(touching(number), well, false),
            6..=9 => program(endless(random, number), well, true),
            10 => program(sleeping(number as u64 * 20), well, false),
            _ => program(slow_to_compile(number), well, false),
        }
    }
}

/// Never ends: in memory, in calls, in the host's part of an instruction, in exceptions.
fn endless(random: &mut Random, number: usize) -> Vec<u8> {
    match random.below(5) {
        0 => command_with(
            "(memory 1)",
            &format!("(loop (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const {number}))) (br 0)) i32.const 0"),
        ),
        1 => command_with(
            &format!(
                "(func $a (param i64 i64 i64 i64 i64 i64 i64 i64) (return_call $b (i64.const {number})))
                 (func $b (param i64) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0)
                   (local.get 0) (local.get 0) (return_call $a))
                 (func $c (param i32) (result i32) (if (result i32) (local.get 0)
                   (then (i32.add (call $c (i32.sub (local.get 0) (i32.const 1))) (i32.const 1))) (else (i32.const 0))))"
            ),
            &format!(
                "(loop (drop (call $c (i32.const 100))) (br_if 0 (i32.ne (local.tee 0 (i32.add (local.get 0) (i32.const 1)))
                   (i32.const {number})))) (call $b (i64.const 1)) i32.const 0"
            ),
        ),
        2 => command_with(
            "(memory 32)",
            &format!("(loop (memory.fill (i32.const 0) (i32.const {number}) (i32.const 0x200000)) (br 0)) i32.const 0"),
        ),
        3 => command_with(
            "(memory 1)",
            &format!("i32.const {number} drop (loop (drop (memory.grow (i32.const 0))) (br 0)) i32.const 0"),
        ),
        _ => command_with(
            &format!("(tag $t (param i32)) (func $throws (throw $t (i32.const {number})))"),
            "(loop (block $caught (result i32) (try_table (result i32) (catch $t $caught) (call $throws) (i32.const 2)))
               drop (br 0)) i32.const 0",
        ),
    }
}

/// A component whose `wasi:cli/run` is `body`.
fn command(body: &str) -> Vec<u8> {
    command_with("", body)
}

fn command_with(items: &str, body: &str) -> Vec<u8> {
    component(
        "",
        "",
        &format!(r#"{items} (func (export "run") (result i32) (local i32) {body})"#),
    )
}

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
    wat::parse_str(text).unwrap_or_default()
}

/// Takes a page fault for each of its pages.
fn touching(number: usize) -> Vec<u8> {
    command_with(
        "(memory 64)",
        &format!(
            "(loop $l
               (i32.store (local.get 0) (i32.const {number}))
               (br_if $l (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 4096))) (i32.const 4190000))))
             i32.const 0"
        ),
    )
}

/// Blocks in a host call.
fn sleeping(duration_ns: u64) -> Vec<u8> {
    component(
        r#"(import "wasi:io/poll@0.2.6" (instance $poll
             (export "pollable" (type $pollable (sub resource)))
             (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
           (alias export $poll "pollable" (type $pollable))
           (import "wasi:clocks/monotonic-clock@0.2.6" (instance $clock
             (alias outer 1 $pollable (type $outer-pollable))
             (export "pollable" (type $own-pollable (eq $outer-pollable)))
             (export "subscribe-duration" (func (param "when" u64) (result (own $own-pollable))))))
           (core func $block (canon lower (func $poll "[method]pollable.block")))
           (core func $subscribe (canon lower (func $clock "subscribe-duration")))"#,
        r#"(with "host" (instance (export "block" (func $block)) (export "subscribe" (func $subscribe))))"#,
        &format!(
            r#"(import "host" "block" (func $block (param i32)))
               (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
               (func (export "run") (result i32)
                 (call $block (call $subscribe (i64.const {duration_ns}))) i32.const 0)"#
        ),
    )
}

/// Code enough to be killed while it is compiled.
fn slow_to_compile(number: usize) -> Vec<u8> {
    let joins: String = (0..200)
        .map(|index| {
            let local = index % 50;
            format!(
                "(if (local.get 0) (then (local.set {local} (i32.const {})))) ",
                index + number
            )
        })
        .collect();
    let locals = "i32 ".repeat(50);
    component(
        "",
        "",
        &format!(
            r#"(func $slow (result i32) (local {locals}) {joins} i32.const 0)
               (func (export "run") (result i32) call $slow)"#
        ),
    )
}
