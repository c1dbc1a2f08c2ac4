//! Services over processes that are only pretended: what is started, bound, ended, logged and told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lib_service_manifest::Manifest;
use lib_service_policy::{Command, Ending, RunId, StateKind};
use runtime_host::{Awaited, Budget, ByteSource, Notices, Notifier, Read, Subscribers};
use runtime_services::{
    LOG_BYTES_MAX, Launcher, Level, Said, ServiceProcess, ServiceRow, ServiceRun, Services,
    ServicesOptions, Surroundings, Usage,
};
use runtime_supervisor::ServiceSide;

/// Catches hangs only.
const PATIENCE: Duration = Duration::from_secs(120);

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn now_ns() -> u64 {
    START.elapsed().as_nanos() as u64
}

/// A process that does nothing, and ends when it is told.
#[derive(Default)]
struct Pretended {
    id: u64,
    ending: Mutex<Option<Ending>>,
    ended: Subscribers,
}

impl Pretended {
    fn end(&self, ending: Ending) {
        lock(&self.ending).get_or_insert(ending);
        self.ended.notify_all();
    }
}

struct Handle(Arc<Pretended>);

impl ServiceProcess for Handle {
    fn id(&self) -> u64 {
        self.0.id
    }

    fn ending(&self) -> Option<(Ending, String)> {
        let ending = *lock(&self.0.ending);
        ending.map(|ending| (ending, format!("ended: {ending:?}")))
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.0.ended.add(notifier);
    }

    fn kill(&self) {
        self.0.end(Ending::Failed);
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }
}

struct Run {
    process: Arc<Pretended>,
    stdin: Arc<dyn ByteSource>,
    own: Arc<dyn ServiceSide>,
    serves: Box<dyn Fn() + Send + Sync>,
}

/// What was started, and what was bound.
#[derive(Default)]
struct World {
    runs: Mutex<BTreeMap<String, Run>>,
    bound: Mutex<BTreeMap<String, RunId>>,
    started: AtomicU64,
    gone: AtomicU64,
    changed: Subscribers,
}

impl World {
    fn with<R>(&self, name: &str, look: impl FnOnce(&Run) -> R) -> R {
        look(lock(&self.runs).get(name).expect("it was started"))
    }

    fn end(&self, name: &str, ending: Ending) {
        let process = self.with(name, |run| Arc::clone(&run.process));
        process.end(ending);
    }
}

struct Pretender(Arc<World>);

impl Launcher for Pretender {
    fn launch(&self, run: &ServiceRun) -> Result<Arc<dyn ServiceProcess>, String> {
        if run.service.program == "broken" {
            return Err("it is broken".to_owned());
        }
        run.stdout.write(b"hello\n").expect("open");
        let process = Arc::new(Pretended {
            id: self.0.started.fetch_add(1, Ordering::Relaxed) + 1,
            ..Pretended::default()
        });
        let new = Run {
            process: Arc::clone(&process),
            stdin: Arc::clone(&run.stdin),
            own: Arc::clone(&run.own),
            serves: Box::new(run.serves()),
        };
        lock(&self.0.runs).insert(run.service.name.clone(), new);
        self.0.changed.notify_all();
        Ok(Arc::new(Handle(process)))
    }

    fn bind(&self, service: &str, run: Option<RunId>) {
        let mut bound = lock(&self.0.bound);
        match run {
            Some(run) => drop(bound.insert(service.to_owned(), run)),
            None => drop(bound.remove(service)),
        }
    }

    fn gone(&self, _run: RunId) {
        self.0.gone.fetch_add(1, Ordering::Relaxed);
    }

    fn keep(&self, _is_known: &dyn Fn(&str) -> bool) {}

    fn revoke(&self, service: &str, interface: &str) -> Result<(), String> {
        Err(format!("{service} does not import {interface}"))
    }
}

struct Files;

impl Surroundings for Files {
    fn is_program(&self, name: &str) -> bool {
        name != "missing"
    }

    fn text(&self, path: &str) -> Result<String, String> {
        match path {
            "/other" => Ok("[[service]]\nname = 'new'\nprogram = 'p'".to_owned()),
            "/wrong" => Ok("[[service]]\nname = 'new'\nprogram = 'missing'".to_owned()),
            path => Err(format!("{path} is not there")),
        }
    }

    fn parent(&self, process: u64) -> Option<u64> {
        (process > 100).then(|| process - 100)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const PAIR: &str = r#"
[[service]]
name = "log"
program = "logd"
provides = ["kpio:log/sink"]
ready = "serving"
restart = { backoff-ms = 1, limit = 2, window-s = 3600 }

[[service]]
name = "web"
program = "webd"
imports = { "kpio:log/sink" = "log" }
stop-deadline-ms = 3600000
"#;

struct Test {
    services: Services,
    world: Arc<World>,
    budget: Budget,
    notices: Notices,
}

impl Test {
    fn start(manifest: &str, left_out: &[&str]) -> Self {
        let world = Arc::new(World::default());
        let budget = Budget::new(1 << 20);
        let notices = Notices::default();
        let services = Services::start(ServicesOptions {
            manifest: Manifest::parse(manifest).expect("right"),
            left_out: left_out.iter().map(|&name| name.to_owned()).collect(),
            launcher: Box::new(Pretender(Arc::clone(&world))),
            said: Said::new(&Budget::new(1 << 20)).expect("affordable"),
            notices: notices.clone(),
            budget: budget.clone(),
            now_ns,
        });
        Self {
            services: services.expect("a thread"),
            world,
            budget,
            notices,
        }
    }

    /// Both are ready.
    fn running() -> Self {
        let test = Self::start(PAIR, &[]);
        test.wait_for("log", StateKind::Starting);
        test.serve("log");
        test.wait_for("web", StateKind::Ready);
        test
    }

    fn serve(&self, name: &str) {
        self.world.with(name, |run| (run.serves)());
    }

    fn wait(&self, is_so: impl Fn(&[ServiceRow]) -> bool) -> Vec<ServiceRow> {
        let notifier = Notifier::new();
        self.services.subscribe(&notifier);
        self.world.changed.add(&notifier);
        let began = Instant::now();
        loop {
            let rows = self.services.list();
            if is_so(&rows) {
                return rows;
            }
            assert!(began.elapsed() < PATIENCE, "it does not come: {rows:?}");
            notifier.wait(Some(Duration::from_secs(1)));
        }
    }

    fn wait_for(&self, name: &str, state: StateKind) {
        let named = |row: &&ServiceRow| row.service.name == name;
        self.wait(|rows| {
            rows.iter()
                .find(named)
                .is_some_and(|row| row.status.state == state)
        });
    }

    fn wait_for_process(&self, name: &str, id: u64) {
        let named = |row: &&ServiceRow| row.service.name == name;
        self.wait(|rows| {
            rows.iter()
                .find(named)
                .is_some_and(|row| row.process == Some(id))
        });
    }

    fn svc(&self, line: &str) -> Result<String, String> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        self.services.svc(&words, &Files)
    }
}

#[test]
fn services_start_in_order_and_are_bound() {
    let test = Test::running();
    assert_eq!(lock(&test.world.bound).len(), 2);
    let table = test.svc("list").expect("a table");
    assert!(
        table.contains("log") && table.contains("ready") && table.contains("webd"),
        "{table}"
    );
}

#[test]
fn one_that_dies_comes_back_until_it_is_given_up_with_its_clients() {
    let test = Test::running();
    for id in [3, 4] {
        test.world.end("log", Ending::Failed);
        test.wait_for_process("log", id);
        test.serve("log");
        test.wait_for("log", StateKind::Ready);
    }
    test.world.end("log", Ending::Failed);
    test.wait_for("log", StateKind::Failed);
    test.wait_for("web", StateKind::Stopping);
    assert_eq!(
        test.world.with("web", |run| run.stdin.read(&mut [0])),
        Ok(Read::End)
    );
    test.world.end("web", Ending::Clean);
    test.wait_for("web", StateKind::Waiting);
    assert!(lock(&test.world.bound).is_empty());
    let failed = "kpio: the service 'log' has failed: it ended again after 2 restarts within 3600 s; \
                  'svc log log' shows why, 'svc start log' tries again.";
    assert_eq!(test.notices.take_all(), [failed]);
    assert_eq!(test.svc("start log"), Ok(String::new()));
    test.wait_for_process("log", 5);
    assert!(test.notices.take_all().is_empty(), "told once");
    test.serve("log");
    test.wait_for("log", StateKind::Ready);
    let again = ["kpio: the service 'log' runs again."];
    assert_eq!(test.notices.take_all(), again);
    // It is told only of what had failed.
    assert_eq!(test.svc("restart log"), Ok(String::new()));
    test.world.end("log", Ending::Clean);
    test.wait_for_process("log", 7);
    test.serve("log");
    test.wait_for("log", StateKind::Ready);
    assert!(test.notices.take_all().is_empty());
}

const KEEPER: &str = r#"
[[service]]
name = "keeper"
program = "p"
limits = { escrow = "1K" }
restart = { policy = "always", backoff-ms = 1, limit = 1, window-s = 3600 }
"#;

#[test]
fn what_is_kept_outlives_processes_and_goes_when_the_service_has_failed() {
    let test = Test::start(KEEPER, &[]);
    let own = |test: &Test| test.world.with("keeper", |run| Arc::clone(&run.own));
    test.wait_for_process("keeper", 1);
    let first = own(&test);
    assert_eq!(first.escrow().put("number".into(), vec![7]), Ok(()));
    assert!(first.escrow().put("long".into(), vec![7; 1000]).is_err());
    test.world.end("keeper", Ending::Failed);
    test.wait_for_process("keeper", 2);
    let second = own(&test);
    assert!(!second.escrow().is_first() && second.takes_over());
    drop(first);
    assert!(second.escrow().is_first());
    assert_eq!(second.escrow().get("number"), Some(vec![7]));
    drop(second);
    test.world.end("keeper", Ending::Failed);
    test.wait_for("keeper", StateKind::Failed);
    test.svc("start keeper").expect("known");
    test.wait_for_process("keeper", 3);
    let third = own(&test);
    assert!(third.escrow().is_first());
    assert_eq!(third.escrow().get("number"), None);
}

const SILENT: &str = r#"
[[service]]
name = "asked"
program = "p"
provides = ["kpio:log/sink"]
ready = "serving"
health = { every-ms = 1, deadline-ms = 1 }
restart = { policy = "never" }

[[service]]
name = "speaks"
program = "p"
health = { every-ms = 1, deadline-ms = 1 }
restart = { policy = "never" }

[[service]]
name = "late"
program = "p"
provides = ["kpio:log/source"]
ready = "serving"
start-deadline-ms = 1
restart = { policy = "never" }
"#;

#[test]
fn who_shows_no_sign_of_life_and_who_does_not_serve_in_time_is_ended() {
    let test = Test::start(SILENT, &[]);
    test.wait_for_process("asked", 1);
    test.serve("asked");
    for (name, sentence) in [
        ("asked", "gave no sign of life within 1 ms"),
        ("late", "did not serve in time"),
        ("speaks", "gave no sign of life within 2 ms"),
    ] {
        test.wait_for(name, StateKind::Failed);
        let log = test.svc(&format!("log {name}")).expect("a log");
        assert!(log.contains(sentence), "{name}: {log}");
    }
}

#[test]
fn logs_hold_what_is_said_and_done() {
    let test = Test::running();
    let log = test.svc("log log").expect("a log");
    for text in [
        "process 1 is started: logd",
        "info    hello",
        "notice  is ready",
    ] {
        assert!(log.contains(text), "{text} is not in {log}");
    }
    assert!(!test.svc("log log notice").expect("a log").contains("hello"));
    assert!(
        test.services
            .log("log", Level::Error)
            .expect("a log")
            .lines
            .is_empty()
    );
    assert_eq!(test.budget.used_bytes(), 2 * LOG_BYTES_MAX as u64);
}

#[test]
fn what_does_not_end_is_killed_at_its_deadline() {
    let test = Test::start(
        "[[service]]\nname='a'\nprogram='p'\nstop-deadline-ms=1",
        &[],
    );
    test.wait_for("a", StateKind::Ready);
    assert_eq!(test.svc("stop a"), Ok(String::new()));
    test.wait_for("a", StateKind::Stopped);
    let log = test.svc("log a").expect("a log");
    assert!(
        log.contains("is killed") && log.contains("has stopped"),
        "{log}"
    );
}

#[test]
fn what_cannot_start_says_why() {
    let test = Test::start(
        "[[service]]\nname='a'\nprogram='broken'\nrestart={backoff-ms=1}",
        &[],
    );
    test.wait_for("a", StateKind::Failed);
    let log = test.svc("log a").expect("a log");
    assert!(
        log.contains("cannot start: it is broken") && log.contains("left out"),
        "{log}"
    );
}

#[test]
fn a_replacement_takes_over() {
    let test = Test::running();
    assert_eq!(test.svc("replace log logd2"), Ok(String::new()));
    let old = test.world.with("log", |run| Arc::clone(&run.process));
    test.wait(|_| test.world.with("log", |run| run.process.id == 3));
    test.serve("log");
    test.wait_for_process("log", 3);
    old.end(Ending::Clean);
    assert!(test.svc("log log").expect("a log").contains("was replaced"));
    assert!(
        test.svc("replace log missing")
            .expect_err("no program")
            .contains("'missing'")
    );
}

fn await_ready(awaited: &dyn Awaited) {
    let notifier = Notifier::new();
    awaited.subscribe(&notifier);
    let began = Instant::now();
    while !awaited.is_ready() {
        assert!(began.elapsed() < PATIENCE, "it does not come");
        notifier.wait(Some(Duration::from_secs(1)));
    }
}

#[test]
fn another_manifest_is_followed() {
    let test = Test::running();
    assert!(
        test.svc("reload /wrong")
            .expect_err("wrong")
            .contains("'missing' is no program")
    );
    assert!(
        test.svc("reload")
            .expect_err("not there")
            .contains("/system/services.toml")
    );
    let follower = test
        .services
        .more_log("log", u64::MAX)
        .expect("it is known");
    assert!(!follower.is_ready());
    assert_eq!(test.svc("reload /other"), Ok(String::new()));
    test.wait_for("web", StateKind::Stopping);
    test.world.end("web", Ending::Clean);
    test.wait_for("log", StateKind::Stopping);
    test.world.end("log", Ending::Clean);
    test.wait(|rows| rows.len() == 1 && rows[0].status.state == StateKind::Ready);
    assert!(test.svc("log log").is_err());
    await_ready(&*follower);
    assert!(test.services.more_log("log", 0).is_err());
}

#[test]
fn who_is_left_out_does_not_start_and_that_is_said() {
    let test = Test::start(PAIR, &["log", "nobody"]);
    test.wait_for("log", StateKind::Failed);
    let left_out =
        "kpio: the service 'log' is left out, as the command line says; 'svc start log' starts it.";
    assert_eq!(test.notices.take_all(), [left_out]);
    assert_eq!(test.svc("start log"), Ok(String::new()));
    test.wait_for("log", StateKind::Starting);
}

#[test]
fn shutting_down_stops_all_and_refuses_what_comes_after() {
    let test = Test::running();
    let services = test.services.clone();
    let stops = std::thread::spawn(move || services.shut_down());
    test.wait_for("web", StateKind::Stopping);
    assert_eq!(
        test.world.gone.load(Ordering::Relaxed),
        0,
        "log serves it until it has ended"
    );
    let other = Manifest::parse("[[service]]\nname = 'new'\nprogram = 'p'").expect("right");
    for late in [
        test.services.command("web", Command::Restart),
        test.services.command("log", Command::Start),
        test.services.reload(other),
    ] {
        let why = late.expect_err("it is too late");
        assert!(why.contains("shut down"), "{why}");
    }
    test.world.end("web", Ending::Clean);
    test.wait_for("log", StateKind::Stopping);
    test.world.end("log", Ending::Clean);
    stops.join().expect("it returns");
    assert_eq!(test.world.gone.load(Ordering::Relaxed), 2);
    let refused = test.services.command("log", Command::Start);
    assert!(refused.expect_err("over").contains("shut down"));
}

#[test]
fn what_a_service_reaches_is_shown() {
    let test = Test::running();
    let caps = test.services.caps("web", &Files).expect("a service");
    for text in [
        "web: process 2, webd",
        "kpio:log/sink",
        "through log (ready), waits for it",
        "access-denied",
    ] {
        assert!(caps.contains(text), "{text} is not in {caps}");
    }
    let log = test
        .services
        .caps("1", &Files)
        .expect("a process of a service");
    assert!(
        log.starts_with("log: process 1") && log.contains("to web"),
        "{log}"
    );
    let child = test.services.caps("101", &Files).expect("a child of one");
    assert!(
        child.starts_with("Process 101 was started by this service"),
        "{child}"
    );
    assert_eq!(test.services.caps("7", &Files), None);
    assert_eq!(test.services.caps("nobody", &Files), None);
}

/// A name of a folder may be anything but control characters; what would turn the text around is shown escaped.
#[test]
fn names_of_folders_are_shown_escaped() {
    let test = Test::start(
        "[[service]]\nname='a'\nprogram='p'\nfolders=[{path=\"/\u{202e}p\",at=\"/\u{202e}a\"}]",
        &[],
    );
    let caps = test.services.caps("a", &Files).expect("a service");
    assert!(caps.contains(r"/\u{202e}a ") && caps.contains(r" /\u{202e}p, read"));
    assert!(!caps.contains('\u{202e}'), "{caps}");
    let row = runtime_services::capability_row("/\x1b]0;x\x07", "read");
    assert!(row.starts_with(r"    /\u{1b}]0;x\u{7} "), "{row}");
}

#[test]
fn wrong_words_are_answered() {
    let test = Test::running();
    for (words, answer) in [
        ("dance", "Say it so"),
        ("start", "Say it so"),
        ("start nobody", "no service 'nobody'"),
        ("log nobody", "'nobody'"),
        ("log log loud", "'loud' is no level"),
    ] {
        let error = test.svc(words).expect_err(words);
        assert!(error.contains(answer), "{error}");
    }
}
