//! The supervisor as `kpio:process` asks it: processes that processes start.

use std::sync::Arc;

use runtime_host::{Awaited, Controlled, Notifier};
use runtime_kpio::{Child, Ending, ProcessError, ProcessSystem, Program, SpawnRequest, Status};
use runtime_link::Grant;

use crate::family::Reason;
use crate::{
    CodeSource, Grants, Launch, LaunchError, Links, Process, ProcessId, ProcessStatus,
    ProgramImage, Supervisor, WasmBytes,
};

impl ProcessSystem for Supervisor {
    fn spawn(&self, parent: u64, request: SpawnRequest) -> Result<Arc<dyn Child>, ProcessError> {
        let parent = ProcessId(parent);
        let ends = || ProcessError::Denied(LaunchError::ParentEnds.to_string());
        let starter = self.family().find(parent).ok_or_else(ends)?;
        let limits = starter.limits;
        let (program, arguments) = self.resolve(request.program, request.arguments)?;
        let grants = delegated(&starter.grants, &program.grants.may_call);
        let launch = Launch {
            program,
            arguments,
            environment: request.environment,
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
            terminal: request.terminal,
            files: request.files,
            limits: limits.lowered(&request.limits),
            may_spawn: request.may_spawn,
            // What the parent does not have the child does not get, whatever the image says of its program.
            links: Links {
                control: starter.control.clone(),
                grants,
                ..Links::default()
            },
            code: CodeSource::Precompiled,
            call: None,
        };
        let started = self.spawn_for(launch, Some(parent));
        Ok(Arc::new(started.map_err(process_error)?))
    }

    fn descendants(&self, of: u64) -> Vec<Status> {
        let statuses = self.family().descendants(ProcessId(of));
        statuses.into_iter().map(status).collect()
    }

    fn programs(&self) -> Vec<String> {
        let finder = self.finder();
        finder.map_or(Vec::new(), |finder| finder.names())
    }
}

impl Supervisor {
    /// The program, and its arguments after its name as the parent wants it.
    fn resolve(
        &self,
        program: Program,
        arguments: Vec<String>,
    ) -> Result<(ProgramImage, Vec<String>), ProcessError> {
        let mut image = match program {
            Program::Named(name) => self.named(&name)?,
            Program::File { path, bytes } => ProgramImage {
                name: path,
                wasm: Some(WasmBytes::Paid(bytes)),
                precompiled: None,
                grants: Grants::WHATEVER_IS_GIVEN,
            },
        };
        let mut arguments = arguments.into_iter();
        if let Some(name) = arguments.next() {
            image.name = name;
        }
        Ok((image, arguments.collect()))
    }

    fn named(&self, name: &str) -> Result<ProgramImage, ProcessError> {
        let finder = self.finder();
        let found = finder.and_then(|finder| finder.find(name));
        let name = name.escape_debug();
        let none = || ProcessError::NotFound(format!("there is no program called '{name}'"));
        found.ok_or_else(none)?.map_err(ProcessError::Unusable)
    }
}

/// Those of the parent's grants that are for interfaces which the child's program may call. They are the parent's own, so what is
/// taken back from the parent is taken back from the child.
fn delegated(grants: &[Grant], may_call: &[String]) -> Vec<Grant> {
    let is_for = |grant: &&Grant| {
        let mut interfaces = may_call.iter();
        interfaces.any(|interface| grant.route().interface() == interface)
    };
    grants.iter().filter(is_for).cloned().collect()
}

fn process_error(error: LaunchError) -> ProcessError {
    let sentence = error.to_string();
    match error {
        LaunchError::ParentEnds => ProcessError::Denied(sentence),
        LaunchError::Memory(_)
        | LaunchError::Thread(_)
        | LaunchError::TooManyProcesses(_)
        | LaunchError::OutputTooDeep => ProcessError::Quota(sentence),
    }
}

fn status(status: ProcessStatus) -> Status {
    Status {
        id: status.id.0,
        parent: status.parent.map(|parent| parent.0),
        name: status.name,
        is_suspended: status.is_suspended,
        memory_bytes: status.memory_bytes,
        cpu_time: status.cpu_time.unwrap_or_default(),
        age: status.age,
        threads: status.threads,
        handles: status.handles,
    }
}

impl Awaited for Process {
    fn is_ready(&self) -> bool {
        self.try_wait().is_some()
    }

    fn subscribe(&self, notifier: &Notifier) {
        Process::subscribe(self, notifier);
    }
}

impl Controlled for Process {
    fn kill(&self) {
        Process::kill(self);
    }

    fn suspend(&self, is_suspended: bool) {
        self.family()
            .set_still(Process::id(self), Reason::Suspension, is_suspended);
    }
}

impl Child for Process {
    fn id(&self) -> u64 {
        Process::id(self).0
    }

    fn ending(&self) -> Option<Ending> {
        self.try_wait()?;
        // It has ended, so this waits only for its thread to go, and its stack with it.
        let exit = self.wait();
        Some(Ending {
            code: exit.exit_code(),
            message: exit.message(self.name()),
        })
    }

    fn disown(&self) {
        self.family().disown(Process::id(self));
    }
}
