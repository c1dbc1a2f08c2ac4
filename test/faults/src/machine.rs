//! What processes are started with.

use std::sync::Arc;

use runtime_host::{ByteSink, ByteSource, Discard};
use runtime_link::Limits;
use runtime_supervisor::{
    CodeSource, Exit, Files, Launch, Links, ProcessLimits, ProgramImage, Supervisor,
};

/// Handles of one process.
const HANDLES: u32 = 48;

/// How much may wait at a relay.
pub const LIMITS: Limits = Limits {
    clients: 64,
    messages: 32,
    bytes: 1 << 20,
    client_messages: 8,
    client_bytes: 256 << 10,
};

/// Who starts processes, and the two programs.
#[derive(Clone)]
pub struct Machine {
    /// Starts them. Nobody else uses its budget.
    pub supervisor: Supervisor,
    /// Memory of one process, in bytes; where programs are compiled, enough for that.
    pub process_bytes: u64,
    /// `test/guest/faults/relay`.
    pub relay: ProgramImage,
    /// `test/guest/faults/caller`.
    pub caller: ProgramImage,
}

impl Machine {
    pub(crate) fn launch(
        &self,
        program: &ProgramImage,
        arguments: Vec<String>,
        stdin: Arc<dyn ByteSource>,
        stdout: Arc<dyn ByteSink>,
        links: Links,
    ) -> Launch {
        let mut limits = ProcessLimits::with_memory(self.process_bytes);
        limits.handles = HANDLES;
        Launch {
            program: program.clone(),
            arguments,
            environment: Vec::new(),
            stdin,
            stdout,
            stderr: Arc::new(Discard),
            terminal: None,
            files: Files::none(),
            limits,
            may_spawn: false,
            links,
            code: CodeSource::Precompiled,
            call: None,
        }
    }
}

/// A process that ended as `is_well` has it; a bug of the kernel's is none of the ways.
pub fn ended(who: &str, exit: &Exit, is_well: impl Fn(&Exit) -> bool) -> Result<(), String> {
    if is_well(exit) && !matches!(exit, Exit::KernelBug(_)) {
        return Ok(());
    }
    Err(format!("the {who} ended otherwise: {exit:?}"))
}
