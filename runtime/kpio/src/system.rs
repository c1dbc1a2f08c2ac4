//! What the interfaces ask of the system around them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use runtime_host::{Awaited, ByteSink, ByteSource, Controlled, Reservation, Terminal};
use runtime_wasi::Files;

/// Who starts processes and knows them all.
pub trait ProcessSystem: Send + Sync {
    /// Starts a child of the process `parent`. What is wrong with the program itself may also come out as its end.
    fn spawn(&self, parent: u64, request: SpawnRequest) -> Result<Arc<dyn Child>, ProcessError>;
    /// The process of this number and everything that it, and what it started, has started; parents first.
    fn descendants(&self, of: u64) -> Vec<Status>;
    /// The names of the programs that there are.
    fn programs(&self) -> Vec<String>;
}

/// A process as the one that started it sees it. Dropping it lets the process run on.
pub trait Child: Awaited + Controlled {
    /// Its number.
    fn id(&self) -> u64;
    /// How it ended, if it has.
    fn ending(&self) -> Option<Ending>;
    /// Makes it a child of the system.
    fn disown(&self);
}

/// A program to run.
pub enum Program {
    /// One of the system's, by its name.
    Named(String),
    /// A file's contents.
    File {
        /// Its path.
        path: String,
        /// The bytes.
        bytes: PaidBytes,
    },
}

/// Bytes that somebody pays for as long as there is a clone of this.
#[derive(Clone)]
pub struct PaidBytes {
    bytes: Arc<[u8]>,
    _paid: Arc<Reservation>,
}

impl PaidBytes {
    /// Bytes that `paid` was reserved for.
    pub fn new(bytes: Arc<[u8]>, paid: Reservation) -> Self {
        Self {
            bytes,
            _paid: Arc::new(paid),
        }
    }

    /// The bytes. Who keeps a clone of them pays for it anew.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }
}

/// All that a child is started with.
pub struct SpawnRequest {
    /// What to run.
    pub program: Program,
    /// Its arguments, its own name first.
    pub arguments: Vec<String>,
    /// Its environment.
    pub environment: Vec<(String, String)>,
    /// Where its input comes from.
    pub stdin: Arc<dyn ByteSource>,
    /// Where its output goes.
    pub stdout: Arc<dyn ByteSink>,
    /// Where its messages go.
    pub stderr: Arc<dyn ByteSink>,
    /// The terminal that it is started on.
    pub terminal: Option<Arc<dyn Terminal>>,
    /// Its file system.
    pub files: Files,
    /// What it may use, less than its parent.
    pub limits: ChildLimits,
    /// Whether it may start processes itself.
    pub may_spawn: bool,
}

/// Upper bounds for a child and all that it starts; none means its parent's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChildLimits {
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// CPU time in any second, in hundredths of one CPU.
    pub cpu_percent: Option<u32>,
    /// CPU time in all.
    pub cpu_time: Option<Duration>,
    /// Handles at a time.
    pub handles: Option<u32>,
    /// Bytes of its output and its messages together.
    pub output_bytes: Option<u64>,
    /// Processes at a time, itself included.
    pub processes: Option<u32>,
}

impl ChildLimits {
    /// No bounds but the parent's.
    pub const NONE: ChildLimits = ChildLimits {
        memory_bytes: None,
        cpu_percent: None,
        cpu_time: None,
        handles: None,
        output_bytes: None,
        processes: None,
    };
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The code that whoever waits gets.
    pub code: u8,
    /// A sentence, where it did not end of its own will.
    pub message: Option<String>,
}

/// A process at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its number.
    pub id: u64,
    /// Who started it; none where that was the system.
    pub parent: Option<u64>,
    /// Its program's name.
    pub name: String,
    /// Whether it stands still.
    pub is_suspended: bool,
    /// Memory reserved for it.
    pub memory_bytes: u64,
    /// CPU time that it has used.
    pub cpu_time: Duration,
    /// Time since its start.
    pub age: Duration,
    /// Its threads.
    pub threads: u32,
    /// Its handles.
    pub handles: u32,
}

/// Why no process was started; the texts are sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessError {
    /// There is no such program or file.
    NotFound(String),
    /// It is there and cannot be run.
    Unusable(String),
    /// The parent may not do this, or does not have what it wants to pass on.
    Denied(String),
    /// Memory, handles or the number of processes are used up.
    Quota(String),
}

impl fmt::Display for ProcessError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::NotFound(sentence)
        | Self::Unusable(sentence)
        | Self::Denied(sentence)
        | Self::Quota(sentence)) = self;
        out.write_str(sentence)
    }
}

impl std::error::Error for ProcessError {}
