//! Who starts processes and knows them all.

use crate::family::Family;
use crate::linkers::Linkers;
use crate::load::Loader;
use crate::process::{Allowance, Description, Shared, ThreadMeter};
use crate::run::{self, Job};
use crate::warden::Warden;
use crate::{
    Launch, LaunchError, Process, ProcessId, ProcessLimits, ProcessState, ProcessStatus,
    ProgramImage, SystemControl,
};
use runtime_engine::interrupt::Running;
use runtime_engine::{BASELINE_STACK_BYTES, Engine};
use runtime_host::observe::{self, Observer};
use runtime_host::{Budget, MeteredSink, OnExcess, OutputExceeded};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use wasmtime::component::Linker;

/// Stack of a process's thread outside wasm, in bytes: loading and linking below the wasm frames,
/// host functions above them. Compilation happens on the engine's own threads.
const HOST_STACK_BYTES: usize = 1 << 20;

/// Stack of a process's thread in bytes. Pages come on demand, but the whole of it is reserved.
const STACK_BYTES: usize = HOST_STACK_BYTES + BASELINE_STACK_BYTES;

/// What a process takes besides its stack and its memories, in bytes: its store, its instances' tables, its
/// alternate signal stack, and the lists of one host call.
const PROCESS_BYTES: u64 = (512 << 10) + run::HOST_CALL_BYTES;

/// The least that every process reserves from its budget, in bytes.
pub const PROCESS_BYTES_MIN: u64 = STACK_BYTES as u64 + PROCESS_BYTES;

/// Longest name of a thread that reaches the kernel, in bytes (`pthread_setname_np`).
const THREAD_NAME_BYTES_MAX: usize = 15;

/// What whoever starts the supervisor decides.
pub struct SupervisorOptions {
    /// What all processes together may use.
    pub budget: Budget,
    /// How many processes may exist at the same time.
    pub processes_max: usize,
    /// Interfaces beyond WASI that every process may import.
    pub interfaces: Vec<Interface>,
    /// Called on each process's thread: how it is read from elsewhere what that thread uses.
    pub meter: Option<fn() -> Box<dyn ThreadMeter>>,
    /// Where processes find the programs that they start by name.
    pub programs: Option<Arc<dyn ProgramFinder>>,
}

/// Knows the system's programs.
pub trait ProgramFinder: Send + Sync {
    /// Their names, in the order to list them.
    fn names(&self) -> Vec<String>;
    /// The program of this name; `None` if there is none. An error is a sentence.
    fn find(&self, name: &str) -> Option<Result<ProgramImage, String>>;
}

/// Adds one interface's functions to the linker.
pub type Interface = fn(&mut Linker<ProcessState>) -> wasmtime::Result<()>;

/// Starts processes. Clones are the same supervisor.
#[derive(Clone)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

struct Inner {
    linkers: Linkers,
    loader: Arc<Loader>,
    budget: Budget,
    /// What all processes together may have of handles, and of processes.
    handle_count: Budget,
    process_count: Budget,
    meter: Option<fn() -> Box<dyn ThreadMeter>>,
    programs: Option<Arc<dyn ProgramFinder>>,
    /// Who controls the services, once there are some.
    control: OnceLock<Arc<dyn SystemControl>>,
    next_id: AtomicU64,
    family: Arc<Family>,
    warden: Warden,
}

impl Supervisor {
    /// A supervisor without processes. Fails if two interfaces define the same function.
    pub fn new(engine: Engine, options: SupervisorOptions) -> wasmtime::Result<Supervisor> {
        let linkers = Linkers::new(engine.wasmtime(), options.interfaces)?;
        Ok(Supervisor {
            inner: Arc::new(Inner {
                linkers,
                loader: Arc::new(Loader::new(engine, &options.budget)),
                budget: options.budget,
                handle_count: Budget::new(u64::MAX),
                process_count: Budget::new(options.processes_max as u64),
                meter: options.meter,
                programs: options.programs,
                control: OnceLock::new(),
                next_id: AtomicU64::new(1),
                family: Arc::new(Family::new()),
                warden: Warden::new(),
            }),
        })
    }

    /// From now on processes that may control services ask this one. Later ones are not looked at.
    pub fn set_control(&self, control: Arc<dyn SystemControl>) {
        let _is_first = self.inner.control.set(control);
    }

    pub(crate) fn control(&self) -> Option<Arc<dyn SystemControl>> {
        self.inner.control.get().cloned()
    }

    /// Starts a process. Its program is loaded on its own thread, so what is wrong with it comes out as
    /// [`Exit::Unusable`](crate::Exit::Unusable).
    pub fn spawn(&self, launch: Launch) -> Result<Process, LaunchError> {
        self.spawn_for(launch, None)
    }

    /// Starts a process that is a child of `parent`, or of the system.
    pub(crate) fn spawn_for(
        &self,
        mut launch: Launch,
        parent: Option<ProcessId>,
    ) -> Result<Process, LaunchError> {
        let grants = &launch.program.grants;
        launch.limits = launch.limits.at_most(&grants.limits);
        launch.may_spawn &= grants.may_spawn;
        let control = launch.links.control.take();
        launch.links.control = control.filter(|_| grants.may_control);
        let running = Running::new();
        let allowance = self.allowance(parent, &launch.limits)?;
        let reserved = allowance.memory.child(u64::MAX).reserve(PROCESS_BYTES_MIN);
        let reserved = reserved.map_err(LaunchError::Memory)?;
        let place = allowance.processes.reserve(1);
        let place = place.map_err(|over| LaunchError::TooManyProcesses(over.limit_bytes))?;
        let shared = Arc::new(Shared::new(
            ProcessId(self.inner.next_id.fetch_add(1, Ordering::Relaxed)),
            Description::of(&launch),
            self.engine().clone(),
            launch.limits,
            allowance,
            &reserved,
            running.target(),
        ));
        meter_output(&mut launch, &shared, self.family())?;
        self.family().enlist(&shared, parent, place)?;
        let job = Job {
            shared: Arc::clone(&shared),
            supervisor: self.clone(),
            launch,
            reserved,
            running,
        };
        let watched = self.inner.warden.watch(self.family(), &shared);
        match watched.and_then(|()| self.start_thread(job)) {
            Ok(thread) => shared.set_thread(thread),
            Err(error) => {
                self.family().leave(shared.id);
                return Err(LaunchError::Thread(error));
            }
        }
        Ok(Process::new(shared, Arc::clone(self.family())))
    }

    /// What the process and all that it starts may have together, as a part of what its parent may.
    fn allowance(
        &self,
        parent: Option<ProcessId>,
        limits: &ProcessLimits,
    ) -> Result<Allowance, LaunchError> {
        let of_parent = match parent {
            None => Allowance {
                memory: self.inner.budget.clone(),
                handles: self.inner.handle_count.clone(),
                processes: self.inner.process_count.clone(),
            },
            Some(parent) => {
                let parent = self.family().find(parent).ok_or(LaunchError::ParentEnds)?;
                parent.allowance.clone()
            }
        };
        Ok(Allowance {
            memory: of_parent.memory.child(limits.memory_bytes),
            handles: of_parent.handles.child(u64::from(limits.handles)),
            processes: of_parent.processes.child(u64::from(limits.processes)),
        })
    }

    fn start_thread(&self, job: Job) -> std::io::Result<std::thread::JoinHandle<()>> {
        let inner = Arc::clone(&self.inner);
        let shared = Arc::clone(&job.shared);
        std::thread::Builder::new()
            .name(thread_name(&shared.name))
            .stack_size(STACK_BYTES)
            .spawn(move || {
                shared.set_meter(inner.meter.map(|meter| meter()));
                watched(|observer| observer.process_starts(shared.id.0, &shared.name));
                log::debug!(
                    "process {} starts: {}",
                    shared.id,
                    shared.name.escape_debug()
                );
                let exit = shared.verdict(run::run(job));
                inner.family.end_children(shared.id);
                shared.stop_meter();
                let code = exit.exit_code();
                log::debug!("process {} has ended with {code}", shared.id);
                watched(|observer| observer.process_ends(shared.id.0, code));
                inner.family.leave(shared.id);
                shared.finish(exit);
            })
    }

    /// The processes that exist, by age.
    pub fn list(&self) -> Vec<ProcessStatus> {
        self.family().list()
    }

    /// The process of this number, if it exists.
    pub fn find(&self, id: ProcessId) -> Option<Process> {
        let shared = self.family().find(id)?;
        Some(Process::new(shared, Arc::clone(self.family())))
    }

    pub(crate) fn family(&self) -> &Arc<Family> {
        &self.inner.family
    }

    pub(crate) fn finder(&self) -> Option<&dyn ProgramFinder> {
        self.inner.programs.as_deref()
    }

    pub(crate) fn linkers(&self) -> &Linkers {
        &self.inner.linkers
    }

    pub(crate) fn loader(&self) -> &Arc<Loader> {
        &self.inner.loader
    }

    /// The engine that runs the processes.
    pub fn engine(&self) -> &Engine {
        &self.inner.loader.engine
    }

    /// Whether programs are being compiled behind their own backs.
    pub fn is_optimizing(&self) -> bool {
        !self.inner.loader.optimizer().is_idle()
    }

    /// What all processes together may use, and use.
    pub fn budget(&self) -> &Budget {
        &self.inner.budget
    }
}

/// Has what the process writes counted, if there is a limit to it.
fn meter_output(
    launch: &mut Launch,
    shared: &Arc<Shared>,
    family: &Arc<Family>,
) -> Result<(), LaunchError> {
    let Some(limit_bytes) = launch.limits.output_bytes else {
        return Ok(());
    };
    let left = Budget::new(limit_bytes);
    let process = Process::new(Arc::clone(shared), Arc::clone(family));
    let on_excess: OnExcess = Arc::new(move || {
        process.end_at_limit(OutputExceeded { limit_bytes }.to_string());
    });
    for sink in [&mut launch.stdout, &mut launch.stderr] {
        let counted = Arc::clone(sink);
        let counting = MeteredSink::new(counted, left.clone(), Arc::clone(&on_excess));
        *sink = Arc::new(counting.ok_or(LaunchError::OutputTooDeep)?);
    }
    Ok(())
}

/// Tells whoever watches, if anybody does.
fn watched(tell: impl FnOnce(&dyn Observer)) {
    if let Some(observer) = observe::observer() {
        tell(observer);
    }
}

/// The program's name as a thread's: short, without the zero bytes at which `std` would panic.
fn thread_name(program: &str) -> String {
    let name: String = program.chars().filter(|c| !c.is_control()).collect();
    let end = (0..=THREAD_NAME_BYTES_MAX.min(name.len()))
        .rev()
        .find(|&end| name.is_char_boundary(end));
    name[..end.unwrap_or(0)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::thread_name;

    #[test]
    fn thread_names_are_short_and_without_zero_bytes() {
        assert_eq!(thread_name("a\0b"), "ab");
        assert_eq!(thread_name("0123456789abcdefgh"), "0123456789abcde");
        assert_eq!(thread_name("한국어한국어"), "한국어한국");
        assert_eq!(thread_name(""), "");
    }
}
