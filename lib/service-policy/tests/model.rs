//! Random histories, held against what must be true in each.
//!
//! The world here knows of every run only what was asked for and what it did itself: whether it is ready, whether it was
//! asked to end, and when. It never asks the policy how a service stands, except at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lib_service_manifest::{Manifest, Ready, RestartPolicy, Service};
use lib_service_policy::{Action, Command, Ending, Policy, RunId, StateKind};

const MS: u64 = 1_000_000;
const SERVICES: usize = 6;
const HISTORIES: u32 = 300;
const STEPS: u32 = 200;

/// The seed of this run: `KPIO_SEED` if set, else a new one. Printed, so that a failure replays.
fn seeded() -> fastrand::Rng {
    let seed = std::env::var("KPIO_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("replay with KPIO_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

struct Run {
    service: Arc<Service>,
    is_ready: bool,
    asked_ns: Option<u64>,
    is_killed: bool,
    begun_ns: u64,
    /// When it last had to show that it is well, or has.
    sign_ns: u64,
    is_asked: bool,
}

impl Run {
    /// Until when it may be left alone, if it may not for ever.
    fn patience_ns(&self) -> Option<u64> {
        let service = &self.service;
        if !self.is_ready {
            let deadline_ns = self.begun_ns + service.start_deadline_ms * MS;
            return (service.ready == Ready::Serving).then_some(deadline_ns);
        }
        let health = service.health?;
        let sign_ns = self.sign_ns + health.deadline_ms * MS;
        match (service.is_asked(), self.is_asked) {
            (true, true) => Some(sign_ns),
            (true, false) => Some(self.sign_ns + health.every_ms * MS),
            (false, _) => Some(sign_ns + health.every_ms * MS),
        }
    }

    fn serves(&self) -> bool {
        self.is_ready && self.asked_ns.is_none()
    }
}

/// What is known of a service beside its runs.
#[derive(Default)]
struct Past {
    /// Its latest run ended by itself, so that its next start is a restart.
    has_died: bool,
    /// It ended with code 0 and is not restarted for that.
    has_finished: bool,
    /// How a run ended that served, if another was to take its place and is not ready.
    displaced: Option<Ending>,
    restarts_ns: Vec<u64>,
}

struct World {
    policy: Policy,
    now_ns: u64,
    runs: BTreeMap<RunId, Run>,
    seen: BTreeSet<RunId>,
    pasts: BTreeMap<String, Past>,
    restarts: usize,
    is_shutting_down: bool,
}

impl World {
    fn new(manifest: &Manifest) -> Self {
        Self {
            policy: Policy::new(manifest, &[]),
            now_ns: 0,
            runs: BTreeMap::new(),
            seen: BTreeSet::new(),
            pasts: BTreeMap::new(),
            restarts: 0,
            is_shutting_down: false,
        }
    }

    fn is_served(&self, name: &str) -> bool {
        self.runs
            .values()
            .any(|run| run.service.name == name && run.serves())
    }

    fn obey(&mut self, actions: Vec<Action>, is_replacement: bool) {
        for action in actions {
            match action {
                Action::Start { service, run } => self.start(service, run, is_replacement),
                Action::Bind { service, run } => {
                    let run = &self.runs[&run];
                    assert!(
                        run.is_ready && run.service.name == service,
                        "bound to one that is not ready"
                    );
                }
                Action::AskToEnd { run } => {
                    let name = self.runs[&run].service.name.clone();
                    let is_client = |run: &Run| run.service.needs(&name);
                    let has_clients = self.runs.values().any(is_client);
                    assert!(
                        !self.is_shutting_down || !has_clients,
                        "{name} before its clients"
                    );
                    let run = self.runs.get_mut(&run).expect("a living run");
                    assert_eq!(run.asked_ns, None, "asked twice");
                    run.asked_ns = Some(self.now_ns);
                }
                Action::Kill { run } => {
                    let run = self.runs.get_mut(&run).expect("a living run");
                    run.is_killed = true;
                }
                Action::Check { run } => {
                    let run = self.runs.get_mut(&run).expect("a living run");
                    assert!(run.serves() && run.service.is_asked());
                    assert!(!run.is_asked, "asked again before it answered");
                    run.is_asked = true;
                    run.sign_ns = self.now_ns;
                }
                Action::EmptyEscrow { service } => {
                    // One that was replaced may still be on its way out.
                    let goes_on = |run: &Run| run.service.name == service && run.asked_ns.is_none();
                    assert!(!self.runs.values().any(goes_on), "{service} runs");
                }
                Action::Unbind { service } | Action::Note { service, .. } => {
                    assert!(!service.is_empty());
                }
            }
        }
    }

    fn start(&mut self, service: Arc<Service>, run: RunId, is_replacement: bool) {
        assert!(self.seen.insert(run), "a number is used again");
        let others = self
            .runs
            .values()
            .filter(|run| run.service.name == service.name);
        assert_eq!(
            others.count(),
            usize::from(is_replacement),
            "{}",
            service.name
        );
        if !is_replacement {
            let imports = service.imports.iter();
            for import in imports.filter(|import| service.needs(&import.from)) {
                assert!(
                    self.is_served(&import.from),
                    "{} before {}",
                    service.name,
                    import.from
                );
            }
            for name in &service.after {
                let has_finished = self.pasts.get(name).is_some_and(|past| past.has_finished);
                assert!(
                    self.is_served(name) || has_finished,
                    "{} before {name}",
                    service.name
                );
            }
            self.count_restart(&service);
        }
        let new = Run {
            service,
            is_ready: false,
            asked_ns: None,
            is_killed: false,
            begun_ns: self.now_ns,
            sign_ns: self.now_ns,
            is_asked: false,
        };
        self.runs.insert(run, new);
    }

    fn count_restart(&mut self, service: &Service) {
        let past = self.pasts.entry(service.name.clone()).or_default();
        past.has_finished = false;
        if !std::mem::take(&mut past.has_died) {
            return;
        }
        self.restarts += 1;
        past.restarts_ns.push(self.now_ns);
        let window_ns = service.restart.window_s * 1000 * MS;
        let recent = past
            .restarts_ns
            .iter()
            .filter(|at_ns| self.now_ns - **at_ns < window_ns);
        assert!(
            recent.count() <= service.restart.limit as usize,
            "{}",
            service.name
        );
    }

    fn reach(&mut self, id: RunId, reached: Ready) {
        let run = self.runs.get_mut(&id).expect("a living run");
        if !run.is_ready && run.service.ready == reached {
            run.is_ready = true;
            run.sign_ns = self.now_ns;
            let name = run.service.name.clone();
            self.pasts.entry(name).or_default().displaced = None;
        }
        let actions = match reached {
            Ready::Started => self.policy.started(self.now_ns, id),
            Ready::Serving => self.policy.serves(self.now_ns, id),
            Ready::Finished => panic!("that is an end"),
        };
        self.obey(actions, false);
    }

    fn end(&mut self, id: RunId, ending: Ending) {
        let run = self.runs.remove(&id).expect("a living run");
        let goes_on = |other: &Run| other.asked_ns.is_none();
        let mut others = self.runs.values();
        let is_last = !others.any(|other| other.service.name == run.service.name && goes_on(other));
        let past = self.pasts.entry(run.service.name.clone()).or_default();
        if run.asked_ns.is_none() {
            let counts = past.displaced.take().unwrap_or(ending);
            past.displaced = (!is_last && run.is_ready).then_some(ending);
            let is_restarted = match run.service.restart.policy {
                RestartPolicy::Always => true,
                RestartPolicy::OnFailure => counts == Ending::Failed,
                RestartPolicy::Never => false,
            };
            past.has_died = is_last;
            past.has_finished = is_last && !is_restarted && counts == Ending::Clean;
        } else if is_last {
            past.displaced = None;
        }
        let actions = self.policy.ended(self.now_ns, id, ending);
        self.obey(actions, false);
    }

    fn tick(&mut self) {
        let actions = self.policy.tick(self.now_ns);
        self.obey(actions, false);
        for run in self.runs.values() {
            let deadline_ns = run
                .asked_ns
                .map(|asked_ns| asked_ns + run.service.stop_deadline_ms * MS);
            let is_over = deadline_ns.is_some_and(|deadline_ns| deadline_ns <= self.now_ns);
            assert!(run.is_killed || !is_over, "a stop does not end");
            let patience_ns = run.patience_ns().filter(|_| run.asked_ns.is_none());
            let is_over = patience_ns.is_some_and(|until_ns| until_ns <= self.now_ns);
            assert!(
                run.is_killed || !is_over,
                "{} is left alone",
                run.service.name
            );
        }
        assert!(
            self.policy
                .next_deadline_ns()
                .is_none_or(|due_ns| due_ns > self.now_ns)
        );
    }

    /// A run says how it is, whether it was asked or not.
    fn feel(&mut self, id: RunId, is_well: bool) {
        let run = self.runs.get_mut(&id).expect("a living run");
        let owes = run.serves() && run.service.health.is_some() && !run.is_killed;
        if is_well {
            run.is_asked = false;
            run.sign_ns = self.now_ns;
        }
        let health = if is_well {
            Ok(())
        } else {
            Err("it is ill".to_owned())
        };
        if is_well && !self.runs[&id].service.is_asked() {
            return self.policy.alive(id, self.now_ns);
        }
        let actions = self.policy.felt(self.now_ns, id, health);
        self.obey(actions, false);
        assert!(
            is_well || !owes || self.runs[&id].is_killed,
            "who is ill goes on"
        );
    }

    fn command(&mut self, name: &str, command: Command) {
        let is_replacement = matches!(command, Command::Replace { .. });
        let forgives = matches!(command, Command::Start | Command::Restart);
        let Ok(actions) = self.policy.command(self.now_ns, name, command) else {
            return;
        };
        if forgives {
            self.forgive(name);
        }
        self.obey(actions, is_replacement);
    }

    fn forgive(&mut self, name: &str) {
        let past = self.pasts.entry(name.to_owned()).or_default();
        past.restarts_ns.clear();
        past.has_died = false;
    }

    fn reload(&mut self, manifest: &Manifest) {
        for service in manifest.services() {
            let known = self.policy.service(&service.name);
            // A change that is on its way is not seen here: forgiving too much only asks for less.
            let is_busy = self
                .runs
                .values()
                .any(|run| run.service.name == service.name);
            if is_busy || known.is_none_or(|known| **known != *service) {
                self.forgive(&service.name);
            }
        }
        let actions = self.policy.reload(self.now_ns, manifest);
        self.obey(actions, false);
    }

    fn some_run(&self, random: &mut fastrand::Rng) -> Option<RunId> {
        let ids: Vec<_> = self.runs.keys().copied().collect();
        random.choice(ids)
    }

    /// Nothing is due but signs of life.
    fn is_at_rest(&self) -> bool {
        let statuses = self.policy.statuses();
        let goes_on = [
            StateKind::Starting,
            StateKind::Stopping,
            StateKind::BackingOff,
        ];
        !statuses
            .iter()
            .any(|status| goes_on.contains(&status.state))
    }

    /// Every run does what it should until nothing changes any more.
    fn calm_down(&mut self) {
        for _ in 0..10_000 {
            let asked = self
                .runs
                .iter()
                .find(|(_, run)| run.asked_ns.is_some() || run.is_killed);
            let unready = self.runs.iter().find(|(_, run)| !run.is_ready);
            if let Some((&id, _)) = asked {
                self.end(id, Ending::Clean);
            } else if let Some((&id, run)) = unready {
                match run.service.ready {
                    Ready::Finished => self.end(id, Ending::Clean),
                    ready => self.reach(id, ready),
                }
            } else if self.is_at_rest() {
                return;
            } else if let Some(due_ns) = self.policy.next_deadline_ns() {
                self.now_ns = self.now_ns.max(due_ns);
                let runs: Vec<RunId> = self.runs.keys().copied().collect();
                runs.into_iter().for_each(|run| self.feel(run, true));
                self.tick();
            }
        }
        panic!("it does not come to rest");
    }
}

fn manifest(random: &mut fastrand::Rng) -> Manifest {
    let mut order: Vec<usize> = (0..SERVICES).collect();
    random.shuffle(&mut order);
    let count = random.usize(1..=SERVICES);
    let mut finishing = Vec::new();
    let texts = (0..count).map(|place| service(random, &order[..=place], &mut finishing));
    let text: String = texts.collect();
    Manifest::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The last service of the order so far; it depends on earlier ones. Those that end when their work is done are among
/// `finishing`: nobody can import from them.
fn service(random: &mut fastrand::Rng, order: &[usize], finishing: &mut Vec<usize>) -> String {
    let (own, earlier) = order.split_last().expect("itself");
    let (mut imports, mut after) = (String::new(), String::new());
    for other in earlier {
        match random.u8(..4) {
            0 if !finishing.contains(other) => {
                let choice = ["wait", "fail"][random.usize(..2)];
                imports += &format!(
                    "\"t:t/s{other}\" = {{ from = \"s{other}\", while-down = \"{choice}\" }}, "
                );
            }
            1 => after += &format!("\"s{other}\", "),
            _ => {}
        }
    }
    let policy = ["always", "on-failure", "never"][random.usize(..3)];
    let ready = ["started", "serving", "finished"][random.usize(..3)];
    let has_health = random.bool();
    let (ready, provides) = match (ready, policy) {
        // One that speaks by itself, and has nothing for others.
        ("started", _) if has_health => {
            finishing.push(*own);
            (ready, String::new())
        }
        ("finished", "always") => ("started", format!("'t:t/s{own}'")),
        ("finished", _) => {
            finishing.push(*own);
            (ready, String::new())
        }
        _ => (ready, format!("'t:t/s{own}'")),
    };
    let backoff_ms = random.u32(1..500);
    let (limit, window_s) = (random.u32(..4), random.u32(1..4));
    let health = match (ready, has_health, provides.is_empty()) {
        ("finished", ..) | (_, false, _) | ("started", _, false) => String::new(),
        _ => {
            let (every_ms, late_ms) = (random.u32(1..800), random.u32(1..400));
            format!("health = {{ every-ms = {every_ms}, deadline-ms = {late_ms} }}\n")
        }
    };
    let start_ms = random.u32(1..1000);
    let (program, deadline_ms) = (random.u8(..2), random.u32(1..2000));
    format!(
        "[[service]]\nname = 's{own}'\nprogram = 'p{program}'\nprovides = [{provides}]\nready = '{ready}'\n\
         imports = {{ {imports} }}\nafter = [{after}]\nstop-deadline-ms = {deadline_ms}\n\
         restart = {{ policy = '{policy}', backoff-ms = {backoff_ms}, limit = {limit}, window-s = {window_s} }}\n\
         start-deadline-ms = {start_ms}\n{health}",
    )
}

fn step(world: &mut World, random: &mut fastrand::Rng) {
    let name = format!("s{}", random.usize(..SERVICES + 1));
    match random.u8(..20) {
        0..=1 => {
            if let Some(run) = world.some_run(random) {
                world.feel(run, random.u8(..4) > 0);
            }
        }
        2..=5 => {
            if let Some(run) = world.some_run(random) {
                world.reach(run, [Ready::Started, Ready::Serving][random.usize(..2)]);
            }
        }
        6..=9 => {
            if let Some(run) = world.some_run(random) {
                world.end(run, [Ending::Clean, Ending::Failed][random.usize(..2)]);
            }
        }
        10..=14 => {
            world.now_ns += random.u64(..400) * MS;
            world.tick();
        }
        15 => world.command(&name, Command::Start),
        16 => world.command(&name, Command::Stop),
        17 => world.command(
            &name,
            [Command::Restart, Command::Kill][random.usize(..2)].clone(),
        ),
        18 => world.command(
            &name,
            Command::Replace {
                program: "other".into(),
            },
        ),
        _ => {
            if random.u8(..4) == 0 {
                let next = manifest(random);
                world.reload(&next);
            }
            assert!(
                world
                    .policy
                    .ended(world.now_ns, RunId(u64::MAX), Ending::Failed)
                    .is_empty()
            );
        }
    }
}

/// At rest, whoever does not run has a reason.
fn check_rest(world: &World) {
    let statuses = world.policy.statuses();
    let is_ready = |name: &str| {
        let found = statuses.iter().find(|status| status.name == name);
        found.is_some_and(|status| status.state == StateKind::Ready)
    };
    for status in &statuses {
        match status.state {
            StateKind::Ready => assert!(world.is_served(&status.name)),
            StateKind::Stopped | StateKind::Failed => assert!(!world.is_served(&status.name)),
            StateKind::Waiting => {
                let service = world.policy.service(&status.name).expect("known");
                assert!(
                    service.dependencies().any(|name| !is_ready(name)),
                    "{status:?}"
                );
                assert!(!status.why.is_empty());
            }
            StateKind::Starting | StateKind::Stopping | StateKind::BackingOff => {
                panic!("not at rest: {status:?}");
            }
        }
    }
}

#[test]
fn random_histories_keep_the_laws() {
    let mut random = seeded();
    let (mut restarts, mut runs) = (0, 0);
    for _ in 0..HISTORIES {
        let mut world = World::new(&manifest(&mut random));
        world.tick();
        for _ in 0..STEPS {
            step(&mut world, &mut random);
        }
        world.calm_down();
        check_rest(&world);
        world.is_shutting_down = true;
        let actions = world.policy.shut_down(world.now_ns);
        world.obey(actions, false);
        world.calm_down();
        assert!(world.policy.is_quiet() && world.runs.is_empty());
        restarts += world.restarts;
        runs += world.seen.len();
    }
    println!("{runs} runs, {restarts} restarts");
    assert!(
        runs > 1000 && restarts > 100,
        "the histories reach what they are about"
    );
}
