//! Services in the guest: they start in order, come back, are given up, stop, are replaced and reloaded, as `svc` shows.
//!
//! Law: nothing is measured. Who waits for a state asks for it again and again, a bounded number of times. The planted defect is a
//! manifest by which a service is not restarted: the test of restarting has to notice.

use std::path::Path;

use super::report::unmet;
use super::{Report, console};
use crate::build;
use crate::failure::Result;
use crate::image;
use crate::paths::{Paths, Variant};
use crate::qemu::accelerator;
use crate::qemu::{Ending, Guest, Machine};
use crate::run::NEEDS;
use crate::setup::ensure_packages;

/// A test in the running guest.
type Test = fn(&mut Guest) -> Result<()>;

const TESTS: &[(&str, Test)] = &[
    ("started-in-order", started_in_order),
    ("given-up-after-too-many-restarts", given_up),
    ("restarted-after-a-kill", |guest| {
        restarted(guest, "svc kill beat")
    }),
    ("restarted-after-the-end-of-its-process", |guest| {
        let process = row(guest, BEAT)?.process;
        restarted(guest, &format!("kill {process}"))
    }),
    ("stopped-when-asked", stopped_when_asked),
    ("killed-at-its-deadline", killed_at_deadline),
    ("replaced", replaced),
    ("who-shows-no-sign-of-life-is-ended", mute),
    ("who-is-in-a-call-for-ever-is-ended", stuck),
    ("reach-is-shown", reach_is_shown),
    ("steered-from-the-shell", steered),
    ("not-steered-without-a-grant", not_steered),
    ("reloaded", reloaded),
    ("defect-not-restarted", defect),
];

/// A service that runs until it is asked to end.
const BEAT: &str = "beat";

/// Boots the image of tested services, then the same without them, and without some of them.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    build::build_all(paths)?;
    let accelerator = accelerator::choose(paths)?;
    let machine = |name: &str| -> Result<Machine> {
        let image = image::system_image(paths, name, Variant::Plain)?;
        Ok(Machine::new(accelerator, image))
    };
    let mut guest = Guest::boot(&machine("test-services")?, &report.log_file("services"))?;
    console::prompt(&mut guest)?;
    for (name, test) in TESTS {
        report.test(name, || test(&mut guest));
    }
    report.test("stopped-at-power-off-from-the-shell", || switch_off(guest));
    for (name, test) in [("rescue", rescue as BootTest), ("without", left_out)] {
        let machine = machine(&format!("test-{name}"))?;
        let log = report.log_file(name);
        report.test(name, || test(&machine, &log));
    }
    Ok(())
}

/// A test of a machine of its own.
type BootTest = fn(&Machine, &Path) -> Result<()>;

/// A line of what `svc` shows.
#[derive(Debug)]
struct Row {
    state: String,
    process: String,
    restarts: String,
    why: String,
}

/// How a service stands.
fn row(guest: &mut Guest, name: &str) -> Result<Row> {
    let table = console::command(guest, "svc")?;
    let found = table.lines().find_map(|line| row_of(line, name));
    found.ok_or_else(|| unmet(format!("{name} is not in:\n{table}")))
}

fn row_of(line: &str, name: &str) -> Option<Row> {
    let mut words = line.split_whitespace();
    let mut next = || words.next().map(str::to_owned);
    (next()? == name).then_some(())?;
    let (state, process, restarts) = (next()?, next()?, next()?);
    // Handles, memory and its unit, program.
    let why: Vec<&str> = words.skip(4).collect();
    Some(Row {
        state,
        process,
        restarts,
        why: why.join(" "),
    })
}

/// Asks until the service stands as it should.
fn wait_until(guest: &mut Guest, name: &str, is_so: impl Fn(&Row) -> bool) -> Result<Row> {
    let mut last = None;
    for () in console::looks() {
        let found = row(guest, name)?;
        if is_so(&found) {
            return Ok(found);
        }
        last = Some(found);
    }
    Err(unmet(format!("{name} stays as it is: {last:?}")))
}

fn wait(guest: &mut Guest, name: &str, state: &str) -> Result<Row> {
    wait_until(guest, name, |row| row.state == state)
}

/// Types a line, and wants the text in the answer.
fn says(guest: &mut Guest, line: &str, text: &str) -> Result<String> {
    let answer = console::command(guest, line)?;
    if answer.contains(text) {
        return Ok(answer);
    }
    Err(unmet(format!(
        "{line:?} does not answer {text:?}:\n{answer}"
    )))
}

/// When a line of a service's log was written, as the log shows it.
fn time_of(guest: &mut Guest, name: &str, text: &str) -> Result<u64> {
    let log = says(guest, &format!("svc log {name}"), text)?;
    let line = log.lines().find(|line| line.contains(text));
    let stamp = line.and_then(|line| line.split(['[', ']']).nth(1));
    let digits = stamp.map(|stamp| stamp.replace('.', ""));
    let time = digits.and_then(|digits| digits.trim().parse().ok());
    time.ok_or_else(|| unmet(format!("{name} has no time before {text:?}:\n{log}")))
}

fn started_in_order(guest: &mut Guest) -> Result<()> {
    for (first, text, second) in [
        ("setup", "has finished", "main"),
        (BEAT, "is ready", "deaf"),
    ] {
        wait(guest, second, "ready")?;
        let (before, after) = (
            time_of(guest, first, text)?,
            time_of(guest, second, "process ")?,
        );
        if before > after {
            return Err(unmet(format!("{second} was started before {first} {text}")));
        }
    }
    Ok(())
}

fn given_up(guest: &mut Guest) -> Result<()> {
    let row = wait(guest, "storm", "failed")?;
    let log = says(guest, "svc log storm", "trapped")?;
    for text in ["again in 10 ms", "again in 20 ms", "again in 40 ms"] {
        if !log.contains(text) {
            return Err(unmet(format!(
                "the log of storm does not say {text:?}:\n{log}"
            )));
        }
    }
    if row.restarts != "3" || log.matches("trapped").count() != 4 {
        return Err(unmet(format!(
            "three restarts were allowed: {row:?}\n{log}"
        )));
    }
    let told = guest.line_with(&["kpio: the service 'storm' has failed"]);
    told.map(drop)
        .ok_or_else(|| unmet("nobody is told that storm has failed"))
}

/// The service comes back with another process after the line that ends this one.
fn restarted(guest: &mut Guest, line: &str) -> Result<()> {
    let before = wait(guest, BEAT, "ready")?;
    console::command(guest, line)?;
    let after = wait_until(guest, BEAT, |row| {
        let is_back = row.state == "ready" && row.process != before.process;
        is_back || row.state == "failed"
    })?;
    match after.state.as_str() {
        "failed" => Err(unmet(format!("{BEAT} has failed: {}", after.why))),
        _ => Ok(()),
    }
}

fn stopped_when_asked(guest: &mut Guest) -> Result<()> {
    let killed = |log: &str| log.matches("is killed").count();
    let before = killed(&console::command(guest, "svc log beat")?);
    says(guest, "svc stop beat", "")?;
    wait(guest, BEAT, "stopped")?;
    let log = says(guest, "svc log beat", "ends, as it was asked to")?;
    if killed(&log) != before {
        return Err(unmet(format!("it was killed:\n{log}")));
    }
    says(guest, "svc start beat", "")?;
    wait(guest, BEAT, "ready").map(drop)
}

fn killed_at_deadline(guest: &mut Guest) -> Result<()> {
    says(guest, "svc stop deaf", "")?;
    wait(guest, "deaf", "stopped")?;
    says(guest, "svc log deaf", "is killed")?;
    says(guest, "svc start deaf", "")?;
    wait(guest, "deaf", "ready").map(drop)
}

fn replaced(guest: &mut Guest) -> Result<()> {
    let before = wait(guest, "main", "ready")?;
    says(
        guest,
        "svc replace main nobody",
        "There is no program called 'nobody'",
    )?;
    says(guest, "svc replace main heartbeat", "")?;
    wait_until(guest, "main", |row| {
        row.state == "ready" && row.process != before.process
    })?;
    says(guest, "svc log main", "was replaced").map(drop)
}

/// Who shows that it is well runs on; who does not is ended, started again, and given up.
fn mute(guest: &mut Guest) -> Result<()> {
    let row = wait(guest, "mute", "failed")?;
    let log = says(guest, "svc log mute", "gave no sign of life within 100 ms")?;
    if row.restarts != "1" || log.matches("gave no sign of life").count() != 2 {
        return Err(unmet(format!("one restart was allowed: {row:?}\n{log}")));
    }
    let pulse = wait(guest, "pulse", "ready")?;
    match pulse.restarts.as_str() {
        "0" => Ok(()),
        _ => Err(unmet(format!("who is well was ended: {pulse:?}"))),
    }
}

/// Who loops in a call does not answer when it is asked, and comes back; its caller learns that the call is lost, and goes on.
fn stuck(guest: &mut Guest) -> Result<()> {
    let caller = wait(guest, "caller", "stopped")?;
    says(guest, "svc log caller", "lost")?;
    says(
        guest,
        "svc log stuck",
        "gave no sign of life within 5000 ms",
    )?;
    let after = wait(guest, "stuck", "ready")?;
    match (after.restarts.as_str(), caller.why.as_str()) {
        ("0", _) | (_, "") => Err(unmet(format!("nothing was ended: {after:?}, {caller:?}"))),
        _ => Ok(()),
    }
}

fn reach_is_shown(guest: &mut Guest) -> Result<()> {
    let process = row(guest, BEAT)?.process;
    for line in ["caps beat".to_owned(), format!("caps {process}")] {
        for text in ["/scratch", "/tmp, read-write", "16384 KiB", "access-denied"] {
            says(guest, &line, text)?;
        }
    }
    says(guest, "caps nobody", "neither a service nor a process").map(drop)
}

fn reloaded(guest: &mut Guest) -> Result<()> {
    says(
        guest,
        "svc reload /share/wrong-services.toml",
        "there is no service 'nobody'",
    )?;
    let main = row(guest, "main")?.process;
    let beat = row(guest, BEAT)?.process;
    says(guest, "svc reload /share/other-services.toml", "")?;
    wait_until(guest, BEAT, |row| {
        row.state == "ready" && row.process != beat
    })?;
    wait(guest, "new", "ready")?;
    if row(guest, "main")?.process != main {
        return Err(unmet("main has not changed, and was restarted"));
    }
    for () in console::looks() {
        let table = console::command(guest, "svc")?;
        if !table.lines().any(|line| row_of(line, "deaf").is_some()) {
            return Ok(());
        }
    }
    Err(unmet("deaf has left the manifest, and is still there"))
}

/// A program that may control services shows and does what the kernel's own prompt does.
fn steered(guest: &mut Guest) -> Result<()> {
    let before = wait(guest, "pulse", "ready")?;
    says(guest, "sh -c 'svc restart pulse'", "")?;
    wait_until(guest, "pulse", |row| {
        row.state == "ready" && row.process != before.process
    })?;
    let table = console::command(guest, "sh -c svc")?;
    if !table.lines().any(|line| row_of(line, "pulse").is_some()) {
        return Err(unmet(format!("pulse is not in:\n{table}")));
    }
    says(guest, "sh -c 'caps pulse'", "as every process")?;
    // It writes more every 50 ms, so it ends when nobody reads any more.
    let follow = "sh -c 'svc log -f pulse | { read line; echo \"first is $line\"; }'";
    says(guest, follow, "first is [")?;
    let refused = "sh -c 'svc start nobody'";
    says(guest, refused, "There is no service 'nobody'").map(drop)
}

/// The same program from a file, of which nobody said that it may.
fn not_steered(guest: &mut Guest) -> Result<()> {
    let line = "sh -c '/bin/svc.wasm list'";
    says(guest, line, "not granted to control services").map(drop)
}

fn switch_off(mut guest: Guest) -> Result<()> {
    guest.send("sh -c poweroff\r")?;
    match guest.wait()? {
        Ending::PowerOff => Ok(()),
        other => Err(unmet(format!("the machine goes on, or: {other:?}"))),
    }
}

/// By this manifest the service is not restarted.
fn defect(guest: &mut Guest) -> Result<()> {
    says(guest, "svc reload /share/defect-services.toml", "")?;
    match restarted(guest, "svc kill beat") {
        Ok(()) => Err(unmet("a service that is not restarted passed")),
        Err(failure) if failure.to_string().contains("beat has failed") => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// No service runs, and that is said; the machine works.
fn rescue(machine: &Machine, log: &Path) -> Result<()> {
    let mut guest = Guest::boot(machine, log)?;
    console::prompt(&mut guest)?;
    says(&mut guest, "svc", "the command line says 'rescue'")?;
    let processes = console::command(&mut guest, "ps")?;
    if processes.contains("heartbeat") {
        return Err(unmet(format!("a service runs:\n{processes}")));
    }
    console::power_off(guest)
}

/// Two services do not start, and that is said; the others do.
fn left_out(machine: &Machine, log: &Path) -> Result<()> {
    let mut guest = Guest::boot(machine, log)?;
    console::prompt(&mut guest)?;
    wait(&mut guest, "main", "ready")?;
    for name in ["storm", "deaf"] {
        let row = row(&mut guest, name)?;
        if row.state != "failed" || !row.why.contains("left out") {
            return Err(unmet(format!("{name} was not left out: {row:?}")));
        }
    }
    let behind = wait(&mut guest, "behind-storm", "waiting")?;
    if behind.why != "for storm, which is failed" {
        return Err(unmet(format!(
            "it does not say for whom it waits: {behind:?}"
        )));
    }
    let told = guest.line_with(&["kpio: the service 'storm' is left out"]);
    told.ok_or_else(|| unmet("nobody is told that storm is left out"))?;
    console::power_off(guest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_by_name() {
        let line = "storm            failed            -        3       0    0 KiB  crasher          it ended again";
        let row = row_of(line, "storm").unwrap();
        assert_eq!((row.state.as_str(), row.restarts.as_str()), ("failed", "3"));
        assert_eq!(
            (row.process.as_str(), row.why.as_str()),
            ("-", "it ended again")
        );
        assert!(row_of(line, "beat").is_none());
    }
}
