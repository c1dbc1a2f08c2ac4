//! What a process's thread does: load, link, run, and say how it ended.

use crate::limits::Limiter;
use crate::linkers::Linkers;
use crate::module::{self, Call};
use crate::process::Shared;
use crate::{Exit, Launch, Links, ProcessState, Supervisor};
use runtime_engine::interrupt::Running;
use runtime_engine::{Code, Program};
use runtime_host::Reservation;
use runtime_host::observe::{self, ProgramCode};
use runtime_kpio::{Authority, KpioContext, RESTRICTED_INTERFACES};
use runtime_link::{
    Interface, LinkContext, MESSAGE_BYTES_MAX, OBJECTS_MAX, RESOURCES_MAX, Served, Service,
};
use runtime_wasi::WasiContext;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use wasmtime::component::{
    Component, ComponentExportIndex, Instance, InstancePre, Linker, TypedFunc,
};
use wasmtime::{Engine, ModuleFunction, Store};

/// The interface through which a command is run (WASI 0.2, `wasi:cli/command`). Wasmtime finds any
/// compatible 0.2.
const RUN_INTERFACE: &str = "wasi:cli/run@0.2.0";

/// Bytes of the strings and lists that one host call may carry from wasm to the host. They are
/// copied before the host's function sees them.
pub(crate) const HOST_CALL_BYTES: u64 = 2 << 20;

/// The same for a process that calls others or is called by them: beside that, the longest message twice, while it grows or waits for its answer.
const LINKED_CALL_BYTES: u64 = HOST_CALL_BYTES + 2 * MESSAGE_BYTES_MAX as u64;

/// Packages whose interfaces the host provides, or nobody.
const HOST_PACKAGES: [&str; 7] = [
    "wasi:",
    "kpio:bulk/",
    "kpio:console/",
    "kpio:log/source",
    "kpio:process/",
    "kpio:service/",
    "kpio:time/hardware",
];

/// The type of `run`.
type Run = TypedFunc<(), (Result<(), ()>,)>;

/// All that a process's thread owns.
pub(crate) struct Job {
    pub shared: Arc<Shared>,
    pub supervisor: Supervisor,
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
struct Watched<'a>(&'a Code);

impl ProgramCode for Watched<'_> {
    fn text(&self) -> &[u8] {
        self.0.text()
    }

    fn for_each_function(&self, visit: &mut dyn FnMut(usize, usize, &str)) {
        self.0
            .for_each_function(|function| visit(function.offset, function.len, &name(&function)));
    }
}

fn name(function: &ModuleFunction) -> String {
    match &function.name {
        Some(name) => format!("{:#}", rustc_demangle::demangle(name)),
        None => format!("function {}", function.index.as_u32()),
    }
}

fn run_job(mut job: Job) -> Result<Exit, Exit> {
    let program = load(&mut job)?;
    job.launch.limits.instances = job.launch.limits.instances.min(program.instances_max);
    if !job.shared.begin_running() {
        return Ok(Exit::Killed);
    }
    if let Some(observer) = observe::observer() {
        observer.program_loaded(&Watched(&program.code));
    }
    let exit = match &program.code {
        Code::Component(component) => run_component(&program, component, job)?,
        Code::Module(module) => run_module(&program, module, job)?,
    };
    drop(program);
    Ok(exit)
}

fn run_component(program: &Program, component: &Component, mut job: Job) -> Result<Exit, Exit> {
    let name = job.launch.program.name.clone();
    if job.launch.call.is_some() {
        let why = "is a component: only functions of core modules can be called by name";
        return Err(unusable(&name, why));
    }
    let was_module = job.launch.program.is_module();
    let linkers = job.supervisor.linkers();
    let linked = program.derived(|| Linked::new(linkers, component, &name))?;
    linked.check_grants(&job.launch, &name)?;
    let links = linked.links(&job.launch.links, &name)?;
    let service = job.launch.links.service.take();
    let served = service.map(|service| ServedBy::new(component, service, &name));
    let served = served.transpose()?;
    let call_bytes = match linked.remote.is_empty() && served.is_none() {
        true => HOST_CALL_BYTES,
        false => LINKED_CALL_BYTES,
    };
    let grown = job
        .reserved
        .grow(call_bytes.saturating_sub(HOST_CALL_BYTES));
    grown.map_err(|over| unusable(&name, format!("cannot start: {over}")))?;
    let (running, shared) = (job.running, job.shared);
    let handles = job.launch.limits.handles;
    let mut store = new_store(
        component.engine(),
        job.launch,
        links,
        job.reserved,
        &shared,
        job.supervisor,
    )?;
    store.set_hostcall_fuel(usize::try_from(call_bytes).unwrap_or(usize::MAX));
    store.set_max_component_handles(component_handles(handles, served.is_some()));
    let exit = under_orders(&running, &shared, program, || match &served {
        Some(served) => linked.serve(&mut store, &name, served),
        None => linked.run(&mut store, &name, was_module),
    });
    // In this order: the wasm's memory goes before the reservation for it, inside the store.
    drop(store);
    drop(linked);
    drop(running);
    Ok(exit)
}

/// How many handles Wasmtime may hold for a component: those for which the process pays, as many of resources that its parts define for
/// one another, those of one message, and of a provider the objects that it has given away.
fn component_handles(handles: u32, is_provider: bool) -> usize {
    let given_away = if is_provider { OBJECTS_MAX } else { 0 };
    2 * handles as usize + RESOURCES_MAX + given_away
}

/// Runs the program while the calling thread obeys: it stands still, and is interrupted to that end, and its end is
/// [`Exit::Killed`] where it was told to end and has not ended well before, since wasm that is interrupted traps.
fn under_orders(
    running: &Running,
    shared: &Arc<Shared>,
    program: &Program,
    run: impl FnOnce() -> Result<Exit, Exit>,
) -> Exit {
    let visited = Arc::clone(shared);
    running.enter(shared.engine.killer(), program, move || {
        // Who was told to end is diverted as well.
        let _is_to_end = visited.obey();
    });
    if shared.obey() {
        return Exit::Killed;
    }
    match run().unwrap_or_else(|exit| exit) {
        Exit::Trap { .. } | Exit::Unusable(_) if shared.cancellation.is_cancelled() => Exit::Killed,
        exit => exit,
    }
}

fn exit_of(result: wasmtime::Result<(Result<(), ()>,)>, store: &Store<ProcessState>) -> Exit {
    match result {
        Ok((Ok(()),)) => Exit::Code(0),
        Ok((Err(()),)) => Exit::Code(1),
        Err(error) => Exit::from_error(&error, store.data().refusal()),
    }
}

fn run_module(program: &Program, module: &wasmtime::Module, job: Job) -> Result<Exit, Exit> {
    let name = job.launch.program.name.clone();
    if job.launch.links.service.is_some() {
        let why = "is no component, and only those can provide something to others";
        return Err(unusable(&name, why));
    }
    let call = Call::of(&job.launch, &job.shared.cancellation);
    let linked = program.derived(|| module::link(module, &name))?;
    let (running, shared) = (job.running, job.shared);
    let mut store = new_store(
        module.engine(),
        job.launch,
        LinkContext::default(),
        job.reserved,
        &shared,
        job.supervisor,
    )?;
    let exit = under_orders(&running, &shared, program, || {
        module::run(&linked, &mut store, &name, &call)
    });
    // In this order, as above.
    drop(store);
    drop(linked);
    drop(running);
    Ok(exit)
}

/// The program, with the memory of its image and its instances reserved.
fn load(job: &mut Job) -> Result<Program, Exit> {
    let (program, image_bytes) = job.supervisor.loader().load(&job.launch, &job.shared)?;
    let bytes = image_bytes.saturating_add(program.instance_bytes);
    job.reserved
        .grow(bytes)
        .map_err(|over| unusable(&job.launch.program.name, format!("cannot start: {over}")))?;
    Ok(program)
}

/// The process's store, ready to be interrupted and limited.
fn new_store(
    engine: &Engine,
    mut launch: Launch,
    links: LinkContext,
    reserved: Reservation,
    shared: &Arc<Shared>,
    supervisor: Supervisor,
) -> Result<Store<ProcessState>, Exit> {
    let limiter = Limiter::new(launch.limits, reserved);
    let terminal = launch
        .terminal
        .as_ref()
        .and_then(|terminal| terminal.device());
    let devices = launch.links.devices.clone();
    let (may_control, control) = (launch.links.control.take(), supervisor.control());
    let kpio = KpioContext::new(shared.id.0, Arc::new(supervisor), terminal, devices)
        .with_service(launch.links.own.take())
        .with_control(may_control, control);
    let wasi = wasi_context(launch, shared)?;
    let mut store = Store::new(engine, ProcessState::new(wasi, kpio, links, limiter));
    store.set_hostcall_fuel(HOST_CALL_BYTES as usize);
    store.limiter(|state| state.limiter());
    Ok(store)
}

fn wasi_context(launch: Launch, shared: &Arc<Shared>) -> Result<WasiContext, Exit> {
    let name = launch.program.name;
    let mut arguments = vec![name.clone()];
    arguments.extend(launch.arguments);
    WasiContext::builder(shared.budget.clone(), shared.cancellation.clone())
        .arguments(arguments)
        .environment(launch.environment)
        .stdin(launch.stdin)
        .stdout(launch.stdout)
        .stderr(launch.stderr)
        .terminal(launch.terminal)
        .files(launch.files)
        .handle_limit(launch.limits.handles)
        .handle_count(shared.allowance.handles.clone())
        .handle_gauge(Arc::clone(&shared.handle_gauge))
        .build()
        .map_err(|over| unusable(&name, format!("cannot start: {over}")))
}

/// A program with its imports resolved and its entry point found: all that its starts have in common.
struct Linked {
    component: InstancePre<ProcessState>,
    run: Option<ComponentExportIndex>,
    /// Imports for which it has to be granted something.
    restricted_imports: Vec<(String, Authority)>,
    /// Interfaces that it imports from other processes.
    remote: Vec<Interface>,
}

/// What a process provides, by which of its exports.
struct ServedBy {
    service: Service,
    served: Served,
}

impl ServedBy {
    fn new(component: &Component, service: Service, name: &str) -> Result<ServedBy, Exit> {
        let served = Served::new(component, &service);
        let served = served
            .map_err(|error| unusable(name, format!("cannot provide what it should: {error}")))?;
        Ok(ServedBy { service, served })
    }
}

impl Linked {
    fn new(linkers: &Linkers, component: &Component, name: &str) -> Result<Linked, Exit> {
        let linker = linkers.of(component);
        let linker = linker.map_err(|error| unlinkable(name, &error))?;
        let (linked, remote) = match linker.instantiate_pre(component) {
            Ok(linked) => (linked, Vec::new()),
            Err(error) => link_with_remote(linker, component, name, error)?,
        };
        Ok(Linked {
            component: linked,
            run: find_run(component),
            restricted_imports: restricted_imports(component),
            remote,
        })
    }

    /// The process's way to each interface that it imports from others.
    fn links(&self, links: &Links, name: &str) -> Result<LinkContext, Exit> {
        let context = LinkContext::new(&self.remote, &links.grants);
        context.map_err(|import| {
            let where_it_stands = "the `imports` of a `[[service]]` in the system's manifest";
            let why =
                format!("which nothing here provides to it; a grant stands in {where_it_stands}");
            unusable(name, format!("imports `{import}`, {why}"))
        })
    }

    /// Whether the process may have what the program imports.
    fn check_grants(&self, launch: &Launch, name: &str) -> Result<(), Exit> {
        let mut imports = self.restricted_imports.iter();
        let refused = imports.find(|(_, authority)| match authority {
            Authority::Spawn => !launch.may_spawn,
            Authority::Control => !launch.links.may_control(),
            Authority::Device(device) => !launch.links.devices.has(*device),
        });
        let Some((import, authority)) = refused else {
            return Ok(());
        };
        let why = match authority {
            Authority::Spawn => {
                "and it was not granted to start processes; that grant stands in `grants` of a `[[service]]` or \
                 `may-spawn` of the program in the system's manifest"
            }
            Authority::Control => {
                "and it was not granted to control services: the image says `may-control` of a program, \
                 and whoever starts it has to have it too; a service has it among its `grants`"
            }
            Authority::Device(_) => {
                "and it was not granted that; a grant stands in the `grants` of a `[[service]]` in the system's manifest"
            }
        };
        Err(unusable(name, format!("imports `{import}`, {why}")))
    }

    fn run(
        &self,
        store: &mut Store<ProcessState>,
        name: &str,
        was_module: bool,
    ) -> Result<Exit, Exit> {
        match self.entry_point(store, name)? {
            Some(run) => Ok(exit_of(run.call(&mut *store, ()), store)),
            // A library of WASI 0.1 has done all that it does by itself.
            None if was_module => Ok(Exit::Code(0)),
            None => {
                let why = "is no command: it does not export `wasi:cli/run` (0.2)";
                Err(unusable(name, why))
            }
        }
    }

    /// Serves others until it is told to stop.
    fn serve(
        &self,
        store: &mut Store<ProcessState>,
        name: &str,
        by: &ServedBy,
    ) -> Result<Exit, Exit> {
        let instance = self.instantiate(store, name)?;
        match runtime_link::serve(store, &instance, &by.served, &by.service) {
            Ok(()) => Ok(Exit::Code(0)),
            Err(error) => Ok(Exit::from_error(&error, store.data().refusal())),
        }
    }

    fn instantiate(&self, store: &mut Store<ProcessState>, name: &str) -> Result<Instance, Exit> {
        let result = self.component.instantiate(&mut *store);
        result.map_err(|error| cannot_start(name, &error, store))
    }

    /// A new instance's entry point, if it has one.
    fn entry_point(
        &self,
        store: &mut Store<ProcessState>,
        name: &str,
    ) -> Result<Option<Run>, Exit> {
        let instance = self.instantiate(store, name)?;
        let run = self
            .run
            .map(|run| instance.get_typed_func(&mut *store, run));
        run.transpose()
            .map_err(|error| unusable(name, format!("is no command: {error:#}")))
    }
}

pub(crate) fn cannot_start(
    name: &str,
    error: &wasmtime::Error,
    store: &Store<ProcessState>,
) -> Exit {
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

/// Whether an import, by its name, is the host's to provide.
fn is_of_host(import: &str) -> bool {
    HOST_PACKAGES.iter().any(|known| is_named(import, known))
}

/// Whether an import, which may have a version, is this interface, or of this package where that ends in `:` or `/`.
fn is_named(import: &str, known: &str) -> bool {
    let rest = import.strip_prefix(known);
    rest.is_some_and(|rest| known.ends_with([':', '/']) || rest.is_empty() || rest.starts_with('@'))
}

/// Links a program that the host alone cannot serve: what is not the host's to provide comes from other processes. If there
/// is nothing of that kind, `error` says what is missing.
fn link_with_remote(
    linker: &Linker<ProcessState>,
    component: &Component,
    name: &str,
    error: wasmtime::Error,
) -> Result<(InstancePre<ProcessState>, Vec<Interface>), Exit> {
    let remote = runtime_link::imports(component, |import| !is_of_host(import));
    let remote = remote.map_err(|error| unusable(name, format!("cannot be linked: {error}")))?;
    if remote.is_empty() {
        return Err(unlinkable(name, &error));
    }
    let mut linker = linker.clone();
    let linked = runtime_link::add_to_linker(&mut linker, &remote)
        .and_then(|()| linker.instantiate_pre(component));
    let linked = linked.map_err(|error| unlinkable(name, &error))?;
    Ok((linked, remote))
}

fn find_run(component: &Component) -> Option<ComponentExportIndex> {
    let interface = component.get_export_index(None, RUN_INTERFACE)?;
    component.get_export_index(Some(&interface), "run")
}

fn restricted_imports(component: &Component) -> Vec<(String, Authority)> {
    let imports = component.component_type();
    let names = imports
        .imports(component.engine())
        .map(|(name, _)| name.to_owned());
    let restricted = names.filter_map(|name| {
        let mut known = RESTRICTED_INTERFACES.iter();
        let (_, authority) = known.find(|(interface, _)| is_named(&name, interface))?;
        Some((name, *authority))
    });
    restricted.collect()
}

/// Which import nobody provides. Wasmtime's error names it in backquotes.
pub(crate) fn unlinkable(name: &str, error: &wasmtime::Error) -> Exit {
    let text = format!("{error:#}");
    let missing = [
        "not found in the linker",
        "was not defined",
        "has not been defined",
    ]
    .iter()
    .any(|words| text.contains(words));
    match text.split('`').nth(1) {
        Some(import) if missing => unusable(
            name,
            format!("imports `{import}`, which nothing here provides"),
        ),
        _ => unusable(name, format!("cannot be linked: {text}")),
    }
}

pub(crate) fn unusable(name: &str, why: impl std::fmt::Display) -> Exit {
    Exit::Unusable(format!("{name} {why}"))
}
