//! What programs do that start programs: themselves. The first argument names the case; a case
//! that finds something wrong panics, which the host sees as a trap.

use std::io::{self, Read, Write};
use std::process::exit;

use sdk::processes::{self, Files, Input, Launch, Limits, Output, Process, ProcessError, spawn};
use sdk::wasip2::clocks::monotonic_clock;
use sdk::{foreground, pipes, terminal};

const SELF: &str = "family-probe";
const NO_LIMITS: Limits = Limits {
    memory_bytes: None,
    cpu_percent: None,
    cpu_time_ns: None,
    handles: None,
    output_bytes: None,
    processes: None,
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["bomb"] => bomb(),
        ["bomb-disowned", generations] => bomb_disowned(number(generations)),
        ["code", ref rest @ ..] => println!("{}", run(launch(rest))),
        ["copy"] => copy(),
        ["disown"] => leave_behind(Process::disown),
        ["exit", code] => exit(number(code) as i32),
        ["foreground"] => take_foreground(),
        ["job"] => begin_job(),
        ["handles"] => fill_handles(),
        ["hold", mebibytes] => hold(number(mebibytes) as usize),
        ["held"] => hold_a_child(),
        ["inherit", ref rest @ ..] => exit(run(launch(rest)).into()),
        ["huge-launch"] => huge_launch(),
        ["leave", "hold", mebibytes] => leave_holding(mebibytes),
        ["leave"] => leave_behind(|_| ()),
        ["limited", name, value, ref rest @ ..] => limited(name, number(value), rest),
        ["loop"] => loop {
            std::hint::black_box(());
        },
        ["many", count] => many(number(count)),
        ["named", name, ref rest @ ..] => run_named(name, rest),
        ["pipeline"] => pipeline(),
        ["read", path] => print!("{}", std::fs::read_to_string(path).expect("a file")),
        ["say", text] => println!("{text}"),
        ["shared-file"] => shared_file(),
        ["shares", one, other] => share(number(one) as u32, number(other) as u32),
        ["strangers", stranger] => meet(stranger),
        ["terminal"] => ask_terminal(),
        ["tree", depth, width] => tree(number(depth), number(width)),
        ["wait"] => wait_for_ever(),
        ["where", folder, ref rest @ ..] => run_in(folder, rest),
        _ => panic!("there is no case {words:?}"),
    }
}

fn number(word: &str) -> u64 {
    word.parse().expect("a number")
}

/// This program: the file at the top, where there is one, or the system's of this name.
fn program() -> String {
    let file = format!("/{SELF}.wasm");
    match std::fs::metadata(&file) {
        Ok(_) => file,
        Err(_) => SELF.to_owned(),
    }
}

/// This program with these words, and with everything that this process has.
fn launch(words: &[&str]) -> Launch<'static> {
    let words = [SELF].into_iter().chain(words.iter().copied());
    Launch {
        program: program(),
        arguments: words.map(str::to_owned).collect(),
        environment: Vec::new(),
        stdin: Input::Inherit,
        stdout: Output::Inherit,
        stderr: Output::Inherit,
        files: Files::Inherit("/".to_owned()),
        limits: NO_LIMITS,
        may_spawn: true,
    }
}

fn start(launch: Launch<'_>) -> Process {
    spawn(launch).expect("a child")
}

fn run(launch: Launch<'_>) -> u8 {
    start(launch).wait().code
}

fn copy() {
    io::copy(&mut io::stdin(), &mut io::stdout()).expect("input and output");
}

fn wait_for_ever() {
    let mut byte = [0];
    while io::stdin().read(&mut byte).is_ok() {}
}

/// `say x | copy | copy`, whose output comes back here.
fn pipeline() {
    let (from_first, to_second) = pipes::pipe().expect("a pipe");
    let (from_second, to_third) = pipes::pipe().expect("a pipe");
    let (answer, to_us) = pipes::pipe().expect("a pipe");
    let first = start(Launch {
        stdout: Output::Stream(to_second),
        ..launch(&["say", "through three"])
    });
    let second = start(Launch {
        stdin: Input::Stream(from_first),
        stdout: Output::Stream(to_third),
        ..launch(&["copy"])
    });
    let third = start(Launch {
        stdin: Input::Stream(from_second),
        stdout: Output::Stream(to_us),
        ..launch(&["copy"])
    });
    let mut text = Vec::new();
    while let Ok(bytes) = answer.blocking_read(64) {
        text.extend(bytes);
    }
    for child in [first, second, third] {
        assert_eq!(child.wait().code, 0);
        assert_eq!(child.try_wait().map(|exit| exit.code), Some(0));
    }
    io::stdout().write_all(&text).expect("output");
}

/// Two children append to one file through one stream.
fn shared_file() {
    let folders = wasip2_folders();
    let flags = sdk::wasip2::filesystem::types::DescriptorFlags::WRITE;
    let create = sdk::wasip2::filesystem::types::OpenFlags::CREATE;
    let path = sdk::wasip2::filesystem::types::PathFlags::empty();
    let file = folders[0]
        .0
        .open_at(path, "shared", create, flags)
        .expect("a file");
    let stream = file.write_via_stream(0).expect("a stream");
    for text in ["one", "two"] {
        let copy = pipes::duplicate_output(&stream).expect("a copy");
        let child = start(Launch {
            stdout: Output::Stream(copy),
            ..launch(&["say", text])
        });
        assert_eq!(child.wait().code, 0);
    }
    print!("{}", std::fs::read_to_string("/shared").expect("the file"));
}

fn wasip2_folders() -> Vec<(sdk::wasip2::filesystem::types::Descriptor, String)> {
    sdk::wasip2::filesystem::preopens::get_directories()
}

/// Touches so much memory, says so, and never ends.
fn hold(mebibytes: usize) {
    let held = std::hint::black_box(vec![1_u8; mebibytes << 20]);
    // Who waits for it may be gone as soon as it is written, which is an error and not ours.
    let _told = io::stdout().write_all(b"holding\n");
    monotonic_clock::subscribe_duration(u64::MAX).block();
    drop(held);
}

/// Starts a child that holds so much memory, and leaves it to itself when it does.
fn leave_holding(mebibytes: &str) {
    let (said, to_us) = pipes::pipe().expect("a pipe");
    let child = start(Launch {
        stdout: Output::Stream(to_us),
        ..launch(&["hold", mebibytes])
    });
    said.blocking_read(64).expect("a word");
    child.disown();
    println!("left: {}", child.id());
}

/// Starts a child that never ends, and ends.
fn leave_behind(before: impl FnOnce(&Process)) {
    let child = start(launch(&["wait"]));
    before(&child);
    println!("{}", child.id());
}

/// Starts children in children until nobody may start any.
fn bomb() {
    let mut children = Vec::new();
    loop {
        match spawn(launch(&["bomb"])) {
            Ok(child) => children.push(child),
            Err(ProcessError::Quota(_)) => break,
            Err(error) => panic!("{error}"),
        }
    }
    for child in children {
        child.wait();
    }
}

/// Starts a few children, which do the same for so many generations, and leaves them to themselves; together they are more than there
/// may be.
fn bomb_disowned(generations: u64) {
    let Some(generations) = generations.checked_sub(1) else {
        return;
    };
    let generations = generations.to_string();
    for _ in 0..8 {
        match spawn(launch(&["bomb-disowned", &generations])) {
            Ok(child) => child.disown(),
            Err(_) => return,
        }
    }
}

/// Two children that are always busy, each with such a share, until they have used a second of CPU time together: what each has
/// used, and how old this process is by then, in milliseconds.
fn share(one_percent: u32, other_percent: u32) {
    let busy = |percent| {
        start(Launch {
            limits: Limits {
                cpu_percent: Some(percent),
                ..NO_LIMITS
            },
            ..launch(&["loop"])
        })
    };
    let children = [one_percent, other_percent].map(busy);
    loop {
        monotonic_clock::subscribe_duration(50_000_000).block();
        let family = processes::descendants();
        let of = |id| family.iter().find(|status| status.id == id);
        let used = children
            .each_ref()
            .map(|child| of(child.id()).map_or(0, |status| status.cpu_time_ns / 1_000_000));
        if used[0] + used[1] >= 1000 {
            let age_ms = family[0].age_ns / 1_000_000;
            println!("shares: {} {} {age_ms}", used[0], used[1]);
            break;
        }
    }
    for child in children {
        child.kill();
        child.wait();
    }
}

/// Arguments and an environment of ever more bytes, until somebody ends.
fn huge_launch() {
    for exponent in 10..30 {
        let word = "x".repeat(1 << exponent);
        let spawned = spawn(Launch {
            environment: vec![(word.clone(), word.clone())],
            stdout: Output::Discard,
            ..launch(&["say", &word])
        });
        if let Ok(child) = spawned {
            child.kill();
            child.wait();
        }
    }
}

/// Holds pipes and a child while a stranger, in a process of its own, uses numbers that were not given to it.
fn meet(stranger: &str) {
    let child = start(launch(&["wait"]));
    let held: Vec<_> = (0..20).map(|_| pipes::pipe().expect("a pipe")).collect();
    let exit = start(Launch {
        program: stranger.to_owned(),
        ..launch(&[])
    })
    .wait();
    println!("{} {}", exit.code, exit.message.unwrap_or_default());
    for (input, output) in &held {
        let written = output.blocking_write_and_flush(b"x");
        written.expect("an open end");
        assert_eq!(input.blocking_read(2).expect("an open end"), b"x");
    }
    assert!(child.try_wait().is_none(), "the child was ended");
    child.kill();
    child.wait();
    println!("all is still there");
}

fn tree(depth: u64, width: u64) {
    if depth == 0 {
        return wait_for_ever();
    }
    let deeper = (depth - 1).to_string();
    let words = ["tree", &deeper, &width.to_string()];
    let children: Vec<Process> = (0..width).map(|_| start(launch(&words))).collect();
    for child in children {
        child.wait();
    }
}

fn many(count: u64) {
    for _ in 0..count {
        assert_eq!(run(launch(&["exit", "1"])), 1);
    }
    println!("{count} have ended");
}

/// Runs a child with one limit, and says how it ended.
fn limited(name: &str, value: u64, words: &[&str]) {
    let mut limits = NO_LIMITS;
    match name {
        "memory" => limits.memory_bytes = Some(value),
        "cpu" => limits.cpu_percent = Some(value as u32),
        "time" => limits.cpu_time_ns = Some(value),
        "handles" => limits.handles = Some(value as u32),
        "output" => limits.output_bytes = Some(value),
        "processes" => limits.processes = Some(value as u32),
        _ => panic!("there is no limit {name}"),
    }
    match spawn(Launch {
        limits,
        ..launch(words)
    }) {
        Ok(child) => {
            let exit = child.wait();
            println!("{} {}", exit.code, exit.message.unwrap_or_default());
        }
        Err(error) => println!("{error}"),
    }
}

/// Runs the system's program of this name, which is this one or one like it, and says how it ended.
fn run_named(name: &str, words: &[&str]) {
    let exit = start(Launch {
        program: name.to_owned(),
        ..launch(words)
    })
    .wait();
    println!("{} {}", exit.code, exit.message.unwrap_or_default());
}

/// Takes handles until there are none, and says how many there were.
fn fill_handles() {
    let mut ends = Vec::new();
    while let Ok(pipe) = pipes::pipe() {
        ends.push(pipe);
    }
    let count = ends.len();
    // Saying so takes a handle as well.
    ends.pop();
    println!("{count}");
}

/// A child that stands still uses nothing, and one that goes on does.
fn hold_a_child() {
    let child = start(launch(&["loop"]));
    child.suspend(true);
    let of_child = || {
        let all = processes::descendants();
        let found = all.into_iter().find(|status| status.id == child.id());
        found.expect("it exists")
    };
    assert!(of_child().is_suspended);
    child.suspend(false);
    assert!(!of_child().is_suspended);
    child.suspend(true);
    child.kill();
    assert_eq!(child.wait().code, 130);
}

fn run_in(folder: &str, words: &[&str]) {
    let there = Launch {
        files: Files::Inherit(folder.to_owned()),
        ..launch(words)
    };
    match spawn(there) {
        Ok(child) => exit(child.wait().code.into()),
        Err(error) => println!("{error}"),
    }
}

fn ask_terminal() {
    match (terminal::size(), terminal::get_mode()) {
        (Ok((columns, rows)), Ok(mode)) => println!("{columns}x{rows} {mode:?}"),
        (size, mode) => println!("{size:?} {mode:?}"),
    }
}

/// As a shell starts a pipeline of which the person has had enough before it has a part.
fn begin_job() {
    foreground::set_foreground(&[]).expect("a terminal");
    foreground::begin().expect("a terminal");
    println!("begun");
    while !foreground::was_interrupted() {
        monotonic_clock::subscribe_duration(1_000_000).block();
    }
    let child = start(launch(&["wait"]));
    foreground::join(&child).expect("a terminal");
    println!("the child ended with {}", child.wait().code);
    foreground::begin().expect("a terminal");
    println!("asked to end: {}", foreground::was_interrupted());
}

/// As a shell does it: a child in the foreground, and afterwards nobody.
fn take_foreground() {
    foreground::set_foreground(&[]).expect("a terminal");
    let child = start(launch(&["wait"]));
    foreground::set_foreground(&[&child]).expect("a terminal");
    println!("waiting");
    let exit = child.wait();
    foreground::set_foreground(&[]).expect("a terminal");
    println!("the child ended with {}", exit.code);
    copy();
}
