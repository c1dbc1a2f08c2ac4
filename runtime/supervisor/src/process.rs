//! A process as others see it: its name, its state, how to end it and how it ended.

use crate::family::Family;
use crate::{Exit, Launch, ProcessLimits, Rights};
use runtime_engine::Engine;
use runtime_engine::interrupt::Target;
use runtime_host::{Budget, Cancellation, Notifier, Permission, Reservation, Subscribers};
use runtime_link::Grant;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
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
    /// Who started it, if that was a process that still exists and has not disowned it.
    pub parent: Option<ProcessId>,
    /// Its program's name.
    pub name: String,
    /// What it is busy with.
    pub phase: Phase,
    /// Whether it was told to end.
    pub is_killed: bool,
    /// Whether it was told to stand still.
    pub is_suspended: bool,
    /// Memory reserved for it, in bytes.
    pub memory_bytes: u64,
    /// Handles that it holds.
    pub handles: u32,
    /// Its threads.
    pub threads: u32,
    /// Time since its start.
    pub age: Duration,
    /// CPU time that its thread has used; `None` where nobody counts it.
    pub cpu_time: Option<Duration>,
    /// Physical memory that its thread holds, in bytes; `None` where nobody counts it, and when it has ended.
    pub resident_bytes: Option<u64>,
}

/// Tells what one thread uses.
pub trait ThreadMeter: Send {
    /// CPU time so far.
    fn cpu_time(&self) -> Duration;
    /// Physical memory that it holds now, in bytes.
    fn resident_bytes(&self) -> u64;
}

/// What a process can reach beside what every process can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Its folders by the names that it knows them by, and what it may do with each.
    pub folders: Vec<(String, Rights)>,
    /// Whether it may start processes.
    pub may_spawn: bool,
    /// Interfaces of services that it may call, each with the service; what of it was taken back is among them.
    pub calls: Vec<(String, String)>,
    /// Whether a terminal lies behind its streams.
    pub has_terminal: bool,
}

/// Who a process is to others.
pub(crate) struct Description {
    pub name: String,
    pub reach: Reach,
    /// Its ways to others, which it can pass on.
    pub grants: Vec<Grant>,
    /// Its right to control services, which it can pass on.
    pub control: Option<Permission>,
}

impl Description {
    pub fn of(launch: &Launch) -> Description {
        let granted = launch.files.granted();
        Description {
            name: launch.program.name.clone(),
            reach: Reach {
                folders: granted
                    .map(|(path, rights)| (path.to_owned(), rights))
                    .collect(),
                may_spawn: launch.may_spawn,
                calls: launch.links.grants.iter().map(call).collect(),
                has_terminal: launch.terminal.is_some(),
            },
            grants: launch.links.grants.clone(),
            control: launch.links.control.clone(),
        }
    }
}

fn call(grant: &Grant) -> (String, String) {
    let route = grant.route();
    (route.interface().to_owned(), route.provider().to_owned())
}

/// A handle on a process. Clones are the same process; dropping all of them lets it run on.
#[derive(Clone)]
pub struct Process {
    shared: Arc<Shared>,
    family: Arc<Family>,
}

/// What a process and all that it starts may have together.
#[derive(Clone)]
pub(crate) struct Allowance {
    /// In bytes.
    pub memory: Budget,
    /// Counted.
    pub handles: Budget,
    /// Counted.
    pub processes: Budget,
}

/// What a process's own thread and its handles have in common.
pub(crate) struct Shared {
    pub id: ProcessId,
    pub name: String,
    pub reach: Reach,
    /// Its ways to others, which it can pass on.
    pub grants: Vec<Grant>,
    /// Its right to control services, which it can pass on.
    pub control: Option<Permission>,
    pub engine: Engine,
    pub limits: ProcessLimits,
    pub allowance: Allowance,
    /// The process's own part of its allowance of memory.
    pub budget: Budget,
    pub cancellation: Cancellation,
    pub target: Target,
    pub handle_gauge: Arc<AtomicU32>,
    started: Instant,
    state: Mutex<State>,
    ended: Condvar,
    subscribers: Subscribers,
}

struct State {
    phase: Phase,
    exit: Option<Exit>,
    /// Tells what the thread uses; set by the thread itself, as long as it runs.
    meter: Option<Box<dyn ThreadMeter>>,
    /// CPU time that it has used in all, once nobody can tell any more.
    cpu_time: Option<Duration>,
    /// Which limit it was ended at, as the end of a sentence.
    limit: Option<String>,
    /// Asks the wasm to look at its orders, until it stands still.
    request_to_stand_still: Option<Arc<()>>,
    /// Who waits first joins the thread, so that its stack is gone when `wait` returns.
    thread: Option<JoinHandle<()>>,
}

impl State {
    fn cpu_time(&self) -> Option<Duration> {
        let running = self.meter.as_ref().map(|meter| meter.cpu_time());
        running.or(self.cpu_time)
    }
}

impl Shared {
    pub fn new(
        id: ProcessId,
        description: Description,
        engine: Engine,
        limits: ProcessLimits,
        allowance: Allowance,
        own: &Reservation,
        target: Target,
    ) -> Shared {
        Shared {
            id,
            name: description.name,
            reach: description.reach,
            grants: description.grants,
            control: description.control,
            engine,
            limits,
            allowance,
            budget: own.budget().clone(),
            cancellation: Cancellation::new(),
            target,
            handle_gauge: Arc::default(),
            started: Instant::now(),
            state: Mutex::new(State {
                phase: Phase::Loading,
                exit: None,
                meter: None,
                cpu_time: None,
                limit: None,
                request_to_stand_still: None,
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

    /// From here on `meter` tells what the process uses.
    pub fn set_meter(&self, meter: Option<Box<dyn ThreadMeter>>) {
        self.lock().meter = meter;
    }

    /// The meter's last reading, on the thread itself.
    pub fn stop_meter(&self) {
        let mut state = self.lock();
        state.cpu_time = state.meter.take().map(|meter| meter.cpu_time());
    }

    /// CPU time that it has used so far.
    pub fn cpu_time(&self) -> Option<Duration> {
        self.lock().cpu_time()
    }

    /// Says why the process is about to be told to end.
    pub fn end_at_limit(&self, limit: String) {
        self.lock().limit.get_or_insert(limit);
    }

    /// How it ended: at a limit, if it was told to end for that.
    pub fn verdict(&self, exit: Exit) -> Exit {
        match (exit, self.lock().limit.clone()) {
            (_, Some(limit)) => Exit::Limit(limit),
            (exit, None) => exit,
        }
    }

    pub fn has_ended(&self) -> bool {
        self.lock().phase == Phase::Ended
    }

    /// Tells it to stand still, or to go on.
    pub fn set_still(&self, is_still: bool) {
        self.cancellation.set_still(is_still);
        let request = is_still.then(Arc::default);
        // It may be obeyed, and so be over, as soon as the wasm is visited.
        self.lock().request_to_stand_still.clone_from(&request);
        if let Some(request) = &request {
            self.engine.killer().visit(self.target.clone(), request);
        }
    }

    /// The wasm looks at its orders: it stands still as long as it is to, and an answer says whether it is to end.
    pub fn obey(&self) -> bool {
        if self.cancellation.is_still() {
            self.lock().request_to_stand_still = None;
        }
        self.cancellation.obey().is_err()
    }

    /// It was told to end: wherever it is, it is to notice.
    pub fn wake_to_end(&self) {
        self.engine.killer().interrupt(self.target.clone());
        self.detach_if_loading();
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
            parent: None,
            name: self.name.clone(),
            phase: state.phase,
            is_killed: self.cancellation.is_cancelled(),
            is_suspended: self.cancellation.is_still(),
            memory_bytes: self.budget.used_bytes(),
            handles: self.handle_gauge.load(Ordering::Relaxed),
            threads: u32::from(state.phase != Phase::Ended),
            age: self.started.elapsed(),
            cpu_time: state.cpu_time(),
            resident_bytes: state.meter.as_ref().map(|meter| meter.resident_bytes()),
        }
    }

    /// See [`Process::wait`].
    pub fn wait(&self) -> Exit {
        let mut state = self.lock();
        loop {
            if let Some(exit) = state.exit.clone() {
                // A thread that loads still is left to whoever waits when it is done.
                let has_ended = state.phase == Phase::Ended;
                let thread = has_ended.then(|| state.thread.take()).flatten();
                drop(state);
                join(thread);
                return exit;
            }
            state = self
                .ended
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the wait of others at once if the thread is still loading.
    fn detach_if_loading(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Loading {
            let killed = state.limit.clone().map_or(Exit::Killed, Exit::Limit);
            state.exit.get_or_insert(killed);
            drop(state);
            self.notify_waiting();
        }
    }
}

impl Process {
    pub(crate) fn new(shared: Arc<Shared>, family: Arc<Family>) -> Process {
        Process { shared, family }
    }

    /// Which process this is.
    pub fn id(&self) -> ProcessId {
        self.shared.id
    }

    /// The name of its program.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// What it can reach.
    pub fn reach(&self) -> &Reach {
        &self.shared.reach
    }

    /// Whether it may control the system's services now.
    pub fn may_control(&self) -> bool {
        let control = self.shared.control.as_ref();
        control.is_some_and(Permission::holds)
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
        self.shared.wait()
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

    /// Tells it, and all that it started, to end, wherever it is: in a loop, in a host call that blocks, or not yet started. Returns
    /// at once; [`Process::wait`] says when it is gone.
    ///
    /// A compilation cannot be stopped half-way. A process that is still loading counts as ended at
    /// once; its thread finishes in the background, drops the result, and only then gives its
    /// memory back. Such a process stays in the supervisor's list until then.
    pub fn kill(&self) {
        self.family.kill(self.shared.id);
        // The family knows it only as long as its thread holds something.
        self.shared.cancellation.cancel();
        self.shared.wake_to_end();
    }

    /// Tells it to end because it has reached a limit; the text is the end of a sentence.
    pub(crate) fn end_at_limit(&self, limit: String) {
        self.shared.end_at_limit(limit);
        self.kill();
    }

    pub(crate) fn family(&self) -> &Family {
        &self.family
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        // Panics were caught inside; what is left of the thread cannot fail.
        let _ended = thread.join();
    }
}
