//! The thread that decides.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use lib_log_line::Level;
use lib_service_manifest::{CONSOLE, Service};
use lib_service_policy::{Action, Ending, Policy, RunId, Status};
use runtime_host::{Budget, Escrow, Notices};
use runtime_link::Probe;

use crate::launcher::{Launcher, OwnSide, ServiceProcess, ServiceRun, Serving};
use crate::log_ring::ServiceLog;
use crate::said::Said;
use crate::services::{Published, Request, SHUTTING_DOWN, ServicesOptions, Shared, Wanted};
use crate::stop_input::StopInput;
use crate::vitals::Vitals;

/// A run whose process exists.
struct Live {
    process: Arc<dyn ServiceProcess>,
    stdin: Arc<StopInput>,
    serving: Serving,
    vitals: Vitals,
    probe: Option<Probe>,
    log: Arc<ServiceLog>,
}

pub(crate) struct Driver {
    policy: Policy,
    live: BTreeMap<RunId, Live>,
    logs: BTreeMap<String, Arc<ServiceLog>>,
    /// What is kept for each service over its runs.
    escrows: BTreeMap<String, Escrow>,
    launcher: Box<dyn Launcher>,
    budget: Budget,
    said: Said,
    notices: Notices,
    /// Those of which a person was told that they have failed.
    given_up: BTreeSet<String>,
    now_ns: fn() -> u64,
    shared: Arc<Shared>,
    /// Who waits for the end of all services; once there is one, nothing else is wanted.
    shutting_down: Vec<SyncSender<Result<(), String>>>,
}

impl Driver {
    pub fn new(options: ServicesOptions, shared: Arc<Shared>) -> Self {
        let mut driver = Self {
            policy: Policy::new(&options.manifest, &options.left_out),
            live: BTreeMap::new(),
            logs: BTreeMap::new(),
            escrows: BTreeMap::new(),
            launcher: options.launcher,
            budget: options.budget,
            said: options.said,
            notices: options.notices,
            given_up: BTreeSet::new(),
            now_ns: options.now_ns,
            shared,
            shutting_down: Vec::new(),
        };
        driver.publish();
        for name in &options.left_out {
            if let Some(service) = driver.policy.service(name) {
                // Whoever starts without the console sees that, and the services on it with it.
                let is_seen = service.terminal.is_some() || service.is_granted(CONSOLE);
                let text = "is left out, as the command line says";
                driver.note(name, text, !is_seen);
                if !is_seen {
                    driver.tell(name, &format!("{text}; 'svc start {name}' starts it"));
                }
            }
        }
        driver
    }

    /// Serves until all services have been shut down.
    pub fn run(mut self) {
        loop {
            self.look_at_runs();
            while let Some(request) = self.shared.take_request() {
                self.serve(request);
            }
            // A sign of life that came before this moment is seen before it is missed.
            let now_ns = self.now();
            self.look_at_runs();
            let actions = self.policy.tick(now_ns);
            self.obey(actions);
            self.publish();
            if !self.shutting_down.is_empty() && self.policy.is_quiet() {
                return self.part();
            }
            self.shared.driver.wait(self.timeout());
        }
    }

    fn now(&self) -> u64 {
        (self.now_ns)()
    }

    fn timeout(&self) -> Option<Duration> {
        let due_ns = self.policy.next_deadline_ns()?;
        Some(Duration::from_nanos(due_ns.saturating_sub(self.now())))
    }

    /// No service has a process any more.
    fn part(self) {
        self.shared.close();
        for waiting in &self.shutting_down {
            // It has room for the one answer.
            let _told = waiting.try_send(Ok(()));
        }
    }

    /// What has become of the processes.
    fn look_at_runs(&mut self) {
        let ids: Vec<_> = self.live.keys().copied().collect();
        for id in ids {
            self.look_at(id);
        }
    }

    fn look_at(&mut self, id: RunId) {
        let Some(live) = self.live.get(&id) else {
            return;
        };
        let ending = live.process.ending();
        let (is_alive_ns, answer) = (live.vitals.take_alive_ns(), live.vitals.take_answer());
        if live.serving.take() {
            let actions = self.policy.serves(self.now(), id);
            self.obey(actions);
        }
        if let Some(at_ns) = is_alive_ns {
            self.policy.alive(id, at_ns);
        }
        if let Some(health) = answer {
            let actions = self.policy.felt(self.now(), id, health);
            self.obey(actions);
        }
        if let Some((ending, text)) = ending {
            self.has_ended(id, ending, &text);
        }
    }

    fn has_ended(&mut self, id: RunId, ending: Ending, text: &str) {
        if let Some(live) = self.live.remove(&id) {
            live.log.push(Level::Notice, text);
        }
        self.launcher.gone(id);
        let actions = self.policy.ended(self.now(), id, ending);
        self.obey(actions);
    }

    fn serve(&mut self, request: Request) {
        let now_ns = self.now();
        let is_over = !self.shutting_down.is_empty();
        let done = match request.wanted {
            // What would run again would be waited for, for ever.
            Wanted::Command(..) | Wanted::Reload(_) if is_over => Err(SHUTTING_DOWN.to_owned()),
            Wanted::Command(name, command) => {
                let actions = self.policy.command(now_ns, &name, command);
                let actions = actions.map_err(|error| error.to_string());
                actions.map(|actions| self.obey(actions))
            }
            Wanted::Reload(manifest) => {
                let actions = self.policy.reload(now_ns, &manifest);
                self.obey(actions);
                Ok(())
            }
            Wanted::Revoke { service, interface } => {
                let revoked = self.launcher.revoke(&service, &interface);
                if revoked.is_ok() {
                    self.note(
                        &service,
                        &format!("may not use {interface} any more"),
                        false,
                    );
                }
                return answer(request.answer, revoked);
            }
            Wanted::ShutDown => {
                self.shutting_down.push(request.answer);
                let actions = self.policy.shut_down(now_ns);
                return self.obey(actions);
            }
        };
        // Who asked should find what came of it.
        self.publish();
        answer(request.answer, done);
    }

    /// Does what the policy says, and what it says to that.
    fn obey(&mut self, actions: Vec<Action>) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Start { service, run } => actions.extend(self.start(&service, run)),
                Action::Bind { service, run } => {
                    self.launcher.bind(&service, Some(run));
                    if self.given_up.remove(&service) {
                        self.tell(&service, "runs again");
                    }
                }
                Action::Unbind { service } => self.launcher.bind(&service, None),
                Action::AskToEnd { run } => self.with(run, |live| live.stdin.end()),
                Action::Kill { run } => self.with(run, |live| {
                    live.log.push(Level::Notice, "is killed");
                    live.process.kill();
                }),
                Action::Check { run } => self.with(run, |live| {
                    live.probe.iter().for_each(Probe::ask);
                }),
                Action::EmptyEscrow { service } => drop(self.escrows.remove(&service)),
                Action::Note {
                    service,
                    text,
                    is_grave,
                } => {
                    self.note(&service, &text, is_grave);
                    if is_grave {
                        self.tell_failure(&service, &text);
                    }
                }
            }
        }
    }

    /// Once for each failure, however often it was started before.
    fn tell_failure(&mut self, name: &str, text: &str) {
        let help = format!("'svc log {name}' shows why, 'svc start {name}' tries again");
        self.tell(name, &format!("{text}; {help}"));
        self.given_up.insert(name.to_owned());
    }

    /// Has a person be told.
    fn tell(&self, name: &str, text: &str) {
        self.notices
            .push(format!("kpio: the service '{name}' {text}."));
    }

    fn with(&self, run: RunId, act: impl FnOnce(&Live)) {
        if let Some(live) = self.live.get(&run) {
            act(live);
        }
    }

    fn start(&mut self, service: &Arc<Service>, id: RunId) -> Vec<Action> {
        match self.launch(service, id) {
            Ok(live) => {
                self.live.insert(id, live);
                self.policy.started(self.now(), id)
            }
            Err(sentence) => {
                self.note(&service.name, &format!("cannot start: {sentence}"), false);
                self.launcher.gone(id);
                self.policy.ended(self.now(), id, Ending::Failed)
            }
        }
    }

    fn launch(&mut self, service: &Arc<Service>, id: RunId) -> Result<Live, String> {
        let log = self.log(&service.name);
        let log = log.ok_or("there is no memory for its log")?;
        let stdin = Arc::new(StopInput::default());
        let serving = Serving::new(self.shared.driver.clone());
        let vitals = Vitals::new(self.shared.driver.clone(), self.now_ns);
        let probe = service.health.map(|_| vitals.probe());
        let own = OwnSide {
            seat: self.escrow(service).seat(),
            ready: service.ready,
            serving: serving.clone(),
            vitals: vitals.clone(),
        };
        let run = ServiceRun {
            id,
            service: Arc::clone(service),
            stdin: Arc::clone(&stdin) as _,
            stdout: log.sink(Level::Info),
            stderr: log.sink(Level::Warning),
            own: Arc::new(own),
            probe: probe.clone(),
            serving: serving.clone(),
        };
        let process = self.launcher.launch(&run)?;
        log.push(
            Level::Notice,
            &format!("process {} is started: {}", process.id(), service.program),
        );
        process.subscribe(&self.shared.driver);
        // It may have ended before it was subscribed to.
        self.shared.driver.notify();
        Ok(Live {
            process,
            stdin,
            serving,
            vitals,
            probe,
            log,
        })
    }

    /// What is kept for the service; made when it is first started, and anew after it had failed.
    fn escrow(&mut self, service: &Service) -> &Escrow {
        let limit_bytes = service.limits.escrow_bytes;
        let budget = &self.budget;
        let escrow = self.escrows.entry(service.name.clone());
        let escrow = escrow.or_insert_with(|| Escrow::new(limit_bytes, budget));
        escrow.set_limit(limit_bytes);
        escrow
    }

    /// The service's log; made when it is first needed.
    fn log(&mut self, name: &str) -> Option<Arc<ServiceLog>> {
        if let Some(log) = self.logs.get(name) {
            return Some(Arc::clone(log));
        }
        let log = ServiceLog::new(name, self.now_ns, &self.said, &self.budget).ok()?;
        self.shared.add_log(name, &log);
        self.logs.insert(name.to_owned(), Arc::clone(&log));
        Some(log)
    }

    /// Writes down what was done with a service.
    fn note(&mut self, name: &str, text: &str, is_grave: bool) {
        let level = match is_grave {
            true => Level::Error,
            false => Level::Notice,
        };
        if let Some(log) = self.log(name) {
            log.push(level, text);
        }
        // Whoever keeps the whole log has it already.
        match is_grave {
            true => log::info!("service {name} {text}"),
            false => log::debug!("service {name} {text}"),
        }
    }

    fn publish(&mut self) {
        let policy = &self.policy;
        let is_known = |name: &str| policy.service(name).is_some();
        let statuses = policy.statuses().into_iter();
        let published = statuses
            .filter_map(|status| self.published(status))
            .collect();
        self.given_up.retain(|name| is_known(name));
        self.launcher.keep(&is_known);
        self.shared.publish(published, is_known);
        // Only now: who follows one looks again as soon as it ends.
        for (_, log) in self.logs.extract_if(.., |name, _| !is_known(name)) {
            log.end();
        }
    }

    fn published(&self, status: Status) -> Option<Published> {
        let main = status.runs.first().and_then(|run| self.live.get(run));
        Some(Published {
            service: Arc::clone(self.policy.service(&status.name)?),
            process: main.map(|live| Arc::clone(&live.process)),
            status,
        })
    }
}

fn answer(asker: SyncSender<Result<(), String>>, done: Result<(), String>) {
    // It has room for the one answer; who does not wait for it does not want it.
    let _told = asker.try_send(done);
}
