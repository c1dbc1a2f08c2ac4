//! Processes, as the product starts them.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use kernel_core::memory::frames;
use kernel_core::thread::{self, Class};
use lib_bundle::Entry;
use lib_tmpfs::{Timestamp, Tmpfs};
use runtime_engine::interrupt::Interrupter;
use runtime_engine::{ClaimedImage, Engine, EngineOptions};
use runtime_host::{
    Budget, BudgetCharge, ByteSink, ByteSource, Discard, FileTree, NoInput, Notifier, StreamFailure,
};
use runtime_platform::{code_memory, interruption};
use runtime_supervisor::{
    CodeSource, Grants, Launch, Links, Process, ProcessLimits, ProgramImage, Rights, Supervisor,
    SupervisorOptions, WasmBytes,
};

use crate::bundle::Files;

/// Processes at a time, at most, where nobody says how many.
const PROCESSES_MAX: usize = 16;
const PAGE_BYTES: u64 = 4096;
/// Compiled programs are kept as the product keeps them: an engine that keeps nothing does not use the baseline compiler.
const CACHE_BYTES: u64 = 64 << 20;

/// Who starts them, and what they share.
pub struct Programs {
    files: Files,
    /// Precompiled images that were started, by name: each is checked once.
    claims: Mutex<BTreeMap<String, ClaimedImage>>,
    supervisor: Supervisor,
    budget: Budget,
    root: FileTree,
}

impl Programs {
    /// A supervisor over the programs of the bundle, with an empty tree.
    ///
    /// # Errors
    /// A sentence.
    pub fn new(files: &Files) -> Result<Self, String> {
        Self::with_processes(files, PROCESSES_MAX)
    }

    /// The same with so many processes at a time, at most.
    ///
    /// # Errors
    /// A sentence.
    pub fn with_processes(files: &Files, processes_max: usize) -> Result<Self, String> {
        let free_bytes = frames::statistics().free * PAGE_BYTES;
        let budget = Budget::new(free_bytes / 4 * 3);
        let engine = Engine::new(EngineOptions {
            code_memory: Some(code_memory::new()),
            interrupter: Some(Interrupter {
                current_thread: interruption::current_thread,
                divert: interruption::divert,
                visit: interruption::visit,
                stay: interruption::stay,
            }),
            cache_bytes: CACHE_BYTES.min(free_bytes / 8),
            compile_threads: NonZeroUsize::new(kernel_core::cpu::online_count()),
            compile_thread_start: Some(|| thread::set_class(Class::Batch)),
            pooled_processes: processes_max as u32,
        })
        .map_err(|error| error.to_string())?;
        let options = SupervisorOptions {
            budget: budget.clone(),
            processes_max,
            interfaces: Vec::new(),
            meter: None,
            programs: None,
        };
        let supervisor = Supervisor::new(engine, options).map_err(|error| format!("{error:#}"))?;
        let charge = Arc::new(BudgetCharge(budget.clone()));
        let root = Tmpfs::new(charge, EPOCH).map_err(|error| error.to_string())?;
        Ok(Self {
            files: *files,
            claims: Mutex::default(),
            supervisor,
            budget,
            root: FileTree::new(root),
        })
    }

    /// The tree that every process sees as `/`.
    pub fn root(&self) -> &FileTree {
        &self.root
    }

    /// Memory that everything together may have, of which pipes take theirs.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Runs a precompiled program without input and waits until all of it is gone.
    ///
    /// # Errors
    /// A sentence, where it could not be started or did not end with success.
    pub fn run(
        &self,
        name: &str,
        arguments: &[&str],
        stdout: Arc<dyn ByteSink>,
    ) -> Result<(), String> {
        let streams = Streams {
            stdin: Arc::new(NoInput),
            stderr: Arc::clone(&stdout),
            stdout,
        };
        succeeded(&self.start(name, arguments, streams)?)
    }

    /// Starts a precompiled program.
    ///
    /// # Errors
    /// A sentence.
    pub fn start(
        &self,
        name: &str,
        arguments: &[&str],
        streams: Streams,
    ) -> Result<Process, String> {
        self.start_linked(name, arguments, streams, Links::default())
    }

    /// Starts one that calls others, or is called.
    ///
    /// # Errors
    /// A sentence.
    pub fn start_linked(
        &self,
        name: &str,
        arguments: &[&str],
        streams: Streams,
        links: Links,
    ) -> Result<Process, String> {
        let code = CodeSource::Precompiled;
        self.spawn(self.image(name)?, arguments, streams, links, code)
    }

    /// Runs a program of these bytes, which is compiled here as one that a user brought.
    ///
    /// # Errors
    /// As of [`Programs::run`].
    pub fn run_unknown(&self, name: &str, wasm: Vec<u8>, arguments: &[&str]) -> Result<(), String> {
        let image = ProgramImage {
            name: name.to_owned(),
            wasm: Some(WasmBytes::Shared(wasm.into())),
            precompiled: None,
            grants: Grants::WHATEVER_IS_GIVEN,
        };
        let streams = Streams {
            stdin: Arc::new(NoInput),
            stdout: quiet(),
            stderr: quiet(),
        };
        let links = Links::default();
        succeeded(&self.spawn(image, arguments, streams, links, CodeSource::Compiled)?)
    }

    fn spawn(
        &self,
        program: ProgramImage,
        arguments: &[&str],
        streams: Streams,
        links: Links,
        code: CodeSource,
    ) -> Result<Process, String> {
        let launch = Launch {
            program,
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            environment: Vec::new(),
            stdin: streams.stdin,
            stdout: streams.stdout,
            stderr: streams.stderr,
            terminal: None,
            files: runtime_supervisor::Files::whole(self.root.clone(), Rights::ReadWrite),
            may_spawn: false,
            links,
            limits: ProcessLimits::with_memory(self.budget.limit_bytes()),
            code,
            call: None,
        };
        let process = self.supervisor.spawn(launch);
        process.map_err(|error| error.to_string())
    }

    /// As the prompt does it: the digest is found right when the program first runs.
    fn image(&self, name: &str) -> Result<ProgramImage, String> {
        let entry = self.files.program(name, "cwasm");
        let entry = entry.ok_or_else(|| format!("there is no program {name}"))?;
        let wasm = self.files.program(name, "wasm");
        Ok(ProgramImage {
            name: name.to_owned(),
            wasm: wasm.map(|entry| WasmBytes::Static(entry.contents())),
            precompiled: Some(self.claim(name, entry)),
            grants: Grants::WHATEVER_IS_GIVEN,
        })
    }

    fn claim(&self, name: &str, entry: Entry<'static>) -> ClaimedImage {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let claim = claims.entry(name.to_owned());
        let new = || ClaimedImage::new(entry.contents(), entry.sha256());
        claim.or_insert_with(new).clone()
    }
}

/// A program's standard streams.
pub struct Streams {
    /// What it reads.
    pub stdin: Arc<dyn ByteSource>,
    /// Where its output goes.
    pub stdout: Arc<dyn ByteSink>,
    /// Where its messages go.
    pub stderr: Arc<dyn ByteSink>,
}

/// Waits until all of a process is gone.
///
/// # Errors
/// A sentence, where it did not end with success.
pub fn succeeded(process: &Process) -> Result<(), String> {
    let exit = process.wait();
    let name = process.name();
    match exit.message(name) {
        None if exit.exit_code() == 0 => Ok(()),
        None => Err(format!("{name} ended with {}", exit.exit_code())),
        Some(message) => Err(message),
    }
}

/// The tree's time before anybody changes it.
pub const EPOCH: Timestamp = Timestamp {
    seconds: 0,
    nanoseconds: 0,
};

/// Output that nobody reads.
pub fn quiet() -> Arc<dyn ByteSink> {
    Arc::new(Discard)
}

/// Output whose lines are kept until the program has ended.
#[derive(Default)]
pub struct Kept(Mutex<Vec<u8>>);

impl Kept {
    /// All that was written.
    pub fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl ByteSink for Kept {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        Ok(KEPT_ROOM_BYTES)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        let part = &bytes[..bytes.len().min(KEPT_ROOM_BYTES)];
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(part);
        Ok(part.len())
    }

    fn subscribe(&self, _notifier: &Notifier) {
        // There is always room.
    }
}

/// Bytes that are taken in one go.
const KEPT_ROOM_BYTES: usize = 4096;
