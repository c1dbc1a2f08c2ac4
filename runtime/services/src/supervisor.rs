//! Services as processes of the supervisor.

use std::sync::Arc;

use lib_service_manifest::{CONTROL, Folder as GrantedFolder, FolderRights, Limits, Service};
use lib_service_policy::{Ending, RunId};
use runtime_host::tmpfs::{Kind, NodeId};
use runtime_host::{AttachedTerminal, FileTree, Notifier, Terminal, VirtualTerminal};
use runtime_supervisor::{
    ChildLimits, CodeSource, Devices, Exit, Files, Folder, Launch, Links, Permission, Process,
    ProcessLimits, ProgramFinder, Rights, Supervisor,
};

use crate::Bindings;
use crate::launcher::{Launcher, ServiceProcess, ServiceRun, Usage};
use crate::stop_input::TerminalOrStop;

/// The grant that lets a program start processes.
const SPAWN: &str = "kpio:process/processes";

/// Starts services as processes of the supervisor, each with exactly what its manifest grants.
pub struct SupervisorLauncher {
    /// Starts the processes.
    pub supervisor: Supervisor,
    /// Where their programs are found.
    pub programs: Arc<dyn ProgramFinder>,
    /// Where their folders are.
    pub root: FileTree,
    /// Who carries their calls.
    pub bindings: Arc<dyn Bindings>,
    /// What of the machine can be granted. On the console's terminals are those services whose manifest says so.
    pub devices: Devices,
}

impl Launcher for SupervisorLauncher {
    fn launch(&self, run: &ServiceRun) -> Result<Arc<dyn ServiceProcess>, String> {
        let service = &*run.service;
        let program = self.programs.find(&service.program);
        let program = program
            .ok_or_else(|| format!("there is no program called '{}'", service.program))??;
        let mut launch = Launch {
            program,
            arguments: service.arguments.clone(),
            environment: service.environment.clone(),
            stdin: Arc::clone(&run.stdin),
            stdout: Arc::clone(&run.stdout),
            stderr: Arc::clone(&run.stderr),
            terminal: None,
            files: files(service, &self.root)?,
            limits: limits(&service.limits),
            may_spawn: service.is_granted(SPAWN),
            links: Links {
                own: Some(Arc::clone(&run.own)),
                control: service.is_granted(CONTROL).then(Permission::new),
                ..Links::default()
            },
            code: CodeSource::Precompiled,
            call: None,
        };
        self.bindings.prepare(service, run, &mut launch)?;
        launch.links.devices = self.devices.granted(|device| service.is_granted(device));
        if let Some(number) = service.terminal {
            put_on_terminal(&mut launch, self.terminal(number)?);
        }
        let started = self.supervisor.spawn(launch);
        let process = started.map_err(|error| error.to_string())?;
        Ok(Arc::new(process))
    }

    fn bind(&self, service: &str, run: Option<RunId>) {
        // A run has offered itself when it is bound.
        if run.is_none() {
            self.bindings.unbind(service);
        }
    }

    fn gone(&self, run: RunId) {
        self.bindings.gone(run);
    }

    fn keep(&self, is_known: &dyn Fn(&str) -> bool) {
        self.bindings.keep(is_known);
    }

    fn revoke(&self, service: &str, interface: &str) -> Result<(), String> {
        self.bindings.revoke(service, interface)
    }
}

impl SupervisorLauncher {
    fn terminal(&self, number: u8) -> Result<&VirtualTerminal, String> {
        let console = self.devices.console.as_ref();
        let index = usize::from(number).checked_sub(1);
        let found = index.and_then(|index| console?.terminal(index));
        found.ok_or_else(|| format!("there is no terminal {number}: there was no memory for it"))
    }
}

/// Has the standard streams lead to a terminal. The input still ends when the service is asked to end.
fn put_on_terminal(launch: &mut Launch, terminal: &VirtualTerminal) {
    let input = TerminalOrStop {
        terminal: Arc::new(terminal.input()),
        stop: Arc::clone(&launch.stdin),
    };
    launch.stdin = Arc::new(input);
    launch.stdout = Arc::new(terminal.output());
    launch.stderr = Arc::clone(&launch.stdout);
    let attached: Arc<dyn Terminal> = Arc::new(AttachedTerminal {
        device: terminal.device().clone(),
        stdin: true,
        stdout: true,
        stderr: true,
    });
    launch.terminal = Some(attached);
}

fn limits(limits: &Limits) -> ProcessLimits {
    ProcessLimits::with_memory(limits.memory_bytes).lowered(&ChildLimits {
        handles: Some(limits.handles),
        processes: Some(limits.processes),
        cpu_percent: limits.cpu_percent,
        output_bytes: limits.output_bytes,
        ..ChildLimits::default()
    })
}

/// The folders of the manifest, and nothing else.
fn files(service: &Service, root: &FileTree) -> Result<Files, String> {
    let whole = Files::whole(root.clone(), Rights::ReadWrite);
    let folders = service.folders.iter().map(|granted| {
        let (tree, node) = folder(&whole, granted)
            .ok_or_else(|| format!("there is no folder '{}'", granted.path))?;
        let rights = match granted.rights {
            FolderRights::Read => Rights::ReadOnly,
            FolderRights::ReadWrite => Rights::ReadWrite,
        };
        Ok(Folder::new(tree, node, granted.at.clone(), rights))
    });
    Ok(Files::folders(folders.collect::<Result<_, String>>()?))
}

fn folder(whole: &Files, granted: &GrantedFolder) -> Option<(FileTree, NodeId)> {
    let (tree, node) = whole.find(&granted.path)?;
    let kind = tree.read().stat(node).ok()?.kind;
    (kind == Kind::Directory).then_some((tree, node))
}

impl ServiceProcess for Process {
    fn id(&self) -> u64 {
        Process::id(self).0
    }

    fn ending(&self) -> Option<(Ending, String)> {
        self.try_wait()?;
        // It has ended, so this waits only for its thread to go, and its stack with it.
        let exit = self.wait();
        let ending = match exit {
            Exit::Code(0) => Ending::Clean,
            _ => Ending::Failed,
        };
        Some((ending, exit.to_string()))
    }

    fn subscribe(&self, notifier: &Notifier) {
        Process::subscribe(self, notifier);
    }

    fn kill(&self) {
        Process::kill(self);
    }

    fn usage(&self) -> Usage {
        let status = self.status();
        Usage {
            memory_bytes: status.memory_bytes,
            handles: status.handles,
            cpu_time: status.cpu_time,
        }
    }
}
