//! What a manifest may say, and what is said to one that is wrong.

use lib_service_manifest::{
    FolderRights, Health, Limits, Manifest, Ready, Restart, RestartPolicy, Start, WhileDown,
};

const WHOLE: &str = r#"
[[service]]
name = "log"
program = "logd"
provides = ["kpio:log/sink", "kpio:log/reader@0.1.0"]
ready = "serving"

[[service]]
name = "web"
program = "webd"
arguments = ["--port", "80"]
environment = { TZ = "UTC", LANG = "C" }
imports = { "kpio:log/sink" = "log", "kpio:log/reader@0.1.0" = { from = "log", while-down = "fail" } }
grants = ["kpio:process/processes"]
folders = [{ path = "/share", at = "/data", rights = "read" }, { path = "/tmp", rights = "read-write" }]
limits = { memory = "16M", handles = 64, cpu-percent = 50, processes = 4, output = "1M", escrow = "8K" }
restart = { policy = "always", backoff-ms = 20, backoff-max-ms = 500, limit = 3, window-s = 10 }
after = ["log"]
start-deadline-ms = 300
stop-deadline-ms = 100
health = { every-ms = 500, deadline-ms = 20 }
"#;

#[test]
fn all_keys_are_read() {
    let manifest = Manifest::parse(WHOLE).expect("right");
    let log = manifest.get("log").expect("there");
    assert_eq!((log.ready, log.stop_deadline_ms), (Ready::Serving, 2000));
    assert_eq!(
        (&log.limits, &log.restart),
        (&Limits::default(), &Restart::default())
    );
    assert_eq!((log.start_deadline_ms, log.health), (30_000, None));
    let web = manifest.get("web").expect("there");
    assert_eq!(web.start_deadline_ms, 300);
    let health = Health {
        every_ms: 500,
        deadline_ms: 20,
    };
    assert_eq!(web.health, Some(health));
    assert!(log.is_asked() && !web.is_asked());
    assert_eq!(web.limits.escrow_bytes, 8 << 10);
    assert_eq!(web.arguments, ["--port", "80"]);
    assert_eq!(web.environment[1], ("TZ".into(), "UTC".into()));
    assert_eq!(web.imports[0].while_down, WhileDown::Fail);
    assert_eq!(web.imports[1].while_down, WhileDown::Wait);
    assert!(web.imports_from("log") && web.is_granted("kpio:process/processes"));
    assert_eq!(web.folders[0].at, "/data");
    assert_eq!(web.folders[1].at, "/tmp");
    assert_eq!(web.folders[1].rights, FolderRights::ReadWrite);
    assert_eq!(web.limits.memory_bytes, 16 << 20);
    assert_eq!(web.limits.output_bytes, Some(1 << 20));
    assert_eq!(web.restart.policy, RestartPolicy::Always);
    assert_eq!(web.dependencies().collect::<Vec<_>>(), ["log"; 3]);
    assert!(manifest.check_programs(|name| name.ends_with('d')).is_ok());
}

const CONSOLE_AND_SHELL: &str = r#"
[[service]]
name = "console"
program = "consoled"
grants = ["kpio:console/devices"]

[[service]]
name = "shell"
program = "shd"
terminal = 4
start = "when-shown"
"#;

#[test]
fn one_service_shows_the_terminals_of_others() {
    let manifest = Manifest::parse(CONSOLE_AND_SHELL).expect("right");
    assert_eq!(manifest.console().map(|s| s.name.as_str()), Some("console"));
    assert_eq!(manifest.get("shell").and_then(|s| s.terminal), Some(4));
    let start = |name| manifest.get(name).map(|service| service.start);
    assert_eq!(start("shell"), Some(Start::WhenShown));
    assert_eq!(start("console"), Some(Start::AtOnce));
    assert_eq!(manifest.get("console").and_then(|s| s.terminal), None);
    assert!(Manifest::parse(WHOLE).is_ok_and(|manifest| manifest.console().is_none()));
}

#[test]
fn no_text_is_no_service() {
    assert_eq!(Manifest::parse(""), Ok(Manifest::default()));
}

/// A text, and words that the sentence about it must have.
const WRONG: &[(&str, &[&str])] = &[
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nterminal = 5",
        &["'a'", "terminal", "from 1 to 4"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nstart = 'when-shown'",
        &["'a'", "start", "at-once"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nterminal = 1",
        &["'a'", "terminal", "kpio:console/devices"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\ngrants = ['kpio:console/devices']\n\
         [[service]]\nname = 'b'\nprogram = 'p'\ngrants = ['kpio:console/devices']",
        &["'b'", "grants", "'a'"],
    ),
    ("[[service]", &["line 1"]),
    ("a = 1", &["'a'", "[[service]]"]),
    ("service = 1", &["[[service]]"]),
    ("service = [1]", &["[[service]]"]),
    (
        "[[service]]\nprogram = 'p'",
        &["number 1", "'name'", "missing"],
    ),
    ("[[service]]\nname = 'a'", &["'a'", "'program'", "missing"]),
    (
        "[[service]]\nname = 'a b'\nprogram = 'p'",
        &["'name'", "'a b'", "letters"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nprovides = ['a:b/c']\nhealth = { every-ms = 9000 }",
        &["'health'", "ready = \"serving\""],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nlimits = { escrow = '1K' }\nhealth = { every-ms = 50, deadline-ms = 20 }",
        &["'health'", "2000 ms", "escrow"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nhealth = { deadline-ms = 5 }",
        &["'health.every-ms'", "missing"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nhealth = { every-ms = 0 }",
        &["'health.every-ms'", "1"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nready = 'finished'\nhealth = { every-ms = 5 }",
        &["'health'", "leave"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nlimits = { escrow = '2G' }",
        &["'limits.escrow'", "1G"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nstart-deadline-ms = 'soon'",
        &["'start-deadline-ms'", "number"],
    ),
    (
        "[[service]]\nname = '-a'\nprogram = 'p'",
        &["'name'", "'-a'"],
    ),
    (
        "[[service]]\nname = 7\nprogram = 'p'",
        &["'name'", "integer", "text"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\ncolour = 'red'",
        &["'a'", "'colour'", "no such key"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nnetwork = ['x']",
        &["'network'", "leave the key out"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\ndevices = ['x']",
        &["'devices'", "leave the key out"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\narguments = 'x'",
        &["'arguments'", "list"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nprovides = ['x']",
        &["'provides'", "'x'", "namespace"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nprovides = ['a:b/c', 'a:b/c']",
        &["twice"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\ngrants = ['a:b/c']",
        &["'grants'", "'a:b/c'", "kpio:process/processes"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nready = 'soon'",
        &[
            "'ready'",
            "'soon'",
            "\"started\" or \"serving\" or \"finished\"",
        ],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nready = 'finished'\nprovides = ['x:y/z']",
        &["'ready'", "cannot serve"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nready = 'finished'\nrestart = { policy = 'always' }",
        &["'ready'", "never finishes"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nready = 'serving'",
        &["'ready'", "provides nothing"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nafter = ['b']",
        &["'after'", "'b'", "write one of a"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nafter = ['a']",
        &["'a'", "itself"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nimports = { 'x:y/z' = 'b' }",
        &["'imports.x:y/z'", "'b'"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nimports = { 'z' = 'a' }",
        &["'imports.z'", "namespace"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nimports = { 'x:y/z' = {} }",
        &["'imports.x:y/z.from'", "missing"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nimports = { 'x:y/z' = { from = 'b', while-down = 'cry' } }",
        &["while-down", "'cry'", "\"wait\" or \"fail\""],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nlimits = { memory = '1K' }",
        &["'limits.memory'", "'1K'", "16M"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nlimits = { memory = 5 }",
        &["'limits.memory'", "text"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nlimits = { handles = 0 }",
        &["'limits.handles'", "0", "from 1"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nlimits = { handles = -1 }",
        &["'limits.handles'", "-1"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nlimits = { handles = 99999999999999999999999 }",
        &["'limits.handles'"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nlimits = { mem = '4M' }",
        &["'limits.mem'", "no such key", "memory"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nlimits = '4M'",
        &["'limits'", "table"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nrestart = { policy = 'maybe' }",
        &["'restart.policy'", "'maybe'", "on-failure"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nrestart = { backoff-ms = 9, backoff-max-ms = 8 }",
        &["backoff-max-ms", "8", "9"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nrestart = { limit = 1.5 }",
        &["'restart.limit'", "float"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nfolders = [{ path = 'tmp' }]",
        &["'folders.path'", "'tmp'", "absolute"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nfolders = [{ path = '/a/../b' }]",
        &["'folders.path'", "'..'"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nfolders = [{ path = '/a', at = \"/\\u001b]0;x\\u0007\" }]",
        &["'folders.at'", "\\u{1b}]0;x\\u{7}", "control characters"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nfolders = [{ path = '/a', at = \"/\\u202e\" }, { path = '/b', at = \"/\\u202e\" }]",
        &["'folders'", "'/\\u{202e}'"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nfolders = [{ path = '/a' }, { path = '/b', at = '/a' }]",
        &["'folders'", "'/a'"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nenvironment = { 'A=B' = 'x' }",
        &["environment", "'='"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nenvironment = { A = 1 }",
        &["'environment.A'", "text"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\n[[service]]\nname = 'a'\nprogram = 'q'",
        &["'a'", "'name'", "another"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nprovides = ['x:y/z']\n\
      [[service]]\nname = 'b'\nprogram = 'q'\n[[service]]\nname = 'c'\nprogram = 'q'\nimports = { 'x:y/z' = 'b' }",
        &["'c'", "'b' does not provide it", "write a"],
    ),
    (
        "[[service]]\nname = 'a'\nprogram = 'p'\nafter = ['b']\n[[service]]\nname = 'b'\nprogram = 'q'\nafter = ['c']\n\
      [[service]]\nname = 'c'\nprogram = 'q'\nafter = ['b']",
        &["'b'", "itself", "b, c"],
    ),
];

#[test]
fn what_is_wrong_is_named() {
    for (text, words) in WRONG {
        let error = Manifest::parse(text).expect_err(text).to_string();
        for word in *words {
            assert!(
                error.contains(word),
                "{text}\n  gave: {error}\n  without: {word}"
            );
        }
    }
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let manifest = Manifest::parse("[[service]]\nname = 'a'\nprogram = 'p'").expect("right");
    let error = manifest
        .check_programs(|_| false)
        .expect_err("missing")
        .to_string();
    assert!(error.contains("'a'") && error.contains("'p'"), "{error}");
}

#[test]
fn bounds_hold() {
    let services = |count: usize| -> String {
        let one = |n| format!("[[service]]\nname = 's{n}'\nprogram = 'p'\n");
        (0..count).map(one).collect()
    };
    assert!(Manifest::parse(&services(256)).is_ok());
    assert!(Manifest::parse(&services(257)).is_err());
    assert!(Manifest::parse(&"#".repeat((256 << 10) + 1)).is_err());
    let arguments = |count: usize| {
        let words = "'x',".repeat(count);
        format!("[[service]]\nname = 'a'\nprogram = 'p'\narguments = [{words}]")
    };
    assert!(Manifest::parse(&arguments(64)).is_ok());
    assert!(Manifest::parse(&arguments(65)).is_err());
    assert!(Manifest::parse(&format!("a = {}", "[".repeat(200_000))).is_err());
}

/// The seed of this run: `KPIO_SEED` if set, else a new one. Printed, so that a failure replays.
fn seeded() -> fastrand::Rng {
    let seed = std::env::var("KPIO_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("replay with KPIO_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// Every spoilt text is a value: right, or a sentence.
#[test]
fn hostile_text_is_a_value() {
    let mut random = seeded();
    for _ in 0..3000 {
        let mut text: Vec<char> = WHOLE.chars().collect();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..text.len());
            match random.u8(..3) {
                0 => drop(text.remove(at)),
                1 => text.insert(at, random.char(..)),
                _ => {
                    text[at] = *random
                        .choice(&['"', '[', ']', '{', '}', '=', '\n', '\0', '9', '.'])
                        .expect("some")
                }
            }
        }
        let text: String = text.into_iter().collect();
        if let Err(error) = Manifest::parse(&text) {
            assert!(!error.to_string().is_empty());
        }
    }
}
