//! Processes, as the product starts them.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use kernel_core::memory::frames;
use lib_bundle::Entry;
use lib_tmpfs::{Timestamp, Tmpfs};
use runtime_engine::interrupt::Interrupter;
use runtime_engine::{ClaimedImage, Engine, EngineOptions};
use runtime_host::{
    Budget, BudgetCharge, ByteSink, Discard, FileTree, NoInput, Notifier, StreamFailure,
};
use runtime_platform::{code_memory, interruption};
use runtime_supervisor::{
    CodeSource, Grants, Launch, ProcessLimits, ProgramImage, Rights, Supervisor, SupervisorOptions,
    WasmBytes,
};

use crate::bundle::Files;

/// Processes at a time, at most.
const PROCESSES_MAX: usize = 16;
const PAGE_BYTES: u64 = 4096;

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
            cache_bytes: 0,
            compile_threads: NonZeroUsize::new(kernel_core::cpu::online_count()),
            compile_thread_start: None,
            pooled_processes: PROCESSES_MAX as u32,
        })
        .map_err(|error| error.to_string())?;
        let options = SupervisorOptions {
            budget: budget.clone(),
            processes_max: PROCESSES_MAX,
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

    /// Starts a program and waits until all of it is gone.
    ///
    /// # Errors
    /// A sentence, where it could not be started or did not end with success.
    pub fn run(
        &self,
        name: &str,
        arguments: &[String],
        stdout: Arc<dyn ByteSink>,
    ) -> Result<(), String> {
        let launch = Launch {
            program: self.image(name)?,
            arguments: arguments.to_vec(),
            environment: Vec::new(),
            stdin: Arc::new(NoInput),
            stdout: Arc::clone(&stdout),
            stderr: stdout,
            terminal: None,
            files: runtime_supervisor::Files::whole(self.root.clone(), Rights::ReadWrite),
            may_spawn: false,
            limits: ProcessLimits::with_memory(self.budget.limit_bytes()),
            code: CodeSource::Precompiled,
            call: None,
        };
        let process = self.supervisor.spawn(launch);
        let exit = process.map_err(|error| error.to_string())?.wait();
        match exit.message(name) {
            None if exit.exit_code() == 0 => Ok(()),
            None => Err(format!("{name} ended with {}", exit.exit_code())),
            Some(message) => Err(message),
        }
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

/// The tree's time before anybody changes it.
const EPOCH: Timestamp = Timestamp {
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
