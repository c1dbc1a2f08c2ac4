//! Programs under the host: what they see, how they end, and what stops them.

mod functions;
mod support;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use runtime_host::{
    Cancellation, Cancelled, Clock, PipeReader, PipeWriter, StandardStream, SystemClock, Terminal,
    pipe, read_blocking, tmpfs, write_all_blocking,
};
use runtime_wasi::{LimitReached, Rights, WasiContext, add_to_linker};
use support::{FailingSource, Guest, Outcome, Process, engine, tree};
use wasmtime::Store;
use wasmtime::component::{Component, Linker};

/// Runs a case over an empty tree that may be changed.
fn run_with_files(guest: Guest, case: &str) -> Outcome {
    let (tree, root) = tree(16 << 20);
    Process::new(guest, case, &[])
        .with(|context| context.preopen(tree, root, "/", Rights::ReadWrite))
        .run()
}

fn run(guest: Guest, case: &str, arguments: &[&str]) -> Outcome {
    Process::new(guest, case, arguments).run()
}

/// A pipe charged to nobody.
fn free_pipe(capacity_bytes: usize) -> (PipeReader, PipeWriter) {
    pipe(capacity_bytes, &runtime_host::Budget::new(u64::MAX)).expect("a pipe")
}

fn read_to_end(reader: &PipeReader) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 1000]);
    loop {
        match read_blocking(reader, &mut buffer, &Cancellation::new()).expect("not cancelled") {
            Ok(0) => return all,
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(failure) => panic!("{failure}"),
        }
    }
}

#[test]
fn arguments_and_environment_arrive() {
    let outcome = Process::new(Guest::Std, "arguments", &["one", "zwei\u{1f980}", ""])
        .with(|context| context.environment(vec![("NAME".into(), "value".into())]))
        .run()
        .expect_success();
    assert_eq!(outcome.stdout, "one\nzwei\u{1f980}\n\nNAME=value\n");
    assert_eq!(outcome.stderr, "to stderr\n");
}

#[test]
fn exit_codes_arrive() {
    assert_eq!(run(Guest::Std, "exit", &["0"]).ending.unwrap(), 0);
    assert_ne!(run(Guest::Std, "exit", &["7"]).ending.unwrap(), 0);
    for code in [0, 7, 255] {
        let outcome = run(Guest::Wasi, "exit-with-code", &[&code.to_string()]);
        assert_eq!(outcome.ending.unwrap(), code);
    }
}

#[test]
fn a_panic_is_a_trap_that_says_why() {
    let outcome = run(Guest::Std, "panic", &[]);
    let error = outcome.ending.unwrap_err();
    assert!(
        error.downcast_ref::<wasmtime::Trap>().is_some(),
        "{error:?}"
    );
    assert!(outcome.stderr.contains("as asked"));
}

#[test]
fn std_works_on_files() {
    for case in ["files", "directories", "links"] {
        run_with_files(Guest::Std, case).expect_success();
    }
}

#[test]
fn std_works_on_clocks_and_randomness() {
    run(Guest::Std, "clocks", &[]).expect_success();
    run(Guest::Std, "hash-maps", &[]).expect_success();
}

#[test]
fn a_full_tree_is_an_error_to_the_program() {
    run_with_files(Guest::Std, "fill").expect_success();
}

#[test]
fn a_read_only_grant_holds() {
    let (tree, root) = tree(1 << 20);
    let file = tree
        .write()
        .create_file(root, "f", tmpfs::Timestamp::default());
    let given = tree
        .write()
        .append(file.unwrap(), b"given", tmpfs::Timestamp::default());
    assert_eq!(given, Ok(5));
    Process::new(Guest::Std, "read-only", &[])
        .with(|context| context.preopen(tree, root, "/", Rights::ReadOnly))
        .run()
        .expect_success();
}

#[test]
fn nothing_above_the_granted_directory_is_reached() {
    let now = tmpfs::Timestamp::default();
    let (tree, root) = tree(1 << 20);
    let granted = {
        let mut tree = tree.write();
        tree.create_file(root, "secret", now).unwrap();
        let granted = tree.create_directory(root, "granted", now).unwrap();
        tree.create_directory(granted, "d", now).unwrap();
        let file = tree.create_file(granted, "f", now).unwrap();
        tree.append(file, b"given", now).unwrap();
        tree.create_symlink(granted, "up", "..", now).unwrap();
        tree.create_symlink(granted, "abs", "/secret", now).unwrap();
        granted
    };
    Process::new(Guest::Std, "escape", &[])
        .with(|context| context.preopen(tree, granted, "/", Rights::ReadWrite))
        .run()
        .expect_success();
}

#[test]
fn interfaces_keep_their_word() {
    for case in [
        "absurd-lengths",
        "access-times",
        "descriptors",
        "directory-entries",
        "open-flags",
        "streams",
    ] {
        run_with_files(Guest::Wasi, case).expect_success();
    }
    run(Guest::Wasi, "random", &[]).expect_success();
    run(Guest::Wasi, "sockets", &[]).expect_success();
}

#[test]
fn what_the_interface_says_traps_ends_the_process_with_a_sentence() {
    let outcome = run(Guest::Wasi, "poll-nothing", &[]);
    assert!(format!("{:?}", outcome.ending).contains("empty list"));
    let outcome = run(Guest::Wasi, "write-beyond-permit", &[]);
    assert!(format!("{:?}", outcome.ending).contains("permitted 0"));
}

#[test]
fn limits_end_a_call_or_the_process_as_values() {
    let outcome = run(Guest::Wasi, "random-too-much", &[]);
    let LimitReached::Request { asked_bytes, .. } = outcome.expect_error() else {
        panic!("another limit: {:?}", outcome.ending);
    };
    assert_eq!(asked_bytes, u64::MAX);
    run_with_files(Guest::Wasi, "hoard").expect_success();

    let (tree, root) = tree(1 << 20);
    Process::new(Guest::Wasi, "hoard", &[])
        .with(|context| {
            context
                .preopen(tree, root, "/", Rights::ReadWrite)
                .handle_limit(20)
        })
        .run()
        .expect_success();
}

#[test]
fn input_reaches_output_through_pipes_smaller_than_it() {
    for (guest, case) in [(Guest::Std, "cat"), (Guest::Wasi, "splice")] {
        let text: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
        let (stdin, feeder) = free_pipe(512);
        let (collector, stdout) = free_pipe(700);
        let process = Process::new(guest, case, &[])
            .with(|context| context.stdin(Arc::new(stdin)).stdout(Arc::new(stdout)));
        let to_write = text.clone();
        let feeding = thread::spawn(move || {
            write_all_blocking(&feeder, &to_write, &Cancellation::new()).map(|done| done.unwrap())
        });
        let collecting = thread::spawn(move || read_to_end(&collector));
        process.run().expect_success();
        feeding.join().unwrap().unwrap();
        assert_eq!(collecting.join().unwrap(), text);
    }
}

#[test]
fn a_program_that_nobody_reads_is_told() {
    let (reader, stdout) = free_pipe(512);
    let process = Process::new(Guest::Std, "flood", &["100000000"])
        .with(|context| context.stdout(Arc::new(stdout)));
    let reading = thread::spawn(move || {
        let mut buffer = [0; 100];
        read_blocking(&reader, &mut buffer, &Cancellation::new())
            .unwrap()
            .unwrap()
    });
    let outcome = process.run().expect_success();
    assert!(reading.join().unwrap() > 0);
    assert!(outcome.stderr.contains("stopped"), "{}", outcome.stderr);
}

#[test]
fn a_failing_input_is_an_error_to_the_program() {
    let outcome = Process::new(Guest::Std, "cat", &[])
        .with(|context| context.stdin(Arc::new(FailingSource)))
        .run();
    assert!(outcome.ending.is_err());
    assert!(
        outcome.stderr.contains("stdin and stdout work"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn poll_wakes_for_the_first_of_many() {
    let (stdin, to_guest) = free_pipe(64);
    let (from_guest, stdout) = free_pipe(64);
    let process = Process::new(Guest::Wasi, "poll", &[])
        .with(|context| context.stdin(Arc::new(stdin)).stdout(Arc::new(stdout)));
    let answering = thread::spawn(move || {
        let never = Cancellation::new();
        let mut buffer = [0; 1];
        let count = read_blocking(&from_guest, &mut buffer, &never)
            .unwrap()
            .unwrap();
        assert_eq!((count, buffer), (1, *b"!"));
        write_all_blocking(&to_guest, b"?", &never)
            .unwrap()
            .unwrap();
        (from_guest, to_guest)
    });
    process.run().expect_success();
    answering.join().unwrap();
}

#[test]
fn poll_takes_ten_thousand_from_those_who_may_hold_them() {
    let (stdin, _feeder) = free_pipe(64);
    let process = |handles| {
        let stdin = Arc::new(stdin.clone());
        Process::new(Guest::Wasi, "poll-crowd", &[])
            .with(|context| context.stdin(stdin).handle_limit(handles))
    };
    process(10_100).run().expect_success();
    let refused: LimitReached = process(10_000).run().expect_error();
    assert_eq!(refused, LimitReached::Handles { limit: 10_000 });
}

#[test]
fn a_cancelled_process_does_not_stay_blocked() {
    let (_silent, full) = free_pipe(64);
    let (stdin, _feeder) = free_pipe(64);
    let blocked: [(Guest, &str, &[&str]); 3] = [
        (Guest::Std, "cat", &[]),
        (Guest::Std, "flood", &["1000000"]),
        (Guest::Wasi, "wait", &[]),
    ];
    for (guest, case, arguments) in blocked {
        let process = Process::new(guest, case, arguments).with(|context| {
            context
                .stdin(Arc::new(stdin.clone()))
                .stdout(Arc::new(full.clone()))
        });
        let cancellation = process.cancellation.clone();
        let cancelling = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            cancellation.cancel();
            Instant::now()
        });
        let outcome = process.run();
        let late = cancelling.join().unwrap().elapsed();
        assert_eq!(outcome.expect_error::<Cancelled>(), Cancelled, "{case}");
        assert!(late < Duration::from_secs(2), "{case} went on for {late:?}");
    }
}

struct OutputOnly;

impl Terminal for OutputOnly {
    fn is_attached(&self, stream: StandardStream) -> bool {
        stream == StandardStream::Stdout
    }
}

#[test]
fn terminals_are_seen_stream_by_stream() {
    Process::new(Guest::Wasi, "terminals", &[])
        .with(|context| context.terminal(Some(Arc::new(OutputOnly))))
        .run()
        .expect_success();
}

struct Fixed;

impl Clock for Fixed {
    fn monotonic_ns(&self) -> u64 {
        SystemClock::new().monotonic_ns()
    }
    fn monotonic_resolution_ns(&self) -> u64 {
        1
    }
    fn wall(&self) -> Duration {
        Duration::new(1234, 5678)
    }
    fn wall_resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }
}

#[test]
fn files_carry_the_time_of_the_given_clock() {
    let (tree, root) = tree(1 << 20);
    let shared = tree.clone();
    let (stdin, feeder) = free_pipe(64);
    drop(feeder);
    Process::new(Guest::Wasi, "streams", &[])
        .with(|context| {
            context
                .preopen(tree, root, "/", Rights::ReadWrite)
                .stdin(Arc::new(stdin))
                .clock(Arc::new(Fixed))
        })
        .run()
        .expect_success();
    let tree = shared.read();
    let file = tree.lookup(root, "f").unwrap();
    let modified = tree.stat(file).unwrap().times.modified;
    assert_eq!((modified.seconds, modified.nanoseconds), (1234, 5678));
}

/// Imports what no compiler's library uses, at the oldest version of all.
const ODD_IMPORTS: &str = r#"
(component
  (import "wasi:clocks/wall-clock@0.2.0" (instance $clock
    (type $datetime' (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $datetime (eq $datetime')))
    (export "now" (func (result $datetime)))))
  (alias export $clock "datetime" (type $datetime))
  (import "wasi:clocks/timezone@0.2.0" (instance $zone
    (export "datetime" (type $when (eq $datetime)))
    (type $display' (record (field "utc-offset" s32) (field "name" string) (field "in-daylight-saving-time" bool)))
    (export "timezone-display" (type $display (eq $display')))
    (export "display" (func (param "when" $when) (result $display)))
    (export "utc-offset" (func (param "when" $when) (result s32)))))
  (core module $memory
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
  (core instance $mem (instantiate $memory))
  (core func $offset (canon lower (func $zone "utc-offset")))
  (core func $display (canon lower (func $zone "display")
    (memory (core memory $mem "memory")) (realloc (core func $mem "realloc"))))
  (core module $m
    (import "zone" "memory" (memory 1))
    (import "zone" "offset" (func $offset (param i64 i32) (result i32)))
    (import "zone" "display" (func $display (param i64 i32 i32)))
    (func (export "offset") (result i32) (call $offset (i64.const 5) (i32.const 6)))
    ;; The first three letters of the name, which says where it is at 4 and how long it is at 8.
    (func (export "name") (result i32)
      (call $display (i64.const 5) (i32.const 6) (i32.const 0))
      (i32.add (i32.shl (i32.load (i32.const 8)) (i32.const 24))
        (i32.and (i32.load (i32.load (i32.const 4))) (i32.const 0xff_ffff)))))
  (core instance $i (instantiate $m (with "zone" (instance
    (export "memory" (memory $mem "memory"))
    (export "offset" (func $offset)) (export "display" (func $display))))))
  (func (export "offset") (result s32) (canon lift (core func $i "offset")))
  (func (export "name") (result u32) (canon lift (core func $i "name"))))
"#;

#[test]
fn gated_interfaces_link_at_the_oldest_version() {
    let component = Component::new(engine(), ODD_IMPORTS).expect("it is well-formed");
    let mut linker = Linker::new(engine());
    add_to_linker(&mut linker).unwrap();
    let budget = runtime_host::Budget::new(1 << 20);
    let context = WasiContext::builder(budget, Cancellation::new())
        .build()
        .unwrap();
    let mut store = Store::new(engine(), context);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let offset = instance
        .get_typed_func::<(), (i32,)>(&mut store, "offset")
        .unwrap();
    assert_eq!(offset.call(&mut store, ()).unwrap(), (0,));
    let name = instance
        .get_typed_func::<(), (u32,)>(&mut store, "name")
        .unwrap();
    let utc = u32::from_le_bytes(*b"UTC\x03");
    assert_eq!(name.call(&mut store, ()).unwrap(), (utc,));
}

#[test]
fn http_requests_are_denied_and_their_bodies_keep_the_rules() {
    run(Guest::HttpProbe, "denied", &[]).expect_success();
    run(Guest::HttpProbe, "lengths", &[]).expect_success();
    let outcome = run(Guest::HttpProbe, "finish-before-stream", &[]);
    assert!(format!("{:?}", outcome.ending).contains("before its output-stream"));
    let outcome = run(Guest::HttpProbe, "hoard-fields", &[]);
    let LimitReached::Budget(_) = outcome.expect_error() else {
        panic!("another limit: {:?}", outcome.ending);
    };
}
