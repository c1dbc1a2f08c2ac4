//! The running system: engine, supervisor, image, and what the prompt asks of them.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use contract_boot::BootInfo;
use kernel_core::memory::frames;
use kernel_core::thread::{self, Class, Share, ThreadRow};
use kernel_machine::memory::PAGE_BYTES;
use kernel_machine::memory::frame::{FrameOwner, OWNERS};
use runtime_engine::interrupt::Interrupter;
use runtime_engine::{Engine, EngineOptions};
use runtime_exchange::image::{self, Programs};
use runtime_host::{
    AttachedTerminal, Budget, ByteSource, FileTree, Notifier, TerminalDevice, Urgencies,
};
use runtime_platform::{code_memory, interruption, urgency};
use runtime_prompt::{Job, Limits, MemoryUse, ProcessRow, StartError, System, TerminalOutput};
use runtime_supervisor::{
    ChildLimits, CodeSource, Files, Launch, Links, Permission, Phase, Process, ProcessId,
    ProcessLimits, ProcessStatus, ProgramFinder, Rights, Supervisor, SupervisorOptions,
    ThreadMeter,
};

use crate::crash::{self, CrashCommand, Request, Saying};
use crate::drivers;
use crate::log_view;
use crate::services::SystemServices;
use crate::tracing;

/// Processes at a time, at most.
const PROCESSES_MAX: usize = 256;
/// Compiled programs that are kept after their last process ended, in bytes, at most.
const CACHE_BYTES_MAX: u64 = 64 << 20;
/// Where the bundle describes the services.
const SERVICES: &str = "/system/services.toml";
/// Memory that processes never get, in bytes: the kernel's own needs while they run.
const KERNEL_SHARE_BYTES: u64 = 8 << 20;

/// Everything that was started.
pub struct RunningSystem {
    supervisor: Supervisor,
    budget: Budget,
    programs: Option<Arc<Programs>>,
    root: FileTree,
    /// The text that describes the image's services, if there is one; an error is a sentence.
    manifest: Option<Result<&'static [u8], String>>,
    crash: Option<CrashCommand>,
}

impl RunningSystem {
    /// Starts engine and supervisor over what the loader read.
    ///
    /// # Errors
    /// A sentence.
    pub fn start(info: &BootInfo) -> Result<Self, String> {
        let bundle = image::open("system's bundle", &info.bundle)?;
        let free_bytes = frames::statistics().free * PAGE_BYTES;
        KERNEL_USE_AT_START_BYTES.store(kernel_use_bytes(), Ordering::Relaxed);
        let limit_bytes = free_bytes.saturating_sub(KERNEL_SHARE_BYTES + free_bytes / 16);
        let budget = Budget::with_outside_use(limit_bytes, kernel_growth_bytes);
        let processes_max = processes_max(limit_bytes);
        runtime_host::set_free_memory(free_memory_bytes);
        runtime_host::set_urgencies(Urgencies {
            current_thread: urgency::current_thread,
            urgency: urgency::urgency,
            lend: urgency::lend,
            take_back: urgency::take_back,
        });
        let engine = Engine::new(EngineOptions {
            code_memory: Some(code_memory::new()),
            interrupter: Some(Interrupter {
                current_thread: interruption::current_thread,
                divert: interruption::divert,
                visit: interruption::visit,
                stay: interruption::stay,
            }),
            cache_bytes: CACHE_BYTES_MAX.min(free_bytes / 8),
            compile_threads: NonZeroUsize::new(kernel_core::cpu::online_count()),
            pooled_processes: processes_max as u32,
            compile_thread_start: Some(|| thread::set_class(Class::Batch)),
        })
        .map_err(|error| error.to_string())?;
        let programs = bundle.map(Programs::new).transpose()?.map(Arc::new);
        let options = SupervisorOptions {
            budget: budget.clone(),
            processes_max,
            interfaces: Vec::new(),
            meter: Some(own_meter),
            programs: programs
                .clone()
                .map(|programs| programs as Arc<dyn ProgramFinder>),
        };
        let supervisor =
            Supervisor::new(engine, options).map_err(|error| format!("supervisor: {error}"))?;
        let root = image::tree(bundle, "/", tree_budget(&budget))?;
        let manifest = bundle.and_then(|bundle| bundle.get(SERVICES));
        Ok(Self {
            manifest: manifest.map(image::contents),
            supervisor,
            budget,
            programs,
            root,
            crash: CrashCommand::for_image(info),
        })
    }

    /// Who starts processes.
    pub fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// What all processes together may use.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The programs of the image.
    pub fn programs(&self) -> Option<Arc<dyn ProgramFinder>> {
        let programs = self.programs.clone();
        programs.map(|programs| programs as Arc<dyn ProgramFinder>)
    }

    /// The tree that programs find as `/`.
    pub fn root(&self) -> &FileTree {
        &self.root
    }

    /// The text that describes the image's services, if there is one. An error is a sentence.
    pub fn manifest(&self) -> Option<Result<&'static [u8], String>> {
        self.manifest.clone()
    }

    /// What one process may use when it has the machine for itself.
    pub fn limits(&self) -> ProcessLimits {
        ProcessLimits::with_memory(self.budget.limit_bytes())
    }
}

/// How many processes there is memory for, each with the least that one takes. Places for so many are kept ready.
fn processes_max(limit_bytes: u64) -> usize {
    let affordable = usize::try_from(limit_bytes / runtime_supervisor::PROCESS_BYTES_MIN);
    affordable.unwrap_or(usize::MAX).clamp(1, PROCESSES_MAX)
}

/// What a tree in memory may take: half of what processes may, so that a full tree leaves room for the program
/// that empties it.
pub fn tree_budget(all: &Budget) -> Budget {
    all.child(all.limit_bytes() / 2)
}

/// The system as the prompt on a terminal sees it.
pub struct PromptSystem {
    system: RunningSystem,
    output: TerminalOutput,
    terminal: TerminalDevice,
    services: Arc<SystemServices>,
}

impl PromptSystem {
    /// Programs write to `output`, and ask `terminal` for how keys reach them.
    pub fn new(
        system: RunningSystem,
        output: TerminalOutput,
        terminal: TerminalDevice,
        services: Arc<SystemServices>,
    ) -> Self {
        Self {
            system,
            output,
            terminal,
            services,
        }
    }

    fn foreground(
        &self,
        program: &str,
        arguments: &[String],
        stdin: Arc<dyn ByteSource>,
        limits: &Limits,
        call: Option<String>,
    ) -> Result<Box<dyn Job>, StartError> {
        let process = self.launch(program, arguments, stdin, limits, call)?;
        Ok(Box::new(Foreground { process }))
    }

    fn launch(
        &self,
        program: &str,
        arguments: &[String],
        stdin: Arc<dyn ByteSource>,
        limits: &Limits,
        call: Option<String>,
    ) -> Result<Process, StartError> {
        let programs = self
            .system
            .programs
            .as_ref()
            .ok_or(StartError::NoSuchProgram)?;
        let image = programs.find(program).ok_or(StartError::NoSuchProgram)?;
        let launch = Launch {
            program: image.map_err(StartError::Refused)?,
            arguments: arguments.to_vec(),
            environment: environment(),
            stdin,
            stdout: Arc::new(self.output.clone()),
            stderr: Arc::new(self.output.clone()),
            terminal: Some(Arc::new(AttachedTerminal {
                device: self.terminal.clone(),
                stdin: true,
                stdout: true,
                stderr: true,
            })),
            files: Files::whole(self.system.root.clone(), Rights::ReadWrite),
            limits: self.system.limits().lowered(&child_limits(limits)),
            may_spawn: true,
            links: Links {
                control: Some(Permission::new()),
                ..Links::default()
            },
            code: CodeSource::Precompiled,
            call,
        };
        let started = self.system.supervisor.spawn(launch);
        started.map_err(|error| StartError::Refused(error.to_string()))
    }
}

fn child_limits(limits: &Limits) -> ChildLimits {
    ChildLimits {
        memory_bytes: limits.memory_bytes,
        cpu_percent: limits.cpu_percent,
        cpu_time: limits.cpu_time,
        handles: limits.handles,
        output_bytes: limits.output_bytes,
        processes: limits.processes,
    }
}

/// What every program finds in its environment.
fn environment() -> Vec<(String, String)> {
    [
        ("HOME", "/"),
        ("PWD", "/"),
        ("TERM", "vt100"),
        ("TMPDIR", "/tmp"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

impl System for PromptSystem {
    fn programs(&self) -> Vec<String> {
        let programs = self.system.programs.as_ref();
        let mut names = programs.map_or(Vec::new(), |programs| programs.names());
        names.extend(self.system.crash.as_ref().map(|_| crash::NAME.to_owned()));
        names
    }

    fn start(
        &self,
        program: &str,
        arguments: &[String],
        stdin: Arc<dyn ByteSource>,
        limits: &Limits,
    ) -> Result<Box<dyn Job>, StartError> {
        if let Some(crash) = &self.system.crash
            && program == crash::NAME
        {
            return match crash.request(arguments)? {
                Request::Say(text) => Ok(Box::new(Saying(text))),
                Request::Feed(stdin) => self.foreground(crash::VICTIM, &[], stdin, limits, None),
            };
        }
        self.foreground(program, arguments, stdin, limits, None)
    }

    fn call(
        &self,
        program: &str,
        function: &str,
        arguments: &[String],
        stdin: Arc<dyn ByteSource>,
    ) -> Result<Box<dyn Job>, StartError> {
        let call = Some(function.to_owned());
        self.foreground(program, arguments, stdin, &Limits::default(), call)
    }

    fn kill(&self, id: u64) -> Result<(), String> {
        let process = self.system.supervisor.find(ProcessId(id));
        let process = process.ok_or_else(|| format!("There is no process {id}."))?;
        process.kill();
        Ok(())
    }

    fn processes(&self) -> Vec<ProcessRow> {
        let mut rows: Vec<_> = self
            .system
            .supervisor
            .list()
            .into_iter()
            .map(process_row)
            .collect();
        thread::for_each(&mut |thread| rows.push(thread_row(thread)));
        rows.push(nobodys_row());
        rows
    }

    fn memory(&self) -> Vec<MemoryUse> {
        let by_owner = frames::statistics().by_owner;
        let rows = OWNERS.iter().zip(by_owner);
        let rows = rows.filter(|((owner, _), _)| *owner != FrameOwner::Reserved);
        rows.flat_map(|((owner, name), frames)| memory_uses(*owner, name, frames * PAGE_BYTES))
            .collect()
    }

    fn uptime(&self) -> Duration {
        Duration::from_nanos(kernel_core::time::monotonic_ns())
    }

    fn log(&self, words: &[String]) -> Result<String, String> {
        log_view::text(words)
    }

    fn follow_log(&self, words: &[String]) -> Result<Box<dyn Job>, String> {
        log_view::follow(words, self.output.clone())
    }

    fn keyboard(&self, words: &[String]) -> Result<String, String> {
        drivers::keyboard(words)
    }

    fn trace(&self, words: &[String]) -> Result<String, String> {
        tracing::command(words, &self.system.root)
    }

    fn services(&self, words: &[String]) -> Result<String, String> {
        self.services.svc(words)
    }

    fn capabilities(&self, words: &[String]) -> Result<String, String> {
        self.services.capabilities(words)
    }

    fn news(&self) -> Vec<String> {
        self.services.news()
    }

    fn log_levels(&self, words: &[String]) -> Result<String, String> {
        log_view::levels(words)
    }
}

/// What the kernel's heap, page tables and memory images took when the budget was made, in bytes.
static KERNEL_USE_AT_START_BYTES: AtomicU64 = AtomicU64::new(0);

/// What they have taken since. The heap keeps what it took, so this is memory that programs cannot get.
fn kernel_growth_bytes() -> u64 {
    kernel_use_bytes().saturating_sub(KERNEL_USE_AT_START_BYTES.load(Ordering::Relaxed))
}

/// What is left to programs at this moment.
fn free_memory_bytes() -> u64 {
    let frames = frames::statistics().free;
    frames.saturating_sub(frames::RESERVE_FRAMES) * PAGE_BYTES
}

fn kernel_use_bytes() -> u64 {
    let by_owner = frames::statistics().by_owner;
    let own = [FrameOwner::Heap, FrameOwner::PageTables, FrameOwner::Images];
    let frames = own.map(|owner| by_owner[owner as usize]);
    frames.iter().sum::<u64>() * PAGE_BYTES
}

/// How others read what the calling thread uses.
fn own_meter() -> Box<dyn ThreadMeter> {
    Box::new(KernelMeter(thread::current()))
}

/// Asks the kernel about a thread; nothing is used by one that is gone.
struct KernelMeter(thread::ThreadId);

impl ThreadMeter for KernelMeter {
    fn cpu_time(&self) -> Duration {
        Duration::from_nanos(thread::cpu_time_ns(self.0).unwrap_or(0))
    }

    fn resident_bytes(&self) -> u64 {
        thread::resident_bytes(self.0).unwrap_or(0)
    }
}

/// An owner's row; the heap keeps what is freed for itself, so it has two.
fn memory_uses(owner: FrameOwner, name: &str, len_bytes: u64) -> Vec<MemoryUse> {
    let row = |owner: String, len_bytes| MemoryUse { owner, len_bytes };
    if owner != FrameOwner::Heap {
        return vec![row(name.to_owned(), len_bytes)];
    }
    let (in_use_bytes, _) = kernel_core::heap::statistics();
    let in_use_bytes = (in_use_bytes as u64).min(len_bytes);
    vec![
        row(format!("{name}, in use"), in_use_bytes),
        row(format!("{name}, spare"), len_bytes - in_use_bytes),
    ]
}

fn process_row(status: ProcessStatus) -> ProcessRow {
    ProcessRow {
        id: status.id.0,
        parent: status.parent.map(|parent| parent.0),
        state: if status.is_suspended {
            "suspended".to_owned()
        } else {
            phase_name(status.phase).to_owned()
        },
        threads: Some(status.threads),
        handles: Some(status.handles),
        memory_bytes: Some(status.memory_bytes),
        resident_bytes: status.resident_bytes,
        cpu_time: status.cpu_time,
        age: Some(status.age),
        class: None,
        name: status.name,
    }
}

fn thread_row(row: ThreadRow) -> ProcessRow {
    let name = String::from_utf8_lossy(&row.name[..row.name_len_bytes]);
    ProcessRow {
        id: u64::from(row.id.as_u32()),
        parent: None,
        threads: None,
        handles: None,
        state: format!("cpu {}", row.cpu),
        memory_bytes: None,
        resident_bytes: thread::resident_bytes(row.id),
        cpu_time: Some(Duration::from_nanos(row.cpu_time_ns)),
        age: None,
        class: Some(class_and_priority(row.share)),
        name: format!("[{name}]"),
    }
}

/// What threads that have ended left, code that is kept for later starts above all, so that `ps` adds up.
fn nobodys_row() -> ProcessRow {
    ProcessRow {
        id: 0,
        parent: None,
        threads: None,
        handles: None,
        state: "ended".to_owned(),
        memory_bytes: None,
        resident_bytes: Some(thread::nobodys_resident_bytes()),
        cpu_time: None,
        age: None,
        class: None,
        name: "[left by ended threads]".to_owned(),
    }
}

/// The class, and the priority where it is not 0.
fn class_and_priority(share: Share) -> String {
    match share.priority.level() {
        0 => share.class.name().to_owned(),
        level => format!("{} {level:+}", share.class.name()),
    }
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Loading => "loading",
        Phase::Running => "running",
        Phase::Ended => "ended",
    }
}

/// A process that the prompt waits for.
struct Foreground {
    process: Process,
}

impl Job for Foreground {
    fn ending(&self) -> Option<Option<String>> {
        self.process.try_wait()?;
        // It has ended, so this waits only for its thread to go, and its stack with it.
        let exit = self.process.wait();
        Some(exit.message(self.process.name()))
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.process.subscribe(notifier);
    }

    fn kill(&self) {
        self.process.kill();
    }
}
