//! Programs of `wasm-smith` through all of the product: admission, both compilers, the process's limits, the end.
//!
//! Laws: each process ends by itself, by a trap, by being told to, or was refused with a sentence, and never by a panic of ours; both
//! compilers' code does the same; afterwards the budget is as before. Where a stack ends is not part of the meaning, and the
//! baseline compiler may say that it does not support something.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use runtime_engine::{Engine, EngineOptions, Tier};
use runtime_host::{Budget, ByteSource, Discard, NoInput, Read, pipe};
use runtime_supervisor::{
    CodeSource, Exit, Files, Grants, Launch, Links, ProcessLimits, ProgramImage, Supervisor,
    SupervisorOptions, WasmBytes,
};
use test_fuzz::{Subject, Target, Verdict, holds, same};

use crate::miscompile::miscompiled;
use crate::program::{Export, Form, Program, Smith, exports};

pub const TARGET: Target = Target {
    name: "loading",
    cases: 3_000,
    len_bytes_max: 2048,
    defect: "a baseline compiler that makes one operator out of another",
    try_input,
};

const MIB: u64 = 1 << 20;
/// Functions of one program that are called.
const CALLS_MAX: usize = 2;
/// How long what may loop for ever is let run.
const ENDLESS: Duration = Duration::from_millis(3);
const OUTPUT_BYTES: usize = 64 << 10;

static SUPERVISOR: LazyLock<Result<Supervisor, String>> = LazyLock::new(|| {
    let engine = Engine::new(EngineOptions::default()).map_err(|error| error.to_string())?;
    let options = SupervisorOptions {
        budget: Budget::new(512 * MIB),
        processes_max: 4,
        interfaces: Vec::new(),
        meter: None,
        programs: None,
    };
    Supervisor::new(engine, options).map_err(|error| error.to_string())
});

static SMITH: LazyLock<Mutex<std::io::Result<Smith>>> =
    LazyLock::new(|| Mutex::new(Smith::start()));

fn try_input(subject: Subject, bytes: &[u8]) -> Verdict {
    let Some(program) = program(bytes)? else {
        return Ok(());
    };
    let mut calls: Vec<Option<Export>> = exports(&program.wasm).into_iter().map(Some).collect();
    calls.truncate(CALLS_MAX);
    if calls.is_empty() {
        calls.push(None);
    }
    for call in &calls {
        let optimized = run(&program.wasm, program.form, call.as_ref(), Tier::Optimized)?;
        let changed = (subject == Subject::Spoiled).then(|| miscompiled(&program.wasm));
        let wasm = changed.as_deref().unwrap_or(&program.wasm);
        let baseline = run(wasm, program.form, call.as_ref(), Tier::Baseline)?;
        if are_comparable(program.form, &baseline.0, &optimized.0) {
            same(
                "what the baseline compiler's code does",
                baseline,
                optimized,
            )?;
        }
    }
    Ok(())
}

fn program(bytes: &[u8]) -> Result<Option<Program>, String> {
    let mut smith = SMITH.lock().unwrap_or_else(PoisonError::into_inner);
    let smith = smith
        .as_mut()
        .map_err(|error| format!("no smith: {error}"))?;
    let made = smith.program(bytes);
    made.map_err(|error| format!("the smith has ended: {error}"))
}

fn are_comparable(form: Form, baseline: &Exit, optimized: &Exit) -> bool {
    let is_refused = |exit: &Exit| matches!(exit, Exit::Unusable(_));
    let is_exhausted = |exit: &Exit| matches!(exit, Exit::Trap { message, .. } if message.contains("call stack exhausted"));
    form != Form::Endless
        && !is_refused(baseline)
        && ![baseline, optimized].into_iter().any(is_exhausted)
}

/// How the process ended and what it printed.
fn run(
    wasm: &[u8],
    form: Form,
    call: Option<&Export>,
    tier: Tier,
) -> Result<(Exit, String), String> {
    let supervisor = SUPERVISOR.as_ref().map_err(String::clone)?;
    let (reader, writer) = pipe(OUTPUT_BYTES, &Budget::new(MIB)).map_err(|e| e.to_string())?;
    let mut launch = launch(wasm, call, tier);
    launch.stdout = Arc::new(writer);
    let process = supervisor.spawn(launch).map_err(|e| e.to_string())?;
    if form == Form::Endless {
        std::thread::sleep(ENDLESS);
        process.kill();
    }
    let exit = process.wait();
    wait_until_gone(supervisor);
    same(
        &format!("the budget after {exit:?}"),
        supervisor.budget().used_bytes(),
        0,
    )?;
    holds(!matches!(exit, Exit::KernelBug(_)), || format!("{exit:?}"))?;
    Ok((exit, printed(&reader)))
}

/// Who is ended while its program is loaded counts as ended before its thread is gone.
fn wait_until_gone(supervisor: &Supervisor) {
    while !supervisor.list().is_empty() || supervisor.budget().used_bytes() > 0 {
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn printed(reader: &dyn ByteSource) -> String {
    let mut buffer = vec![0; OUTPUT_BYTES];
    match reader.read(&mut buffer) {
        Ok(Read::Bytes(count)) => String::from_utf8_lossy(&buffer[..count]).into_owned(),
        _ => String::new(),
    }
}

fn launch(wasm: &[u8], call: Option<&Export>, tier: Tier) -> Launch {
    Launch {
        program: ProgramImage {
            name: "program".to_owned(),
            wasm: Some(WasmBytes::Shared(wasm.into())),
            precompiled: None,
            grants: Grants::WHATEVER_IS_GIVEN,
        },
        arguments: call.map_or_else(Vec::new, |call| call.words.clone()),
        environment: Vec::new(),
        stdin: Arc::new(NoInput),
        stdout: Arc::new(Discard),
        stderr: Arc::new(Discard),
        terminal: None,
        files: Files::none(),
        may_spawn: false,
        links: Links::default(),
        limits: ProcessLimits::with_memory(256 * MIB),
        code: CodeSource::CompiledBy(tier),
        call: call.map(|call| call.name.clone()),
    }
}
