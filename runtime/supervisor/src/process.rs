//! A process as others see it: its name, its state, how to end it and how it ended.

use crate::Exit;
use runtime_engine::Engine;
use runtime_engine::interrupt::Target;
use runtime_host::{Budget, Cancellation, Notifier, Subscribers};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Names a process as long as the supervisor lives; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub u64);

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a process is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reading, compiling or linking its program.
    Loading,
    /// In its program, or in a host call of it.
    Running,
    /// Ended.
    Ended,
}

/// A process at one moment.
#[derive(Clone, Debug)]
pub struct ProcessStatus {
    /// Which one.
    pub id: ProcessId,
    /// Its program's name.
    pub name: String,
    /// What it is busy with.
    pub phase: Phase,
    /// Whether it was told to end.
    pub is_killed: bool,
    /// Memory reserved for it, in bytes.
    pub memory_bytes: u64,
    /// Time since its start.
    pub age: Duration,
    /// CPU time that its thread has used; `None` where nobody counts it or the thread is gone.
    pub cpu_time: Option<Duration>,
}

/// Tells how much CPU time one thread has used so far.
pub type CpuClock = Box<dyn Fn() -> Duration + Send>;

/// A handle on a process. Clones are the same process; dropping all of them lets it run on.
#[derive(Clone)]
pub struct Process {
    shared: Arc<Shared>,
}

/// What a process's own thread and its handles have in common.
pub(crate) struct Shared {
    pub id: ProcessId,
    pub name: String,
    pub engine: Engine,
    pub budget: Budget,
    pub cancellation: Cancellation,
    pub target: Target,
    started: Instant,
    state: Mutex<State>,
    ended: Condvar,
    subscribers: Subscribers,
}

struct State {
    phase: Phase,
    exit: Option<Exit>,
    /// Counts the thread's CPU time; set by the thread itself, as long as it runs.
    cpu_clock: Option<CpuClock>,
    /// Who waits first joins the thread, so that its stack is gone when `wait` returns.
    thread: Option<JoinHandle<()>>,
}

impl Shared {
    pub fn new(
        id: ProcessId,
        name: String,
        engine: Engine,
        budget: Budget,
        cancellation: Cancellation,
        target: Target,
    ) -> Shared {
        Shared {
            id,
            name,
            engine,
            budget,
            cancellation,
            target,
            started: Instant::now(),
            state: Mutex::new(State {
                phase: Phase::Loading,
                exit: None,
                cpu_clock: None,
                thread: None,
            }),
            ended: Condvar::new(),
            subscribers: Subscribers::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_thread(&self, thread: JoinHandle<()>) {
        self.lock().thread = Some(thread);
    }

    /// From here on `clock` tells how much CPU time the process has used.
    pub fn set_cpu_clock(&self, clock: Option<CpuClock>) {
        self.lock().cpu_clock = clock;
    }

    /// The program is loaded and may run; not if the process was told to end meanwhile.
    pub fn begin_running(&self) -> bool {
        let mut state = self.lock();
        if state.exit.is_some() || self.cancellation.is_cancelled() {
            return false;
        }
        state.phase = Phase::Running;
        true
    }

    /// The thread is done and holds nothing any more.
    pub fn finish(&self, exit: Exit) {
        let mut state = self.lock();
        state.phase = Phase::Ended;
        state.cpu_clock = None;
        state.exit.get_or_insert(exit);
        drop(state);
        self.notify_waiting();
    }

    fn notify_waiting(&self) {
        self.ended.notify_all();
        self.subscribers.notify_all();
    }

    pub fn status(&self) -> ProcessStatus {
        let state = self.lock();
        ProcessStatus {
            id: self.id,
            name: self.name.clone(),
            phase: state.phase,
            is_killed: self.cancellation.is_cancelled(),
            memory_bytes: self.budget.used_bytes(),
            age: self.started.elapsed(),
            cpu_time: state.cpu_clock.as_ref().map(|clock| clock()),
        }
    }

    /// Ends the wait of others at once if the thread is still loading.
    fn detach_if_loading(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Loading {
            state.exit.get_or_insert(Exit::Killed);
            drop(state);
            self.notify_waiting();
        }
    }
}

impl Process {
    pub(crate) fn new(shared: Arc<Shared>) -> Process {
        Process { shared }
    }

    /// Which process this is.
    pub fn id(&self) -> ProcessId {
        self.shared.id
    }

    /// The name of its program.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Its state at this moment.
    pub fn status(&self) -> ProcessStatus {
        self.shared.status()
    }

    /// Memory reserved for it, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.shared.budget.used_bytes()
    }

    /// Waits until it has ended, and says how. When this returns, all it had is given back, unless
    /// it was killed while it was being compiled.
    pub fn wait(&self) -> Exit {
        let mut state = self.shared.lock();
        loop {
            if let Some(exit) = state.exit.clone() {
                let thread = state.thread.take().filter(|_| state.phase == Phase::Ended);
                drop(state);
                join(thread);
                return exit;
            }
            state = self
                .shared
                .ended
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How it ended, if it has.
    pub fn try_wait(&self) -> Option<Exit> {
        self.shared.lock().exit.clone()
    }

    /// Has `notifier` notified when it ends, for those who wait for something else as well: subscribe, then
    /// look with [`Process::try_wait`], then sleep.
    pub fn subscribe(&self, notifier: &Notifier) {
        self.shared.subscribers.add(notifier);
    }

    /// Tells it to end, wherever it is: in a loop, in a host call that blocks, or not yet started. Returns
    /// at once; [`Process::wait`] says when it is gone.
    ///
    /// A compilation cannot be stopped half-way. A process that is still loading counts as ended at
    /// once; its thread finishes in the background, drops the result, and only then gives its
    /// memory back. Such a process stays in the supervisor's list until then.
    pub fn kill(&self) {
        self.shared.cancellation.cancel();
        self.shared
            .engine
            .killer()
            .interrupt(self.shared.target.clone());
        self.shared.detach_if_loading();
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        // Panics were caught inside; what is left of the thread cannot fail.
        let _ended = thread.join();
    }
}
