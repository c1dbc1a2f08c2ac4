//! Who starts processes and knows them all.

use crate::linkers::Linkers;
use crate::load::Loader;
use crate::process::{CpuClock, Shared};
use crate::run::{self, Job};
use crate::{Launch, LaunchError, Process, ProcessId, ProcessState, ProcessStatus};
use runtime_engine::interrupt::Running;
use runtime_engine::{BASELINE_STACK_BYTES, Engine};
use runtime_host::observe::{self, Observer};
use runtime_host::{Budget, Cancellation};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    /// Called on each process's thread: how that thread's CPU time is read from elsewhere.
    pub cpu_clock: Option<fn() -> CpuClock>,
}

/// Adds one interface's functions to the linker.
pub type Interface = fn(&mut Linker<ProcessState>) -> wasmtime::Result<()>;

/// Starts processes. Clones are the same supervisor.
#[derive(Clone)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

struct Inner {
    linkers: Arc<Linkers>,
    loader: Arc<Loader>,
    budget: Budget,
    processes_max: usize,
    cpu_clock: Option<fn() -> CpuClock>,
    next_id: AtomicU64,
    processes: Mutex<BTreeMap<ProcessId, Arc<Shared>>>,
}

impl Supervisor {
    /// A supervisor without processes. Fails if two interfaces define the same function.
    pub fn new(engine: Engine, options: SupervisorOptions) -> wasmtime::Result<Supervisor> {
        let linkers = Linkers::new(engine.wasmtime(), options.interfaces)?;
        Ok(Supervisor {
            inner: Arc::new(Inner {
                linkers: Arc::new(linkers),
                loader: Arc::new(Loader::new(engine, &options.budget)),
                budget: options.budget,
                processes_max: options.processes_max,
                cpu_clock: options.cpu_clock,
                next_id: AtomicU64::new(1),
                processes: Mutex::default(),
            }),
        })
    }

    /// Starts a process. Its program is loaded on its own thread, so what is wrong with it comes out as
    /// [`Exit::Unusable`](crate::Exit::Unusable).
    pub fn spawn(&self, launch: Launch) -> Result<Process, LaunchError> {
        let budget = self.inner.budget.child(launch.limits.memory_bytes);
        let reserved = budget
            .reserve(PROCESS_BYTES_MIN)
            .map_err(LaunchError::Memory)?;
        let running = Running::new();
        let shared = Arc::new(Shared::new(
            ProcessId(self.inner.next_id.fetch_add(1, Ordering::Relaxed)),
            launch.program.name.clone(),
            self.engine().clone(),
            budget,
            Cancellation::new(),
            running.target(),
        ));
        self.inner.enlist(&shared)?;
        let job = Job {
            shared: Arc::clone(&shared),
            linkers: Arc::clone(&self.inner.linkers),
            loader: Arc::clone(&self.inner.loader),
            launch,
            reserved,
            running,
        };
        match self.start_thread(job) {
            Ok(thread) => shared.set_thread(thread),
            Err(error) => {
                self.inner.processes().remove(&shared.id);
                return Err(LaunchError::Thread(error));
            }
        }
        Ok(Process::new(shared))
    }

    fn start_thread(&self, job: Job) -> std::io::Result<std::thread::JoinHandle<()>> {
        let inner = Arc::clone(&self.inner);
        let shared = Arc::clone(&job.shared);
        std::thread::Builder::new()
            .name(thread_name(&shared.name))
            .stack_size(STACK_BYTES)
            .spawn(move || {
                shared.set_cpu_clock(inner.cpu_clock.map(|clock| clock()));
                watched(|observer| observer.process_starts(shared.id.0, &shared.name));
                log::debug!(
                    "process {} starts: {}",
                    shared.id,
                    shared.name.escape_debug()
                );
                let exit = run::run(job);
                let code = exit.exit_code();
                log::debug!("process {} has ended with {code}", shared.id);
                watched(|observer| observer.process_ends(shared.id.0, code));
                inner.processes().remove(&shared.id);
                shared.finish(exit);
            })
    }

    /// The processes that exist, by age.
    pub fn list(&self) -> Vec<ProcessStatus> {
        self.inner
            .processes()
            .values()
            .map(|shared| shared.status())
            .collect()
    }

    /// The process of this number, if it exists.
    pub fn find(&self, id: ProcessId) -> Option<Process> {
        self.inner.processes().get(&id).cloned().map(Process::new)
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

impl Inner {
    fn processes(&self) -> MutexGuard<'_, BTreeMap<ProcessId, Arc<Shared>>> {
        self.processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn enlist(&self, shared: &Arc<Shared>) -> Result<(), LaunchError> {
        let mut processes = self.processes();
        if processes.len() >= self.processes_max {
            return Err(LaunchError::TooManyProcesses(self.processes_max));
        }
        processes.insert(shared.id, Arc::clone(shared));
        Ok(())
    }
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
