//! Processes that start processes: what they pass on, who ends with whom, and that nothing is left of any of them.
//!
//! The program is `test/guest/processes`, which starts itself.

mod support;

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use runtime_engine::{Engine, EngineOptions};
use runtime_host::tmpfs::{Timestamp, Tmpfs};
use runtime_host::{
    AttachedTerminal, Awaited, Budget, BudgetCharge, ByteSink, ByteSource, Cancellation, FileTree,
    KeyMeaning, NoInput, PipeReader, PipeWriter, TerminalDevice, TerminalSize, pipe, wait_until,
};
use runtime_supervisor::{
    CodeSource, Exit, Files, Grants, Launch, Links, Permission, Process, ProcessLimits,
    ProgramFinder, ProgramImage, Rights, Supervisor, SupervisorOptions, SystemControl, WasmBytes,
};
use support::{Collected, guest, guests_folder};

const MIB: u64 = 1 << 20;
const NAME: &str = "family-probe";
const PROCESSES_MAX: usize = 24;
const NOW: Timestamp = Timestamp {
    seconds: 0,
    nanoseconds: 0,
};

static WASM: LazyLock<Arc<[u8]>> =
    LazyLock::new(|| guest(&guests_folder("KPIO_FAMILY_GUEST", "processes"), NAME));

/// One program under several names, which are granted different things.
struct Finder;

/// May write a few bytes.
const TERSE: &str = "terse-probe";
const TERSE_BYTES: u64 = 10;
/// May start nothing.
const CHILDLESS: &str = "childless-probe";
/// Asks for the services, and may.
const STEWARD: &str = "steward-probe";

impl ProgramFinder for Finder {
    fn names(&self) -> Vec<String> {
        vec![NAME.to_owned()]
    }

    fn find(&self, name: &str) -> Option<Result<ProgramImage, String>> {
        let mut grants = Grants::WHATEVER_IS_GIVEN;
        match name {
            NAME => {}
            TERSE => grants.limits.output_bytes = Some(TERSE_BYTES),
            CHILDLESS => grants.may_spawn = false,
            STEWARD => return Some(Ok(steward())),
            _ => return None,
        }
        Some(Ok(ProgramImage { grants, ..image() }))
    }
}

fn image() -> ProgramImage {
    ProgramImage {
        name: NAME.to_owned(),
        wasm: Some(WasmBytes::Shared(Arc::clone(&WASM))),
        precompiled: None,
        grants: Grants::WHATEVER_IS_GIVEN,
    }
}

/// Ends with code 0 if it is told of the services.
const STEWARD_TEXT: &str = r#"(component
    (import "kpio:service/control@0.1.0" (instance $control
        (export "services" (func (result (result string (error string)))))))
    (alias export $control "services" (func $services))
    (core module $memory
        (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
    (core instance $memory (instantiate $memory))
    (core func $services (canon lower (func $services)
        (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
    (core module $main
        (import "" "memory" (memory 1))
        (import "" "services" (func $services (param i32)))
        (func (export "run") (result i32) (call $services (i32.const 0)) (i32.load8_u (i32.const 0))))
    (core instance $main (instantiate $main (with "" (instance
        (export "memory" (memory $memory "memory"))
        (export "services" (func $services))))))
    (func $run (result (result)) (canon lift (core func $main "run")))
    (instance $run (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $run)))"#;

fn steward() -> ProgramImage {
    let wasm = wat::parse_str(STEWARD_TEXT).expect("valid text");
    ProgramImage {
        name: STEWARD.to_owned(),
        wasm: Some(WasmBytes::Shared(wasm.into())),
        precompiled: None,
        grants: Grants {
            may_control: true,
            ..Grants::WHATEVER_IS_GIVEN
        },
    }
}

/// Services that there are not.
struct NoServices;

impl SystemControl for NoServices {
    fn command(&self, words: &[&str]) -> Result<String, String> {
        Ok(words.concat())
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

struct System {
    supervisor: Supervisor,
    budget: Budget,
    root: FileTree,
    output: Arc<Collected>,
    terminal: TerminalDevice,
}

impl System {
    fn new() -> System {
        let budget = Budget::new(512 * MIB);
        let options = SupervisorOptions {
            budget: budget.clone(),
            processes_max: PROCESSES_MAX,
            interfaces: Vec::new(),
            meter: None,
            programs: Some(Arc::new(Finder)),
        };
        // Children are the program that their parents are: it is compiled once.
        let engine = EngineOptions {
            cache_bytes: 64 * MIB,
            ..EngineOptions::default()
        };
        let engine = Engine::new(engine).expect("an engine");
        let charge = Arc::new(BudgetCharge(Budget::new(MIB)));
        System {
            supervisor: Supervisor::new(engine, options).expect("a supervisor"),
            budget,
            root: FileTree::new(Tmpfs::new(charge, NOW).expect("a tree")),
            output: Arc::default(),
            terminal: TerminalDevice::new(TerminalSize::USUAL),
        }
    }

    fn launch(&self, words: &[&str]) -> Launch {
        Launch {
            program: image(),
            arguments: words.iter().map(|word| (*word).to_owned()).collect(),
            environment: Vec::new(),
            stdin: Arc::new(NoInput),
            stdout: Arc::clone(&self.output) as Arc<dyn ByteSink>,
            stderr: Arc::clone(&self.output) as Arc<dyn ByteSink>,
            terminal: None,
            files: Files::whole(self.root.clone(), Rights::ReadWrite),
            limits: ProcessLimits::with_memory(256 * MIB),
            may_spawn: true,
            links: Links::default(),
            code: CodeSource::Precompiled,
            call: None,
        }
    }

    /// The same on a terminal at which nobody types, until somebody does.
    fn launch_on_terminal(&self, words: &[&str]) -> (Launch, PipeWriter) {
        let (reader, writer): (PipeReader, PipeWriter) =
            pipe(4096, &Budget::new(MIB)).expect("a pipe");
        let terminal = AttachedTerminal {
            device: self.terminal.clone(),
            stdin: true,
            stdout: true,
            stderr: true,
        };
        let launch = Launch {
            stdin: Arc::new(reader) as Arc<dyn ByteSource>,
            terminal: Some(Arc::new(terminal)),
            ..self.launch(words)
        };
        (launch, writer)
    }

    fn start(&self, launch: Launch) -> Process {
        self.supervisor.spawn(launch).expect("a process")
    }

    /// Runs the program to its end; what it wrote.
    fn run(&self, words: &[&str]) -> String {
        let exit = self.start(self.launch(words)).wait();
        assert_eq!(exit, Exit::Code(0), "{words:?}: {}", self.output.text());
        self.output.text()
    }

    /// Waits until the output contains `text`.
    fn expect(&self, text: &str) {
        let found = wait_until(
            &Cancellation::new(),
            &runtime_host::SystemClock::new(),
            Some(60_000_000_000),
            |notifier| self.output.changed.add(notifier),
            || self.output.text().contains(text).then_some(()),
        );
        assert_eq!(found, Ok(Some(())), "{text:?} in {:?}", self.output.text());
    }

    /// Waits until so many processes exist.
    fn expect_processes(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.supervisor.list().len() != count {
            assert!(Instant::now() < deadline, "{:?}", self.supervisor.list());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Nobody is left, and all memory is given back.
    fn expect_nothing_left(&self) {
        self.expect_processes(0);
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.budget.used_bytes() != 0 {
            assert!(Instant::now() < deadline, "{}", self.budget.used_bytes());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A number that looks random, from a seed that is printed.
struct Random(u64);

impl Random {
    fn seeded() -> Random {
        let seed = std::env::var("KPIO_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| std::process::id().into());
        println!("KPIO_SEED={seed}");
        Random(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[test]
fn a_pipeline_of_three_carries_bytes_and_ends() {
    let system = System::new();
    assert_eq!(system.run(&["pipeline"]), "through three\n");
    system.expect_nothing_left();
}

#[test]
fn exit_codes_come_back() {
    for (words, code) in [
        (&["code", "exit", "0"][..], "0\n"),
        (&["code", "exit", "1"], "1\n"),
        (&["code", "no such case"], "134\n"),
        (&["code", "code", "exit", "1"], "1\n0\n"),
    ] {
        let system = System::new();
        let text = system.run(words);
        assert!(text.ends_with(code), "{words:?}: {text}");
        system.expect_nothing_left();
    }
}

#[test]
fn a_place_in_a_file_is_shared() {
    assert_eq!(System::new().run(&["shared-file"]), "one\ntwo\n");
}

#[test]
fn who_may_not_start_processes_does_not_link() {
    let system = System::new();
    let launch = Launch {
        may_spawn: false,
        ..system.launch(&["say", "x"])
    };
    let Exit::Unusable(sentence) = system.start(launch).wait() else {
        panic!("it ran");
    };
    assert!(sentence.contains("kpio:process/processes"), "{sentence}");
    assert!(
        sentence.contains("not granted to start processes"),
        "{sentence}"
    );
}

#[test]
fn a_program_gets_no_more_than_it_is_granted() {
    let system = System::new();
    let text = system.run(&["named", TERSE, "say", "0123456789abc"]);
    assert!(text.starts_with("0123456789134 "), "{text}");
    assert!(text.contains("more than the 10 bytes"), "{text}");
    let system = System::new();
    let text = system.run(&["named", CHILDLESS, "say", "x"]);
    assert!(text.starts_with("126 "), "{text}");
    assert!(text.contains("not granted to start processes"), "{text}");
    system.expect_nothing_left();
}

#[test]
fn a_start_only_lowers_what_is_granted() {
    for (asked_bytes, written) in [(5, "01234"), (1000, "0123456789")] {
        let system = System::new();
        let mut launch = system.launch(&["say", "0123456789abc"]);
        launch.program.grants.limits.output_bytes = Some(TERSE_BYTES);
        launch.limits.output_bytes = Some(asked_bytes);
        assert!(matches!(system.start(launch).wait(), Exit::Limit(_)));
        assert_eq!(system.output.text(), written);
    }
}

/// What the image says of a program, and what whoever starts it has, are both needed.
#[test]
fn who_controls_services_was_granted_that_and_has_a_parent_that_was() {
    let system = System::new();
    let steward_with = |image: ProgramImage, may_control: bool| {
        let mut launch = system.launch(&[]);
        launch.program = image;
        launch.links.control = may_control.then(Permission::new);
        system.start(launch).wait()
    };
    // Where nobody runs services, it is told so.
    assert_eq!(steward_with(steward(), true), Exit::Code(1));
    system.supervisor.set_control(Arc::new(NoServices));
    assert_eq!(steward_with(steward(), true), Exit::Code(0));
    let unlisted = ProgramImage {
        grants: Grants::WHATEVER_IS_GIVEN,
        ..steward()
    };
    for (image, may_control) in [(steward(), false), (unlisted, true)] {
        let exit = steward_with(image, may_control);
        let message = exit.message(STEWARD).unwrap_or_default();
        assert!(
            message.contains("not granted to control services"),
            "{exit:?}"
        );
    }
    let taken_back = Permission::new();
    taken_back.revoke();
    for (parent_may, has, text) in [
        (true, Permission::new(), "0 \n"),
        (false, Permission::new(), "126 "),
        (true, taken_back, "126 "),
    ] {
        let before_bytes = system.output.text().len();
        let mut launch = system.launch(&["named", STEWARD]);
        launch.program.grants.may_control = parent_may;
        launch.links.control = Some(has);
        assert_eq!(system.start(launch).wait(), Exit::Code(0));
        let all = system.output.text();
        assert!(all[before_bytes..].starts_with(text), "{parent_may}: {all}");
    }
    system.expect_nothing_left();
}

#[test]
fn children_end_with_their_parent_unless_disowned() {
    let system = System::new();
    let (launch, _nobody_types) = system.launch_on_terminal(&["leave"]);
    assert_eq!(system.start(launch).wait(), Exit::Code(0));
    system.expect_nothing_left();
    let (launch, keyboard) = system.launch_on_terminal(&["disown"]);
    assert_eq!(system.start(launch).wait(), Exit::Code(0));
    let left = system.supervisor.list();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].parent, None);
    drop(keyboard);
    let orphan = system.supervisor.find(left[0].id).expect("it runs on");
    orphan.kill();
    orphan.wait();
    system.expect_nothing_left();
}

#[test]
fn a_kill_at_any_moment_takes_the_whole_tree_along() {
    let system = System::new();
    let mut random = Random::seeded();
    // The program is compiled before, so that the kills meet more than compilation.
    system.run(&["say", "x"]);
    for _ in 0..30 {
        let (launch, _nobody_types) = system.launch_on_terminal(&["tree", "2", "3"]);
        let root = system.start(launch);
        std::thread::sleep(Duration::from_micros(random.below(20_000)));
        let all = system.supervisor.list();
        let victim = &all[random.below(all.len() as u64) as usize];
        if let Some(victim) = system.supervisor.find(victim.id) {
            victim.kill();
        }
        root.kill();
        assert_eq!(root.wait(), Exit::Killed);
        system.expect_nothing_left();
    }
}

#[test]
fn a_bomb_meets_the_limit_and_goes() {
    let system = System::new();
    assert_eq!(system.run(&["limited", "processes", "6", "bomb"]), "0 \n");
    system.expect_nothing_left();
    assert_eq!(system.start(system.launch(&["bomb"])).wait(), Exit::Code(0));
    system.expect_nothing_left();
}

#[test]
fn limits_hold_for_all_that_a_child_starts() {
    for (words, answer) in [
        (
            &["limited", "output", "10", "inherit", "say", "0123456789abc"][..],
            "0123456789",
        ),
        (&["limited", "processes", "1", "inherit", "say", "x"], "134"),
        (
            &["limited", "memory", "1000", "say", "x"],
            "no memory for another process",
        ),
        (
            &["limited", "handles", "0", "say", "x"],
            "handles it may hold",
        ),
    ] {
        let system = System::new();
        let text = system.run(words);
        assert!(text.contains(answer), "{words:?}: {text}");
        system.expect_nothing_left();
    }
    let system = System::new();
    let text = system.run(&["limited", "output", "10", "say", "0123456789abc"]);
    assert!(
        text.contains("134") && text.contains("more than the 10 bytes"),
        "{text}"
    );
    let system = System::new();
    let text = system.run(&["limited", "handles", "40", "handles"]);
    let held: u32 = text
        .lines()
        .next()
        .and_then(|line| line.parse().ok())
        .expect(&text);
    assert!((10..=20).contains(&held), "{text}");
}

#[test]
fn a_thousand_children_leave_nothing_behind() {
    let system = System::new();
    assert_eq!(system.run(&["many", "1000"]), "1000 have ended\n");
    system.expect_nothing_left();
}

#[test]
fn a_child_stands_still_when_told() {
    let system = System::new();
    system.run(&["held"]);
    system.expect_nothing_left();
}

#[test]
fn a_suspended_reader_leaves_what_is_typed_to_others() {
    let system = System::new();
    let (launch, keyboard) = system.launch_on_terminal(&["copy"]);
    let process = system.start(launch);
    assert_eq!(keyboard.write(b"one\n"), Ok(4));
    system.expect("one\n");
    runtime_host::Controlled::suspend(&process, true);
    assert_eq!(keyboard.write(b"two\n"), Ok(4));
    assert!(system.supervisor.list()[0].is_suspended);
    assert_eq!(system.output.text(), "one\n");
    runtime_host::Controlled::suspend(&process, false);
    system.expect("one\ntwo\n");
    drop(keyboard);
    assert_eq!(process.wait(), Exit::Code(0));
}

#[test]
fn the_foreground_gets_the_keys_and_the_shell_lives() {
    let system = System::new();
    let (launch, keyboard) = system.launch_on_terminal(&["foreground"]);
    let shell = system.start(launch);
    system.expect("waiting");
    assert_eq!(system.terminal.interrupt(), KeyMeaning::Obeyed);
    system.expect("the child ended with 130");
    assert_eq!(keyboard.write(b"still here\n"), Ok(11));
    system.expect("still here");
    assert_eq!(system.terminal.interrupt(), KeyMeaning::Input);
    drop(keyboard);
    assert_eq!(shell.wait(), Exit::Code(0));
    assert_eq!(system.terminal.interrupt(), KeyMeaning::Unclaimed);
}

#[test]
fn a_job_that_was_asked_to_end_before_it_had_a_process_ends() {
    let system = System::new();
    let (launch, _keyboard) = system.launch_on_terminal(&["job"]);
    let shell = system.start(launch);
    system.expect("begun");
    assert_eq!(system.terminal.interrupt(), KeyMeaning::Obeyed);
    assert_eq!(shell.wait(), Exit::Code(0));
    let said = system.output.text();
    assert!(
        said.ends_with("the child ended with 130\nasked to end: false\n"),
        "{said}"
    );
}

#[test]
fn terminals_are_inherited_and_absent_ones_said() {
    let system = System::new();
    let (launch, _keyboard) = system.launch_on_terminal(&["inherit", "terminal"]);
    assert_eq!(system.start(launch).wait(), Exit::Code(0));
    assert_eq!(system.output.text(), "80x24 Mode::Cooked\n");
    let system = System::new();
    assert!(system.run(&["terminal"]).contains("no-terminal"));
}

#[test]
fn children_begin_where_they_are_told() {
    let system = System::new();
    let mut tree = system.root.write();
    let root = tree.root();
    let home = tree.create_directory(root, "rooms", NOW).expect("a folder");
    let deeper = tree
        .create_directory(home, "deeper", NOW)
        .expect("a folder");
    for (folder, name) in [(home, "above"), (deeper, "here")] {
        let file = tree.create_file(folder, name, NOW).expect("a file");
        tree.write(file, 0, name.as_bytes(), NOW).expect("room");
    }
    drop(tree);
    for (path, found) in [
        ("here", "here"),
        ("../above", "above"),
        ("../../rooms/above", "above"),
        ("/rooms/above", "above"),
        ("./here", "here"),
    ] {
        let before = system.output.text().len();
        let text = system.run(&["where", "/rooms/deeper", "read", path]);
        assert_eq!(&text[before..], found, "{path}");
    }
    let launch = system.launch(&["where", "/rooms/deeper", "read", "../../../rooms/above"]);
    assert_eq!(system.start(launch).wait(), Exit::Code(1));
    let text = system.run(&["where", "/nowhere", "say", "x"]);
    assert!(text.contains("no folder '/nowhere'"), "{text}");
}
