//! The services as others see them: a list, logs, and requests.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use lib_log_line::Level;
use lib_service_manifest::{Manifest, Service};
use lib_service_policy::{Command, Status};
use runtime_host::{Awaited, Budget, Notices, Notifier, Subscribers};

use crate::REQUESTS_MAX;
use crate::driver::Driver;
use crate::launcher::{Launcher, ServiceProcess, Usage};
use crate::log_ring::{LogPart, LogText, MoreLog, ServiceLog};
use crate::said::Said;

/// Stack of the thread that decides, in bytes.
const STACK_BYTES: usize = 256 << 10;
/// What is said to who wants something after the end.
const SHUT_DOWN: &str = "The services have been shut down.";
/// What is said to who wants something before that end is reached.
pub(crate) const SHUTTING_DOWN: &str = "The services are being shut down.";

/// What whoever starts the services decides.
pub struct ServicesOptions {
    /// Who they are.
    pub manifest: Manifest,
    /// Those that are not to be started, by name.
    pub left_out: Vec<String>,
    /// Starts their processes.
    pub launcher: Box<dyn Launcher>,
    /// Pays for their logs.
    pub budget: Budget,
    /// Where everything goes that they say, beside their logs.
    pub said: Said,
    /// Where a person is told what became of them.
    pub notices: Notices,
    /// The time in nanoseconds, of a clock that never goes back.
    pub now_ns: fn() -> u64,
}

/// A service at one moment.
#[derive(Clone, Debug)]
pub struct ServiceRow {
    /// How it stands.
    pub status: Status,
    /// What it is described as.
    pub service: Arc<Service>,
    /// The number of its process, where it has one.
    pub process: Option<u64>,
    /// What that one uses.
    pub usage: Usage,
}

/// A service as it stood when something last changed.
#[derive(Clone)]
pub(crate) struct Published {
    pub status: Status,
    pub service: Arc<Service>,
    pub process: Option<Arc<dyn ServiceProcess>>,
}

impl From<Published> for ServiceRow {
    fn from(published: Published) -> Self {
        let process = published.process;
        Self {
            status: published.status,
            service: published.service,
            process: process.as_ref().map(|process| process.id()),
            usage: process.map_or(Usage::default(), |process| process.usage()),
        }
    }
}

/// All services. Clones are the same.
#[derive(Clone)]
pub struct Services {
    pub(crate) shared: Arc<Shared>,
}

/// What the thread that decides and everybody else have in common.
pub(crate) struct Shared {
    /// None once all services have been shut down.
    requests: Mutex<Option<VecDeque<Request>>>,
    pub driver: Notifier,
    published: Mutex<Vec<Published>>,
    logs: Mutex<BTreeMap<String, Arc<ServiceLog>>>,
    changed: Subscribers,
}

/// What is wanted, and where the answer goes.
pub(crate) struct Request {
    pub wanted: Wanted,
    pub answer: SyncSender<Result<(), String>>,
}

/// What is wanted.
pub(crate) enum Wanted {
    Command(String, Command),
    Reload(Box<Manifest>),
    Revoke { service: String, interface: String },
    ShutDown,
}

impl Services {
    /// Starts the services of a manifest.
    ///
    /// # Errors
    /// There is no thread for them.
    pub fn start(options: ServicesOptions) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new());
        let driver = Driver::new(options, Arc::clone(&shared));
        thread::Builder::new()
            .name("services".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || driver.run())?;
        Ok(Self { shared })
    }

    /// All services, by name, as they stood when something last changed, with what they use now.
    pub fn list(&self) -> Vec<ServiceRow> {
        let published = lock(&self.shared.published).clone();
        published.into_iter().map(ServiceRow::from).collect()
    }

    /// Does what a person wants of one service. Stopping and starting take their time after this.
    ///
    /// # Errors
    /// A sentence.
    pub fn command(&self, name: &str, command: Command) -> Result<(), String> {
        self.request(Wanted::Command(name.to_owned(), command))
    }

    /// Follows another manifest from now on.
    ///
    /// # Errors
    /// A sentence.
    pub fn reload(&self, manifest: Manifest) -> Result<(), String> {
        self.request(Wanted::Reload(Box::new(manifest)))
    }

    /// Takes an import back from a service, until it is started again: its calls fail, those in flight too.
    ///
    /// # Errors
    /// A sentence.
    pub fn revoke(&self, service: &str, interface: &str) -> Result<(), String> {
        self.request(Wanted::Revoke {
            service: service.to_owned(),
            interface: interface.to_owned(),
        })
    }

    /// Stops all services, and waits until none of them runs. Nothing can be wanted of them afterwards.
    pub fn shut_down(&self) {
        // Refused only where they have been shut down already.
        let _shut_down = self.request(Wanted::ShutDown);
    }

    /// What is left of a service's log, as far as its lines matter so much.
    pub fn log(&self, name: &str, up_to: Level) -> Option<LogText> {
        self.find_log(name).ok().map(|log| log.text(up_to))
    }

    /// What is left of a service's log from a place on; an error is a sentence.
    pub fn log_part(&self, name: &str, level: &str, place: u64) -> Result<LogPart, String> {
        Ok(self.find_log(name)?.part(self::level(level)?, place))
    }

    /// Something that is ready when there is more in a service's log from a place on; an error is a sentence.
    pub fn more_log(&self, name: &str, place: u64) -> Result<Arc<dyn Awaited>, String> {
        let log = self.find_log(name)?;
        Ok(Arc::new(MoreLog { log, place }))
    }

    pub(crate) fn find_log(&self, name: &str) -> Result<Arc<ServiceLog>, String> {
        let log = lock(&self.shared.logs).get(name).cloned();
        log.ok_or_else(|| format!("There is no log of a service '{}'.", name.escape_debug()))
    }

    /// Has `notifier` notified whenever the list may have changed.
    pub fn subscribe(&self, notifier: &Notifier) {
        self.shared.changed.add(notifier);
    }

    fn request(&self, wanted: Wanted) -> Result<(), String> {
        let (answer, answered) = sync_channel(1);
        self.shared.leave(Request { wanted, answer })?;
        let gone = |_| Err(SHUT_DOWN.to_owned());
        answered.recv().unwrap_or_else(gone)
    }
}

impl Shared {
    fn new() -> Self {
        Self {
            requests: Mutex::new(Some(VecDeque::new())),
            driver: Notifier::new(),
            published: Mutex::default(),
            logs: Mutex::default(),
            changed: Subscribers::new(),
        }
    }

    fn leave(&self, request: Request) -> Result<(), String> {
        let mut requests = lock(&self.requests);
        let open = requests.as_mut().ok_or(SHUT_DOWN)?;
        if open.len() >= REQUESTS_MAX {
            return Err(
                "Too much is wanted of the services at the same time; try again.".to_owned(),
            );
        }
        open.push_back(request);
        drop(requests);
        self.driver.notify();
        Ok(())
    }

    pub fn take_request(&self) -> Option<Request> {
        lock(&self.requests).as_mut()?.pop_front()
    }

    /// Nothing is taken any more. Who waits for an answer finds that nobody is there to give it.
    pub fn close(&self) {
        let left = lock(&self.requests).take();
        drop(left);
    }

    /// Logs of services that are not known any more go with their rows: whoever finds one gone finds the other gone as well.
    pub fn publish(&self, rows: Vec<Published>, is_known: impl Fn(&str) -> bool) {
        let mut published = lock(&self.published);
        *published = rows;
        lock(&self.logs).retain(|name, _| is_known(name));
        drop(published);
        self.changed.notify_all();
    }

    pub fn add_log(&self, name: &str, log: &Arc<ServiceLog>) {
        lock(&self.logs).insert(name.to_owned(), Arc::clone(log));
    }
}

/// The level of this name; an error is a sentence.
pub(crate) fn level(word: &str) -> Result<Level, String> {
    Level::of_word(word).map_err(|error| format!("{error}."))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_sees_a_row_whose_log_has_gone() {
        let budget = Budget::new(1 << 20);
        let said = Said::new(&budget).expect("affordable");
        let log = ServiceLog::new("gone", || 0, &said, &budget).expect("affordable");
        let shared = Shared::new();
        shared.add_log("gone", &log);
        let is_known = |_: &str| {
            let rows = shared.published.try_lock();
            assert!(rows.is_err(), "the list can be read between");
            false
        };
        shared.publish(Vec::new(), is_known);
        assert!(lock(&shared.logs).is_empty());
    }
}
