//! Runs the programs of `test/guest` under this host, on the machine that tests.

#[path = "../../../../test/guest/built.rs"]
mod built;

use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use built::{guest, guests_folder};
use runtime_host::{
    Budget, BudgetCharge, ByteSink, ByteSource, Cancellation, FileTree, Notifier, ProcessExit,
    Read, StreamFailure, Subscribers, tmpfs,
};
use runtime_wasi::{Command, WasiContext, WasiContextBuilder, add_to_linker};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

/// A program of `test/guest`.
#[derive(Clone, Copy)]
pub enum Guest {
    /// Through `std`.
    Std,
    /// Through the interfaces.
    Wasi,
    /// Through `wasi:http`, which not every program has.
    HttpProbe,
    /// Each function of `wasi:cli/command`.
    Functions,
    /// Each function of `wasi:http`.
    Http,
}

impl Guest {
    fn component(self) -> &'static Component {
        match self {
            Self::Std => &STD_PROBE,
            Self::Wasi => &WASI_PROBE,
            Self::HttpProbe => &HTTP_PROBE,
            Self::Functions => &WASI_FUNCTIONS,
            Self::Http => &HTTP_FUNCTIONS,
        }
    }
}

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| guests_folder("KPIO_GUESTS", ""));
static STD_PROBE: LazyLock<Component> = LazyLock::new(|| load("std-probe"));
static WASI_PROBE: LazyLock<Component> = LazyLock::new(|| load("wasi-probe"));
static HTTP_PROBE: LazyLock<Component> = LazyLock::new(|| load("http-probe"));
static WASI_FUNCTIONS: LazyLock<Component> = LazyLock::new(|| load("wasi-functions"));
static HTTP_FUNCTIONS: LazyLock<Component> = LazyLock::new(|| load("http-functions"));

fn load(name: &str) -> Component {
    let component = Component::new(&ENGINE, guest(&FOLDER, name));
    component.unwrap_or_else(|error| panic!("the guest {name} cannot be used: {error:#}"))
}

/// What became of a process.
pub struct Outcome {
    /// The exit code, or the error that ended it.
    pub ending: Result<i32, wasmtime::Error>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// It ended with code 0.
    #[track_caller]
    pub fn expect_success(self) -> Self {
        match &self.ending {
            Ok(0) => self,
            other => panic!("ended with {other:?}; its stderr:\n{}", self.stderr),
        }
    }

    /// The error that ended it.
    #[track_caller]
    pub fn expect_error<E: std::error::Error + Clone + Send + Sync + 'static>(&self) -> E {
        let error = self.ending.as_ref().expect_err("an error");
        let found = error.downcast_ref::<E>();
        found
            .unwrap_or_else(|| panic!("another error: {error:?}"))
            .clone()
    }
}

/// A process to be: its budget, cancellation and output, and a context to be filled further.
pub struct Process {
    pub budget: Budget,
    pub cancellation: Cancellation,
    component: &'static Component,
    builder: WasiContextBuilder,
    stdout: Arc<Collected>,
    stderr: Arc<Collected>,
}

impl Process {
    /// Runs `case` of a guest with further `arguments`.
    pub fn new(guest: Guest, case: &str, arguments: &[&str]) -> Self {
        let budget = Budget::new(64 << 20);
        let cancellation = Cancellation::new();
        let (stdout, stderr) = (Arc::<Collected>::default(), Arc::<Collected>::default());
        let arguments = ["probe", case].into_iter().chain(arguments.iter().copied());
        let builder = WasiContext::builder(budget.clone(), cancellation.clone())
            .arguments(arguments.map(str::to_owned).collect())
            .stdout(Arc::clone(&stdout) as Arc<dyn ByteSink>)
            .stderr(Arc::clone(&stderr) as Arc<dyn ByteSink>);
        Self {
            budget,
            cancellation,
            component: guest.component(),
            builder,
            stdout,
            stderr,
        }
    }

    /// Changes the context.
    pub fn with(mut self, change: impl FnOnce(WasiContextBuilder) -> WasiContextBuilder) -> Self {
        self.builder = change(self.builder);
        self
    }

    /// Runs it to its end on this thread; everything it made the host hold is given back by then.
    pub fn run(self) -> Outcome {
        let context = self
            .builder
            .build()
            .expect("the budget allows the arguments");
        let ending = run(self.component, context);
        assert_eq!(self.budget.used_bytes(), 0, "something was not given back");
        Outcome {
            ending,
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        }
    }
}

fn run(component: &Component, context: WasiContext) -> Result<i32, wasmtime::Error> {
    let mut linker = Linker::new(&ENGINE);
    add_to_linker(&mut linker)?;
    let mut store = Store::new(&ENGINE, context);
    let command = Command::instantiate(&mut store, component, &linker)?;
    match command.wasi_cli_run().call_run(&mut store) {
        Ok(answer) => Ok(i32::from(answer.is_err())),
        Err(error) => match error.downcast_ref::<ProcessExit>() {
            Some(exit) => Ok(exit.0),
            None => Err(error),
        },
    }
}

/// The engine that the guests run on.
pub fn engine() -> &'static Engine {
    &ENGINE
}

/// An empty tree with room for `limit_bytes`.
pub fn tree(limit_bytes: u64) -> (FileTree, tmpfs::NodeId) {
    let charge = Arc::new(BudgetCharge(Budget::new(limit_bytes)));
    let tree = tmpfs::Tmpfs::new(charge, tmpfs::Timestamp::default()).expect("a root fits");
    let root = tree.root();
    (FileTree::new(tree), root)
}

/// A sink that keeps everything.
#[derive(Default)]
pub struct Collected {
    bytes: Mutex<Vec<u8>>,
    subscribers: Subscribers,
}

impl Collected {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl ByteSink for Collected {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        Ok(4096)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        self.bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        self.subscribers.notify_all();
        Ok(bytes.len())
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.subscribers.add(notifier);
    }
}

/// A source that fails.
pub struct FailingSource;

impl ByteSource for FailingSource {
    fn read(&self, _buffer: &mut [u8]) -> Result<Read, StreamFailure> {
        Err(StreamFailure::Failed("the cable is cut".into()))
    }

    fn is_readable(&self) -> bool {
        true
    }

    fn subscribe(&self, _notifier: &Notifier) {}
}
