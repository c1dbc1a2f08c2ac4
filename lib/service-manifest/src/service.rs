//! One service as its manifest describes it.

use alloc::string::String;
use alloc::vec::Vec;

/// One service. Equal descriptions are the same service, unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What it is called, here and by people.
    pub name: String,
    /// The program of the image that it runs, by its name there.
    pub program: String,
    /// The program's arguments, without its name.
    pub arguments: Vec<String>,
    /// The program's environment, by name.
    pub environment: Vec<(String, String)>,
    /// Interfaces that it exports and serves.
    pub provides: Vec<String>,
    /// Interfaces that it imports from other services.
    pub imports: Vec<Import>,
    /// Restricted interfaces of the host that it may import.
    pub grants: Vec<String>,
    /// The terminal that its standard streams lead to, counted from 1; none has its output in its log.
    pub terminal: Option<u8>,
    /// When it is started.
    pub start: Start,
    /// What it finds as its file system.
    pub folders: Vec<Folder>,
    /// What it may use.
    pub limits: Limits,
    /// What happens when it ends.
    pub restart: Restart,
    /// Services that are to be ready before it starts, beside those that it imports from.
    pub after: Vec<String>,
    /// When it counts as ready.
    pub ready: Ready,
    /// How long it has to become ready where that is to serve, in milliseconds.
    pub start_deadline_ms: u64,
    /// How it shows that it is well, where it has to.
    pub health: Option<Health>,
    /// How long it has to end after it was asked to, in milliseconds.
    pub stop_deadline_ms: u64,
}

impl Service {
    /// Whether it imports an interface from the service `provider`.
    pub fn imports_from(&self, provider: &str) -> bool {
        self.imports.iter().any(|import| import.from == provider)
    }

    /// Whether it cannot be without the service `provider`: some of its calls wait while that is not there.
    pub fn needs(&self, provider: &str) -> bool {
        let mut imports = self.imports.iter();
        imports.any(|import| import.from == provider && import.while_down == WhileDown::Wait)
    }

    /// The services that are to be ready before it starts; some may come twice.
    pub fn dependencies(&self) -> impl Iterator<Item = &str> {
        let providers = self.imports.iter().map(|import| &import.from);
        providers.chain(&self.after).map(String::as_str)
    }

    /// Whether it is asked whether it is well; else it is to say so by itself.
    pub fn is_asked(&self) -> bool {
        !self.provides.is_empty()
    }

    /// Whether it was granted this restricted interface of the host.
    pub fn is_granted(&self, interface: &str) -> bool {
        self.grants.iter().any(|granted| granted == interface)
    }
}

/// An interface that another service provides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The interface: `kpio:log/reader`.
    pub interface: String,
    /// The service that provides it.
    pub from: String,
    /// What a call does while the provider is not there.
    pub while_down: WhileDown,
}

/// What a call of an import does while its provider is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhileDown {
    /// It waits until the provider is back.
    #[default]
    Wait,
    /// It fails with an error that says that it can be tried again.
    Fail,
}

/// A folder that a service sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The folder in the system's tree.
    pub path: String,
    /// Its name for the service.
    pub at: String,
    /// What may be done with it.
    pub rights: FolderRights,
}

/// What may be done with a folder and all in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderRights {
    /// Looking.
    Read,
    /// Looking and changing.
    ReadWrite,
}

/// What a service and all that it starts may use; what is `None` is not limited further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory, the host's work for it included, in bytes.
    pub memory_bytes: u64,
    /// Handles at a time.
    pub handles: u32,
    /// Processes at a time, itself included.
    pub processes: u32,
    /// CPU time in any second, in hundredths of one CPU.
    pub cpu_percent: Option<u32>,
    /// Bytes of output in all; who writes more is ended.
    pub output_bytes: Option<u64>,
    /// What is kept for it while it does not run, in bytes.
    pub escrow_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            handles: 128,
            processes: 1,
            cpu_percent: None,
            output_bytes: None,
            escrow_bytes: 0,
        }
    }
}

/// What happens when a service ends that nobody asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Whether it is started again.
    pub policy: RestartPolicy,
    /// How long the first restart waits, in milliseconds; each further one of the same window waits twice as long.
    pub backoff_ms: u64,
    /// The longest that one waits, in milliseconds.
    pub backoff_max_ms: u64,
    /// Restarts in any window, at most; whoever needs more has failed.
    pub limit: u32,
    /// The window, in seconds.
    pub window_s: u64,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            policy: RestartPolicy::OnFailure,
            backoff_ms: 50,
            backoff_max_ms: 5_000,
            limit: 5,
            window_s: 60,
        }
    }
}

/// Whether a service is started again when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    /// However it ended.
    Always,
    /// If it ended by a trap, a limit, a kill, or with another code than 0.
    OnFailure,
    /// Not.
    Never,
}

/// How a service shows that it is well. One that provides something is asked; another says so by itself, at least as often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// How long after one sign of life the next is due, in milliseconds.
    pub every_ms: u64,
    /// How late it may be, in milliseconds.
    pub deadline_ms: u64,
}

/// When a service is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the system, as soon as all that it depends on is ready.
    #[default]
    AtOnce,
    /// When its terminal is first shown, or a person starts it.
    WhenShown,
}

/// When a service counts as ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ready {
    /// As soon as its process exists.
    #[default]
    Started,
    /// When it serves what it provides.
    Serving,
    /// When it has done its work and ended with code 0.
    Finished,
}
