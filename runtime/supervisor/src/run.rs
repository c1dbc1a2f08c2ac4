//! What a process's thread does: load, link, run, and say how it ended.

use crate::limits::Limiter;
use crate::linkers::Linkers;
use crate::process::Shared;
use crate::{Exit, Launch, ProcessState, ProgramImage};
use runtime_engine::interrupt::Running;
use runtime_engine::{Engine, LoadError, LoadProblem, Program};
use runtime_host::Reservation;
use runtime_host::observe::{self, ProgramCode};
use runtime_wasi::WasiContext;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, TypedFunc};

/// The interface through which a command is run (WASI 0.2, `wasi:cli/command`). Wasmtime finds any
/// compatible 0.2.
const RUN_INTERFACE: &str = "wasi:cli/run@0.2.0";

/// Bytes of the strings and lists that one host call may carry from wasm to the host. They are
/// copied before the host's function sees them.
pub(crate) const HOST_CALL_BYTES: u64 = 2 << 20;

/// The type of `run`.
type Run = TypedFunc<(), (Result<(), ()>,)>;

/// All that a process's thread owns.
pub(crate) struct Job {
    pub shared: Arc<Shared>,
    pub linkers: Arc<Linkers>,
    pub launch: Launch,
    /// The thread's stack and the process's own bookkeeping.
    pub reserved: Reservation,
    pub running: Running,
}

/// Runs the process to its end. Everything it had is dropped when this returns.
pub(crate) fn run(job: Job) -> Exit {
    // Nothing that a panic may have left half-done is seen again: the store, the context and the
    // limiter are dropped, and what is shared with other processes survives panics by its own
    // rules.
    let outcome = catch_unwind(AssertUnwindSafe(|| run_job(job)));
    match outcome {
        Ok(Ok(exit) | Err(exit)) => exit,
        Err(payload) => Exit::from_panic(payload.as_ref()),
    }
}

/// A program's code, for whoever watches.
struct Code<'a>(&'a Component);

impl ProgramCode for Code<'_> {
    fn text(&self) -> &[u8] {
        self.0.text()
    }

    fn for_each_function(&self, visit: &mut dyn FnMut(usize, usize, &str)) {
        for function in self.0.functions() {
            let name = match &function.name {
                Some(name) => format!("{:#}", rustc_demangle::demangle(name)),
                None => format!("function {}", function.index.as_u32()),
            };
            visit(function.offset, function.len, &name);
        }
    }
}

fn run_job(mut job: Job) -> Result<Exit, Exit> {
    let engine = job.shared.engine.clone();
    let program = load(&engine, &mut job)?;
    job.launch.limits.instances = job.launch.limits.instances.min(program.instances_max);
    if !job.shared.begin_running() {
        return Ok(Exit::Killed);
    }
    if let Some(observer) = observe::observer() {
        observer.program_loaded(&Code(&program.component));
    }
    let name = job.launch.program.name.clone();
    let linked = program.derived(|| Linked::new(&job.linkers, &program.component, &name))?;
    let mut store = new_store(&program.component, job.launch, job.reserved, &job.shared)?;
    job.running.enter(engine.killer(), &program);
    // Not by `?`: from here on the order in which things go matters.
    let exit = linked.run(&mut store, &job.shared, &name);
    // In this order: the wasm's memory goes before the reservation for it, inside the store.
    drop(store);
    drop(linked);
    drop(program);
    drop(job.running);
    Ok(exit)
}

/// The program, with the memory of its image and its instances reserved.
fn load(engine: &Engine, job: &mut Job) -> Result<Program, Exit> {
    let image = &job.launch.program;
    let precompiled = if job.launch.jit {
        None
    } else {
        load_precompiled(engine, image)?
    };
    let (program, image_bytes) = match (precompiled, &image.wasm) {
        (Some(loaded), _) => loaded,
        (None, Some(wasm)) => load_wasm(engine, &image.name, wasm, &job.shared)?,
        (None, None) => {
            let why = "cannot run: it is there in no form that fits this system";
            return Err(unusable(&image.name, why));
        }
    };
    let bytes = image_bytes.saturating_add(program.instance_bytes);
    job.reserved
        .grow(bytes)
        .map_err(|over| unusable(&image.name, format!("cannot start: {over}")))?;
    Ok(program)
}

/// The program from the cache or compiled, and what its image takes.
fn load_wasm(
    engine: &Engine,
    name: &str,
    wasm: &[u8],
    shared: &Shared,
) -> Result<(Program, u64), Exit> {
    let program = match engine.cached(wasm) {
        Some(program) => program,
        None => compile(engine, name, wasm, shared)?,
    };
    let image_bytes = program.image_bytes();
    Ok((program, image_bytes))
}

/// The precompiled program and what its copy takes; none if it is not there, or made for other
/// settings while there is a form that can be compiled.
fn load_precompiled(
    engine: &Engine,
    program: &ProgramImage,
) -> Result<Option<(Program, u64)>, Exit> {
    let Some(image) = &program.precompiled else {
        return Ok(None);
    };
    let image = image
        .verify(&program.name)
        .map_err(|error| Exit::Unusable(error.to_string()))?;
    match engine.load_precompiled(&program.name, image) {
        Ok(program) if engine.runs_in_place(image.bytes()) => Ok(Some((program, 0))),
        Ok(program) => Ok(Some((program, image.bytes().len() as u64))),
        Err(LoadError {
            problem: LoadProblem::OtherSettings(_),
            ..
        }) if program.wasm.is_some() => Ok(None),
        Err(error) => Err(Exit::Unusable(error.to_string())),
    }
}

/// Compiles `wasm` with its peak reserved from the process's budget for the time being.
fn compile(engine: &Engine, name: &str, wasm: &[u8], shared: &Shared) -> Result<Program, Exit> {
    let refuse = |error: LoadError| Exit::Unusable(error.to_string());
    let admitted = engine.admit(name, wasm, u64::MAX).map_err(refuse)?;
    let needed_bytes = admitted.peak_bytes();
    let _peak = shared.budget.reserve(needed_bytes).map_err(|over| {
        let size_bytes = wasm.len() as u64;
        let available_bytes = over.free_bytes;
        refuse(
            LoadProblem::NotEnoughMemory {
                size_bytes,
                needed_bytes,
                available_bytes,
            }
            .of(name),
        )
    })?;
    engine.compile(&admitted).map_err(refuse)
}

/// The process's store, ready to be interrupted and limited.
fn new_store(
    component: &Component,
    launch: Launch,
    reserved: Reservation,
    shared: &Arc<Shared>,
) -> Result<Store<ProcessState>, Exit> {
    let limiter = Limiter::new(launch.limits, reserved);
    let wasi = wasi_context(launch, shared)?;
    let mut store = Store::new(component.engine(), ProcessState::new(wasi, limiter));
    store.set_hostcall_fuel(HOST_CALL_BYTES as usize);
    store.limiter(|state| state.limiter());
    Ok(store)
}

fn wasi_context(launch: Launch, shared: &Arc<Shared>) -> Result<WasiContext, Exit> {
    let name = launch.program.name;
    let mut arguments = vec![name.clone()];
    arguments.extend(launch.arguments);
    let root = launch.root.read().root();
    WasiContext::builder(shared.budget.clone(), shared.cancellation.clone())
        .arguments(arguments)
        .environment(launch.environment)
        .stdin(launch.stdin)
        .stdout(launch.stdout)
        .stderr(launch.stderr)
        .terminal(launch.terminal)
        .preopen(launch.root, root, "/", launch.root_rights)
        .build()
        .map_err(|over| unusable(&name, format!("cannot start: {over}")))
}

/// A program with its imports resolved and its entry point found: all that its starts have in common.
struct Linked {
    component: InstancePre<ProcessState>,
    run: ComponentExportIndex,
}

impl Linked {
    fn new(linkers: &Linkers, component: &Component, name: &str) -> Result<Linked, Exit> {
        let linker = linkers
            .of(component)
            .map_err(|error| unlinkable(name, &error))?;
        let linked = linker
            .instantiate_pre(component)
            .map_err(|error| unlinkable(name, &error))?;
        Ok(Linked {
            component: linked,
            run: find_run(component, name)?,
        })
    }

    /// Runs the program to its end, which is [`Exit::Killed`] where it was told to end and has not ended well before:
    /// wasm that is interrupted traps.
    fn run(&self, store: &mut Store<ProcessState>, shared: &Shared, name: &str) -> Exit {
        if shared.cancellation.is_cancelled() {
            return Exit::Killed;
        }
        match self.run_undisturbed(store, name) {
            Exit::Trap { .. } | Exit::Unusable(_) if shared.cancellation.is_cancelled() => {
                Exit::Killed
            }
            exit => exit,
        }
    }

    fn run_undisturbed(&self, store: &mut Store<ProcessState>, name: &str) -> Exit {
        let run = match self.instantiate(store, name) {
            Ok(run) => run,
            Err(exit) => return exit,
        };
        match run.call(&mut *store, ()) {
            Ok((Ok(()),)) => Exit::Code(0),
            Ok((Err(()),)) => Exit::Code(1),
            Err(error) => Exit::from_error(&error, store.data().refusal()),
        }
    }

    fn instantiate(&self, store: &mut Store<ProcessState>, name: &str) -> Result<Run, Exit> {
        let result = self.component.instantiate(&mut *store);
        let instance = result.map_err(|error| cannot_start(name, &error, store))?;
        instance
            .get_typed_func(&mut *store, self.run)
            .map_err(|error| unusable(name, format!("is no command: {error:#}")))
    }
}

fn cannot_start(name: &str, error: &wasmtime::Error, store: &Store<ProcessState>) -> Exit {
    match (Exit::from_error(error, None), store.data().refusal()) {
        (Exit::Trap { wasm_backtrace, .. }, Some(refusal)) if wasm_backtrace.is_empty() => {
            unusable(
                name,
                format!("needs more memory to start than there is: {refusal}"),
            )
        }
        (
            Exit::Trap {
                message,
                wasm_backtrace,
            },
            None,
        ) if wasm_backtrace.is_empty() => unusable(name, format!("cannot start: {message}")),
        (exit, _) => exit,
    }
}

fn find_run(component: &Component, name: &str) -> Result<ComponentExportIndex, Exit> {
    let interface = component.get_export_index(None, RUN_INTERFACE);
    interface
        .and_then(|interface| component.get_export_index(Some(&interface), "run"))
        .ok_or_else(|| {
            unusable(
                name,
                "is no command: it does not export `wasi:cli/run` (0.2)",
            )
        })
}

/// Which import nobody provides. Wasmtime's error names it in backquotes.
fn unlinkable(name: &str, error: &wasmtime::Error) -> Exit {
    let text = format!("{error:#}");
    let missing = text.contains("not found in the linker") || text.contains("was not defined");
    match text.split('`').nth(1) {
        Some(import) if missing => unusable(
            name,
            format!("imports `{import}`, which nothing here provides"),
        ),
        _ => unusable(name, format!("cannot be linked: {text}")),
    }
}

fn unusable(name: &str, why: impl std::fmt::Display) -> Exit {
    Exit::Unusable(format!("{name} {why}"))
}
