//! What each interface is to a program that was granted nothing, to one that was granted it, and to one whose grant is taken back:
//! a row for every interface that there is.
//!
//! Law: the interfaces are read from the WIT, that of WASI in crate `wasip2` and ours in `contract/wit`. One without a row fails, and so
//! does a row without an interface. To add an interface: its WIT, and a line in [`ROWS`].

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use runtime_engine::{Engine, EngineOptions};
use runtime_host::channel::{Incoming, Limits, Message, Request, ServerEnd};
use runtime_host::{
    Awaited, Budget, ByteSink, ClockHardware, ClockHardwareError, Console, ConsoleParts,
    ConsoleScreen, Discard, LogCursor, LogSource, Look, NoInput, Notifier, SaidLine,
};
use runtime_link::{Function, Grant, HostOffer, Interface, Route, Shape, WhileDown};
use runtime_supervisor::{
    CodeSource, Exit, Files, Grants, Launch, Links, Permission, Process, ProcessLimits,
    ProgramImage, Supervisor, SupervisorOptions, SystemControl, WasmBytes,
};
use support::{Collected, guest, guests_folder};

const MIB: u64 = 1 << 20;
const LIMITS: Limits = Limits {
    clients: 8,
    messages: 8,
    bytes: 1 << 20,
    client_messages: 4,
    client_bytes: 256 << 10,
};

/// What an interface is to programs.
enum Row {
    /// Of WASI: it links without a grant, and what it then has for a program is this, as `test/guest/faults/denied` prints it.
    Answers(&'static str),
    /// Of WASI: there is nothing to ask without a grant, for this reason.
    NothingToAsk(&'static str),
    /// Types only, which need no provider.
    Types,
    /// Ours: it links without a grant, since it gives nothing that a program has not. The program is `run`'s text.
    Open(fn() -> String),
    /// Ours: it links for a process that was given this and not without; that stays, for this reason.
    Restricted(fn() -> String, fn(&mut Launch), &'static str),
    /// The same, but it can be taken back while the program runs, which then gets errors, as its children do.
    Revocable(fn() -> String, fn(&mut Launch, Permission)),
    /// Ours: services export it and are called by the host; nobody imports it.
    Exported,
    /// Provided by a service, as its one function `add` is: it links with a grant of a route, which can be taken back.
    Provided,
}
use Row::{Answers, Exported, NothingToAsk, Open, Provided, Restricted, Revocable, Types};

const NEEDS_A_DESCRIPTOR: &str =
    "all is asked of a descriptor, and those come from preopened folders";
const NEEDS_A_SOCKET: &str = "all is asked of a socket, and none can be made";
const NEEDS_A_TERMINAL: &str = "it has no function; its values come from the interfaces beside it";
const STAYS: &str =
    "who may start processes has started some: taking that back is ending the process";
const WHOLE: &str = "what was done with it stays done: taking it back is ending the process";

const ROWS: &[(&str, Row)] = &[
    ("wasi:cli/environment", Answers("[]")),
    (
        "wasi:cli/exit",
        NothingToAsk("a program can always end itself"),
    ),
    ("wasi:cli/run", NothingToAsk("programs export it")),
    ("wasi:cli/stdin", Answers("true")),
    (
        "wasi:cli/stdout",
        NothingToAsk("there is always a stream, which may lead nowhere"),
    ),
    (
        "wasi:cli/stderr",
        NothingToAsk("there is always a stream, which may lead nowhere"),
    ),
    ("wasi:cli/terminal-input", NothingToAsk(NEEDS_A_TERMINAL)),
    ("wasi:cli/terminal-output", NothingToAsk(NEEDS_A_TERMINAL)),
    ("wasi:cli/terminal-stdin", Answers("false")),
    ("wasi:cli/terminal-stdout", Answers("false")),
    ("wasi:cli/terminal-stderr", Answers("false")),
    ("wasi:clocks/monotonic-clock", Answers("true")),
    ("wasi:clocks/wall-clock", Answers("true")),
    (
        "wasi:clocks/timezone",
        NothingToAsk("it is behind a feature gate of the WIT"),
    ),
    ("wasi:filesystem/preopens", Answers("0")),
    ("wasi:filesystem/types", NothingToAsk(NEEDS_A_DESCRIPTOR)),
    (
        "wasi:http/incoming-handler",
        NothingToAsk("programs export it"),
    ),
    (
        "wasi:http/outgoing-handler",
        Answers("\"ErrorCode::HttpRequestDenied\""),
    ),
    (
        "wasi:http/types",
        NothingToAsk("messages are made up in memory; sending them is another interface's"),
    ),
    ("wasi:io/error", NothingToAsk("errors come from streams")),
    ("wasi:io/poll", Answers("1")),
    ("wasi:io/streams", Answers("true")),
    ("wasi:random/insecure", Answers("4")),
    ("wasi:random/insecure-seed", Answers("true")),
    ("wasi:random/random", Answers("4")),
    (
        "wasi:sockets/instance-network",
        Answers("\"a name for no network\""),
    ),
    (
        "wasi:sockets/ip-name-lookup",
        Answers("Err(\"access-denied\")"),
    ),
    (
        "wasi:sockets/network",
        NothingToAsk("it has no function but one behind a feature gate"),
    ),
    ("wasi:sockets/tcp", NothingToAsk(NEEDS_A_SOCKET)),
    (
        "wasi:sockets/tcp-create-socket",
        Answers("Err(\"access-denied\")"),
    ),
    ("wasi:sockets/udp", NothingToAsk(NEEDS_A_SOCKET)),
    (
        "wasi:sockets/udp-create-socket",
        Answers("Err(\"access-denied\")"),
    ),
    ("kpio:bulk/buffers", Open(makes_a_buffer)),
    (
        "kpio:console/devices",
        Restricted(opens_the_console, give_console, WHOLE),
    ),
    ("kpio:demo/counter", Provided),
    ("kpio:link/failure", Types),
    ("kpio:log/reader", Provided),
    (
        "kpio:log/source",
        Restricted(hears_the_log, give_log, WHOLE),
    ),
    ("kpio:log/types", Types),
    (
        "kpio:process/foreground",
        Restricted(asks_for_the_foreground, let_spawn, STAYS),
    ),
    ("kpio:process/pipes", Open(makes_a_pipe)),
    (
        "kpio:process/processes",
        Restricted(lists_programs, let_spawn, STAYS),
    ),
    ("kpio:process/terminal", Open(asks_for_a_terminal)),
    (
        "kpio:service/control",
        Revocable(lists_services, let_control),
    ),
    ("kpio:service/escrow", Open(asks_for_the_escrow)),
    ("kpio:service/health", Exported),
    ("kpio:service/reactions", Exported),
    ("kpio:service/reactor", Open(forgets)),
    ("kpio:service/watchdog", Open(is_alive)),
    (
        "kpio:time/hardware",
        Restricted(sets_the_clock, give_clocks, WHOLE),
    ),
    ("kpio:time/settings", Provided),
    ("kpio:time/types", Types),
    ("kpio:time/zones", Provided),
];

fn let_spawn(launch: &mut Launch) {
    launch.may_spawn = true;
}

/// The program's own grants do not stand in the way of what is tested.
fn let_control(launch: &mut Launch, permission: Permission) {
    launch.program.grants.may_control = true;
    launch.links.control = Some(permission);
}

fn give_console(launch: &mut Launch) {
    launch.links.devices.console = Some(Console::new(ConsoleParts {
        keyboard: Arc::new(NoInput),
        serial_input: Arc::new(NoInput),
        serial_output: Arc::new(Discard),
        kernel_output: Arc::new(Discard),
        screen: Arc::new(NoScreen),
    }));
}

fn give_clocks(launch: &mut Launch) {
    launch.links.devices.clocks = Some(Arc::new(NoClocks));
}

fn give_log(launch: &mut Launch) {
    launch.links.devices.log = Some(Arc::new(Silence));
}

struct NoScreen;

impl ConsoleScreen for NoScreen {
    fn size(&self) -> Option<(u16, u16)> {
        None
    }
    fn draw(&self, _line: u16, _column: u16, _text: &str, _look: Look) {}
    fn hand_out(&self) {}
    fn take_back(&self) {}
}

/// Clocks that are set without a trace.
struct NoClocks;

impl ClockHardware for NoClocks {
    fn battery_clock(&self) -> Result<Duration, ClockHardwareError> {
        Err(ClockHardwareError::Absent)
    }
    fn set_battery_clock(&self, _to: Duration) -> Result<(), ClockHardwareError> {
        Err(ClockHardwareError::Absent)
    }
    fn set_system_clock(&self, _to: Duration) -> Result<(), ClockHardwareError> {
        Ok(())
    }
}

/// A system in which nobody says anything.
struct Silence;

impl LogSource for Silence {
    fn cursor(&self) -> Box<dyn LogCursor> {
        Box::new(Silence)
    }
}

impl LogCursor for Silence {
    fn read(&mut self, _count: usize) -> (Vec<SaidLine>, u64) {
        (Vec::new(), 0)
    }
    fn news(&self) -> Arc<dyn Awaited> {
        Arc::new(Silence)
    }
}

impl Awaited for Silence {
    fn is_ready(&self) -> bool {
        false
    }
    fn subscribe(&self, _notifier: &Notifier) {}
}

/// A component of these parts, whose `run` is the core function's: 0 is success.
fn component(imports: &str, lower: &str, with: &str, run: &str) -> String {
    format!(
        r#"(component
            {imports}
            (core module $memory
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096)))
            (core instance $memory (instantiate $memory))
            {lower}
            (core module $main
                (import "memory" "memory" (memory 1))
                {run})
            (core instance $main (instantiate $main
                (with "memory" (instance $memory))
                (with "host" (instance {with}))))
            (func $run (result (result)) (canon lift (core func $main "run")))
            (instance $run (export "run" (func $run)))
            (export "wasi:cli/run@0.2.6" (instance $run)))"#
    )
}

/// One that calls `$call`, which leaves its answer at 64, and succeeds if the byte there is `first`.
fn calling(imports: &str, call: &str, first: u8) -> String {
    let memory =
        r#"(memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))"#;
    component(
        imports,
        &format!("(core func $call (canon lower (func {call}) {memory}))"),
        r#"(export "call" (func $call))"#,
        &format!(
            r#"(import "host" "call" (func $call (param i32)))
               (func (export "run") (result i32)
                   (call $call (i32.const 64))
                   (i32.ne (i32.load8_u (i32.const 64)) (i32.const {first})))"#
        ),
    )
}

/// There is none: an error.
fn asks_for_a_terminal() -> String {
    calling(
        r#"(import "kpio:process/terminal@0.1.0" (instance $terminal
               (type $error (enum "no-terminal"))
               (export "terminal-error" (type $terminal-error (eq $error)))
               (export "size" (func (result (result (tuple u16 u16) (error $terminal-error)))))))"#,
        r#"$terminal "size""#,
        1,
    )
}

fn makes_a_pipe() -> String {
    calling(
        r#"(import "wasi:io/streams@0.2.12" (instance $streams
               (export "input-stream" (type (sub resource)))
               (export "output-stream" (type (sub resource)))))
           (alias export $streams "input-stream" (type $input))
           (alias export $streams "output-stream" (type $output))
           (import "kpio:process/pipes@0.1.0" (instance $pipes
               (alias outer 1 $input (type $outer-input))
               (export "input-stream" (type $in (eq $outer-input)))
               (alias outer 1 $output (type $outer-output))
               (export "output-stream" (type $out (eq $outer-output)))
               (type $error (enum "quota"))
               (export "pipe-error" (type $pipe-error (eq $error)))
               (export "pipe" (func (result (result (tuple (own $in) (own $out)) (error $pipe-error)))))))"#,
        r#"$pipes "pipe""#,
        0,
    )
}

/// Its answer is a list; the byte is the lowest of where that lies.
fn lists_programs() -> String {
    calling(
        r#"(import "kpio:process/processes@0.1.0" (instance $processes
               (export "programs" (func (result (list string))))))"#,
        r#"$processes "programs""#,
        0,
    )
}

fn asks_for_the_foreground() -> String {
    component(
        r#"(import "kpio:process/foreground@0.1.0" (instance $foreground
               (export "was-suspended" (func (result bool)))))"#,
        r#"(core func $call (canon lower (func $foreground "was-suspended")))"#,
        r#"(export "call" (func $call))"#,
        r#"(import "host" "call" (func $call (result i32)))
           (func (export "run") (result i32) (call $call))"#,
    )
}

/// One that calls `$call` with these arguments and results of the core function, and succeeds after that.
fn calling_plainly(imports: &str, call: &str, types: &str, arguments: &str) -> String {
    component(
        imports,
        &format!(
            r#"(core func $call (canon lower (func {call}) (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))"#
        ),
        r#"(export "call" (func $call))"#,
        &format!(
            r#"(import "host" "call" (func $call {types}))
               (func (export "run") (result i32) {arguments} (call $call) (i32.const 0))"#
        ),
    )
}

fn makes_a_buffer() -> String {
    calling_plainly(
        r#"(import "kpio:bulk/buffers@0.1.0" (instance $buffers
               (export "buffer" (type $buffer (sub resource)))
               (type $error (enum "quota" "handed-over" "out-of-bounds" "read-only" "revoked"))
               (export "bulk-error" (type $bulk-error (eq $error)))
               (export "[static]buffer.make" (func (param "len" u32)
                   (result (result (own $buffer) (error $bulk-error)))))))"#,
        r#"$buffers "[static]buffer.make""#,
        "(param i32 i32)",
        "(i32.const 4) (i32.const 64)",
    )
}

fn forgets() -> String {
    calling_plainly(
        r#"(import "kpio:service/reactor@0.1.0" (instance $reactor
               (export "forget" (func (param "token" u64)))))"#,
        r#"$reactor "forget""#,
        "(param i64)",
        "(i64.const 7)",
    )
}

fn is_alive() -> String {
    calling_plainly(
        r#"(import "kpio:service/watchdog@0.1.0" (instance $watchdog (export "alive" (func))))"#,
        r#"$watchdog "alive""#,
        "",
        "",
    )
}

/// It is no service's own process: an error.
fn asks_for_the_escrow() -> String {
    calling(
        r#"(import "kpio:service/escrow@0.1.0" (instance $escrow
               (type $error (enum "quota" "no-service" "not-yet"))
               (export "escrow-error" (type $escrow-error (eq $error)))
               (export "keys" (func (result (result (list string) (error $escrow-error)))))))"#,
        r#"$escrow "keys""#,
        1,
    )
}

/// Asks for the services until the answer is an error.
fn lists_services() -> String {
    component(
        r#"(import "kpio:service/control@0.1.0" (instance $control
               (export "services" (func (result (result string (error string)))))))"#,
        r#"(core func $call (canon lower (func $control "services")
               (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))"#,
        r#"(export "call" (func $call))"#,
        r#"(import "host" "call" (func $call (param i32)))
           (func (export "run") (result i32)
               (loop $again
                   (call $call (i32.const 64))
                   (br_if $again (i32.eqz (i32.load8_u (i32.const 64)))))
               (i32.const 0))"#,
    )
}

/// Services whose control is taken back in one of the calls, from whoever makes them.
struct LastCall {
    permission: Permission,
    calls: AtomicU32,
}

/// In which.
const LAST_CALL: u32 = 3;

impl SystemControl for LastCall {
    fn command(&self, _words: &[&str]) -> Result<String, String> {
        if self.calls.fetch_add(1, Ordering::Relaxed) + 1 >= LAST_CALL {
            self.permission.revoke();
        }
        Ok(String::new())
    }
    fn log(&self, service: &str, _level: &str, _place: u64) -> Result<(String, u64), String> {
        Err(service.to_owned())
    }
    fn more_log(&self, service: &str, _place: u64) -> Result<Arc<dyn Awaited>, String> {
        Err(service.to_owned())
    }
    fn capabilities(&self, whose: &str) -> Result<String, String> {
        Err(whose.to_owned())
    }
    fn switch_off(&self, _is_reboot: bool) -> Result<(), String> {
        Err("it stays on".to_owned())
    }
}

fn opens_the_console() -> String {
    calling(
        r#"(import "kpio:console/devices@0.1.0" (instance $devices
               (export "console" (type $console (sub resource)))
               (type $names (enum "taken" "full" "too-long" "not-there" "quota"))
               (export "refusal" (type $refusal (eq $names)))
               (export "open" (func (result (result (own $console) (error $refusal)))))))"#,
        r#"$devices "open""#,
        0,
    )
}

fn hears_the_log() -> String {
    calling_plainly(
        r#"(import "kpio:log/source@0.1.0" (instance $source
               (export "cursor" (type $cursor (sub resource)))
               (export "[constructor]cursor" (func (result (own $cursor))))))"#,
        r#"$source "[constructor]cursor""#,
        "(result i32)",
        "",
    )
    .replace(
        "(call $call) (i32.const 0)",
        "(drop (call $call)) (i32.const 0)",
    )
}

fn sets_the_clock() -> String {
    calling_plainly(
        r#"(import "kpio:time/hardware@0.1.0" (instance $hardware
               (type $fields (record (field "seconds" u64) (field "nanoseconds" u32)))
               (export "instant" (type $instant (eq $fields)))
               (type $cases (variant (case "busy") (case "absent") (case "out-of-range") (case "broken" string)))
               (export "clock-error" (type $clock-error (eq $cases)))
               (export "set-system-clock" (func (param "to" $instant)
                   (result (result (error $clock-error)))))))"#,
        r#"$hardware "set-system-clock""#,
        "(param i64 i32 i32)",
        "(i64.const 1) (i32.const 0) (i32.const 64)",
    )
}

/// Calls `add` of the interface until the answer is an error that is `revoked`.
fn adds_until_revoked(interface: &str) -> String {
    let names = FAILURES.map(|name| format!("\"{name}\"")).join(" ");
    component(
        &format!(
            r#"(import "kpio:link/failure@0.1.0" (instance $failure
                   (type $names (enum {names}))
                   (export "link-failure" (type (eq $names)))))
               (alias export $failure "link-failure" (type $link-failure))
               (import "{interface}@0.1.0" (instance $provided
                   (alias outer 1 $link-failure (type $outer-failure))
                   (export "link-failure" (type $own-failure (eq $outer-failure)))
                   (export "add" (func (param "amount" u64) (result (result u64 (error $own-failure)))))))"#
        ),
        r#"(core func $call (canon lower (func $provided "add") (memory (core memory $memory "memory"))))"#,
        r#"(export "call" (func $call))"#,
        r#"(import "host" "call" (func $call (param i64 i32)))
           (func (export "run") (result i32)
               (loop $again
                   (call $call (i64.const 1) (i32.const 64))
                   (br_if $again (i32.eqz (i32.load8_u (i32.const 64)))))
               (i32.ne (i32.load8_u (i32.const 72)) (i32.const 2)))"#,
    )
}

/// The cases of `kpio:link/failure`; the third is `revoked`.
const FAILURES: [&str; 5] = ["unavailable", "lost", "revoked", "busy", "too-large"];

/// The interfaces of a text of WIT, with the name of its package.
fn interfaces(text: &str) -> Vec<String> {
    let package = text.lines().find_map(|line| line.strip_prefix("package "));
    let package = package.expect("each file of WIT names its package");
    let package = package.split(['@', ';']).next().unwrap_or_default();
    let names = text.lines().filter_map(|line| {
        let name = line.strip_prefix("interface ")?;
        name.split([' ', '{']).next()
    });
    names.map(|name| format!("{package}/{name}")).collect()
}

fn files_of_wit(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of WIT") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files_of_wit(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "wit") {
            files.push(path);
        }
    }
}

/// Where the WIT of WASI lies: in the crate that the guests use.
fn wit_of_wasi() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test/guest/faults/Cargo.toml");
    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--locked",
            "--format-version",
            "1",
            "--manifest-path",
        ])
        .arg(manifest)
        .output();
    let metadata = metadata.expect("cargo runs").stdout;
    let text = String::from_utf8(metadata).expect("cargo writes text");
    let mut paths = text.split("\"manifest_path\":\"").skip(1);
    let path = paths.find_map(|rest| {
        let path = rest.split('"').next()?;
        path.contains("/wasip2-2.").then(|| PathBuf::from(path))
    });
    let path = path.expect("crate wasip2 is among the dependencies");
    path.with_file_name("wit").join("deps")
}

fn all_interfaces() -> Vec<String> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contract/wit");
    let mut files = Vec::new();
    for folder in [ours, wit_of_wasi()] {
        files_of_wit(&folder, &mut files);
    }
    let texts = files
        .iter()
        .map(|file| std::fs::read_to_string(file).expect("a text"));
    texts.flat_map(|text| interfaces(&text)).collect()
}

/// Interfaces of WASI without a function that a program could import.
const WITHOUT_FUNCTIONS: [&str; 5] = [
    "wasi:cli/run",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:http/incoming-handler",
    "wasi:sockets/network",
];

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| guests_folder("KPIO_FAULTS_GUEST", "faults"));

struct System {
    supervisor: Supervisor,
    budget: Budget,
}

impl System {
    fn new() -> System {
        let engine = Engine::new(EngineOptions::default()).expect("an engine");
        let budget = Budget::new(512 * MIB);
        let options = SupervisorOptions {
            budget: budget.clone(),
            processes_max: 8,
            interfaces: Vec::new(),
            meter: None,
            programs: None,
        };
        System {
            supervisor: Supervisor::new(engine, options).expect("a supervisor"),
            budget,
        }
    }

    /// A program with these grants and nothing else.
    fn launch(&self, wasm: Arc<[u8]>, may_spawn: bool, grants: Vec<Grant>) -> Launch {
        Launch {
            program: ProgramImage {
                name: "probe".to_owned(),
                wasm: Some(WasmBytes::Shared(wasm)),
                precompiled: None,
                grants: Grants::WHATEVER_IS_GIVEN,
            },
            arguments: Vec::new(),
            environment: Vec::new(),
            stdin: Arc::new(NoInput),
            stdout: Arc::new(Discard),
            stderr: Arc::new(Discard),
            terminal: None,
            files: Files::none(),
            limits: ProcessLimits::with_memory(64 * MIB),
            may_spawn,
            links: Links {
                grants,
                ..Links::default()
            },
            code: CodeSource::Precompiled,
            call: None,
        }
    }

    fn start(&self, launch: Launch) -> Process {
        self.supervisor.spawn(launch).expect("there is room")
    }

    fn run(&self, text: &str, may_spawn: bool, grants: Vec<Grant>) -> Exit {
        self.start(self.launch(binary(text), may_spawn, grants))
            .wait()
    }
}

fn binary(text: &str) -> Arc<[u8]> {
    let wasm = wat::parse_str(text);
    wasm.unwrap_or_else(|error| panic!("{error}\n{text}"))
        .into()
}

/// The sentence of a program that did not link.
fn refusal(exit: Exit) -> String {
    match exit {
        Exit::Unusable(sentence) => sentence,
        other => panic!("it ran, and ended so: {other:?}"),
    }
}

#[test]
fn every_interface_has_a_row_and_every_row_an_interface() {
    let mut interfaces = all_interfaces();
    let mut rows: Vec<String> = ROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    interfaces.sort();
    rows.sort();
    assert_eq!(rows, interfaces);
    for (name, row) in ROWS {
        let is_wasi = name.starts_with("wasi:");
        assert_eq!(
            is_wasi,
            matches!(row, Answers(_) | NothingToAsk(_)),
            "{name}"
        );
        if let NothingToAsk(why) | Restricted(_, _, why) = row {
            assert!(!why.is_empty(), "{name}");
        }
    }
}

#[test]
fn wasi_links_without_grants_and_answers_its_denial() {
    let system = System::new();
    let output = Arc::new(Collected::default());
    let mut launch = system.launch(guest(&FOLDER, "denied"), false, Vec::new());
    launch.stdout = Arc::clone(&output) as Arc<dyn ByteSink>;
    let process = system.start(launch);
    assert_eq!(process.wait(), Exit::Code(0));
    let text = output.text();
    let said = text.lines().filter_map(|line| line.split_once(' '));
    let said: BTreeMap<&str, &str> = said.collect();
    let expected = ROWS.iter().filter_map(|(name, row)| match row {
        Answers(answer) => Some((*name, *answer)),
        _ => None,
    });
    assert_eq!(said, expected.collect());
}

/// Two programs import every function of WASI, and tell which: they run, so all of them link.
#[test]
fn all_of_wasi_links_without_grants() {
    let (system, folder) = (System::new(), guests_folder("KPIO_GUESTS", ""));
    let mut linked: BTreeSet<String> = WITHOUT_FUNCTIONS.map(str::to_owned).into();
    for (name, list) in [
        ("wasi-functions", "list"),
        ("wasi-functions", "list-gated"),
        ("http-functions", "list"),
    ] {
        let output = Arc::new(Collected::default());
        let mut launch = system.launch(guest(&folder, name), false, Vec::new());
        launch.arguments = vec![list.to_owned()];
        launch.stdout = Arc::clone(&output) as Arc<dyn ByteSink>;
        let exit = system.start(launch).wait();
        assert_eq!(exit, Exit::Code(0), "{name} {list}");
        let text = output.text();
        let interfaces = text.lines().filter_map(|line| line.split('#').next());
        linked.extend(interfaces.map(str::to_owned));
    }
    let wasi = ROWS.iter().filter(|(name, _)| name.starts_with("wasi:"));
    assert_eq!(linked, wasi.map(|(name, _)| (*name).to_owned()).collect());
}

#[test]
fn what_is_ours_and_open_links_without_grants() {
    let system = System::new();
    for (name, row) in ROWS {
        if let Open(program) = row {
            assert_eq!(
                system.run(&program(), false, Vec::new()),
                Exit::Code(0),
                "{name}"
            );
        }
    }
}

#[test]
fn what_is_restricted_links_with_a_grant_only_and_the_refusal_says_where_it_stands() {
    let system = System::new();
    for (name, row) in ROWS {
        let (Restricted(program, ..) | Revocable(program, _)) = row else {
            continue;
        };
        let sentence = refusal(system.run(&program(), false, Vec::new()));
        for part in [*name, "was not granted", "grants`"] {
            assert!(sentence.contains(part), "{part} is not in: {sentence}");
        }
        let mut launch = system.launch(binary(&program()), false, Vec::new());
        match row {
            Restricted(_, give, _) => give(&mut launch),
            Revocable(_, give) => give(&mut launch, Permission::new()),
            _ => {}
        }
        assert_eq!(system.start(launch).wait(), Exit::Code(0), "{name}");
    }
}

/// Revoked in a call: the next one is an error that reaches nobody, and the program goes on. Who has nothing left does not link either.
#[test]
fn what_is_revocable_is_asked_for_at_each_call() {
    let revocable = ROWS.iter().filter_map(|(name, row)| match row {
        Revocable(program, give) => Some((name, program, give)),
        _ => None,
    });
    for (name, program, give) in revocable {
        let (system, permission) = (System::new(), Permission::new());
        let control = Arc::new(LastCall {
            permission: permission.clone(),
            calls: AtomicU32::new(0),
        });
        let asked = Arc::clone(&control) as Arc<dyn SystemControl>;
        system.supervisor.set_control(asked);
        let start = || {
            let mut launch = system.launch(binary(&program()), false, Vec::new());
            give(&mut launch, permission.clone());
            system.start(launch).wait()
        };
        assert_eq!(start(), Exit::Code(0), "{name}");
        assert_eq!(control.calls.load(Ordering::Relaxed), LAST_CALL, "{name}");
        assert!(refusal(start()).contains("was not granted"), "{name}");
    }
}

/// The host as the provider of `add`.
fn offer(route: &Route, budget: &Budget) -> (HostOffer, ServerEnd) {
    let failures = Shape::Enum(FAILURES.map(str::to_owned).to_vec());
    let interface = Interface {
        full_name: format!("{}@0.1.0", route.interface()),
        functions: vec![Function {
            name: "add".to_owned(),
            parameters: vec![Shape::U64],
            result: Some(Shape::Result {
                ok: Some(Box::new(Shape::U64)),
                err: Some(Box::new(failures)),
            }),
        }],
        resources: Vec::new(),
    };
    HostOffer::make(route, interface, LIMITS, budget).expect("there is room")
}

fn next_call(server: &ServerEnd) -> Request {
    let notifier = Notifier::new();
    server.subscribe(&notifier);
    loop {
        match server.receive().expect("it can be paid for") {
            Incoming::Request(request) => return request,
            _ => drop(notifier.wait(None)),
        }
    }
}

/// Not granted: it does not link. Granted: a call is answered. Revoked in the next call: an error, and the program goes on.
#[test]
fn what_a_service_provides_links_with_a_grant_only_which_can_be_taken_back() {
    let system = System::new();
    let provided = ROWS.iter().filter(|(_, row)| matches!(row, Provided));
    for (name, _) in provided {
        let program = adds_until_revoked(name);
        let sentence = refusal(system.run(&program, false, Vec::new()));
        for part in [
            name,
            "which nothing here provides to it",
            "`imports` of a `[[service]]`",
        ] {
            assert!(sentence.contains(part), "{part} is not in: {sentence}");
        }
        let route = Route::new(*name, "host");
        let (_offer, server) = offer(&route, &system.budget);
        let grant = Grant::new(route, WhileDown::Wait);
        let grants = vec![grant.clone()];
        let process = system.start(system.launch(binary(&program), false, grants));
        let reply = next_call(&server).reply.expect("a call wants an answer");
        let value = [&[0][..], &7u64.to_le_bytes()].concat();
        reply
            .answer(Message::new(0, value))
            .expect("somebody waits");
        let in_flight = next_call(&server);
        grant.revoke();
        assert_eq!(process.wait(), Exit::Code(0), "{name}");
        drop(in_flight);
    }
}
