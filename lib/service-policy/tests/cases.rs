//! One case for each thing that a policy decides.

use lib_service_manifest::Manifest;
use lib_service_policy::{Action, Command, CommandError, Ending, Policy, RunId, StateKind};

const MS: u64 = 1_000_000;

fn policy(text: &str) -> Policy {
    Policy::new(&Manifest::parse(text).expect("right"), &[])
}

/// The actions in a few letters each, without notes.
fn brief(actions: &[Action]) -> Vec<String> {
    let word = |action: &Action| match action {
        Action::Start { service, run } => Some(format!("start {} {}", service.name, run.0)),
        Action::Bind { service, run } => Some(format!("bind {service} {}", run.0)),
        Action::Unbind { service } => Some(format!("unbind {service}")),
        Action::AskToEnd { run } => Some(format!("ask {}", run.0)),
        Action::Kill { run } => Some(format!("kill {}", run.0)),
        Action::Check { run } => Some(format!("check {}", run.0)),
        Action::EmptyEscrow { service } => Some(format!("empty {service}")),
        Action::Note { .. } => None,
    };
    actions.iter().filter_map(word).collect()
}

fn state(policy: &Policy, name: &str) -> (StateKind, String) {
    let statuses = policy.statuses();
    let status = statuses.iter().find(|status| status.name == name);
    let status = status.expect("a known name");
    (status.state, status.why.clone())
}

/// `log` provides what `web` imports; `last` comes after both.
const CHAIN: &str = r#"
[[service]]
name = "web"
program = "webd"
imports = { "kpio:log/sink" = "log" }

[[service]]
name = "log"
program = "logd"
provides = ["kpio:log/sink"]
ready = "serving"
restart = { backoff-ms = 10, backoff-max-ms = 30, limit = 3, window-s = 1 }
stop-deadline-ms = 100

[[service]]
name = "last"
program = "lastd"
after = ["web", "log"]
restart = { policy = "never" }
"#;

/// All three are ready: `log` is run 1, `web` run 2, `last` run 3.
fn running() -> Policy {
    let mut policy = policy(CHAIN);
    assert_eq!(brief(&policy.tick(0)), ["start log 1"]);
    assert_eq!(
        brief(&policy.started(0, RunId(1))),
        [""; 0],
        "not serving yet"
    );
    assert_eq!(
        brief(&policy.serves(0, RunId(1))),
        ["bind log 1", "start web 2"]
    );
    assert_eq!(
        brief(&policy.started(0, RunId(2))),
        ["bind web 2", "start last 3"]
    );
    assert_eq!(brief(&policy.started(0, RunId(3))), ["bind last 3"]);
    policy
}

#[test]
fn services_start_in_the_order_of_their_dependencies() {
    running();
}

#[test]
fn what_need_not_wait_starts_side_by_side() {
    let mut policy =
        policy("[[service]]\nname='a'\nprogram='p'\n[[service]]\nname='b'\nprogram='p'");
    assert_eq!(brief(&policy.tick(0)), ["start a 1", "start b 2"]);
}

#[test]
fn one_restart_is_no_plural() {
    let mut policy = policy("[[service]]\nname='a'\nprogram='p'\nrestart={limit=1}");
    policy.tick(0);
    policy.ended(0, RunId(1), Ending::Failed);
    policy.tick(1000 * MS);
    policy.ended(1000 * MS, RunId(2), Ending::Failed);
    let (kind, why) = state(&policy, "a");
    assert_eq!(kind, StateKind::Failed);
    assert_eq!(why, "it ended again after 1 restart within 60 s");
}

#[test]
fn a_service_that_dies_is_restarted_later_and_later_and_then_fails_with_its_clients() {
    let mut policy = running();
    for (run, at_ms, delay_ms, next) in [(1, 0, 10, 4), (4, 100, 20, 5), (5, 200, 30, 6)] {
        let dies = policy.ended(at_ms * MS, RunId(run), Ending::Failed);
        assert_eq!(brief(&dies), ["unbind log"]);
        assert_eq!(state(&policy, "log").0, StateKind::BackingOff);
        assert_eq!(state(&policy, "web").0, StateKind::Ready, "clients run on");
        let due_ns = (at_ms + delay_ms) * MS;
        assert_eq!(policy.next_deadline_ns(), Some(due_ns));
        assert!(brief(&policy.tick(due_ns - 1)).is_empty());
        assert_eq!(brief(&policy.tick(due_ns)), [format!("start log {next}")]);
        policy.started(due_ns, RunId(next));
        assert_eq!(
            brief(&policy.serves(due_ns, RunId(next))),
            [format!("bind log {next}")]
        );
    }
    let fails = policy.ended(300 * MS, RunId(6), Ending::Failed);
    assert_eq!(
        brief(&fails),
        ["unbind log", "empty log", "unbind web", "ask 2"]
    );
    let (kind, why) = state(&policy, "log");
    assert!(
        kind == StateKind::Failed && why.contains("3 restarts within 1 s"),
        "{why}"
    );
    policy.ended(300 * MS, RunId(2), Ending::Clean);
    let (kind, why) = state(&policy, "web");
    assert_eq!(
        (kind, why.as_str()),
        (StateKind::Waiting, "for log, which is failed")
    );
    let again = policy.command(400 * MS, "log", Command::Start);
    assert_eq!(brief(&again.expect("known")), ["start log 7"]);
    assert_eq!(
        brief(&policy.serves(400 * MS, RunId(7))),
        ["bind log 7", "start web 8"]
    );
}

#[test]
fn restarts_of_an_earlier_window_do_not_count() {
    let mut policy = running();
    let mut run = 1;
    for round in 1..20 {
        let at_ns = round * 600 * MS;
        policy.ended(at_ns, RunId(run), Ending::Failed);
        assert_eq!(
            state(&policy, "log").0,
            StateKind::BackingOff,
            "round {round}"
        );
        run = 3 + round;
        assert_eq!(
            brief(&policy.tick(at_ns + 30 * MS)),
            [format!("start log {run}")]
        );
        policy.serves(at_ns + 30 * MS, RunId(run));
    }
}

#[test]
fn a_service_that_never_gets_ready_is_left_out_after_three_attempts() {
    let mut policy = policy(CHAIN);
    policy.tick(0);
    for (run, now_ms) in [(1, 0), (2, 100), (3, 200)] {
        policy.started(now_ms * MS, RunId(run));
        policy.ended(now_ms * MS, RunId(run), Ending::Failed);
        policy.tick((now_ms + 100) * MS);
    }
    let (kind, why) = state(&policy, "log");
    assert!(
        kind == StateKind::Failed && why.contains("left out"),
        "{why}"
    );
    assert_eq!(state(&policy, "web").1, "for log, which is failed");
}

#[test]
fn who_is_left_out_at_the_start_does_not_start() {
    let manifest = Manifest::parse(CHAIN).expect("right");
    let mut policy = Policy::new(&manifest, &["log".to_owned()]);
    assert!(brief(&policy.tick(0)).is_empty());
    assert_eq!(state(&policy, "log").0, StateKind::Failed);
    assert_eq!(state(&policy, "web").0, StateKind::Waiting);
}

#[test]
fn clients_are_stopped_first_and_what_does_not_end_is_killed() {
    let mut policy = running();
    let stop = policy.command(0, "log", Command::Stop).expect("known");
    assert_eq!(brief(&stop), ["unbind web", "ask 2"]);
    let then = policy.ended(MS, RunId(2), Ending::Clean);
    assert_eq!(brief(&then), ["unbind log", "ask 1"]);
    assert!(brief(&policy.tick(100 * MS)).is_empty());
    assert_eq!(brief(&policy.tick(101 * MS)), ["kill 1"]);
    assert!(brief(&policy.tick(900 * MS)).is_empty(), "once");
    policy.ended(900 * MS, RunId(1), Ending::Failed);
    assert_eq!(state(&policy, "log"), (StateKind::Stopped, String::new()));
    assert_eq!(state(&policy, "web").1, "for log, which is stopped");
    assert_eq!(
        state(&policy, "last").0,
        StateKind::Ready,
        "it only came after them"
    );
}

#[test]
fn a_restart_leaves_the_clients_alone() {
    let mut policy = running();
    let stop = policy.command(0, "log", Command::Restart).expect("known");
    assert_eq!(brief(&stop), ["unbind log", "ask 1"]);
    assert_eq!(
        brief(&policy.ended(0, RunId(1), Ending::Clean)),
        ["start log 4"]
    );
    assert_eq!(state(&policy, "web").0, StateKind::Ready);
}

#[test]
fn how_a_service_ends_decides_whether_it_is_restarted() {
    let one =
        |policy: &str| format!("[[service]]\nname='a'\nprogram='p'\nrestart={{policy='{policy}'}}");
    for (name, ending, expected) in [
        ("never", Ending::Clean, StateKind::Stopped),
        ("never", Ending::Failed, StateKind::Failed),
        ("on-failure", Ending::Clean, StateKind::Stopped),
        ("on-failure", Ending::Failed, StateKind::BackingOff),
        ("always", Ending::Clean, StateKind::BackingOff),
        ("always", Ending::Failed, StateKind::BackingOff),
    ] {
        let mut policy = policy(&one(name));
        policy.tick(0);
        policy.started(0, RunId(1));
        policy.ended(0, RunId(1), ending);
        assert_eq!(state(&policy, "a").0, expected, "{name} {ending:?}");
    }
}

#[test]
fn who_comes_after_one_that_has_to_finish_waits_for_that() {
    let mut policy = policy(
        "[[service]]\nname='setup'\nprogram='p'\nready='finished'\n[[service]]\nname='main'\nprogram='p'\nafter=['setup']",
    );
    assert_eq!(brief(&policy.tick(0)), ["start setup 1"]);
    assert!(brief(&policy.started(0, RunId(1))).is_empty());
    assert_eq!(state(&policy, "setup").0, StateKind::Starting);
    let finishes = policy.ended(0, RunId(1), Ending::Clean);
    assert_eq!(brief(&finishes), ["start main 2"]);
    assert_eq!(
        state(&policy, "setup"),
        (StateKind::Stopped, "it has finished".to_owned())
    );
}

#[test]
fn a_replacement_takes_over_when_it_is_ready() {
    let mut policy = running();
    let program = || "logd2".to_owned();
    let replace = Command::Replace { program: program() };
    let actions = policy.command(0, "log", replace.clone()).expect("ready");
    assert_eq!(brief(&actions), ["start log 4"]);
    let busy = policy.command(0, "log", replace.clone());
    assert_eq!(busy, Err(CommandError::Busy("log".to_owned())));
    assert_eq!(brief(&policy.serves(0, RunId(4))), ["bind log 4", "ask 1"]);
    assert_eq!(policy.statuses()[1].program, program());
    assert!(brief(&policy.ended(0, RunId(1), Ending::Clean)).is_empty());
    assert_eq!(state(&policy, "web").0, StateKind::Ready);
}

#[test]
fn a_replacement_that_does_not_get_ready_changes_nothing() {
    let mut policy = running();
    let replace = Command::Replace {
        program: "bad".to_owned(),
    };
    policy.command(0, "log", replace).expect("ready");
    assert!(brief(&policy.ended(0, RunId(4), Ending::Failed)).is_empty());
    assert_eq!(policy.statuses()[1].program, "logd");
    assert_eq!(state(&policy, "log").0, StateKind::Ready);
}

#[test]
fn a_replacement_stands_in_for_one_that_dies_meanwhile() {
    let mut policy = running();
    let replace = Command::Replace {
        program: "logd2".to_owned(),
    };
    policy.command(0, "log", replace).expect("ready");
    // The new one may have offered itself by now, and that stands.
    assert!(brief(&policy.ended(0, RunId(1), Ending::Failed)).is_empty());
    assert_eq!(brief(&policy.serves(0, RunId(4))), ["bind log 4"]);
    assert_eq!(policy.statuses()[1].program, "logd2");
}

/// `log` was to be replaced by a bad program, run 4, and has ended meanwhile.
fn displaced(ending: Ending) -> Policy {
    let mut policy = running();
    let replace = Command::Replace {
        program: "bad".to_owned(),
    };
    policy.command(0, "log", replace).expect("ready");
    policy.ended(0, RunId(1), ending);
    assert_eq!(policy.statuses()[1].program, "bad");
    policy
}

#[test]
fn a_replacement_that_stands_in_and_does_not_get_ready_changes_nothing() {
    for ending in [Ending::Clean, Ending::Failed] {
        let mut policy = displaced(Ending::Failed);
        assert!(brief(&policy.ended(0, RunId(4), ending)).is_empty());
        assert_eq!(policy.statuses()[1].program, "logd");
        assert_eq!(state(&policy, "log").0, StateKind::BackingOff);
        assert_eq!(brief(&policy.tick(10 * MS)), ["start log 5"]);
        assert_eq!(brief(&policy.serves(10 * MS, RunId(5))), ["bind log 5"]);
    }
    let mut policy = displaced(Ending::Clean);
    policy.ended(0, RunId(4), Ending::Failed);
    let how = state(&policy, "log").1;
    assert_eq!(how, "it has finished", "the one that served had");
}

#[test]
fn a_replacement_that_stands_in_and_is_stopped_is_not_what_starts_again() {
    let mut policy = displaced(Ending::Failed);
    policy.command(0, "log", Command::Restart).expect("known");
    let again = policy.ended(0, RunId(4), Ending::Clean);
    assert_eq!(brief(&again), ["start log 5"]);
    assert_eq!(policy.statuses()[1].program, "logd");
}

#[test]
fn a_replacement_that_stands_in_and_is_in_the_manifest_by_now_stays() {
    let mut policy = displaced(Ending::Failed);
    let bad = CHAIN.replace("\"logd\"", "\"bad\"");
    let agreed = policy.reload(0, &Manifest::parse(&bad).expect("right"));
    assert!(brief(&agreed).is_empty());
    policy.ended(0, RunId(4), Ending::Failed);
    assert_eq!(policy.statuses()[1].program, "bad");
}

#[test]
fn a_changed_manifest_touches_only_what_has_changed() {
    let mut policy = running();
    let same = Manifest::parse(CHAIN).expect("right");
    assert!(policy.reload(0, &same).is_empty());
    let changed = CHAIN
        .replace("\"webd\"", "\"webd2\"")
        .replace("name = \"last\"", "name = \"new\"");
    let changed = Manifest::parse(&changed).expect("right");
    let actions = brief(&policy.reload(0, &changed));
    assert_eq!(actions, ["unbind web", "ask 2", "unbind last", "ask 3"]);
    assert_eq!(
        state(&policy, "new").0,
        StateKind::Waiting,
        "web is not ready"
    );
    assert_eq!(
        brief(&policy.ended(0, RunId(3), Ending::Clean)),
        ["empty last"]
    );
    assert!(policy.statuses().iter().all(|status| status.name != "last"));
    assert_eq!(
        brief(&policy.ended(0, RunId(2), Ending::Clean)),
        ["start web 4"]
    );
    assert_eq!(
        brief(&policy.started(0, RunId(4))),
        ["bind web 4", "start new 5"]
    );
}

#[test]
fn what_is_unknown_changes_nothing() {
    let mut policy = running();
    let unknown = policy.command(0, "nobody", Command::Start);
    assert_eq!(unknown, Err(CommandError::Unknown("nobody".to_owned())));
    assert!(policy.ended(0, RunId(99), Ending::Failed).is_empty());
    assert!(policy.serves(0, RunId(99)).is_empty());
    policy.command(0, "last", Command::Stop).expect("known");
    policy.ended(0, RunId(3), Ending::Clean);
    let kill = policy.command(0, "last", Command::Kill);
    assert_eq!(kill, Err(CommandError::NotRunning("last".to_owned())));
}

/// One that is asked, one that speaks by itself, and one that owes nothing.
const WATCHED: &str = r#"
[[service]]
name = "asked"
program = "a"
provides = ["kpio:log/sink"]
ready = "serving"
start-deadline-ms = 40
health = { every-ms = 100, deadline-ms = 30 }
restart = { policy = "always", backoff-ms = 10, limit = 3, window-s = 1 }

[[service]]
name = "speaks"
program = "b"
health = { every-ms = 100, deadline-ms = 30 }
"#;

#[test]
fn who_is_asked_answers_in_time_or_is_ended() {
    let mut policy = policy(WATCHED);
    assert_eq!(brief(&policy.tick(0)), ["start asked 1", "start speaks 2"]);
    assert_eq!(brief(&policy.serves(0, RunId(1))), ["bind asked 1"]);
    assert_eq!(policy.next_deadline_ns(), Some(100 * MS));
    assert_eq!(brief(&policy.tick(100 * MS)), ["check 1"]);
    assert_eq!(brief(&policy.felt(120 * MS, RunId(1), Ok(()))), [""; 0]);
    assert_eq!(policy.next_deadline_ns(), Some(220 * MS));
    assert_eq!(brief(&policy.tick(221 * MS)), ["check 1"]);
    assert_eq!(brief(&policy.tick(250 * MS)), [""; 0]);
    let ended = policy.tick(251 * MS);
    assert_eq!(brief(&ended), ["kill 1"]);
    assert!(matches!(&ended[0], Action::Note { text, .. } if text.contains("within 30 ms")));
    // Who is ended owes nothing more.
    assert_eq!(
        brief(&policy.felt(252 * MS, RunId(1), Err("late".into()))),
        [""; 0]
    );
    assert_eq!(policy.next_deadline_ns(), None);
    assert_eq!(
        brief(&policy.ended(252 * MS, RunId(1), Ending::Failed)),
        ["unbind asked"]
    );
    assert_eq!(state(&policy, "asked").0, StateKind::BackingOff);
}

#[test]
fn who_says_that_it_is_not_well_is_ended_with_its_sentence() {
    let mut policy = policy(WATCHED);
    policy.tick(0);
    policy.serves(0, RunId(1));
    assert_eq!(brief(&policy.tick(100 * MS)), ["check 1"]);
    let ended = policy.felt(101 * MS, RunId(1), Err("the disk is gone".into()));
    assert_eq!(brief(&ended), ["kill 1"]);
    assert!(
        matches!(&ended[0], Action::Note { text, .. } if text == "is not well: the disk is gone")
    );
}

#[test]
fn who_speaks_by_itself_is_ended_when_it_is_silent() {
    let mut policy = policy(WATCHED);
    policy.tick(0);
    policy.serves(0, RunId(1));
    policy.started(0, RunId(2));
    policy.alive(RunId(2), 90 * MS);
    policy.felt(90 * MS, RunId(1), Ok(()));
    assert_eq!(brief(&policy.tick(190 * MS)), ["check 1"]);
    policy.felt(190 * MS, RunId(1), Ok(()));
    assert_eq!(brief(&policy.tick(219 * MS)), [""; 0]);
    assert_eq!(brief(&policy.tick(220 * MS)), ["kill 2"]);
}

#[test]
fn who_is_asked_to_stop_owes_nothing_more() {
    let mut policy = policy(WATCHED);
    policy.tick(0);
    policy.serves(0, RunId(1));
    policy.started(0, RunId(2));
    for name in ["asked", "speaks"] {
        policy.command(50 * MS, name, Command::Stop).expect("known");
    }
    assert_eq!(policy.next_deadline_ns(), Some(2050 * MS));
}

#[test]
fn who_does_not_serve_in_time_has_not_started_and_its_escrow_goes_with_it() {
    let mut policy = policy(WATCHED);
    policy.tick(0);
    let mut now_ns = 0;
    for run in [1, 3, 4] {
        assert_eq!(brief(&policy.tick(now_ns + 39 * MS)), [""; 0]);
        now_ns += 40 * MS;
        assert_eq!(brief(&policy.tick(now_ns)), [format!("kill {run}")]);
        let ended = brief(&policy.ended(now_ns, RunId(run), Ending::Failed));
        if run == 4 {
            assert_eq!(ended, ["empty asked"]);
            continue;
        }
        assert_eq!(ended, [""; 0]);
        now_ns = policy.next_deadline_ns().expect("a restart is due");
        assert_eq!(
            brief(&policy.tick(now_ns)),
            [format!("start asked {}", run.max(2) + 1)]
        );
    }
    assert_eq!(state(&policy, "asked").0, StateKind::Failed);
}

#[test]
fn who_is_to_take_over_and_does_not_serve_in_time_does_not() {
    let mut policy = policy(WATCHED);
    policy.tick(0);
    policy.serves(0, RunId(1));
    let replace = Command::Replace {
        program: "other".into(),
    };
    let actions = policy.command(0, "asked", replace).expect("known");
    assert_eq!(brief(&actions), ["start asked 3"]);
    assert_eq!(brief(&policy.tick(40 * MS)), ["kill 3"]);
    assert_eq!(
        brief(&policy.ended(40 * MS, RunId(3), Ending::Failed)),
        [""; 0]
    );
    assert_eq!(state(&policy, "asked").0, StateKind::Ready);
}

#[test]
fn what_was_kept_goes_with_who_leaves_the_manifest() {
    let mut policy = policy(WATCHED);
    policy.tick(0);
    policy.started(0, RunId(2));
    let actions = policy.reload(0, &Manifest::default());
    assert_eq!(brief(&actions), ["ask 1", "unbind speaks", "ask 2"]);
    assert_eq!(
        brief(&policy.ended(0, RunId(2), Ending::Clean)),
        ["empty speaks"]
    );
}

/// A machine that stood still did so for whoever had to do something in time as well. It is told so once.
#[test]
fn a_deadline_that_nobody_saw_pass_begins_again_once() {
    let mut policy = policy(WATCHED);
    policy.tick(0);
    policy.started(0, RunId(2));
    // Run 1 should have served, and run 2 have spoken, long ago.
    let late_ns = 5000 * MS;
    assert_eq!(brief(&policy.tick(late_ns)), [""; 0]);
    assert_eq!(policy.next_deadline_ns(), Some(late_ns + 40 * MS));
    assert_eq!(brief(&policy.serves(late_ns, RunId(1))), ["bind asked 1"]);
    assert_eq!(brief(&policy.tick(2 * late_ns)), ["check 1", "kill 2"]);
    assert_eq!(brief(&policy.tick(3 * late_ns)), [""; 0]);
    policy.felt(3 * late_ns, RunId(1), Ok(()));
    let stop = policy.command(3 * late_ns, "asked", Command::Stop);
    assert_eq!(brief(&stop.expect("known")), ["unbind asked", "ask 1"]);
    assert_eq!(brief(&policy.tick(4 * late_ns)), [""; 0]);
    assert_eq!(brief(&policy.tick(5 * late_ns)), ["kill 1"]);
}

/// Who starts when it is shown waits for that, does not keep others waiting for good, and is kept running from then on.
#[test]
fn who_is_to_be_shown_waits_for_that() {
    let mut policy = policy(
        r#"
[[service]]
name = "console"
program = "consoled"
grants = ["kpio:console/devices"]

[[service]]
name = "shell"
program = "shd"
terminal = 2
start = "when-shown"
after = ["console"]
restart = { policy = "always", backoff-ms = 10 }
"#,
    );
    assert_eq!(brief(&policy.tick(0)), ["start console 1"]);
    assert_eq!(brief(&policy.started(0, RunId(1))), ["bind console 1"]);
    assert_eq!(state(&policy, "shell").0, StateKind::Stopped);
    let begun = policy.command(MS, "shell", Command::Start);
    assert_eq!(
        begun.map(|actions| brief(&actions)),
        Ok(vec!["start shell 2".to_owned()])
    );
    policy.started(MS, RunId(2));
    policy.ended(2 * MS, RunId(2), Ending::Clean);
    assert_eq!(brief(&policy.tick(13 * MS)), ["start shell 3"]);
}

/// Who can do without a provider, which its imports say, neither waits for that one nor ends with it.
#[test]
fn who_can_do_without_a_provider_does() {
    let mut policy = policy(
        r#"
[[service]]
name = "log"
program = "logd"
provides = ["kpio:log/reader"]
ready = "serving"

[[service]]
name = "shell"
program = "shd"
imports = { "kpio:log/reader" = { from = "log", while-down = "fail" } }
"#,
    );
    assert_eq!(brief(&policy.tick(0)), ["start log 1", "start shell 2"]);
    policy.started(0, RunId(1));
    policy.started(0, RunId(2));
    policy.serves(0, RunId(1));
    let stopped = policy.command(MS, "log", Command::Stop);
    let brief_of = stopped.map(|actions| brief(&actions).join(", "));
    assert_eq!(brief_of.as_deref(), Ok("unbind log, ask 1"));
    policy.ended(2 * MS, RunId(1), Ending::Clean);
    assert_eq!(state(&policy, "log").0, StateKind::Stopped);
    assert_eq!(state(&policy, "shell").0, StateKind::Ready);
}
