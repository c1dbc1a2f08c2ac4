//! Processes that call each other: what comes of a call, whatever happens to either side.
//!
//! The programs are in `test/guest/link`: `provider` serves two interfaces, `client` imports them.

mod support;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use runtime_engine::{Engine, EngineOptions};
use runtime_host::{
    Budget, ByteSink, ByteSource, Discard, NoInput, Notifier, PipeReader, PipeWriter,
    StreamFailure, pipe,
};
use runtime_link::{Grant, Limits, MESSAGE_BYTES_MAX, Probe, Route, Service, WhileDown};
use runtime_supervisor::{
    CodeSource, Exit, Files, Grants, Launch, Links, Process, ProcessLimits, ProgramImage,
    Supervisor, SupervisorOptions, WasmBytes,
};
use support::{Collected, guest, guests_folder};

const MIB: u64 = 1 << 20;
/// How long memory may take to come back before it is said that it does not.
const PATIENCE: Duration = Duration::from_secs(300);
const PIPE_BYTES: usize = 4096;
const COUNTERS: &str = "kpio:link-probe/counters";
const SHAPES: &str = "kpio:link-probe/shapes";
const WATCHING: &str = "kpio:link-probe/watching";
const BULK: &str = "kpio:link-probe/bulk";
const LIMITS: Limits = Limits {
    clients: 64,
    messages: 64,
    bytes: 4 << 20,
    client_messages: 4,
    client_bytes: 2 * MESSAGE_BYTES_MAX,
};

static PROVIDER: LazyLock<Arc<[u8]>> = LazyLock::new(|| guest(&GUESTS, "link_provider"));
static CLIENT: LazyLock<Arc<[u8]>> = LazyLock::new(|| guest(&GUESTS, "link-client"));
static GUESTS: LazyLock<PathBuf> = LazyLock::new(|| guests_folder("KPIO_LINK_GUEST", "link"));

fn image(name: &str, bytes: &Arc<[u8]>) -> ProgramImage {
    ProgramImage {
        name: name.to_owned(),
        wasm: Some(WasmBytes::Shared(Arc::clone(bytes))),
        precompiled: None,
        grants: Grants::WHATEVER_IS_GIVEN,
    }
}

/// Waits until there is a whole line.
fn wait_for_line(output: &Collected) {
    let notifier = Notifier::new();
    output.changed.add(&notifier);
    while !output.text().contains('\n') {
        notifier.wait(None);
    }
}

/// How the programs print a failure.
fn failure(code: u8, name: &str, message: &str) -> String {
    format!("LinkFailure {{ code: {code}, name: {name:?}, message: {message:?} }}")
}

fn unavailable() -> String {
    let message =
        "The provider is not there now, or went before it saw the call. It may be tried again.";
    failure(0, "unavailable", message)
}

fn lost() -> String {
    let message = "The provider ended, or gave no answer, after it had begun: what was asked for may have happened or not.";
    failure(1, "lost", message)
}

fn revoked() -> String {
    failure(2, "revoked", "The grant was taken back.")
}

fn busy() -> String {
    let message = "As many calls wait at the provider as may, or it had no room for what was given to it. It may be tried again.";
    failure(3, "busy", message)
}

fn too_large() -> String {
    let message = "What was to be sent, or to be answered, is longer than a message may be.";
    failure(4, "too-large", message)
}

struct System {
    supervisor: Supervisor,
    budget: Budget,
    routes: [Route; 4],
}

struct Provider {
    process: Process,
    /// Its standard input, at whose end it stops.
    input: PipeWriter,
    output: Arc<Collected>,
}

struct Client {
    process: Process,
    output: Arc<Collected>,
    grants: Vec<Grant>,
}

impl System {
    fn new() -> System {
        let engine = Engine::new(EngineOptions::default()).expect("an engine");
        let budget = Budget::new(1024 * MIB);
        let options = SupervisorOptions {
            budget: budget.clone(),
            processes_max: 64,
            interfaces: Vec::new(),
            meter: None,
            programs: None,
        };
        System {
            supervisor: Supervisor::new(engine, options).expect("a supervisor"),
            budget,
            routes: [COUNTERS, SHAPES, WATCHING, BULK]
                .map(|interface| Route::new(interface, "probe")),
        }
    }

    fn launch(&self, program: ProgramImage, arguments: &[&str]) -> Launch {
        Launch {
            program,
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            environment: Vec::new(),
            stdin: Arc::new(NoInput),
            stdout: Arc::new(Discard),
            stderr: Arc::new(Discard),
            terminal: None,
            files: Files::none(),
            limits: ProcessLimits::with_memory(64 * MIB),
            may_spawn: false,
            links: Links::default(),
            code: CodeSource::Precompiled,
            call: None,
        }
    }

    fn spawn(&self, launch: Launch) -> Process {
        self.supervisor.spawn(launch).expect("there is room")
    }

    /// A provider that is ready.
    fn provide(&self) -> Provider {
        self.provide_with(|service| service)
    }

    fn provide_with(&self, change: impl FnOnce(Service) -> Service) -> Provider {
        let ready = Notifier::new();
        let is_ready = Arc::new(AtomicBool::new(false));
        let (telling, told) = (ready.clone(), Arc::clone(&is_ready));
        let service = Service::new(self.routes.to_vec(), LIMITS, move || {
            told.store(true, Ordering::Release);
            telling.notify();
        });
        let (stdin, input) = self.pipe();
        let mut launch = self.launch(image("provider", &PROVIDER), &[]);
        launch.stdin = Arc::new(stdin);
        let output = Arc::new(Collected::default());
        launch.stdout = Arc::clone(&output) as Arc<dyn ByteSink>;
        launch.links.service = Some(change(service));
        let process = self.spawn(launch);
        process.subscribe(&ready);
        while !is_ready.load(Ordering::Acquire) {
            assert!(process.try_wait().is_none(), "{:?}", process.try_wait());
            ready.wait(None);
        }
        Provider {
            process,
            input,
            output,
        }
    }

    fn grants(&self, while_down: WhileDown) -> Vec<Grant> {
        let routes = self.routes.iter();
        routes
            .map(|route| Grant::new(route.clone(), while_down))
            .collect()
    }

    fn start_with(
        &self,
        arguments: &[&str],
        stdin: Arc<dyn ByteSource>,
        grants: Vec<Grant>,
    ) -> Client {
        let output = Arc::new(Collected::default());
        let mut launch = self.launch(image("client", &CLIENT), arguments);
        launch.stdin = stdin;
        launch.stdout = Arc::clone(&output) as Arc<dyn ByteSink>;
        launch.links.grants = grants.clone();
        Client {
            process: self.spawn(launch),
            output,
            grants,
        }
    }

    fn start(&self, arguments: &[&str]) -> Client {
        self.start_with(arguments, Arc::new(NoInput), self.grants(WhileDown::Wait))
    }

    /// What the client prints.
    fn ask(&self, arguments: &[&str]) -> String {
        self.start(arguments).output()
    }

    /// A compilation that was begun ends in the background, and is charged until then.
    fn wait_until_used(&self, bytes: u64, seed: u32) {
        let deadline = Instant::now() + PATIENCE;
        while self.budget.used_bytes() != bytes {
            let used_bytes = self.budget.used_bytes();
            assert!(
                Instant::now() < deadline,
                "seed {seed:#x}: {used_bytes} bytes stay"
            );
            std::thread::yield_now();
        }
    }

    fn pipe(&self) -> (PipeReader, PipeWriter) {
        pipe(PIPE_BYTES, &self.budget).expect("there is room")
    }
}

impl Client {
    fn revoke(&self) {
        self.grants.iter().for_each(Grant::revoke);
    }

    fn output(&self) -> String {
        let exit = self.process.wait();
        assert_eq!(exit, Exit::Code(0), "{:?}", exit.message("client"));
        self.output.text()
    }
}

impl Provider {
    fn stop(self) {
        self.input
            .write(b"nothing that means anything")
            .expect("there is room");
        drop(self.input);
        assert_eq!(self.process.wait(), Exit::Code(0));
    }
}

#[test]
fn values_come_back_as_they_went() {
    let system = System::new();
    let _provider = system.provide();
    let expected = |shape: &str| {
        format!(
            "Ok(({shape}, Colours(RED | BLUE), Direction::Down, '漢', true, Some(None), [-9223372036854775808, -1, 9223372036854775807]))\n"
        )
    };
    let point = "Point { x: -3, y: 0.5, name: \"ö\" }";
    let lines = [
        expected("Shape::Nothing"),
        expected(&format!("Shape::Dot({point})")),
        expected(&format!("Shape::Line(({point}, {point}))")),
        expected("Shape::Text([\"\", \"two\"])"),
    ];
    assert_eq!(system.ask(&["echo"]), lines.concat());
}

#[test]
fn objects_live_as_long_as_their_handles() {
    let system = System::new();
    let _provider = system.provide();
    assert_eq!(system.ask(&["count"]), "Ok(42) Ok(1)\n2\n42\n1\n0\n");
    assert_eq!(system.ask(&["leave"]), "1\n");
    assert_eq!(system.ask(&["live"]), "0\n");
}

#[test]
fn streams_change_hands() {
    let system = System::new();
    let _provider = system.provide();
    for case in ["read", "to-and-fro"] {
        let (reader, writer) = system.pipe();
        let grants = system.grants(WhileDown::Wait);
        let client = system.start_with(&[case], Arc::new(reader), grants);
        writer.write(&[1, 2, 250]).expect("there is room");
        drop(writer);
        assert_eq!(client.output(), "Ok(253)\n");
    }
}

#[test]
fn long_messages_are_carried_and_longer_ones_refused() {
    let system = System::new();
    let _provider = system.provide();
    assert_eq!(system.ask(&["produce", "65536"]), "Ok(65536)\n");
    assert_eq!(system.ask(&["consume", "65536"]), "Ok(65536)\n");
    let refused = format!("Err(Error::Link({}))\n", too_large());
    let longest = MESSAGE_BYTES_MAX - 5;
    for case in ["produce", "consume"] {
        let asking = system.ask(&[case, &longest.to_string()]);
        assert_eq!(asking, format!("Ok({longest})\n"));
        assert_eq!(system.ask(&[case, "1048576"]), refused);
    }
    assert_eq!(system.ask(&["live"]), "0\n");
}

#[test]
fn who_answers_with_more_than_a_message_may_have_goes_on() {
    let system = System::new();
    let _provider = system.provide();
    let asking = system.ask(&["produce", "30000000"]);
    assert_eq!(asking, format!("Err(Error::Link({}))\n", too_large()));
    assert_eq!(system.ask(&["produce", "5"]), "Ok(5)\n");
}

/// Items without a value are four bytes of a message each, and as long as any other in memory.
#[test]
fn what_takes_too_much_of_a_receivers_memory_is_refused() {
    let system = System::new();
    let provider = system.provide();
    let refused = format!("Err(Error::Link({}))\n", too_large());
    for case in ["consume-sparse", "produce-sparse"] {
        assert_eq!(system.ask(&[case, "50000"]), "Ok(50000)\n");
        assert_eq!(system.ask(&[case, "100000"]), refused);
    }
    assert_eq!(system.ask(&["consume", "3"]), "Ok(3)\n");
    provider.stop();
}

#[test]
fn a_call_that_traps_is_lost_and_the_next_one_finds_the_next_provider() {
    let system = System::new();
    let provider = system.provide();
    let client = system.start(&["crash"]);
    assert!(matches!(provider.process.wait(), Exit::Trap { .. }));
    let _next = system.provide();
    assert_eq!(
        client.output(),
        format!("Err(Error::Link({}))\nOk(5)\n", lost())
    );
}

#[test]
fn a_failure_that_cannot_be_said_ends_the_caller_with_a_sentence() {
    let system = System::new();
    let _provider = system.provide();
    let client = system.start(&["crash-silently"]);
    let message = client.process.wait().message("client").unwrap_or_default();
    let expected = "the call of `crash-silently` of `kpio:link-probe/shapes@0.1.0`, which 'probe' provides, failed: \
        the provider gave no answer";
    assert!(message.contains(expected), "{message}");
}

#[test]
fn objects_of_a_provider_that_is_gone_are_lost() {
    let system = System::new();
    let provider = system.provide();
    let (reader, writer) = system.pipe();
    let client = system.start_with(&["hold"], Arc::new(reader), system.grants(WhileDown::Wait));
    wait_for_line(&client.output);
    provider.process.kill();
    provider.process.wait();
    let _next = system.provide();
    writer.write(b"\n").expect("there is room");
    assert_eq!(client.output(), format!("Ok(2)\nErr({})\n", lost()));
}

/// Who gives one away has room for another, though nobody took it.
#[test]
fn objects_of_a_provider_that_is_gone_leave_no_handles_behind() {
    let system = System::new();
    let provider = system.provide();
    let (reader, writer) = system.pipe();
    let grants = system.grants(WhileDown::Wait);
    // More than half of what a process may hold.
    let client = system.start_with(&["hold-many", "3000"], Arc::new(reader), grants);
    wait_for_line(&client.output);
    provider.process.kill();
    provider.process.wait();
    let _next = system.provide();
    writer.write(b"\n").expect("there is room");
    assert_eq!(client.output(), "3000 held\n3000 lost\n3000 held\n");
}

#[test]
fn who_can_hold_no_more_objects_is_told_so_and_goes_on() {
    let system = System::new();
    let _provider = system.provide();
    assert_eq!(system.ask(&["fill"]), format!("{}\nOk(5)\n", busy()));
    assert_eq!(system.ask(&["live"]), "0\n");
}

#[test]
fn a_call_that_nobody_takes_gives_back_what_it_was_lent_and_drops_what_it_was_given() {
    let system = System::new();
    let provider = system.provide();
    let (reader, writer) = system.pipe();
    let client = system.start_with(&["hold"], Arc::new(reader), system.grants(WhileDown::Fail));
    wait_for_line(&client.output);
    provider.stop();
    writer.write(b"\n").expect("there is room");
    assert_eq!(client.output(), format!("Ok(2)\nErr({})\n", unavailable()));
    // More than a process may hold.
    let fails = system.grants(WhileDown::Fail);
    let client = system.start_with(&["in-vain", "5000"], Arc::new(NoInput), fails);
    assert_eq!(client.output(), "5000\n");
}

#[test]
fn a_call_that_lends_an_object_is_lost_with_its_provider() {
    let system = System::new();
    let provider = system.provide();
    let (reader, writer) = system.pipe();
    let client = system.start_with(&["hold"], Arc::new(reader), system.grants(WhileDown::Wait));
    wait_for_line(&client.output);
    let busy = system.start(&["spin", "18446744073709551615"]);
    // From here on it serves nobody else.
    wait_for_line(&provider.output);
    writer.write(b"\n").expect("there is room");
    provider.process.kill();
    provider.process.wait();
    let _next = system.provide();
    assert_eq!(client.output(), format!("Ok(2)\nErr({})\n", lost()));
    busy.process.kill();
}

#[test]
fn calls_wait_for_a_provider_or_fail_as_their_client_wants() {
    let system = System::new();
    let fails = system.grants(WhileDown::Fail);
    let client = system.start_with(&["consume", "3"], Arc::new(NoInput), fails);
    let unavailable = format!("Err(Error::Link({}))\n", unavailable());
    assert_eq!(client.output(), unavailable);
    let waiting = system.start(&["consume", "3"]);
    let _provider = system.provide();
    assert_eq!(waiting.output(), "Ok(3)\n");
}

#[test]
fn who_waits_can_be_ended() {
    let system = System::new();
    let waiting = system.start(&["consume", "3"]);
    waiting.process.kill();
    assert_eq!(waiting.process.wait(), Exit::Killed);
    let provider = system.provide();
    let busy = system.start(&["spin", "18446744073709551615"]);
    busy.process.kill();
    assert_eq!(busy.process.wait(), Exit::Killed);
    provider.process.kill();
    assert_eq!(provider.process.wait(), Exit::Killed);
}

#[test]
fn what_is_revoked_is_an_error_from_then_on() {
    let system = System::new();
    let _provider = system.provide();
    let client = system.start(&["until-error"]);
    let other = system.start(&["repeat", "200"]);
    wait_for_line(&client.output);
    client.revoke();
    assert_eq!(
        client.output(),
        format!("ready\nError::Link({})\n", revoked())
    );
    assert_eq!(other.output(), "200 answered, 0 lost\n");
}

/// Whoever reads learns that it is over, the stream's other end sees it closed, and what was not read is not had.
#[test]
fn a_stream_from_the_provider_is_cut_off_with_its_grant() {
    let system = System::new();
    let _provider = system.provide();
    let (reader, writer) = system.pipe();
    let grants = system.grants(WhileDown::Wait);
    let client = system.start_with(&["listen"], Arc::new(reader), grants);
    writer.write(&[5]).expect("there is room");
    // It reads the first byte and waits for another, or is about to.
    wait_for_line(&client.output);
    client.revoke();
    let expected = "Ok([5])\nthe permission by which the stream came was taken back\nErr(StreamError::Closed)\n";
    assert_eq!(client.output(), expected);
    assert_eq!(writer.write(&[6]), Err(StreamFailure::Closed));
}

/// A provider that waits for bytes of whoever is out serves others again.
#[test]
fn a_stream_to_the_provider_is_cut_off_with_its_grant() {
    let system = System::new();
    let _provider = system.provide();
    let (reader, writer) = system.pipe();
    let grants = system.grants(WhileDown::Wait);
    let client = system.start_with(&["read"], Arc::new(reader), grants);
    writer.write(&[5]).expect("there is room");
    // The provider has read it, and waits for more.
    while writer.room_bytes() != Ok(PIPE_BYTES) {
        std::thread::yield_now();
    }
    client.revoke();
    let failed = format!("Err(Error::Link({}))\n", revoked());
    assert_eq!(client.output(), failed);
    assert_eq!(system.ask(&["consume", "3"]), "Ok(3)\n");
    assert_eq!(writer.write(&[6]), Err(StreamFailure::Closed));
}

#[test]
fn objects_are_back_at_once_when_their_grant_is_taken_back() {
    let system = System::new();
    let _provider = system.provide();
    let (reader, writer) = system.pipe();
    let client = system.start_with(&["hold"], Arc::new(reader), system.grants(WhileDown::Wait));
    wait_for_line(&client.output);
    assert_eq!(system.ask(&["live"]), "1\n");
    client.revoke();
    assert_eq!(system.ask(&["live"]), "0\n");
    writer.write(b"\n").expect("there is room");
    assert_eq!(client.output(), format!("Ok(2)\nErr({})\n", revoked()));
    assert_eq!(system.ask(&["count"]), "Ok(42) Ok(1)\n2\n42\n1\n0\n");
}

#[test]
fn a_loan_is_back_at_once_when_its_grant_is_taken_back() {
    let system = System::new();
    let _provider = system.provide();
    let client = system.start(&["bulk-cut-off"]);
    wait_for_line(&client.output);
    client.revoke();
    assert_eq!(client.output(), "Ok(())\nOk(())\n");
}

/// What a client that is gone had sent is still read.
#[test]
fn what_came_from_a_client_that_is_gone_stays_with_the_provider() {
    let system = System::new();
    let provider = system.provide();
    let (reader, writer) = system.pipe();
    let grants = system.grants(WhileDown::Wait);
    let client = system.start_with(&["watch-input"], Arc::new(reader), grants);
    assert_eq!(client.output(), "Ok(())\n");
    client.grants.iter().for_each(Grant::expire);
    assert_eq!(provider.output.text(), "");
    writer.write(&[1]).expect("there is room");
    wait_for_line(&provider.output);
    assert_eq!(provider.output.text(), "ready: 5\n");
    assert!(client.grants.iter().all(Grant::is_revoked));
    provider.stop();
}

#[test]
fn who_was_not_granted_does_not_link() {
    let system = System::new();
    let grants = system.grants(WhileDown::Wait);
    let client = system.start_with(&["live"], Arc::new(NoInput), grants[1..].to_vec());
    let sentence = "client imports `kpio:link-probe/counters@0.1.0`, which nothing here provides to it; a grant stands in the \
        `imports` of a `[[service]]` in the system's manifest";
    assert_eq!(client.process.wait(), Exit::Unusable(sentence.to_owned()));
}

#[test]
fn who_does_not_export_what_it_should_provides_nothing() {
    let system = System::new();
    let mut launch = system.launch(image("client", &CLIENT), &[]);
    launch.links.service = Some(Service::new(vec![system.routes[1].clone()], LIMITS, || ()));
    launch.links.grants = system.grants(WhileDown::Wait);
    let exit = system.spawn(launch).wait();
    let sentence = "client cannot provide what it should: `kpio:link-probe/shapes` is not exported";
    assert_eq!(exit, Exit::Unusable(sentence.to_owned()));
    assert!(!system.routes[1].is_up());
}

#[test]
fn who_wants_other_types_is_told_so() {
    let system = System::new();
    let _provider = system.provide();
    let wasm = wat::parse_str(
        r#"(component
            (import "kpio:link-probe/shapes@0.1.0" (instance $shapes
                (export "consume" (func (param "bytes" string) (result u32)))))
            (core module $memory (memory (export "memory") 1))
            (core instance $memory (instantiate $memory))
            (alias export $shapes "consume" (func $consume))
            (core func $consume (canon lower (func $consume) (memory (core memory $memory "memory"))))
            (core module $main
                (import "" "consume" (func $consume (param i32 i32) (result i32)))
                (func (export "run") (result i32) (drop (call $consume (i32.const 0) (i32.const 0))) (i32.const 0)))
            (core instance $main (instantiate $main
                (with "" (instance (export "consume" (func $consume))))))
            (func $run (result (result)) (canon lift (core func $main "run")))
            (instance $run (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $run)))"#,
    );
    let bytes: Arc<[u8]> = wasm.expect("valid text").into();
    let mut launch = system.launch(image("stranger", &bytes), &[]);
    launch.links.grants = system.grants(WhileDown::Wait);
    let message = system.spawn(launch).wait().message("stranger");
    let expected = "'probe' does not fit: the provider's `consume` of `kpio:link-probe/shapes@0.1.0` has other types";
    let message = message.unwrap_or_default();
    assert!(message.contains(expected), "{message}");
}

#[test]
fn a_provider_is_replaced_while_it_is_called_and_no_call_is_lost() {
    let system = System::new();
    let mut provider = system.provide();
    let clients: Vec<Client> = (0..4).map(|_| system.start(&["repeat", "2000"])).collect();
    for _ in 0..5 {
        let next = system.provide();
        provider.stop();
        provider = next;
    }
    for client in clients {
        assert_eq!(client.output(), "2000 answered, 0 lost\n");
    }
}

#[test]
fn what_is_watched_is_told_once_in_its_order() {
    let system = System::new();
    let _provider = system.provide();
    let expected = "Ok(())\nOk(())\nOk(())\n(1, [3, 1, 2, 4, 6, 7])\n";
    assert_eq!(system.ask(&["watch-past"]), expected);
}

#[test]
fn a_provider_that_nobody_calls_is_told() {
    let system = System::new();
    let provider = system.provide();
    let (reader, writer) = system.pipe();
    let grants = system.grants(WhileDown::Wait);
    let client = system.start_with(&["watch-input"], Arc::new(reader), grants);
    assert_eq!(client.output(), "Ok(())\n");
    assert_eq!(provider.output.text(), "");
    writer.write(&[1]).expect("there is room");
    wait_for_line(&provider.output);
    assert_eq!(provider.output.text(), "ready: 5\n");
    provider.stop();
    let provider = system.provide();
    assert_eq!(system.ask(&["watch-in"]), "Ok(())\n");
    wait_for_line(&provider.output);
    assert_eq!(provider.output.text(), "ready: 6\n");
    provider.stop();
}

#[test]
fn calls_and_what_is_always_ready_keep_neither_from_the_other() {
    let system = System::new();
    let provider = system.provide();
    assert_eq!(system.ask(&["watch-again", "300"]), "300\n");
    provider.stop();
}

#[test]
fn what_a_provider_has_watched_is_bounded() {
    let system = System::new();
    let provider = system.provide();
    assert_eq!(system.ask(&["watch-many"]), "256\n");
    provider.stop();
    system.wait_until_used(0, 0);
}

#[test]
fn who_traps_as_it_is_told_ends_like_in_a_call() {
    let system = System::new();
    let provider = system.provide();
    let client = system.start(&["watch-crash"]);
    assert!(matches!(provider.process.wait(), Exit::Trap { .. }));
    let _next = system.provide();
    assert_eq!(client.output(), "Ok(())\n(1, [])\n");
}

#[test]
fn a_provider_says_how_it_is() {
    let system = System::new();
    let (answer, answers) = channel();
    let probe = Probe::new(move |health| drop(answer.send(health)));
    let provider = system.provide_with(|service| service.with_probe(probe.clone()));
    probe.ask();
    assert_eq!(answers.recv(), Ok(Ok(())));
    assert_eq!(system.ask(&["fall-ill", "of the test"]), "Ok(())\n");
    probe.ask();
    assert_eq!(answers.recv(), Ok(Err("of the test".to_owned())));
    assert_eq!(system.ask(&["fall-ill", &"x".repeat(5000)]), "Ok(())\n");
    probe.ask();
    assert_eq!(answers.recv(), Ok(Err("x".repeat(200))));
    // It goes on; what follows is decided by whoever asks.
    assert_eq!(system.ask(&["consume", "3"]), "Ok(3)\n");
    provider.stop();
}

#[test]
fn who_is_to_be_asked_and_cannot_answer_does_not_start() {
    let system = System::new();
    let mut launch = system.launch(image("client", &CLIENT), &[]);
    let service = Service::new(Vec::new(), LIMITS, || ());
    launch.links.service = Some(service.with_probe(Probe::new(|_| ())));
    launch.links.grants = system.grants(WhileDown::Wait);
    let exit = system.spawn(launch).wait();
    let sentence =
        "client cannot provide what it should: `kpio:service/health@0.1.0` is not exported";
    assert_eq!(exit, Exit::Unusable(sentence.to_owned()));
}

#[test]
fn who_is_not_called_by_the_host_has_nothing_watched() {
    let system = System::new();
    let expected = "Err(WatchError { code: 1, name: \"no-reactions\", message: \"Nobody would be told: the process provides \
        nothing to others, or does not export `reactions`.\" })\n";
    assert_eq!(system.ask(&["watch-here"]), expected);
}

#[test]
fn whoever_is_killed_nothing_stays_behind() {
    let system = System::new();
    let provider = system.provide();
    assert_eq!(system.ask(&["many", "10"]), "Ok(10)\n");
    provider.stop();
    let before_bytes = 0;
    let mut state = 0x2545_F491_u32;
    for _ in 0..12 {
        let provider = system.provide();
        let clients: Vec<Client> = ["many", "many", "repeat"]
            .map(|case| system.start(&[case, "100000"]))
            .into();
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        for _ in 0..state >> 24 {
            std::thread::yield_now();
        }
        clients[(state >> 16) as usize % 3].process.kill();
        provider.process.kill();
        provider.process.wait();
        for client in &clients {
            client.process.kill();
            client.process.wait();
        }
        drop((clients, provider));
        system.wait_until_used(before_bytes, state);
    }
}

/// Blocks of a file come in the file's order; extents that lie nowhere move nothing.
#[test]
fn a_file_is_read_by_its_extents() {
    let system = System::new();
    let _provider = system.provide();
    let beyond = "Err(Error::Bulk(BulkError { code: 2, name: \"out-of-bounds\", message: \"Bytes, an extent or a rectangle that do not lie in the buffer. Nothing was moved.\" }))";
    assert_eq!(
        system.ask(&["bulk-file"]),
        format!("Ok(20480)\n[0, 2, 4, 6, 8, 10]\n{beyond}\n{beyond}\ntrue\n")
    );
}

#[test]
fn packets_travel_in_batches() {
    let system = System::new();
    let _provider = system.provide();
    let output = system.ask(&["bulk-packets", "64"]);
    let lines: Vec<&str> = output.lines().collect();
    // Each packet's bytes are its number.
    assert_eq!(lines[..2], ["64", "Ok(2016)"]);
    assert!(lines[2].contains("out-of-bounds"), "{output}");
}

/// On the screen is what was damaged, and nothing of what was not a part of the window.
#[test]
fn a_window_is_shown_where_it_is_damaged() {
    let system = System::new();
    let _provider = system.provide();
    let output = system.ask(&["bulk-window"]);
    let lines: Vec<&str> = output.lines().collect();
    let whole = 320 * 200 * 4;
    assert_eq!(lines[0], format!("Ok(()) Ok({})", 30 * 40 * 4));
    assert_eq!(lines[1], format!("Ok(()) Ok({whole})"));
    for line in &lines[2..] {
        assert!(line.contains("out-of-bounds"), "{output}");
        assert!(line.ends_with(&format!("Ok({whole})")), "{output}");
    }
    assert_eq!(lines.len(), 5);
}

#[test]
fn a_buffer_is_in_one_place_at_a_time() {
    let system = System::new();
    let _provider = system.provide();
    let output = system.ask(&["bulk-rules"]);
    let errors: Vec<Vec<&str>> = output
        .lines()
        .map(|line| {
            let names = line.split("name: ").skip(1);
            names.filter_map(|rest| rest.split('"').nth(1)).collect()
        })
        .collect();
    let expected: [&[&str]; 7] = [
        &["out-of-bounds"],
        &["handed-over", "handed-over"],
        &["handed-over"],
        &["read-only", "out-of-bounds"],
        &[],
        &["handed-over"],
        &["quota"],
    ];
    assert_eq!(errors, expected, "{output}");
}

/// What the provider held is with its owner again when it has died, and what anybody paid is given back.
#[test]
fn a_holder_that_dies_gives_back_what_it_was_lent() {
    let system = System::new();
    let provider = system.provide();
    let output = system.ask(&["bulk-holder-dies"]);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[..2], ["Ok(())", "true"]);
    assert!(lines[2].contains("lost"), "{output}");
    assert_eq!(lines[3], "Ok([7])");
    assert!(matches!(provider.process.wait(), Exit::Trap { .. }));
}
