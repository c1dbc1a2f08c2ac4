//! How services become processes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lib_service_manifest::{Ready, Service};
use lib_service_policy::{Ending, RunId};
use runtime_host::{ByteSink, ByteSource, Notifier, Seat};
use runtime_link::Probe;
use runtime_supervisor::ServiceSide;

use crate::vitals::Vitals;

/// Starts processes for services.
pub trait Launcher: Send + Sync {
    /// Starts one. An error is the sentence that says why there is none.
    fn launch(&self, run: &ServiceRun) -> Result<Arc<dyn ServiceProcess>, String>;
    /// The service's clients are answered by this run from now on; by none, if there is none.
    fn bind(&self, service: &str, run: Option<RunId>);
    /// The process of a run is gone.
    fn gone(&self, run: RunId);
    /// What is held for services that are not known any more goes.
    fn keep(&self, is_known: &dyn Fn(&str) -> bool);
    /// Takes an import back from a service until it is started again. An error is a sentence.
    fn revoke(&self, service: &str, interface: &str) -> Result<(), String>;
}

/// What a process is started with.
pub struct ServiceRun {
    /// Which run it is.
    pub id: RunId,
    /// As what.
    pub service: Arc<Service>,
    /// Its standard input: empty, until it is asked to end.
    pub stdin: Arc<dyn ByteSource>,
    /// Where its output goes.
    pub stdout: Arc<dyn ByteSink>,
    /// Where its messages go.
    pub stderr: Arc<dyn ByteSink>,
    /// What its process has as that of a service. Who keeps it longer than the process lasts keeps the next one waiting.
    pub own: Arc<dyn ServiceSide>,
    /// How it is asked whether it is well, where its manifest says that it is.
    pub probe: Option<Probe>,
    pub(crate) serving: Serving,
}

impl ServiceRun {
    /// How whoever serves its exports says, from any thread, that they can be called.
    pub fn serves(&self) -> impl Fn() + Send + Sync + use<> {
        let serving = self.serving.clone();
        move || serving.tell()
    }
}

/// What a run's process has as that of a service.
pub(crate) struct OwnSide {
    pub seat: Seat,
    pub ready: Ready,
    pub serving: Serving,
    pub vitals: Vitals,
}

impl ServiceSide for OwnSide {
    fn escrow(&self) -> &Seat {
        &self.seat
    }

    fn takes_over(&self) -> bool {
        self.ready != Ready::Serving || self.serving.has_begun()
    }

    fn alive(&self) {
        self.vitals.alive();
    }
}

/// Whether a run serves what it provides.
#[derive(Clone)]
pub(crate) struct Serving {
    told: Arc<Told>,
    driver: Notifier,
}

#[derive(Default)]
struct Told {
    is_news: AtomicBool,
    has_begun: AtomicBool,
}

impl Serving {
    pub fn new(driver: Notifier) -> Self {
        Self {
            told: Arc::default(),
            driver,
        }
    }

    fn tell(&self) {
        self.told.has_begun.store(true, Ordering::Release);
        self.told.is_news.store(true, Ordering::Release);
        self.driver.notify();
    }

    /// Whether it was told since this was last asked.
    pub fn take(&self) -> bool {
        self.told.is_news.swap(false, Ordering::Acquire)
    }

    fn has_begun(&self) -> bool {
        self.told.has_begun.load(Ordering::Acquire)
    }
}

/// A service's process.
pub trait ServiceProcess: Send + Sync {
    /// Its number.
    fn id(&self) -> u64;
    /// How it ended, if it has, and what there is to say about that: the end of a sentence.
    fn ending(&self) -> Option<(Ending, String)>;
    /// Has `notifier` notified when it ends.
    fn subscribe(&self, notifier: &Notifier);
    /// Ends it, wherever it is. Returns at once.
    fn kill(&self);
    /// What it uses.
    fn usage(&self) -> Usage;
}

/// What a process uses at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory reserved for it, in bytes.
    pub memory_bytes: u64,
    /// Handles that it holds.
    pub handles: u32,
    /// CPU time that it has used; `None` where nobody counts it.
    pub cpu_time: Option<Duration>,
}

impl fmt::Debug for ServiceRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {} of {}", self.id.0, self.service.name)
    }
}
