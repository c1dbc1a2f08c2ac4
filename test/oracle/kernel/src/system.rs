//! Engine, supervisor and programs, as the product has them.

use std::num::NonZeroUsize;

use kernel_core::memory::frames;
use kernel_machine::memory::PAGE_BYTES;
use lib_bundle::Bundle;
use runtime_engine::{Engine, EngineOptions};
use runtime_exchange::image::Programs;
use runtime_host::Budget;
use runtime_platform::code_memory;
use runtime_supervisor::{
    ProcessLimits, ProgramFinder, ProgramImage, Supervisor, SupervisorOptions,
};

/// Processes at a time: a case's, and the one before it while its thread goes.
const PROCESSES_MAX: usize = 4;
/// Compiled programs that are kept after their last process ended, in bytes, at most.
const CACHE_BYTES_MAX: u64 = 64 << 20;

/// What cases run on.
pub struct System {
    supervisor: Supervisor,
    programs: [Programs; 2],
}

impl System {
    /// Starts engine and supervisor; programs come from these bundles, from the first that has one.
    pub fn start(bundles: [Bundle<'static>; 2]) -> Result<Self, String> {
        let free_bytes = frames::statistics().free * PAGE_BYTES;
        let engine = Engine::new(EngineOptions {
            code_memory: Some(code_memory::new()),
            // Cases end by themselves, and nobody tells them to.
            interrupter: None,
            cache_bytes: CACHE_BYTES_MAX.min(free_bytes / 8),
            compile_threads: NonZeroUsize::new(kernel_core::cpu::online_count()),
            compile_thread_start: None,
            pooled_processes: PROCESSES_MAX as u32,
        })
        .map_err(|error| error.to_string())?;
        let options = SupervisorOptions {
            budget: Budget::new(free_bytes - free_bytes / 8),
            processes_max: PROCESSES_MAX,
            interfaces: Vec::new(),
            meter: None,
            programs: None,
        };
        let supervisor =
            Supervisor::new(engine, options).map_err(|error| format!("supervisor: {error}"))?;
        let [first, second] = bundles.map(Programs::new);
        Ok(Self {
            supervisor,
            programs: [first?, second?],
        })
    }

    /// Who starts processes.
    pub fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// What a case's tree may take.
    pub fn tree_budget(&self) -> Budget {
        let all = self.supervisor.budget();
        all.child(all.limit_bytes() / 2)
    }

    /// What a case's program may use.
    pub fn limits(&self) -> ProcessLimits {
        ProcessLimits::with_memory(self.supervisor.budget().limit_bytes())
    }

    /// The program of this name.
    pub fn program(&self, name: &str) -> Result<ProgramImage, String> {
        let found = self
            .programs
            .iter()
            .find_map(|programs| programs.find(name));
        found.ok_or(format!("there is no program {name}"))?
    }
}
