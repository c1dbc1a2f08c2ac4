//! The documentation's example (`docs/demo.md`) in the guest: two services that call a third, which is killed, replaced,
//! and taken away from one of them, also by a program in C.
//!
//! Law: nothing is measured. Who waits for something to be said looks at the log again and again, a bounded number of
//! times. The planted defect is a manifest that does not grant what a service imports.

use super::report::unmet;
use super::{Report, console};
use crate::build;
use crate::c_programs;
use crate::failure::Result;
use crate::image;
use crate::paths::{Paths, Variant};
use crate::qemu::accelerator;
use crate::qemu::{Guest, Machine};
use crate::run::NEEDS;
use crate::setup::ensure_packages;

const INTERFACE: &str = "kpio:demo/counter";
/// How a teller's line begins.
const SAYING: &str = "the number is ";

/// A test in the running guest.
type Test = fn(&mut Guest) -> Result<()>;

const TESTS: &[(&str, Test)] = &[
    ("calls-are-answered", |guest| {
        counts(guest, "patient")?;
        counts(guest, "hasty")
    }),
    ("reach-is-shown", reach_is_shown),
    ("killed", killed),
    ("replaced-without-a-loss", replaced),
    ("revoked", revoked),
    (PROVIDER_IN_C, provider_in_c),
    (CLIENT_IN_C, client_in_c),
    ("defect-no-grant", no_grant),
];

/// Tests that need a compiler for C, and what the programs in C are called.
const PROVIDER_IN_C: &str = "replaced-by-a-provider-in-c";
const CLIENT_IN_C: &str = "client-in-c";
const COUNTER_IN_C: &str = "counter-c";
const TELLER_IN_C: &str = "tally";
/// From here on the provider in C counts.
const FIRST_IN_C: u64 = 1_000_000;
/// So often the client in C calls.
const CALLS_IN_C: usize = 3;

/// Boots the image of the example, with the programs in C where they can be built.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    build::build_all(paths)?;
    let accelerator = accelerator::choose(paths)?;
    let lacking = c_programs::ensure().err().map(|why| why.to_string());
    let system = match lacking {
        None => "test-demo-c",
        Some(_) => "test-demo",
    };
    let image = image::system_image(paths, system, Variant::Plain)?;
    let machine = Machine::new(accelerator, image);
    let mut guest = Guest::boot(&machine, &report.log_file("demo"))?;
    console::prompt(&mut guest)?;
    for (name, test) in TESTS {
        match &lacking {
            Some(why) if [PROVIDER_IN_C, CLIENT_IN_C].contains(name) => report.skipped(name, why),
            _ => report.test(name, || test(&mut guest)),
        }
    }
    report.test("stopped-at-power-off", || console::power_off(guest));
    Ok(())
}

/// What a service's log has of the number, the newest last: numbers, and names of failures.
fn sayings(guest: &mut Guest, name: &str) -> Result<Vec<String>> {
    let log = console::command(guest, &format!("svc log {name}"))?;
    let lines = log.lines().filter_map(|line| line.split_once(SAYING));
    Ok(lines.map(|(_, saying)| saying.trim().to_owned()).collect())
}

/// Looks at a log until it says something that fits.
fn wait_for(
    guest: &mut Guest,
    name: &str,
    fits: impl Fn(&[String]) -> bool,
) -> Result<Vec<String>> {
    let mut last = Vec::new();
    for () in console::looks() {
        last = sayings(guest, name)?;
        if fits(&last) {
            return Ok(last);
        }
    }
    let newest = last.last();
    let log = console::command(guest, &format!("svc log {name}"))?;
    Err(unmet(format!("{name} says {newest:?} in the end:\n{log}")))
}

fn number(saying: &str) -> Option<u64> {
    saying.parse().ok()
}

/// The number of a service that counts grows.
fn counts(guest: &mut Guest, name: &str) -> Result<()> {
    let is_number = |sayings: &[String]| sayings.last().is_some_and(|last| number(last).is_some());
    let before = wait_for(guest, name, is_number)?;
    let before = before.last().and_then(|last| number(last));
    wait_for(guest, name, |sayings| {
        let last = sayings.last().and_then(|last| number(last));
        last > before
    })
    .map(drop)
}

/// The process of a service.
fn process(guest: &mut Guest, name: &str) -> Result<String> {
    let table = console::command(guest, "svc")?;
    let mut rows = table.lines().map(|line| line.split_whitespace());
    let found = rows.find_map(|mut words| {
        (words.next()? == name).then_some(())?;
        words.nth(1).map(str::to_owned)
    });
    found.ok_or_else(|| unmet(format!("{name} has no process:\n{table}")))
}

/// Waits until a service has another process than this.
fn wait_for_successor(guest: &mut Guest, name: &str, before: &str) -> Result<()> {
    for () in console::looks() {
        let now = process(guest, name)?;
        if now != before && now != "-" {
            return Ok(());
        }
    }
    Err(unmet(format!("{name} stays the process {before}")))
}

/// Types a line, and wants the text in the answer.
fn says(guest: &mut Guest, line: &str, text: &str) -> Result<()> {
    let answer = console::command(guest, line)?;
    match answer.contains(text) {
        true => Ok(()),
        false => Err(unmet(format!(
            "{line:?} does not answer {text:?}:\n{answer}"
        ))),
    }
}

fn reach_is_shown(guest: &mut Guest) -> Result<()> {
    says(guest, "caps patient", INTERFACE)?;
    says(guest, "caps patient", "counter")?;
    says(guest, "caps counter", INTERFACE)
}

/// The numbers that a service was told never go back: the number is kept whoever has it.
fn grows_only(guest: &mut Guest, name: &str) -> Result<()> {
    let sayings = sayings(guest, name)?;
    let numbers: Vec<u64> = sayings.iter().filter_map(|saying| number(saying)).collect();
    match numbers.is_sorted_by(|before, after| before < after) {
        true => Ok(()),
        false => Err(unmet(format!("the number went back: {numbers:?}"))),
    }
}

/// While nobody is there one client waits and the other is told so; both are the processes that they were, and go on, as
/// the number does.
fn killed(guest: &mut Guest) -> Result<()> {
    let clients = [process(guest, "patient")?, process(guest, "hasty")?];
    let before = process(guest, "counter")?;
    counts(guest, "patient")?;
    says(guest, "svc kill counter", "")?;
    wait_for(guest, "hasty", |sayings| {
        sayings.iter().any(|saying| saying == "unavailable")
    })?;
    wait_for_successor(guest, "counter", &before)?;
    counts(guest, "patient")?;
    counts(guest, "hasty")?;
    grows_only(guest, "patient")?;
    if clients != [process(guest, "patient")?, process(guest, "hasty")?] {
        return Err(unmet("a client was started again"));
    }
    match sayings(guest, "patient")?
        .iter()
        .any(|saying| saying == "unavailable")
    {
        true => Err(unmet("who waits was told that nobody is there")),
        false => Ok(()),
    }
}

fn replaced(guest: &mut Guest) -> Result<()> {
    let failures = |sayings: &[String]| {
        let failures = sayings.iter().filter(|saying| number(saying).is_none());
        failures.count()
    };
    let mut before = [0; 2];
    for (count, name) in before.iter_mut().zip(["patient", "hasty"]) {
        *count = failures(&sayings(guest, name)?);
    }
    let first = process(guest, "counter")?;
    says(guest, "svc replace counter counter", "")?;
    wait_for_successor(guest, "counter", &first)?;
    for (count, name) in before.iter().zip(["patient", "hasty"]) {
        counts(guest, name)?;
        let sayings = sayings(guest, name)?;
        if failures(&sayings) > *count {
            return Err(unmet(format!("a call of {name} failed: {sayings:?}")));
        }
    }
    grows_only(guest, "patient")
}

fn revoked(guest: &mut Guest) -> Result<()> {
    let before = process(guest, "hasty")?;
    says(guest, &format!("svc revoke hasty {INTERFACE}"), "")?;
    wait_for(guest, "hasty", |sayings| {
        sayings.last().is_some_and(|last| last == "revoked")
    })?;
    if process(guest, "hasty")? != before {
        return Err(unmet("the process ended of it"));
    }
    says(
        guest,
        "svc revoke hasty kpio:demo/nothing",
        "No run of 'hasty' imports 'kpio:demo/nothing'",
    )?;
    counts(guest, "patient")?;
    says(guest, "svc restart hasty", "")?;
    counts(guest, "hasty")
}

/// The same interface, written in another language: the clients go on, and see that another one counts.
fn provider_in_c(guest: &mut Guest) -> Result<()> {
    let first = process(guest, "counter")?;
    says(guest, &format!("svc replace counter {COUNTER_IN_C}"), "")?;
    wait_for_successor(guest, "counter", &first)?;
    for name in ["patient", "hasty"] {
        wait_for(guest, name, |sayings| {
            let last = sayings.last().and_then(|last| number(last));
            last > Some(FIRST_IN_C)
        })?;
    }
    Ok(())
}

fn client_in_c(guest: &mut Guest) -> Result<()> {
    let sayings = wait_for(guest, TELLER_IN_C, |sayings| sayings.len() >= CALLS_IN_C)?;
    match sayings.iter().all(|saying| number(saying).is_some()) {
        true => Ok(()),
        false => Err(unmet(format!("a call from C failed: {sayings:?}"))),
    }
}

/// By this manifest the service does not link.
fn no_grant(guest: &mut Guest) -> Result<()> {
    says(guest, "svc reload /share/defect-services.toml", "")?;
    wait_for_log(guest, "patient", "imports `kpio:demo/counter@0.1.0`")?;
    says(guest, "svc log patient", "the `imports` of a `[[service]]`")
}

fn wait_for_log(guest: &mut Guest, name: &str, text: &str) -> Result<()> {
    for () in console::looks() {
        if console::command(guest, &format!("svc log {name}"))?.contains(text) {
            return Ok(());
        }
    }
    says(guest, &format!("svc log {name}"), text)
}
