//! The console as a service: what a person sees and types at, on four terminals, while it is killed.
//!
//! Law: what happens on the first terminal is read on the serial line; what happens on another leaves a file that the first
//! one's shell looks for. The console is ended by the keys that are for that (Ctrl-Alt-Backspace). Pictures are compared with
//! others of the same run: what comes on the serial line may not be drawn yet, so where the screen is to change it is first waited
//! for that. The planted defect is a console that nobody starts again.

use std::thread;

use super::pictures::{BETWEEN_LOOKS, LOOKS, rest};
use super::report::unmet;
use super::{Report, console, keys};
use crate::build;
use crate::failure::Result;
use crate::image::Parts;
use crate::paths::{Paths, Variant};
use crate::qemu::accelerator;
use crate::qemu::{Guest, Machine, Screen};
use crate::run::NEEDS;
use crate::setup::ensure_packages;

/// The keys that end the console.
const ATTENTION: [&str; 3] = ["ctrl", "alt", "backspace"];
/// What the kernel says when it has the devices again.
const KERNELS_TURN: &str = "so this is the prompt of the kernel";
/// More often than this the console of the tested image is never started again.
const KILLS_MAX: u32 = 40;

/// A test in the running guest.
type Test = fn(&mut Guest) -> Result<()>;

const TESTS: &[(&str, Test)] = &[
    ("four-shells", four_shells),
    ("each-terminal-has-its-screen", own_screens),
    ("killed-while-a-person-types", killed_while_typing),
    ("lines-that-left-are-there-after-a-kill", scrolls_back),
    ("another-terminal-after-a-kill", killed_on_another),
    ("control-keys", control_keys),
    ("bytes-that-are-no-text", garbage),
    ("the-log-is-kept", log_is_kept),
    ("the-log-is-followed", log_is_followed),
    ("the-time-here-and-there", time_here_and_there),
    ("the-clocks-are-set", clocks_are_set),
    ("what-has-failed-is-told", failure_is_told),
    ("who-follows-a-log-is-told-its-end", log_that_ends),
    ("given-up", given_up),
];

/// Boots the image as people get it, and one whose console is not started again.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    build::build_all_of(paths, Variant::Checks)?;
    let accelerator = accelerator::choose(paths)?;
    let boot = |system: &str, log: &std::path::Path| -> Result<Guest> {
        let parts = Parts::collect(paths, system, Variant::Checks)?;
        let image = paths.out().join(format!("{system}.img"));
        parts.write_disk(&image)?;
        let mut guest = Guest::boot(&Machine::new(accelerator, image), log)?;
        console::expect(&mut guest, console::SHELL_PROMPT)?;
        Ok(guest)
    };
    let mut guest = boot("test-console", &report.log_file("usual"))?;
    for (name, test) in TESTS {
        report.test(name, || test(&mut guest));
    }
    drop(guest);
    let log = report.log_file("defect");
    report.test("defect-not-started-again-is-seen", || {
        let mut guest = boot("test-console-defect", &log)?;
        match killed_while_typing(&mut guest) {
            Err(failure) if failure.to_string().contains("does not come back") => Ok(()),
            Err(failure) => Err(failure),
            Ok(()) => Err(unmet("a console that is gone passed for one that is there")),
        }
    });
    Ok(())
}

/// Has the first terminal's shell do a line that is sent over the serial line; what it says.
fn command(guest: &mut Guest, line: &str) -> Result<String> {
    guest.send(format!("{line}\r"))?;
    // The line that is edited begins with the prompt as well.
    console::expect(guest, "\r\n")?;
    console::expect(guest, console::SHELL_PROMPT)
}

/// Waits until there is a file.
fn wait_for_file(guest: &mut Guest, path: &str) -> Result<()> {
    for _ in 0..LOOKS {
        if command(guest, &format!("test -e {path} && echo it is there"))?.contains("it is there\r")
        {
            return Ok(());
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    Err(unmet(format!("{path} is never made")))
}

/// The screen when it has become another; it may be half drawn.
fn change(guest: &mut Guest, before: &Screen) -> Result<Screen> {
    for _ in 0..LOOKS {
        let screen = guest.screen()?;
        if screen != *before {
            return Ok(screen);
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    Err(unmet("the screen stays as it is"))
}

/// The screen when it has become another, and that has not changed for a while.
fn rest_after(guest: &mut Guest, before: &Screen) -> Result<Screen> {
    change(guest, before)?;
    rest(guest)
}

/// The screen becomes what it was before.
fn looks_like(guest: &mut Guest, expected: &Screen) -> Result<()> {
    for _ in 0..LOOKS {
        if guest.screen()? == *expected {
            return Ok(());
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    Err(unmet("the screen is not what it was"))
}

/// What a line in the first terminal says, which must have all these texts in it.
fn says(guest: &mut Guest, line: &str, texts: &[&str]) -> Result<String> {
    let said = command(guest, line)?;
    match texts.iter().find(|text| !said.contains(**text)) {
        None => Ok(said),
        Some(text) => Err(unmet(format!("`{line}` was to say {text:?}, but:\n{said}"))),
    }
}

/// The same again and again, until it says this: a service that is being started again is not there for a moment.
fn says_soon(guest: &mut Guest, line: &str, text: &str) -> Result<()> {
    for _ in 0..LOOKS {
        if command(guest, line)?.contains(text) {
            return Ok(());
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    Err(unmet(format!("`{line}` never says {text:?}")))
}

/// What kernel and services said before the service that keeps it was there, and what they say now; some of it, if one wants.
fn log_is_kept(guest: &mut Guest) -> Result<()> {
    says(
        guest,
        "logs -l debug",
        &["kernel/", "] notice  log: process "],
    )?;
    says(guest, "svc restart time", &[])?;
    says_soon(guest, "timectl at UTC", "UTC")?;
    let said = says(guest, "logs -l notice -s time started", &["timekeeper"])?;
    if said.matches("is started").count() != 2 {
        return Err(unmet(format!("the service was started twice:\n{said}")));
    }
    says(guest, "logs -n 1 -s kernel | wc -l", &["1\r\n"])?;
    says(guest, "logs -s nobody | wc -l", &["0\r\n"])?;
    says(guest, "sh -c 'logs -n 1 -s time'", &[" time: "])?;
    says(guest, "logs -l loud", &["is no level: those are error, "])?;
    Ok(())
}

/// Lines come while somebody follows, and the keeper's end is told.
fn log_is_followed(guest: &mut Guest) -> Result<()> {
    guest.send("logs -n 1 -f -s time\r")?;
    console::expect(guest, "\r\n")?;
    console::expect(guest, " time: ")?;
    keys::press(guest, &["alt", "f2"])?;
    keys::type_text(guest, "svc restart time\n")?;
    console::expect(guest, "notice  time: process ")?;
    keys::type_text(guest, "svc restart log\n")?;
    console::expect(guest, "the service that keeps the log ended")?;
    console::expect(guest, console::SHELL_PROMPT)?;
    keys::press(guest, &["alt", "f1"])?;
    says_soon(guest, "logs -s log", "] notice  log: process ")?;
    Ok(())
}

/// A zone is set, and stays over the end of the service.
fn time_here_and_there(guest: &mut Guest) -> Result<()> {
    says(
        guest,
        "timectl",
        &["zone       UTC (+00:00)\r\n", "battery "],
    )?;
    says(guest, "timectl zones kathm", &["Asia/Kathmandu\r\n"])?;
    says(guest, "timectl at Asia/Kathmandu", &["+0545"])?;
    says(guest, "timectl set-zone asia/kathmandu", &[])?;
    says(
        guest,
        "timectl",
        &["zone       Asia/Kathmandu (+05:45)\r\n"],
    )?;
    says(guest, "svc kill time", &[])?;
    says_soon(guest, "timectl", "zone       Asia/Kathmandu")?;
    says(
        guest,
        "timectl set-zone Atlantis",
        &["there is no time zone 'Atlantis'"],
    )?;
    says(guest, "timectl set-zone UTC", &[])?;
    Ok(())
}

/// All processes see the new time, and the battery-backed clock has it too.
fn clocks_are_set(guest: &mut Guest) -> Result<()> {
    says(
        guest,
        "timectl set-time 2033-05-18 03:33:20",
        &["battery    2033-05-18 03:33:"],
    )?;
    says(guest, "date -u +%Y-%m-%dT%H", &["2033-05-18T03\r\n"])?;
    says(
        guest,
        "timectl set-time 2033-02-30 00:00:00",
        &["there is no such time"],
    )?;
    says(
        guest,
        "timectl set-time 2999-01-01 00:00:00",
        &["no clock can show it"],
    )?;
    says(guest, "timectl", &["universal  2033-05-18 03:"])?;
    Ok(())
}

/// A manifest with one service more, which ends at once, and is given up soon.
const WITH_BROKEN: &str = r#"{ cat /system/services.toml; echo '[[service]]'; echo 'name = "broken"'; echo 'program = "false"'; echo 'restart = { limit = 2, backoff-ms = 1 }'; } > /tmp/broken.toml"#;
/// What is said of it; a line of the terminal ends between the two.
const TOLD: [&str; 2] = [
    "kpio: the service 'broken' has failed: it ended again after 2 restarts within",
    "60 s; 'svc log broken' shows why, 'svc start broken' tries again.",
];

/// A person is told once that a service has failed, and goes on typing.
fn failure_is_told(guest: &mut Guest) -> Result<()> {
    command(guest, WITH_BROKEN)?;
    command(guest, "{ sleep 2; svc reload /tmp/broken.toml; } &")?;
    guest.send("echo typed in")?;
    for told in TOLD {
        console::expect(guest, told)?;
    }
    guest.send(" two\r")?;
    console::expect(guest, "\r\ntyped in two\r\n")?;
    console::expect(guest, console::SHELL_PROMPT)?;
    guest.send("svc start broken\r")?;
    for told in TOLD {
        console::expect(guest, told)?;
    }
    guest.send("\r")?;
    console::expect(guest, console::SHELL_PROMPT)?;
    says(guest, "svc", &["broken", "it ended again after 2 restarts"])?;
    Ok(())
}

/// Who follows the log of a service that leaves the manifest does not wait for ever.
fn log_that_ends(guest: &mut Guest) -> Result<()> {
    guest.send("svc log -f broken\r")?;
    console::expect(guest, "has failed: ")?;
    keys::press(guest, &["alt", "f2"])?;
    keys::type_text(guest, "svc reload\n")?;
    console::expect(guest, "the service 'broken' is in the manifest no more")?;
    console::expect(guest, console::SHELL_PROMPT)?;
    keys::press(guest, &["alt", "f1"])
}

/// What is typed on each terminal is done by its shell, and the variables of each are its own.
fn four_shells(guest: &mut Guest) -> Result<()> {
    command(guest, "mine=first")?;
    for (key, name) in [("f2", "two"), ("f3", "three"), ("f4", "four")] {
        keys::press(guest, &["alt", key])?;
        keys::type_text(guest, &format!("touch /tmp/{name}\n"))?;
        wait_for_file(guest, &format!("/tmp/{name}"))?;
    }
    keys::press(guest, &["alt", "f1"])?;
    keys::type_text(guest, "echo from the keyboard\n")?;
    console::expect(guest, "\r\nfrom the keyboard\r\n")?;
    console::expect(guest, console::SHELL_PROMPT)?;
    match command(guest, "echo $mine")?.contains("first\r\n") {
        true => Ok(()),
        false => Err(unmet("the first terminal has another shell")),
    }
}

fn own_screens(guest: &mut Guest) -> Result<()> {
    let first = rest(guest)?;
    keys::press(guest, &["alt", "f2"])?;
    let second = rest_after(guest, &first)?;
    keys::press(guest, &["alt", "f1"])?;
    looks_like(guest, &first)?;
    keys::press(guest, &["alt", "f2"])?;
    looks_like(guest, &second)?;
    keys::press(guest, &["alt", "f1"])?;
    looks_like(guest, &first)
}

/// Half a line is typed, the console is killed, the other half is typed; the program reads all of it, and the shell is the one that
/// it was.
fn killed_while_typing(guest: &mut Guest) -> Result<()> {
    command(guest, "mine=unchanged")?;
    reads_lines(guest)?;
    keys::type_text(guest, "the first half ")?;
    console::expect(guest, "the first half ")?;
    keys::press(guest, &ATTENTION)?;
    keys::type_text(guest, "and the other\n")?;
    // The echo, and then what the program makes of it.
    match guest.expect_any(&[
        "and the other\r\nthe first half and the other\r\n",
        KERNELS_TURN,
    ])? {
        (0, _) => {}
        (_, said) => return Err(unmet(format!("the console does not come back:\n{said}"))),
    }
    guest.send("\x04")?;
    console::expect(guest, console::SHELL_PROMPT)?;
    match command(guest, "echo $mine")?.contains("unchanged\r\n") {
        true => Ok(()),
        false => Err(unmet("the shell was started again")),
    }
}

/// Runs a program that says every line that it reads, and waits until it does.
fn reads_lines(guest: &mut Guest) -> Result<()> {
    guest.send("cat\r")?;
    console::expect(guest, "\r\n")?;
    // What is typed before the program is there is not shown as it is typed. Behind what the program says of it, all is.
    guest.send("early\r")?;
    console::expect(guest, "early\r")?;
    guest.send("line\r")?;
    console::expect(guest, "line\r\n")?;
    console::expect(guest, "line\r\n").map(drop)
}

/// Runs a program that goes on for ever, and waits until it runs.
fn goes_on(guest: &mut Guest) -> Result<()> {
    guest.send("sh -c 'echo it runs; sleep 100000'\r")?;
    console::expect(guest, "\r\n")?;
    console::expect(guest, "it runs\r\n").map(drop)
}

/// Lines that have left the screen, and what is on it, are the same after a kill.
fn scrolls_back(guest: &mut Guest) -> Result<()> {
    let before = guest.screen()?;
    command(guest, "seq 300")?;
    let newest = rest_after(guest, &before)?;
    for _ in 0..3 {
        keys::press(guest, &["shift", "pgup"])?;
    }
    let back = rest_after(guest, &newest)?;
    keys::press(guest, &ATTENTION)?;
    looks_like(guest, &newest)?;
    for _ in 0..3 {
        keys::press(guest, &["shift", "pgup"])?;
    }
    looks_like(guest, &back)?;
    keys::type_text(guest, "x")?;
    keys::press(guest, &["backspace"])?;
    looks_like(guest, &newest)
}

/// The terminal that was shown is shown again.
fn killed_on_another(guest: &mut Guest) -> Result<()> {
    let first = guest.screen()?;
    keys::press(guest, &["alt", "f3"])?;
    let third = change(guest, &first)?;
    keys::type_text(guest, "touch /tmp/half")?;
    let typed = rest_after(guest, &third)?;
    keys::press(guest, &ATTENTION)?;
    looks_like(guest, &typed)?;
    keys::type_text(guest, "-and-half\n")?;
    wait_for_file(guest, "/tmp/half-and-half")?;
    keys::press(guest, &["alt", "f1"])
}

/// Ctrl-C ends what is in the foreground, Ctrl-Z suspends it, Ctrl-D ends the input.
fn control_keys(guest: &mut Guest) -> Result<()> {
    goes_on(guest)?;
    keys::press(guest, &["ctrl", "z"])?;
    console::expect(guest, console::SHELL_PROMPT)?;
    command(guest, "kill %1")?;
    goes_on(guest)?;
    keys::press(guest, &["ctrl", "c"])?;
    console::expect(guest, console::SHELL_PROMPT)?;
    let said = command(guest, "echo $?")?;
    match said.contains("130\r\n") {
        true => Ok(()),
        false => Err(unmet(format!(
            "a program that was interrupted ended with:\n{said}"
        ))),
    }
}

/// A program's code is shown as text, on a terminal of its own.
fn garbage(guest: &mut Guest) -> Result<()> {
    keys::press(guest, &["alt", "f4"])?;
    keys::type_text(guest, "head -c 65000 /bin/rg.wasm\n")?;
    keys::type_text(guest, "touch /tmp/after-garbage\n")?;
    wait_for_file(guest, "/tmp/after-garbage")?;
    keys::press(guest, &ATTENTION)?;
    keys::type_text(guest, "touch /tmp/after-kill\n")?;
    wait_for_file(guest, "/tmp/after-kill")?;
    keys::press(guest, &["alt", "f1"])
}

/// A console that is killed again and again is given up: the kernel's own prompt says so, and brings it back.
fn given_up(guest: &mut Guest) -> Result<()> {
    let mut kills = 0;
    while guest.line_with(&[KERNELS_TURN]).is_none() {
        kills += 1;
        if kills > KILLS_MAX {
            return Err(unmet("the console is started again for ever"));
        }
        keys::press(guest, &ATTENTION)?;
        thread::sleep(BETWEEN_LOOKS);
    }
    console::prompt(guest)?;
    let listed = console::command(guest, "svc")?;
    if !listed
        .lines()
        .any(|line| line.contains("console") && line.contains("failed"))
    {
        return Err(unmet(format!(
            "the console counts as something else than failed:\n{listed}"
        )));
    }
    guest.send("svc start console\r")?;
    first_shell_is_the_same(guest)
}

/// Asks the first terminal's shell what it knows, until the console is there and it answers.
fn first_shell_is_the_same(guest: &mut Guest) -> Result<()> {
    for _ in 0..LOOKS {
        // The kernel's prompt takes what it gets before, and has no variables.
        guest.send("echo mine is $mine\r")?;
        thread::sleep(BETWEEN_LOOKS);
        if guest.line_with(&["mine is unchanged"]).is_some() {
            return Ok(());
        }
    }
    Err(unmet("the shell did not live longer than the console"))
}
