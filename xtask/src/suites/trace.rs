//! The log, tracing and the profiler, as people meet them: at the prompt, and as files of a recorded run.
//!
//! Law: what is judged is what the devices gave: text on the console, the trace's JSON and the profile's stacks that
//! came over the second serial port. Each judge is judged too: a trace with a defect, and a profile of another program,
//! must not pass.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::report::unmet;
use super::{Report, console, guests};
use crate::build;
use crate::command;
use crate::failure::{Failure, Result};
use crate::image::Parts;
use crate::paths::{self, Paths, Variant};
use crate::qemu::accelerator;
use crate::qemu::{Guest, Machine};
use crate::run::NEEDS;
use crate::setup::ensure_packages;

/// A command line of which the log's option is wrong in its last word.
const HOSTILE_LOG: &str = "log=debug,memory=loud fault=exit prompt test";
/// Kinds of records that a run of the probe must give.
const KINDS: [&str; 14] = [
    "Switch",
    "Wake",
    "FaultBegin",
    "FaultEnd",
    "ShootDownBegin",
    "ShootDownEnd",
    "Trap",
    "HostCallBegin",
    "HostCallEnd",
    "InterruptBegin",
    "InterruptEnd",
    "TimerBegin",
    "TimerEnd",
    "ProcessStart",
];
/// The group of tracks that are CPUs, as `lib/trace-export` numbers them.
const PID_CPUS: u64 = 1;
/// Functions of the probe that are hot, in WebAssembly and in the kernel, by mode.
const HOT: [(&str, &str); 2] = [
    ("burn", "trace_probe::burn_cycles"),
    ("random", "kernel_core::random::"),
];

/// Runs everything.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    build::build_all(paths)?;
    let probe = guests::component(paths, "trace-probe")?;
    let folder = paths.out().join("trace-suite");
    let log = report.log_file("prompt");
    report.test("log-and-trace-at-the-prompt", || {
        at_the_prompt(paths, &folder, &log)
    });
    let trace = folder.join("trace.json");
    report.test("a-traced-run", || traced_run(&probe, &trace));
    report.test("defects-of-a-trace-are-noticed", || trace_defects(&trace));
    let [wasm, kernel] = HOT.map(|(mode, _)| folder.join(format!("{mode}.svg")));
    for (picture, (mode, function)) in [&wasm, &kernel].into_iter().zip(HOT) {
        report.test(&format!("profile-finds-{mode}"), || {
            profiled_run(&probe, mode, picture)?;
            is_hot(picture, function)
        });
    }
    report.test("a-profile-of-another-program-is-noticed", || {
        match is_hot(&kernel, HOT[0].1) {
            Err(failure) if failure.to_string().contains("percent") => Ok(()),
            Err(failure) => Err(failure),
            Ok(()) => Err(unmet("a function that never ran counts as hot")),
        }
    });
    Ok(())
}

fn at_the_prompt(paths: &Paths, folder: &Path, log: &Path) -> Result<()> {
    let mut parts = Parts::collect(paths, "test", Variant::Plain)?;
    parts.command_line = HOSTILE_LOG.into();
    let image = folder.join("hostile-log.img");
    parts.write_disk(&image)?;
    let machine = Machine::new(accelerator::choose(paths)?, image);
    let mut guest = Guest::boot(&machine, log)?;
    let booted = console::prompt(&mut guest)?;
    says(&booted, "warn: command line, log=: 'loud' is none of", 1)?;
    levels_at_run_time(&mut guest)?;
    follows_a_storm(&mut guest)?;
    traces(&mut guest)?;
    console::power_off(guest)
}

fn levels_at_run_time(guest: &mut Guest) -> Result<()> {
    // The wrong option has changed nothing.
    let levels = console::command(guest, "log")?;
    says(&levels, "info", 15)?;
    says(
        &console::command(guest, "log attic=debug")?,
        "there is no area 'attic'",
        1,
    )?;
    console::command(guest, "echo unseen")?;
    console::command(guest, "log supervisor=debug")?;
    console::command(guest, "echo seen")?;
    let kept = console::command(guest, "dmesg supervisor")?;
    says(&kept, "supervisor: debug: process 2 starts: echo", 1)?;
    says(&kept, "process 1 ", 0)?;
    says(&kept, "] kernel: ", 0)?;
    says(&console::command(guest, "dmesg warn")?, "supervisor: ", 0)?;
    // Chosen apart: what the terminal shows of it.
    console::command(guest, "log terminal=debug")?;
    says(
        &console::command(guest, "echo shown")?,
        "process 3 starts: echo",
        1,
    )?;
    console::command(guest, "log info terminal=warn").map(drop)
}

/// Ctrl-C ends what follows a log that grows faster than it can be shown.
fn follows_a_storm(guest: &mut Guest) -> Result<()> {
    console::command(guest, "log runtime=debug")?;
    console::command(guest, "crash storm")?;
    guest.send("dmesg -f runtime\r")?;
    console::expect(guest, "debug: storm line ")?;
    console::expect(guest, "debug: storm line ")?;
    guest.send("\x03")?;
    console::prompt(guest)?;
    console::command(guest, "log runtime=info").map(drop)
}

fn traces(guest: &mut Guest) -> Result<()> {
    says(
        &console::command(guest, "trace start attic")?,
        "'attic' is no category",
        1,
    )?;
    says(
        &console::command(guest, "trace start")?,
        "Tracing is on.",
        1,
    )?;
    console::command(guest, "ls /")?;
    says(
        &console::command(guest, "trace stop")?,
        "Tracing is off.",
        1,
    )?;
    says(
        &console::command(guest, "trace save /tmp/t.json")?,
        " bytes",
        1,
    )?;
    let found = console::command(guest, "rg -c 'cat.:.host-call' /tmp/t.json")?;
    let calls: Option<u32> = found.split_whitespace().find_map(|word| word.parse().ok());
    match calls {
        Some(1..) => Ok(()),
        _ => Err(unmet(format!("the saved trace has no host calls: {found}"))),
    }
}

/// A text must be there so many times.
fn says(text: &str, wanted: &str, times: usize) -> Result<()> {
    match text.matches(wanted).count() {
        count if count == times => Ok(()),
        count => Err(unmet(format!(
            "{wanted:?} is there {count} times instead of {times}:\n{text}"
        ))),
    }
}

fn traced_run(probe: &Path, file: &Path) -> Result<()> {
    record("trace", "--trace", file, probe, "everything", 134)?;
    judge(&read(file)?)
}

fn read(file: &Path) -> Result<Value> {
    serde_json::from_slice(&paths::read(file)?)
        .map_err(|error| unmet(format!("the trace is no JSON: {error}")))
}

/// Runs the probe with the tool's own command, so that what is tested includes it.
fn record(
    tool: &str,
    option: &str,
    file: &Path,
    probe: &Path,
    mode: &str,
    code: i32,
) -> Result<()> {
    let program = env::current_exe().map_err(|e| Failure::io("find", "this program", e))?;
    let mut run = Command::new(program);
    run.arg(tool)
        .arg(option)
        .arg(file)
        .arg("--")
        .arg(probe)
        .arg(mode);
    let output = run
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Failure::io("start", command::display(&run), e))?;
    if output.status.code() == Some(code) {
        return Ok(());
    }
    Err(unmet(format!(
        "exit code {code} was expected, not {}:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    )))
}

fn profiled_run(probe: &Path, mode: &str, picture: &Path) -> Result<()> {
    record("profile", "--profile", picture, probe, mode, 0)?;
    let drawn = paths::read(picture)?;
    if !drawn.ends_with(b"</svg>\n") {
        return Err(unmet("the flame graph does not end"));
    }
    Ok(())
}

/// Most samples of the probe's process have the function somewhere in their stack.
fn is_hot(picture: &Path, function: &str) -> Result<()> {
    let stacks = paths::read(&picture.with_extension("folded"))?;
    let stacks = String::from_utf8_lossy(&stacks);
    let (mut all, mut hot) = (0_u64, 0_u64);
    for line in stacks
        .lines()
        .filter(|line| line.starts_with("trace-probe"))
    {
        let (stack, count) = line.rsplit_once(' ').unwrap_or((line, "0"));
        let count = count.parse().unwrap_or(0);
        all += count;
        if stack.split(';').any(|name| name.contains(function)) {
            hot += count;
        }
    }
    if all >= 20 && hot * 100 >= all * 60 {
        return Ok(());
    }
    Err(unmet(format!(
        "{function} is in {hot} of {all} samples, that is not 60 percent:\n{stacks}"
    )))
}

/// A track's events in their order.
type Tracks<'a> = BTreeMap<(u64, u64), Vec<&'a Value>>;

/// Everything that a trace of the probe must be.
fn judge(trace: &Value) -> Result<()> {
    let events = trace["traceEvents"].as_array();
    let events = events.ok_or_else(|| unmet("the trace has no events"))?;
    let mut tracks = Tracks::new();
    for event in events.iter().filter(|event| event["ph"] != "M") {
        let track = (number(&event["pid"])?, number(&event["tid"])?);
        tracks.entry(track).or_default().push(event);
    }
    tracks.values().try_for_each(|events| is_lawful(events))?;
    counts_agree(trace, events)?;
    for kind in KINDS {
        if number(&trace["otherData"]["records"][kind])? == 0 {
            return Err(unmet(format!("no {kind} was traced")));
        }
    }
    let cpus = tracks
        .iter()
        .filter(|((pid, tid), _)| *pid == PID_CPUS && tid % 2 == 0);
    cpus.into_iter()
        .try_for_each(|(_, events)| is_chain(events))?;
    has_named_process(events)
}

fn number(value: &Value) -> Result<u64> {
    value
        .as_u64()
        .ok_or_else(|| unmet(format!("{value} is no number")))
}

/// Times never fall, and every begin has its end.
fn is_lawful(events: &[&Value]) -> Result<()> {
    let (mut last, mut depth) = (0.0, 0_u64);
    for event in events {
        let at = event["ts"].as_f64().unwrap_or(-1.0);
        if at < last {
            return Err(unmet(format!("time falls from {last} to {event}")));
        }
        last = at;
        match event["ph"].as_str() {
            Some("B") => depth += 1,
            Some("E") if depth == 0 => {
                return Err(unmet(format!("an end without a begin: {event}")));
            }
            Some("E") => depth -= 1,
            _ => {}
        }
    }
    if depth == 0 {
        return Ok(());
    }
    Err(unmet(format!("{depth} begins of a track have no end")))
}

/// Who leaves a CPU is who got it before.
fn is_chain(events: &[&Value]) -> Result<()> {
    let switches: Vec<_> = events.iter().filter(|event| event["ph"] == "B").collect();
    for pair in switches.windows(2) {
        if pair[0]["args"]["thread"] != pair[1]["args"]["from"] {
            return Err(unmet(format!(
                "switches do not pair up: {} and {}",
                pair[0], pair[1]
            )));
        }
    }
    Ok(())
}

/// What was written, what was exported and what the kernel counted by itself are the same, but for what happens
/// while tracing is switched on and off.
fn counts_agree(trace: &Value, events: &[Value]) -> Result<()> {
    const EDGE: u64 = 8;
    let about = &trace["otherData"];
    if about["overwritten"] != 0 || about["dropped"] != 0 {
        return Err(unmet(format!("records were lost: {about}")));
    }
    let is_switch = |event: &&Value| event["cat"] == "switch" && event["ph"] == "B";
    let exported = events.iter().filter(is_switch).count() as u64;
    let written = number(&about["records"]["Switch"])?;
    if exported != written {
        return Err(unmet(format!(
            "{written} switches were traced, {exported} exported"
        )));
    }
    for (counter, kind) in [("switches", "Switch"), ("shootdowns", "ShootDownBegin")] {
        let counted = number(&about["kernel"][counter])?;
        let written = number(&about["records"][kind])?;
        if counted.abs_diff(written) > EDGE {
            return Err(unmet(format!(
                "the kernel counted {counted} {counter}, {written} were traced"
            )));
        }
    }
    Ok(())
}

fn has_named_process(events: &[Value]) -> Result<()> {
    let named = events.iter().find(|event| {
        let name = event["args"]["name"].as_str().unwrap_or_default();
        event["name"] == "process_name" && name.starts_with("trace-probe")
    });
    let named = named.ok_or_else(|| unmet("no process has the probe's name"))?;
    let wrote = events.iter().any(|event| {
        let name = event["name"].as_str().unwrap_or_default();
        event["pid"] == named["pid"] && name.contains("io/streams#[method]output-stream.")
    });
    if wrote {
        Ok(())
    } else {
        Err(unmet("the probe's process has no named call that writes"))
    }
}

/// Does something to a trace that the judge must notice.
type Damage = fn(&mut Value);

/// Each defect must make the judge fail for its own reason.
fn trace_defects(file: &Path) -> Result<()> {
    let defects: [(&str, Damage); 5] = [
        ("switches were traced", |trace| {
            trace["otherData"]["records"]["Switch"] = 1.into();
        }),
        ("no Trap was traced", |trace| {
            trace["otherData"]["records"]["Trap"] = 0.into();
        }),
        ("have no end", |trace| {
            if let Some(events) = trace["traceEvents"].as_array_mut() {
                let last_end = events.iter().rposition(|event| event["ph"] == "E");
                last_end.map(|at| events.remove(at));
            }
        }),
        ("time falls", |trace| {
            if let Some(last) = last_of(trace, |event| event["ph"] == "E") {
                last["ts"] = 0.into();
            }
        }),
        ("do not pair up", |trace| {
            if let Some(switch) = last_of(trace, |event| event["cat"] == "switch") {
                switch["args"]["from"] = u64::MAX.into();
            }
        }),
    ];
    for (reason, damage) in defects {
        let mut trace = read(file)?;
        damage(&mut trace);
        match judge(&trace) {
            Err(failure) if failure.to_string().contains(reason) => {}
            Err(failure) => return Err(failure),
            Ok(()) => return Err(unmet(format!("the defect {reason:?} was not noticed"))),
        }
    }
    Ok(())
}

fn last_of(trace: &mut Value, which: fn(&Value) -> bool) -> Option<&mut Value> {
    let events = trace["traceEvents"].as_array_mut()?;
    events.iter_mut().rev().find(|event| which(event))
}
