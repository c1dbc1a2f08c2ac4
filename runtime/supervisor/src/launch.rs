//! What a process is started with.

use crate::{ChildLimits, ProcessLimits};
use runtime_engine::{ClaimedImage, Tier};
use runtime_host::{ByteSink, ByteSource, OverBudget, Permission, Terminal};
use runtime_kpio::{Devices, PaidBytes, ServiceSide};
use runtime_link::{Grant, Service};
use runtime_wasi::Files;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A program in one or both of its forms.
#[derive(Clone)]
pub struct ProgramImage {
    /// Its name as its user knows it: the first argument that it sees, and what messages begin with.
    pub name: String,
    /// The component or module as WebAssembly.
    pub wasm: Option<WasmBytes>,
    /// The same as the host-side compiler made it, from the verified image. It is checked on the process's own
    /// thread.
    pub precompiled: Option<ClaimedImage>,
    /// The most that it may do and use.
    pub grants: Grants,
}

/// The most that a program may do and use, whoever starts it. It belongs to the program and not to its start, so that no way of starting
/// it can leave it out; who starts it may lower it further, and never gives more than it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants {
    /// What it may use, with all that it starts.
    pub limits: ChildLimits,
    /// Whether it may start processes.
    pub may_spawn: bool,
    /// Whether it may control the system's services.
    pub may_control: bool,
    /// Interfaces of services that it may call, without versions. What a service imports by its manifest is not asked of its program.
    pub may_call: Vec<String>,
}

impl Grants {
    /// Of programs that nobody listed, those that come from a file: as much as whoever starts it has, but for services, their control
    /// and calls to them. That takes somebody's word about this very program.
    pub const WHATEVER_IS_GIVEN: Grants = Grants {
        limits: ChildLimits::NONE,
        may_spawn: true,
        may_control: false,
        may_call: Vec::new(),
    };
}

impl Links {
    /// Whether it may control the services now.
    pub(crate) fn may_control(&self) -> bool {
        self.control.as_ref().is_some_and(Permission::holds)
    }
}

impl ProgramImage {
    /// Whether its WebAssembly is a core module, of WASI 0.1 or of none.
    pub(crate) fn is_module(&self) -> bool {
        let wasm = self.wasm.as_deref().unwrap_or_default();
        wasm.starts_with(&MODULE_HEADER)
    }
}

/// How core modules begin (core specification, 5.5.16): magic and version.
const MODULE_HEADER: [u8; 8] = *b"\0asm\x01\0\0\0";

/// A program's bytes: in the system image, or read from somewhere and shared. Clones are the same bytes.
#[derive(Clone)]
pub enum WasmBytes {
    /// Bytes that are there for ever.
    Static(&'static [u8]),
    /// Bytes that go with their last user. Whoever made them pays for the memory.
    Shared(Arc<[u8]>),
    /// The same, with what pays for them.
    Paid(PaidBytes),
}

impl WasmBytes {
    /// The same bytes, for one who pays for them anew.
    pub(crate) fn unpaid(&self) -> WasmBytes {
        match self {
            WasmBytes::Paid(paid) => WasmBytes::Shared(Arc::clone(paid.bytes())),
            WasmBytes::Static(_) | WasmBytes::Shared(_) => self.clone(),
        }
    }
}

impl Deref for WasmBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            WasmBytes::Static(bytes) => bytes,
            WasmBytes::Shared(bytes) => bytes,
            WasmBytes::Paid(paid) => paid.bytes(),
        }
    }
}

/// All that a new process gets, as far as its program's [`Grants`] allow it. It sees nothing else.
pub struct Launch {
    /// What to run.
    pub program: ProgramImage,
    /// Its arguments after its name.
    pub arguments: Vec<String>,
    /// Its environment variables.
    pub environment: Vec<(String, String)>,
    /// Where its input comes from.
    pub stdin: Arc<dyn ByteSource>,
    /// Where its output goes.
    pub stdout: Arc<dyn ByteSink>,
    /// Where its messages go.
    pub stderr: Arc<dyn ByteSink>,
    /// The terminal behind those streams that lead to one.
    pub terminal: Option<Arc<dyn Terminal>>,
    /// What it finds as its file system.
    pub files: Files,
    /// What it may use.
    pub limits: ProcessLimits,
    /// Whether it may start processes.
    pub may_spawn: bool,
    /// Whom else it may call, and what it provides to others.
    pub links: Links,
    /// Where its code comes from.
    pub code: CodeSource,
    /// The exported function of a core module to call, with the arguments as its parameters. None: the program's own start.
    pub call: Option<String>,
}

/// What a process has to do with others beyond the streams that it shares with them.
#[derive(Clone, Default)]
pub struct Links {
    /// Interfaces of others that it may import.
    pub grants: Vec<Grant>,
    /// What it provides. It is called then, and its own `run` is not.
    pub service: Option<Service>,
    /// What of the machine it was given.
    pub devices: Devices,
    /// What it has as a service's own process.
    pub own: Option<Arc<dyn ServiceSide>>,
    /// Whether it may control the services, until that is taken back.
    pub control: Option<Permission>,
}

/// Where a program's code comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CodeSource {
    /// From the image, if the program is there precompiled; else as [`CodeSource::Compiled`].
    #[default]
    Precompiled,
    /// Compiled here: by the baseline compiler when it is new, by Cranelift for later starts.
    Compiled,
    /// Compiled here by this compiler and no other.
    CompiledBy(Tier),
}

impl CodeSource {
    /// The compiler, if it must be a certain one.
    pub(crate) fn compiler(self) -> Option<Tier> {
        match self {
            CodeSource::CompiledBy(tier) => Some(tier),
            CodeSource::Precompiled | CodeSource::Compiled => None,
        }
    }
}

/// Why no process was started. What is wrong with the *program* comes out as its `Exit`.
#[derive(Debug)]
pub enum LaunchError {
    /// There is no memory for another process.
    Memory(OverBudget),
    /// There is no thread for another process.
    Thread(std::io::Error),
    /// As many processes run as may.
    TooManyProcesses(u64),
    /// Whoever wants to start it is ending itself.
    ParentEnds,
    /// Its output is counted for as many others already as it may be ([`runtime_host::SINK_DEPTH_MAX`]).
    OutputTooDeep,
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LaunchError::Memory(over) => write!(
                f,
                "no memory for another process: {} bytes are needed and {} are free",
                over.asked_bytes, over.free_bytes
            ),
            LaunchError::Thread(error) => write!(f, "no thread for another process: {error}"),
            LaunchError::TooManyProcesses(limit) => {
                write!(f, "{limit} processes run already, and no more may")
            }
            LaunchError::ParentEnds => f.write_str("whoever starts the process is ending itself"),
            LaunchError::OutputTooDeep => {
                f.write_str("its output goes through too many others whose output is limited")
            }
        }
    }
}

impl std::error::Error for LaunchError {}
