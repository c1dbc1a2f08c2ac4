//! What one process is given: its arguments, streams, files, clocks, and the table of its handles.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use lib_handle_table::{Handle, HandleError, Rights as HandleRights, Table};
use runtime_host::{
    Budget, ByteSink, ByteSource, Cancellation, Clock, Discard, Entropy, FileTree, NoInput,
    Notifier, OverBudget, Reservation, StandardStream, SystemClock, SystemEntropy, Terminal,
    file_time, tmpfs, wait_until,
};
use wasmtime::component::{HasData, Linker, Resource};

use crate::bindings::{Command, LinkOptions};
use crate::filesystem::{Files, Folder, Rights};
use crate::http::bindings::wasi::http;
use crate::io::Watched;

/// How many handles a process may hold at once, unless it is told otherwise.
pub const HANDLES_DEFAULT: u32 = 4096;
/// What a handle is charged with: its place in the table and what it refers to.
const HANDLE_BYTES: u64 = 512;
/// What a string is charged with, besides its bytes.
const STRING_BYTES: u64 = 32;

/// A limit of the process was reached where its interface has no error to say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitReached {
    /// Its budget of host memory.
    Budget(OverBudget),
    /// The number of handles it may hold.
    Handles {
        /// That number.
        limit: u32,
    },
    /// The length of one request.
    Request {
        /// What was asked for.
        asked_bytes: u64,
        /// What one request may ask for.
        limit_bytes: u64,
    },
}

impl fmt::Display for LimitReached {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget(error) => error.fmt(out),
            Self::Handles { limit } => {
                write!(
                    out,
                    "the process holds all of the {limit} handles it may hold"
                )
            }
            Self::Request {
                asked_bytes,
                limit_bytes,
            } => write!(
                out,
                "the process asked for {asked_bytes} bytes in one call that gives at most {limit_bytes}"
            ),
        }
    }
}

impl std::error::Error for LimitReached {}

impl From<OverBudget> for LimitReached {
    fn from(error: OverBudget) -> Self {
        Self::Budget(error)
    }
}

/// One process's side of WASI. It is the data of the process's store, or a part of it.
pub struct WasiContext {
    table: Table<Held>,
    handles: Handles,
    pub(crate) budget: Budget,
    pub(crate) cancellation: Cancellation,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) stdin: Arc<dyn ByteSource>,
    pub(crate) stdout: Arc<dyn ByteSink>,
    pub(crate) stderr: Arc<dyn ByteSink>,
    pub(crate) terminal: Option<Arc<dyn Terminal>>,
    pub(crate) files: Files,
    /// What it is told of when it is ready.
    pub(crate) watched: Watched,
    /// What `insecure-seed` answers, made at its first call.
    pub(crate) insecure_seed: Option<(u64, u64)>,
    /// Pays for the strings.
    _strings: Reservation,
}

/// What a handle refers to; which type it has is looked at with every use.
type Held = Box<dyn Any + Send>;

/// How many handles there are. The table keeps the room of the most there ever were at once, so that many
/// are paid for.
struct Handles {
    live: u32,
    most: u32,
    limit: u32,
    paid: Reservation,
    /// Counts `most` against the limits of those who started the process.
    counted: Reservation,
    /// Shows `live` to others.
    gauge: Arc<AtomicU32>,
}

/// Makes a [`WasiContext`]. What is not said is absent: no input, output thrown away, no files.
pub struct WasiContextBuilder {
    budget: Budget,
    cancellation: Cancellation,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    stdin: Arc<dyn ByteSource>,
    stdout: Arc<dyn ByteSink>,
    stderr: Arc<dyn ByteSink>,
    terminal: Option<Arc<dyn Terminal>>,
    files: Files,
    handle_limit: u32,
    handle_count: Budget,
    handle_gauge: Arc<AtomicU32>,
}

/// A store's data that holds a process's [`WasiContext`].
pub trait WasiView: Send {
    /// That context.
    fn wasi(&mut self) -> &mut WasiContext;
}

impl WasiView for WasiContext {
    fn wasi(&mut self) -> &mut WasiContext {
        self
    }
}

struct HasWasi;

impl HasData for HasWasi {
    type Data<'a> = &'a mut WasiContext;
}

/// Adds all imports of the worlds `wasi:cli/command` and `wasi:http/imports` to a linker, those behind a feature gate
/// included.
pub fn add_to_linker<T: WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut options = LinkOptions::default();
    options.clocks_timezone(true).network_error_code(true);
    Command::add_to_linker::<T, HasWasi>(linker, &options, T::wasi)?;
    let mut options = http::types::LinkOptions::default();
    options.informational_outbound_responses(true);
    http::types::add_to_linker::<T, HasWasi>(linker, &options, T::wasi)?;
    http::outgoing_handler::add_to_linker::<T, HasWasi>(linker, T::wasi)
}

impl WasiContext {
    /// A context to be filled. The process's host memory is charged to `budget`; its blocked calls end
    /// with `cancellation`.
    pub fn builder(budget: Budget, cancellation: Cancellation) -> WasiContextBuilder {
        WasiContextBuilder {
            budget,
            cancellation,
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(SystemEntropy),
            arguments: Vec::new(),
            environment: Vec::new(),
            stdin: Arc::new(NoInput),
            stdout: Arc::new(Discard),
            stderr: Arc::new(Discard),
            terminal: None,
            files: Files::none(),
            handle_limit: HANDLES_DEFAULT,
            handle_count: Budget::new(u64::MAX),
            handle_gauge: Arc::default(),
        }
    }

    /// How many handles the process holds now.
    pub fn handle_count(&self) -> u32 {
        self.handles.live
    }

    /// Gives the process a handle to `entry`.
    pub fn push<T: Send + 'static>(&mut self, entry: T) -> Result<Resource<T>, LimitReached> {
        self.handles.add()?;
        match self.table.insert(Box::new(entry), HandleRights::ALL) {
            Ok(handle) => Ok(Resource::new_own(handle.as_u32())),
            Err(_) => {
                self.handles.set_live(self.handles.live - 1);
                let limit = self.handles.limit;
                Err(LimitReached::Handles { limit })
            }
        }
    }

    /// What a handle refers to.
    pub fn get<T: 'static>(&self, handle: &Resource<T>) -> Result<&T, HandleError> {
        let handle = Handle::from_u32(handle.rep());
        let held = self.table.get(handle, HandleRights::ALL)?;
        held.downcast_ref().ok_or(HandleError::Closed(handle))
    }

    /// What a handle refers to, to be changed.
    pub fn get_mut<T: 'static>(&mut self, handle: &Resource<T>) -> Result<&mut T, HandleError> {
        let handle = Handle::from_u32(handle.rep());
        let held = self.table.get_mut(handle, HandleRights::ALL)?;
        held.downcast_mut().ok_or(HandleError::Closed(handle))
    }

    /// As [`Self::get_mut`], with the process's clock.
    pub(crate) fn get_mut_with_clock<T: 'static>(
        &mut self,
        handle: &Resource<T>,
    ) -> Result<(&mut T, &dyn Clock), HandleError> {
        let handle = Handle::from_u32(handle.rep());
        let held = self.table.get_mut(handle, HandleRights::ALL)?;
        let entry = held.downcast_mut().ok_or(HandleError::Closed(handle))?;
        Ok((entry, self.clock.as_ref()))
    }

    /// Takes a handle back.
    pub fn delete<T: 'static>(&mut self, handle: Resource<T>) -> Result<T, HandleError> {
        // Looked at before it is taken: a handle of another kind stays what it is.
        self.get(&handle)?;
        let handle = Handle::from_u32(handle.rep());
        let held = self.table.remove(handle)?;
        self.handles.set_live(self.handles.live - 1);
        let entry = held.downcast().map_err(|_| HandleError::Closed(handle))?;
        Ok(*entry)
    }

    /// Blocks until `attempt` gives an answer; see [`wait_until`].
    pub fn block_on<R>(
        &self,
        subscribe: impl FnOnce(&Notifier),
        attempt: impl FnMut() -> Option<R>,
    ) -> wasmtime::Result<R> {
        let clock = self.clock.as_ref();
        match wait_until(&self.cancellation, clock, None, subscribe, attempt)? {
            Some(answer) => Ok(answer),
            // A wait without a deadline has no other end.
            None => Err(runtime_host::Cancelled.into()),
        }
    }

    /// Where standard input comes from.
    pub fn stdin(&self) -> &Arc<dyn ByteSource> {
        &self.stdin
    }

    /// Where standard output goes.
    pub fn stdout(&self) -> &Arc<dyn ByteSink> {
        &self.stdout
    }

    /// Where standard error goes.
    pub fn stderr(&self) -> &Arc<dyn ByteSink> {
        &self.stderr
    }

    /// The terminal that the process was started on.
    pub fn terminal(&self) -> Option<&Arc<dyn Terminal>> {
        self.terminal.as_ref()
    }

    /// What the process found as its file system.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// What pays for what the process makes the host hold.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Whether a standard stream leads to the process's terminal.
    pub fn is_terminal(&self, stream: StandardStream) -> bool {
        let terminal = self.terminal.as_ref();
        terminal.is_some_and(|terminal| terminal.is_attached(stream))
    }

    /// The wall clock's time as files carry it.
    pub(crate) fn file_time(&self) -> tmpfs::Timestamp {
        file_time(self.clock.as_ref())
    }
}

impl Handles {
    fn add(&mut self) -> Result<(), LimitReached> {
        if self.live >= self.limit {
            return Err(LimitReached::Handles { limit: self.limit });
        }
        if self.live == self.most {
            self.counted.grow(1).map_err(|over| LimitReached::Handles {
                limit: u32::try_from(over.limit_bytes).unwrap_or(u32::MAX),
            })?;
            self.paid.grow(HANDLE_BYTES)?;
            self.most += 1;
        }
        self.set_live(self.live + 1);
        Ok(())
    }

    fn set_live(&mut self, live: u32) {
        self.live = live;
        self.gauge.store(live, Ordering::Relaxed);
    }
}

impl WasiContextBuilder {
    /// The program's arguments, its name first.
    pub fn arguments(mut self, arguments: Vec<String>) -> Self {
        self.arguments = arguments;
        self
    }

    /// The environment variables by name.
    pub fn environment(mut self, environment: Vec<(String, String)>) -> Self {
        self.environment = environment;
        self
    }

    /// Where standard input comes from.
    pub fn stdin(mut self, source: Arc<dyn ByteSource>) -> Self {
        self.stdin = source;
        self
    }

    /// Where standard output goes.
    pub fn stdout(mut self, sink: Arc<dyn ByteSink>) -> Self {
        self.stdout = sink;
        self
    }

    /// Where standard error goes.
    pub fn stderr(mut self, sink: Arc<dyn ByteSink>) -> Self {
        self.stderr = sink;
        self
    }

    /// The terminal that the process was started on.
    pub fn terminal(mut self, terminal: Option<Arc<dyn Terminal>>) -> Self {
        self.terminal = terminal;
        self
    }

    /// Grants the directory `node` of `tree` under the name `path`, beside what was granted before.
    pub fn preopen(
        mut self,
        tree: FileTree,
        node: tmpfs::NodeId,
        path: impl Into<String>,
        rights: Rights,
    ) -> Self {
        self.files.grant(Folder::new(tree, node, path, rights));
        self
    }

    /// What it finds as its file system.
    pub fn files(mut self, files: Files) -> Self {
        self.files = files;
        self
    }

    /// Where random bytes come from; the system's generator by default.
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// What time it is; the clocks of `std` by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How many handles the process may hold at once; [`HANDLES_DEFAULT`] by default.
    pub fn handle_limit(mut self, handles: u32) -> Self {
        self.handle_limit = handles;
        self
    }

    /// Counts the handles, of which each takes one, against what several processes may have together.
    pub fn handle_count(mut self, count: Budget) -> Self {
        self.handle_count = count;
        self
    }

    /// Where others read how many handles the process holds.
    pub fn handle_gauge(mut self, gauge: Arc<AtomicU32>) -> Self {
        self.handle_gauge = gauge;
        self
    }

    /// The context, or a refusal when the budget does not even allow the arguments and the environment.
    pub fn build(self) -> Result<WasiContext, OverBudget> {
        let strings = self.budget.reserve(self.strings_bytes())?;
        let paid = self.budget.reserve(0)?;
        let counted = self.handle_count.reserve(0)?;
        Ok(WasiContext {
            table: Table::new(),
            handles: Handles {
                live: 0,
                most: 0,
                limit: self.handle_limit,
                paid,
                counted,
                gauge: self.handle_gauge,
            },
            budget: self.budget,
            cancellation: self.cancellation,
            clock: self.clock,
            entropy: self.entropy,
            arguments: self.arguments,
            environment: self.environment,
            stdin: self.stdin,
            stdout: self.stdout,
            stderr: self.stderr,
            terminal: self.terminal,
            files: self.files,
            watched: Watched::default(),
            insecure_seed: None,
            _strings: strings,
        })
    }

    /// Twice what the strings take: each is kept, and copied for the guest that asks for it.
    fn strings_bytes(&self) -> u64 {
        let pairs = self
            .environment
            .iter()
            .flat_map(|(name, value)| [name, value]);
        let strings = self.arguments.iter().chain(pairs);
        let lens_bytes = strings.map(|text| STRING_BYTES + text.len() as u64);
        2 * (lens_bytes.sum::<u64>() + self.files.strings_bytes())
    }
}
